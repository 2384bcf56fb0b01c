//! Only the command line writes to stdout, where its output is data.

use crate::tidy::Finding;
use crate::tidy::source::Source;

/// Finds `println!` and `print!` in the helper outside `cli/`.
pub fn check(source: &Source) -> Vec<Finding> {
    let concerned = (source.path.starts_with("host-helper/src/")
        && !source.path.starts_with("host-helper/src/cli/")
        || source.path.starts_with("host-helper/domain/src/"))
        && !source.is_test;
    if !concerned {
        return Vec::new();
    }
    (1..)
        .zip(source.code.lines())
        .filter(|(_, line)| prints(line))
        .map(|(number, _)| {
            Finding::error(
                source.path,
                number,
                "only cli/ prints; elsewhere return a value or use tracing",
            )
        })
        .collect()
}

fn prints(line: &str) -> bool {
    ["println!", "print!"].iter().any(|name| {
        line.match_indices(name).any(|(position, _)| {
            let before = line
                .get(..position)
                .and_then(|before| before.chars().next_back());
            !before.is_some_and(|character| character.is_alphanumeric() || character == '_')
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::found_lines;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        found_lines(check, path, text)
    }

    #[test]
    fn printing_outside_the_command_line_is_found() {
        let text = "// println!()\nfn a() { println!(\"b\"); }\nfn c() { eprintln!(\"d\"); }\nfn e() { std::print!(\"f\"); }\n";
        assert_eq!(lines("host-helper/src/engine/writer.rs", text), [2, 4]);
        assert_eq!(lines("host-helper/src/cli/ui.rs", text), [0; 0]);
        assert_eq!(lines("host-helper/build.rs", text), [0; 0]);
        assert_eq!(lines("xtask/src/main.rs", text), [0; 0]);
    }
}
