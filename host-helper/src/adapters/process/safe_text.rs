//! Text of others made harmless for a terminal.

use std::iter::Peekable;
use std::str::Chars;

/// Takes out of `text` what a terminal or a reader could be misled with: escape sequences with
/// their payload (CSI, OSC, DCS, APC, PM, SOS), control characters but newline and tab,
/// the C1 range, bidirectional controls and zero-width characters. What is left is as it was.
pub fn terminal_safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' => match chars.next() {
                Some('[') => skip_control_sequence(&mut chars),
                Some(']' | 'P' | 'X' | '^' | '_') => skip_payload(&mut chars),
                Some(' '..='/') => {
                    chars.next();
                }
                _ => {}
            },
            '\u{9b}' => skip_control_sequence(&mut chars),
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => skip_payload(&mut chars),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => safe.push('\n'),
            '\n' | '\t' => safe.push(c),
            c if c.is_control() || is_invisible(c) => {}
            c => safe.push(c),
        }
    }
    safe
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{061c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn skip_control_sequence(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next_if(|c| matches!(c, ' '..='~')) {
        if matches!(c, '@'..='~') {
            break;
        }
    }
}

/// Skips up to the end mark (BEL or ST). A payload that never ends is given up at a line's end,
/// so that one stray byte does not swallow everything after it.
fn skip_payload(chars: &mut Peekable<Chars<'_>>) {
    while let Some(c) = chars.next_if(|c| *c != '\n') {
        match c {
            '\u{7}' | '\u{9c}' => break,
            '\u{1b}' => {
                chars.next_if_eq(&'\\');
                break;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::terminal_safe;

    #[test]
    fn escape_sequences_lose_their_payload_and_text_stays() {
        for (given, wanted) in [
            ("plain ünï 漢字\tx\n", "plain ünï 漢字\tx\n"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("a\u{1b}]52;c;ZXZpbA==\u{7}b", "ab"),
            (
                "a\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\b",
                "alinkb",
            ),
            ("a\u{1b}P+q544e\u{1b}\\b", "ab"),
            ("a\u{9d}0;title\u{9c}b", "ab"),
            ("a\u{9b}2Jb", "ab"),
            ("\u{202e}live\u{200b}\u{7f}\u{8}", "live"),
            ("a\u{1b}]0;never ends\nnext", "a\nnext"),
            ("a\u{1b}", "a"),
            ("old\rnew\r\n", "old\nnew\n"),
        ] {
            assert_eq!(terminal_safe(given), wanted, "{given:?}");
        }
    }
}
