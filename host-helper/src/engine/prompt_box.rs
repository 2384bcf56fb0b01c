//! What a client's screen and its hooks say of its prompt box: where it is, what it holds, and whether a prompt is a message.

/// So much of a text tells it from others in a prompt box, in characters.
const BEGINNING: usize = 24;
/// How a client shows a long text that was pasted, without its blanks.
const PLACEHOLDER: &str = "[Pastedtext#";
/// Signs that a client draws before its prompt.
const SIGNS: [char; 2] = ['❯', '>'];
/// What a client shows while a turn runs.
const WORKING: &str = "esctointerrupt";

/// What stands in the prompt box at the end of a screen; none where there is no such box: a dialog, a menu, an editor, a shell.
///
/// A box is a line with the prompt sign at its beginning, right below a ruled line and above another, with no third below.
pub(super) fn prompt_box(screen: &str) -> Option<String> {
    let lines: Vec<&str> = screen.lines().collect();
    let closing = lines.iter().rposition(|line| is_rule(line))?;
    let above = lines.get(..closing)?;
    let opening = above.iter().rposition(|line| is_rule(line))?;
    let held = above.get(opening.checked_add(1)?..)?;
    let (first, rest) = held.split_first()?;
    let first = inside(first).strip_prefix(SIGNS)?;
    let mut text = first.trim().to_owned();
    for line in rest {
        text.push('\n');
        text.push_str(inside(line).trim());
    }
    Some(text)
}

/// Does the box hold this text? A long one is shown as a placeholder.
pub(super) fn holds(held: &str, text: &str) -> bool {
    let held = squeezed(held);
    let beginning: String = squeezed(text).chars().take(BEGINNING).collect();
    is_placeholder(&held, text) || (!beginning.is_empty() && held.starts_with(&beginning))
}

/// Does the screen show that a turn runs?
pub(super) fn shows_work(screen: &str) -> bool {
    squeezed(screen).contains(WORKING)
}

/// Is the prompt that a client took this message? The letters must be the same; a client may fold white space, and drop what is not
/// seen, or tell a pasted text by its placeholder.
pub(super) fn is_prompt_of(prompt: &str, message: &str) -> bool {
    let prompt = squeezed(prompt);
    !prompt.is_empty() && (prompt == squeezed(message) || is_placeholder(&prompt, message))
}

/// Is this the placeholder of the pasted text, and nothing else? Both without blanks.
fn is_placeholder(held: &str, text: &str) -> bool {
    let Some(counted) = held
        .strip_prefix(PLACEHOLDER)
        .and_then(|rest| rest.strip_suffix(']'))
    else {
        return false;
    };
    // Whether a line break at the end counts is up to the client.
    let lines = text.lines().count();
    let breaks = lines.saturating_sub(1)..=lines;
    match counted.split_once('+') {
        Some((number, shown)) => {
            let shown = shown.strip_suffix("lines").or(shown.strip_suffix("line"));
            let shown = shown.and_then(|shown| shown.parse().ok());
            is_number(number) && shown.is_some_and(|shown| breaks.contains(&shown))
        }
        None => is_number(counted) && lines <= 1,
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A line across the screen, perhaps with a title in it; also the edge of a framed box.
fn is_rule(line: &str) -> bool {
    let line = line.trim_start_matches(['╭', '╰']);
    line.starts_with("───")
}

/// A line without the frame around it.
fn inside(line: &str) -> &str {
    match line.strip_prefix('│') {
        Some(framed) => framed.trim_end().trim_end_matches('│').trim_start(),
        None => line,
    }
}

/// The letters of a text, without white space and what is not seen.
fn squeezed(text: &str) -> String {
    text.chars()
        .filter(|c| {
            !c.is_whitespace()
                && !c.is_control()
                && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{feff}')
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The end of a screen of Claude Code 2.1.197.
    fn screen(held: &str) -> String {
        format!(
            "● That was it.\n\n❯ Go on\n● I went on.\n\n──── Publish it ──\n❯ {held}\n──────────────────\n  claustre · Opus 4.8 · 1%\n  ← for agents\n"
        )
    }

    #[test]
    fn a_box_is_found_at_the_end_of_the_screen_and_nowhere_else() {
        assert_eq!(prompt_box(&screen("")).as_deref(), Some(""));
        assert_eq!(
            prompt_box(&screen("Look at the second\n  one as well")).as_deref(),
            Some("Look at the second\none as well")
        );
        assert_eq!(
            prompt_box("╭──────────╮\n│ > hello  │\n╰──────────╯\n  ? for shortcuts").as_deref(),
            Some("hello")
        );
        for other in [
            // A shell, also one with the same sign, and below a rule.
            "",
            "$ ",
            "~/code main\n❯ ",
            "──────────\n❯ rm -rf",
            "claustre: claude is paused; Enter continues it\n",
            // A dialog: the sign marks a choice.
            "● Bash(ls)\n──────────\n Bash command\n   ls\n Do you want to proceed?\n ❯ 1. Yes\n   2. No\n Esc to cancel",
            // A menu above which the box can still be seen.
            "──────────\n❯ \n──────────\n Select model\n ❯ 1. Opus\n──────────\n Enter to confirm",
            // An editor.
            "Go on\n~\n~\n\"/tmp/claude-prompt.md\" 1L, 6B",
        ] {
            assert_eq!(prompt_box(other), None, "{other}");
        }
    }

    #[test]
    fn a_text_in_the_box_is_told_from_one_in_the_conversation() {
        let held = |held: &str, text: &str| holds(&prompt_box(&screen(held)).unwrap(), text);
        assert!(!held("", "Go on"));
        assert!(held("Go on", "Go on"));
        assert!(held(
            "Look at the second\n  one as well",
            "Look at the second one as well"
        ));
        assert!(held("[Pasted text #1 +40 lines]", &"line\n".repeat(41)));
        assert!(!held("[Pasted text #1 +40 lines]", "line\nline"));
        assert!(!held("a draft; Go on", "Go on"), "somebody types");
    }

    #[test]
    fn a_prompt_is_a_message_only_if_it_is_the_same_text() {
        for (prompt, message, same) in [
            ("ok", "ok", true),
            ("  ok \n", "ok", true),
            ("Go  on,\nthen", "Go on, then", true),
            ("It looks ok to me", "ok", false),
            ("ok", "okay", false),
            ("", "", false),
            ("[Pasted text #2 +2 lines]", "one\ntwo\nthree", true),
            ("[Pasted text #2 +2 lines]", "one", false),
            ("[Pasted text #2]", "one long line", true),
            ("[Pasted text #2] and more", "one long line", false),
            ("[Pasted text #x]", "one long line", false),
        ] {
            assert_eq!(is_prompt_of(prompt, message), same, "{prompt} / {message}");
        }
        let long = "word ".repeat(20_000);
        assert!(is_prompt_of(&long, &long));
        assert!(
            !is_prompt_of(&format!("{long}!"), &long),
            "to the last letter"
        );
    }
}
