//! Text from agents, repositories and the network, made safe to store and to draw.
//!
//! Such text may carry escape sequences that move the cursor, set the clipboard or retitle the
//! terminal, and invisible characters that make a command read differently from what it does.
//! Everything of that kind is dropped here once, at ingest, so that no later place has to think of it.

const ESCAPE: char = '\u{1b}';
const ELLIPSIS: char = '…';

/// Drops control characters, whole escape sequences (with their payloads), bidirectional controls and
/// invisible characters; keeps newline and tab. At most `limit` characters remain, the last of them an
/// ellipsis when something was cut.
///
/// Applying it twice with the same limit gives the same text as applying it once.
#[must_use]
pub fn sanitise(text: &str, limit: usize) -> String {
    cut(&visible(text), limit)
}

/// Like [`sanitise`], with every run of white space made one space: for a line of a list or a title.
#[must_use]
pub fn one_line(text: &str, limit: usize) -> String {
    words(&visible(text), limit)
}

fn words(text: &str, limit: usize) -> String {
    let mut line = String::with_capacity(text.len().min(limit.saturating_mul(4)));
    let mut kept = 0_usize;
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        kept = kept.saturating_add(word.len());
        // A character is at most four bytes, so this much certainly fills the limit.
        if kept > limit.saturating_mul(4) {
            break;
        }
    }
    cut(&line, limit)
}

/// As [`sanitise`], for what the user wrote: the joiners and direction marks that their language is written with stay.
#[must_use]
pub fn written(text: &str, limit: usize) -> String {
    cut(&without(text, is_dropped_in_writing), limit)
}

/// As [`one_line`], for a line the user wrote.
#[must_use]
pub fn written_line(text: &str, limit: usize) -> String {
    words(&without(text, is_dropped_in_writing), limit)
}

/// Drops what a terminal or a reader could be misled with, whatever the length; line ends of every kind become newlines.
///
/// For what is about to be printed: texts from outside are [`sanitise`]d when they come in, this is the second fence.
#[must_use]
pub fn terminal_safe(text: &str) -> String {
    if text.contains('\r') {
        visible(&text.replace("\r\n", "\n").replace('\r', "\n"))
    } else {
        visible(text)
    }
}

/// Drops only what no program takes in an argument: control characters other than newline and tab.
///
/// For text the user wrote, such as a prompt: joiners and direction marks of their language stay.
#[must_use]
pub fn strip_control(text: &str) -> String {
    text.chars()
        .filter(|c| matches!(c, '\n' | '\t') || !c.is_control())
        .collect()
}

/// Keeps at most `limit` characters, the last one an ellipsis when something was cut.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit || text.chars().nth(limit).is_none() {
        return text.to_owned();
    }
    let Some(kept) = limit.checked_sub(1) else {
        return String::new();
    };
    let mut out: String = text.chars().take(kept).collect();
    out.push(ELLIPSIS);
    out
}

fn visible(text: &str) -> String {
    without(text, is_dropped)
}

fn without(text: &str, is_dropped: fn(char) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            ESCAPE => skip_escape(&mut rest),
            '\u{9b}' => skip_control_sequence(&mut rest),
            '\u{90}' | '\u{98}' | '\u{9d}' | '\u{9e}' | '\u{9f}' => skip_string(&mut rest),
            '\u{2028}' | '\u{2029}' => out.push('\n'),
            c if is_dropped(c) => {}
            c => out.push(c),
        }
    }
    out
}

/// Skips what follows an ESC: a control sequence, a string with its payload, or a short sequence.
fn skip_escape(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('[') => {
            *rest = ahead;
            skip_control_sequence(rest);
        }
        Some(']' | 'P' | 'X' | '^' | '_') => {
            *rest = ahead;
            skip_string(rest);
        }
        Some(' '..='/') => {
            skip_while(rest, |c| matches!(c, ' '..='/'));
            skip_one(rest, |c| matches!(c, '0'..='~'));
        }
        Some('0'..='~') => *rest = ahead,
        _ => {}
    }
}

fn skip_control_sequence(rest: &mut std::str::Chars<'_>) {
    skip_while(rest, |c| matches!(c, '0'..='?'));
    skip_while(rest, |c| matches!(c, ' '..='/'));
    skip_one(rest, |c| matches!(c, '@'..='~'));
}

/// Skips the payload of OSC, DCS, APC, PM or SOS up to its end. Where no end is found only the rest of
/// the line goes, so that an unfinished sequence cannot hide all that follows.
fn skip_string(rest: &mut std::str::Chars<'_>) {
    let mut ahead = rest.clone();
    let mut after_first_line = None;
    loop {
        let before = ahead.clone();
        match ahead.next() {
            None => {
                *rest = after_first_line.unwrap_or(before);
                return;
            }
            Some('\u{07}' | '\u{9c}' | '\u{18}' | '\u{1a}') => {
                *rest = ahead;
                return;
            }
            Some(ESCAPE) => {
                let mut end = ahead.clone();
                *rest = if end.next() == Some('\\') {
                    end
                } else {
                    before
                };
                return;
            }
            // Another introducer ends this string; keeping the scan short keeps it linear as well.
            Some('\u{80}'..='\u{9f}') => {
                *rest = before;
                return;
            }
            Some('\n') if after_first_line.is_none() => after_first_line = Some(before),
            Some(_) => {}
        }
    }
}

