//! The servers of Zellij sessions, as the system lists them (Linux): a session's name is used again, a server's process is not.

use std::{fs, path::Path};

/// Is this process the server of the session? In doubt it is: where the system does not tell, nothing speaks against it.
pub fn is_server_of(pid: u32, session: &str) -> bool {
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(command_line) => serves(&command_line, session),
        Err(_) => !lists_processes(),
    }
}

/// The server of a session; none where there is none, or several of that name with sockets in different places.
pub fn find(session: &str) -> Option<u32> {
    let mut found = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline"))
                .is_ok_and(|command_line| serves(&command_line, session))
        });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

fn lists_processes() -> bool {
    Path::new("/proc/self/cmdline").exists()
}

/// `zellij --server DIRECTORY/SESSION`, its words ended by zeros.
fn serves(command_line: &[u8], session: &str) -> bool {
    let words: Vec<&[u8]> = command_line.split(|byte| *byte == 0).collect();
    words.windows(2).any(|pair| match pair {
        [flag, socket] => {
            *flag == b"--server"
                && Path::new(String::from_utf8_lossy(socket).as_ref())
                    .file_name()
                    .is_some_and(|name| name == session)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_known_by_its_socket() {
        let line = b"/usr/bin/zellij\0--server\0/run/zellij/contract_version_1/desk\0";
        assert!(serves(line, "desk"));
        assert!(!serves(line, "des"));
        assert!(!serves(b"zellij\0attach\0desk\0", "desk"));
        assert!(!serves(b"", "desk"));
    }

    #[test]
    fn a_process_that_is_gone_or_something_else_serves_nothing() {
        if !lists_processes() {
            return;
        }
        assert!(!is_server_of(std::process::id(), "desk"), "this test");
        assert!(!is_server_of(u32::MAX - 1, "desk"), "no process");
        assert_eq!(find("no session has this name"), None);
    }
}
