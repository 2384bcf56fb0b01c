//! Files stay short enough to be read in one go.

use crate::tidy::Finding;
use crate::tidy::source::Source;

const SMELL: usize = 500;
const LIMIT: usize = 800;
const TEST_LIMIT: usize = 1_500;

/// Lines without inline test modules count against the limits of code, all lines against that of tests.
pub fn check(source: &Source) -> Option<Finding> {
    let all = source.text.lines().count();
    if all > TEST_LIMIT {
        return Some(Finding::error(
            source.path,
            TEST_LIMIT,
            format!("{all} lines, tests included; at most {TEST_LIMIT}: split the file by concept"),
        ));
    }
    if source.is_test {
        return None;
    }
    let code = code_lines(source);
    if code > LIMIT {
        let reason = format!("{code} lines; at most {LIMIT}: split the file by concept");
        return Some(Finding::error(source.path, LIMIT, reason));
    }
    (code > SMELL).then(|| {
        Finding::warning(
            source.path,
            SMELL,
            format!("{code} lines; above {SMELL} is a smell"),
        )
    })
}

/// All lines but those that are blank only because a test module was taken out.
fn code_lines(source: &Source) -> usize {
    let tests = source
        .text
        .find("#[cfg(test)]\nmod ")
        .map(|position| source.text.split_at(position));
    match tests {
        // Tests stand last; if code follows them, every line counts.
        Some((before, after)) => {
            let position = source.text.lines().count() - after.lines().count();
            let code_follows = source
                .code
                .lines()
                .skip(position)
                .any(|line| !line.trim().is_empty());
            if code_follows {
                source.text.lines().count()
            } else {
                before.lines().count()
            }
        }
        None => source.text.lines().count(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::{File, Weight};

    fn check_text(path: &str, text: &str) -> Option<Weight> {
        let file = File::new(path, text);
        check(&Source::of(&file).unwrap()).map(|finding| finding.weight)
    }

    #[test]
    fn long_files_smell_and_longer_ones_fail() {
        assert_eq!(check_text("a/src/b.rs", &"a();\n".repeat(500)), None);
        assert_eq!(
            check_text("a/src/b.rs", &"a();\n".repeat(501)),
            Some(Weight::Warning)
        );
        assert_eq!(
            check_text("a/src/b.rs", &"// a\n".repeat(801)),
            Some(Weight::Error)
        );
    }

    #[test]
    fn tests_may_be_longer() {
        assert_eq!(check_text("tests/it/a.rs", &"a();\n".repeat(1_500)), None);
        assert_eq!(
            check_text("tests/it/a.rs", &"a();\n".repeat(1_501)),
            Some(Weight::Error)
        );
    }

    #[test]
    fn an_inline_test_module_at_the_end_does_not_count() {
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "a();\n".repeat(700));
        assert_eq!(
            check_text("a/src/b.rs", &format!("{}{tests}", "a();\n".repeat(400))),
            None
        );
        assert_eq!(
            check_text("a/src/b.rs", &format!("{tests}{}", "a();\n".repeat(400))),
            Some(Weight::Error)
        );
    }
}
