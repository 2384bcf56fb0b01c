//! What the system says of running processes: CPU, wakeups, memory.

use std::path::PathBuf;

/// What a process used so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// Clock ticks in user and kernel mode, 100 a second.
    pub ticks: u64,
    /// Times that one of its threads went to sleep by itself.
    pub wakeups: u64,
}

/// Clock ticks a second: what Linux tells user space on every machine.
pub const TICKS: f64 = 100.0;

/// What a process used so far, all its threads together; nothing where it is gone.
#[must_use]
pub fn used(pid: u32) -> Used {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold spaces and brackets, so the fields are counted from the last one.
    let fields: Vec<u64> = stat
        .rsplit_once(')')
        .map(|(_, rest)| {
            rest.split_whitespace()
                .map(|field| field.parse().unwrap_or(0))
                .collect()
        })
        .unwrap_or_default();
    let ticks = fields.get(11).unwrap_or(&0) + fields.get(12).unwrap_or(&0);
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let wakeups = threads
        .into_iter()
        .flatten()
        .flatten()
        .map(|thread| number_in(thread.path().join("status"), "voluntary_ctxt_switches:"))
        .sum();
    Used { ticks, wakeups }
}

/// CPU time of a process in seconds, from the scheduler's own account, which counts nanoseconds.
#[must_use]
pub fn cpu_seconds(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"));
    let nanos: u64 = threads
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .sum();
    nanos as f64 / 1e9
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// All that is mapped and present, shared pages too.
    pub resident: u64,
    /// Shared pages counted in equal parts.
    pub proportional: u64,
    /// What would be free if it ended.
    pub private: u64,
}

/// Memory of a process; zero where it is gone.
#[must_use]
pub fn memory(pid: u32) -> Memory {
    let rollup = PathBuf::from(format!("/proc/{pid}/smaps_rollup"));
    let of = |name: &str| number_in(rollup.clone(), name) * 1024;
    Memory {
        resident: of("Rss:"),
        proportional: of("Pss:"),
        private: of("Private_Clean:") + of("Private_Dirty:"),
    }
}

fn number_in(file: PathBuf, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

/// The pids of all children of a process, and of theirs.
#[must_use]
pub fn descendants(of: u32) -> Vec<u32> {
    let mut all = Vec::new();
    let mut look = vec![of];
    while let Some(pid) = look.pop() {
        for thread in std::fs::read_dir(format!("/proc/{pid}/task"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let children =
                std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
            for child in children
                .split_whitespace()
                .filter_map(|pid| pid.parse().ok())
            {
                all.push(child);
                look.push(child);
            }
        }
    }
    all
}

/// The words of a process's command line.
#[must_use]
pub fn command_line(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    bytes
        .split(|byte| *byte == 0)
        .filter(|word| !word.is_empty())
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_has_memory_and_a_name() {
        let own = std::process::id();
        let memory = memory(own);
        assert!(memory.resident > 0 && memory.private <= memory.resident);
        assert!(!command_line(own).is_empty());
        assert!(used(own).wakeups < u64::MAX && cpu_seconds(own) > 0.0);
    }
}
