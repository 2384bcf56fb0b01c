//! A Rust file as the rules see it: code without comments, texts and test modules, lines kept.

use crate::tidy::File;
use crate::tidy::imports::{self, Import};

/// One Rust file.
pub struct Source<'file> {
    /// Relative to the root, with `/`.
    pub path: &'file str,
    /// The file as it is.
    pub text: &'file str,
    /// The same text with comments, string contents and inline test modules blanked; lines are where they were.
    pub code: String,
    /// Every path that the code names, use groups taken apart.
    pub imports: Vec<Import>,
    /// Is the whole file test code?
    pub is_test: bool,
}

impl<'file> Source<'file> {
    /// The source, if the file is Rust.
    pub fn of(file: &'file File) -> Option<Self> {
        let path = file.path.as_str();
        let text = file.text.as_deref()?;
        if !path.ends_with(".rs") {
            return None;
        }
        let code = without_test_modules(&without_comments_and_texts(text));
        let imports = imports::find(&code);
        Some(Self {
            path,
            text,
            code,
            imports,
            is_test: is_test_path(path),
        })
    }
}

/// Test code by its place: the tests package, a `tests` directory, or a `tests.rs` beside what it tests.
fn is_test_path(path: &str) -> bool {
    let mut components = path.split('/').rev();
    let name = components.next().unwrap_or_default();
    matches!(name, "tests.rs" | "test_support.rs")
        || name.ends_with("_tests.rs")
        || components.any(|directory| directory == "tests")
}

/// Blanks comments and the contents of string and character literals.
fn without_comments_and_texts(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let at = |index: usize| characters.get(index).copied().unwrap_or('\0');
    let mut code = String::with_capacity(text.len());
    let mut index = 0;
    while index < characters.len() {
        let start = index;
        let kept = match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < characters.len() && at(index) != '\n' {
                    index += 1;
                }
                false
            }
            '/' if at(index + 1) == '*' => {
                index = end_of_block_comment(&at, index, characters.len());
                false
            }
            '"' => {
                index = end_of_text(&at, index + 1, characters.len());
                false
            }
            'r' if is_raw_text(&at, index) && !is_word(previous(&at, index)) => {
                index = end_of_raw_text(&at, index + 1, characters.len());
                false
            }
            'r' if at(index + 1) == '#' && !is_word(previous(&at, index)) => {
                // A raw name such as r#type.
                index += 2;
                false
            }
            '\'' => {
                index = end_of_character(&at, index);
                index == start + 1
            }
            _ => {
                index += 1;
                true
            }
        };
        for &character in characters
            .get(start..index.min(characters.len()))
            .unwrap_or_default()
        {
            code.push(if kept || character == '\n' {
                character
            } else {
                ' '
            });
        }
    }
    code
}

/// The index after a block comment, which may hold others.
fn end_of_block_comment(at: &impl Fn(usize) -> char, start: usize, end: usize) -> usize {
    let mut index = start;
    let mut depth = 0_usize;
    while index < end {
        match (at(index), at(index + 1)) {
            ('/', '*') => {
                depth += 1;
                index += 2;
            }
            ('*', '/') => {
                depth = depth.saturating_sub(1);
                index += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => index += 1,
        }
    }
    index
}

fn end_of_text(at: &impl Fn(usize) -> char, start: usize, end: usize) -> usize {
    let mut index = start;
    while index < end {
        match at(index) {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    index
}

fn is_raw_text(at: &impl Fn(usize) -> char, index: usize) -> bool {
    let mut index = index + 1;
    while at(index) == '#' {
        index += 1;
    }
    at(index) == '"'
}

fn end_of_raw_text(at: &impl Fn(usize) -> char, start: usize, end: usize) -> usize {
    let mut index = start;
    let mut hashes = 0;
    while at(index) == '#' {
        hashes += 1;
        index += 1;
    }
    index += 1;
    while index < end {
        if at(index) == '"' && (1..=hashes).all(|offset| at(index + offset) == '#') {
            return index + 1 + hashes;
        }
        index += 1;
    }
    index
}

/// The index after a character literal, or after the tick of a lifetime.
fn end_of_character(at: &impl Fn(usize) -> char, start: usize) -> usize {
    if at(start + 1) == '\\' {
        let mut index = start + 3;
        while !matches!(at(index), '\'' | '\n' | '\0') {
            index += 1;
        }
        return index + 1;
    }
    if at(start + 2) == '\'' {
        start + 3
    } else {
        start + 1
    }
}

fn previous(at: &impl Fn(usize) -> char, index: usize) -> char {
    match index.checked_sub(1) {
        // A byte text, br"..", is a raw text as well.
        Some(before) if at(before) == 'b' => before.checked_sub(1).map_or(' ', at),
        Some(before) => at(before),
        None => ' ',
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Blanks every `#[cfg(test)] mod name { .. }`, and every other item under `#[cfg(test)]`.
fn without_test_modules(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(position) = rest.find(MARK) {
        let (before, item) = rest.split_at(position);
        kept.push_str(before);
        let (blanked, after) = item.split_at(end_of_item(item));
        kept.extend(
            blanked
                .chars()
                .map(|character| if character == '\n' { '\n' } else { ' ' }),
        );
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// Where an item ends: at its `;`, or where its braces close.
fn end_of_item(item: &str) -> usize {
    let mut depth = 0_usize;
    for (index, character) in item.char_indices() {
        match character {
            ';' if depth == 0 => return index + 1,
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && character == '}' {
                    return index + 1;
                }
            }
            _ => {}
        }
    }
    item.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let file = File::new("host-helper/src/engine/writer.rs", text);
        Source::of(&file).unwrap().code
    }

    #[test]
    fn comments_and_texts_are_blanked_and_lines_stay() {
        assert_eq!(
            code("a // use b\nc /* d\n e /* f */ */ g"),
            format!(
                "a {}\nc {}\n{} g",
                " ".repeat(8),
                " ".repeat(4),
                " ".repeat(13)
            )
        );
        assert_eq!(code("a(\"b \\\" c\", d)"), "a(        , d)");
        assert_eq!(
            code("a(r#\"b \" c\"#, br\"\\\", d)").trim_end(),
            format!("a({}, b{}, d)", " ".repeat(10), " ".repeat(4))
        );
    }

    #[test]
    fn lifetimes_are_no_characters() {
        assert_eq!(
            code("fn a<'b>(c: &'b str, d: char) { d == '\"' || d == '\\'' || d == '{' }"),
            "fn a<'b>(c: &'b str, d: char) { d ==     || d ==      || d ==     }"
        );
    }

    #[test]
    fn test_items_are_blanked() {
        let left = code(
            "use a;\n#[cfg(test)]\nmod tests {\n    fn b() { c(); }\n}\nuse d;\n#[cfg(test)]\nmod tests;\nuse e;\n",
        );
        let words: Vec<&str> = left.split_whitespace().collect();
        assert_eq!(words, ["use", "a;", "use", "d;", "use", "e;"]);
        assert_eq!(left.lines().position(|line| line == "use d;"), Some(5));
    }

    #[test]
    fn test_files_are_known_by_their_place() {
        for path in [
            "tests/it/main.rs",
            "host-helper/src/store/tests.rs",
            "plugin/tests/a.rs",
            "a/src/tests/b.rs",
        ] {
            assert!(is_test_path(path), "{path}");
        }
        for path in [
            "host-helper/src/store.rs",
            "xtask/src/test.rs",
            "protocol/src/latest.rs",
        ] {
            assert!(!is_test_path(path), "{path}");
        }
    }
}