fn skip_while(rest: &mut std::str::Chars<'_>, belongs: impl Fn(char) -> bool) {
    let mut ahead = rest.clone();
    while ahead.next().is_some_and(&belongs) {
        *rest = ahead.clone();
    }
}

fn skip_one(rest: &mut std::str::Chars<'_>, belongs: impl Fn(char) -> bool) {
    let mut ahead = rest.clone();
    if ahead.next().is_some_and(belongs) {
        *rest = ahead;
    }
}

/// Joiners, which Persian, Hindi and emoji are written with, and the marks of direction.
fn is_dropped_in_writing(c: char) -> bool {
    !matches!(c, '\u{200c}'..='\u{200f}') && is_dropped(c)
}

/// Whether the character is invisible or steers the terminal or the direction of text.
fn is_dropped(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        c if c.is_control() => true,
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
        '\u{ad}' | '\u{61c}' | '\u{180e}' => true,
        // Zero width and direction marks; embeddings, overrides, joiners, isolates, deprecated formats.
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        // Byte order mark, interlinear annotation.
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        // Tag characters and supplementary variation selectors: they carry hidden text.
        '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, wanted: &str) {
        assert_eq!(sanitise(text, 1000), wanted, "for {text:?}");
    }

    #[test]
    fn escape_sequences_go_with_their_payload() {
        check("a\u{1b}[31mred\u{1b}[0m b", "ared b");
        check("\u{1b}]0;evil title\u{07}x", "x");
        check("\u{1b}]52;c;ZXZpbA==\u{1b}\\x", "x");
        check("\u{1b}Pq#payload\u{1b}\\x", "x");
        check(
            "\u{1b}_apc\u{1b}\\x\u{1b}^pm\u{1b}\\y\u{1b}Xsos\u{1b}\\z",
            "xyz",
        );
        check("\u{9b}2Jx\u{9d}0;t\u{9c}y\u{90}dcs\u{9c}z", "xyz");
        check("\u{1b}(Bx\u{1b}7y\u{1b}cz", "xyz");
        check("tail\u{1b}", "tail");
        check("tail\u{1b}[12;", "tail");
    }

    #[test]
    fn what_is_printed_keeps_its_lines() {
        for (given, wanted) in [
            ("plain ünï 漢字\tx\n", "plain ünï 漢字\tx\n"),
            ("old\rnew\r\n", "old\nnew\n"),
            (
                "a\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\b",
                "alinkb",
            ),
            ("\u{202e}live\u{200b}\u{7f}\u{8}", "live"),
        ] {
            assert_eq!(terminal_safe(given), wanted, "{given:?}");
        }
    }

    #[test]
    fn an_unfinished_string_hides_only_its_own_line() {
        check("a\u{1b}]0;title without end\nnext line", "a\nnext line");
    }

    #[test]
    fn bidirectional_and_invisible_characters_go() {
        check(
            "a\u{202e}b\u{2066}c\u{200b}d\u{feff}e\u{ad}f\u{e0041}g",
            "abcdefg",
        );
        check(
            "line\r\nnext\u{2028}last\u{0}\u{8}\u{7f}",
            "line\nnext\nlast",
        );
    }

    #[test]
    fn length_is_cut_on_a_character_with_an_ellipsis() {
        assert_eq!(sanitise("日本語テキスト", 4), "日本語…");
        assert_eq!(sanitise("日本語", 3), "日本語");
        assert_eq!(sanitise("abc", 0), "");
        assert_eq!(one_line("  a \n\n b\tc  ", 80), "a b c");
        assert_eq!(one_line("aaa bbb", 5), "aaa …");
    }

    #[test]
    fn a_prompt_keeps_its_language_and_loses_control_characters() {
        assert_eq!(
            strip_control("a\u{0}b\u{1b}[2J\n\tمی\u{200c}خواهم"),
            "ab[2J\n\tمی\u{200c}خواهم"
        );
    }

    #[test]
    fn what_the_user_wrote_keeps_its_joiners_and_nothing_else_that_is_unseen() {
        let given = "می\u{200c}خواهم  👩\u{200d}👧\u{202e}\u{200b}\u{1b}[31mx\n\u{7}y";
        assert_eq!(written(given, 100), "می\u{200c}خواهم  👩\u{200d}👧x\ny");
        assert_eq!(written_line(given, 100), "می\u{200c}خواهم 👩\u{200d}👧x y");
        assert_eq!(written_line("abcdef", 3), "ab…");
    }

    proptest! {
        #[test]
        fn output_holds_nothing_dangerous_and_is_stable(
            text in "(\\PC|[\u{1b}\\[\\]P_^X\\\\;0-9m\u{7}\u{18}\u{0}-\u{1f}\u{7f}-\u{9f}\u{200b}-\u{206f}\u{feff} ]){0,80}",
            limit in 0_usize..60,
        ) {
            let safe = sanitise(&text, limit);
            prop_assert!(safe.chars().count() <= limit);
            prop_assert!(!safe.chars().any(is_dropped), "{:?}", safe);
            let has_separator = safe.contains(['\u{2028}', '\u{2029}']);
            prop_assert!(!has_separator);
            prop_assert_eq!(&sanitise(&safe, limit), &safe);
            let line = one_line(&text, limit);
            prop_assert!(line.chars().count() <= limit);
            prop_assert!(!line.chars().any(|c| is_dropped(c) || c == '\n' || c == '\t'), "{:?}", line);
            prop_assert_eq!(&one_line(&line, limit), &line);
        }
    }
}
