//! Tells people outside the dashboard: by the desktop, or by a program of theirs.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::process::Invocation;
use crate::ports::Notifier;
use crate::text;

/// Longest notice, in characters.
const TEXT_LIMIT: usize = 240;
const TIME_LIMIT: Duration = Duration::from_secs(5);
/// At most so many notices in [`WINDOW`]: forty sessions that ask at once are one thing to look at.
const MOST_IN_WINDOW: usize = 5;
const WINDOW: Duration = Duration::from_secs(20);
/// The same text is not told again within this time.
const REPEAT: Duration = Duration::from_secs(60);

/// How people want to be told; nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NotifySettings {
    /// By the desktop's own notices.
    pub desktop: bool,
    /// By a program with its arguments; the text is added as the last one. Empty = none.
    pub command: Vec<String>,
}

/// Tells people by other programs.
#[derive(Debug, Default)]
pub struct ProcessNotifier {
    settings: NotifySettings,
    told: Mutex<VecDeque<(Instant, String)>>,
}

impl ProcessNotifier {
    /// Tells as the settings say.
    #[must_use]
    pub fn new(settings: NotifySettings) -> Self {
        Self {
            settings,
            told: Mutex::default(),
        }
    }

    /// Whether this may be told now; remembers that it was.
    fn may_tell(&self, text: &str, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |at: Instant| now.saturating_duration_since(at);
        told.retain(|(at, _)| age(*at) < REPEAT);
        let recent = told.iter().filter(|(at, _)| age(*at) < WINDOW).count();
        if recent >= MOST_IN_WINDOW || told.iter().any(|(_, known)| known == text) {
            return false;
        }
        told.push_back((now, text.to_owned()));
        true
    }

    fn invocations(&self, text: &str) -> Vec<Invocation> {
        let mut invocations = Vec::new();
        if let Some((program, arguments)) = self.settings.command.split_first() {
            invocations.push(Invocation::new(program).args(arguments).arg(text));
        }
        if self.settings.desktop {
            invocations.push(desktop(text));
        }
        invocations
    }
}

/// The desktop's own notice.
fn desktop(text: &str) -> Invocation {
    if cfg!(target_os = "macos") {
        // The text is an argument of the script, never part of it.
        return Invocation::new("osascript").args([
            "-e",
            "on run argv",
            "-e",
            "display notification (item 1 of argv) with title \"claustre\"",
            "-e",
            "end run",
            text,
        ]);
    }
    // Its body is markup.
    let body = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    Invocation::new("notify-send").args(["--app-name=claustre", "--", "claustre", &body])
}

impl Notifier for ProcessNotifier {
    fn notify(&self, text: &str) {
        let text = text::one_line(text, TEXT_LIMIT);
        let invocations = self.invocations(&text);
        if text.is_empty() || invocations.is_empty() || !self.may_tell(&text, Instant::now()) {
            return;
        }
        for invocation in invocations {
            let ended = invocation
                .cwd("/")
                .time_limit(TIME_LIMIT)
                .output_limit(16 * 1024)
                .run()
                .and_then(super::process::Finished::require_success);
            if let Err(error) = ended {
                tracing::warn!(%error, "a notice could not be shown");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_unless_wanted() {
        assert!(ProcessNotifier::default().invocations("x").is_empty());
        let both = ProcessNotifier::new(NotifySettings {
            desktop: true,
            command: vec!["/opt/tell".into(), "-v".into()],
        });
        let lines: Vec<String> = both
            .invocations("a <b> & c")
            .iter()
            .map(Invocation::display)
            .collect();
        assert_eq!(
            lines.first().map(String::as_str),
            Some("/opt/tell -v 'a <b> & c'")
        );
        if cfg!(target_os = "linux") {
            assert!(lines[1].contains("a &lt;b&gt; &amp; c"), "{lines:?}");
        }
    }

    #[test]
    fn a_flood_and_a_repetition_are_held_back() {
        let notifier = ProcessNotifier::default();
        let start = Instant::now();
        assert!(notifier.may_tell("same", start));
        assert!(!notifier.may_tell("same", start + Duration::from_secs(30)));
        assert!(notifier.may_tell("same", start + Duration::from_secs(61)));
        let later = start + Duration::from_secs(600);
        let told = (0..20)
            .filter(|n| notifier.may_tell(&n.to_string(), later))
            .count();
        assert_eq!(told, MOST_IN_WINDOW);
        assert!(notifier.may_tell("again", later + WINDOW));
    }

    #[test]
    fn the_program_gets_the_text_made_safe() {
        let directory = tempfile::tempdir().expect("temp dir");
        let file = directory.path().join("told");
        let notifier = ProcessNotifier::new(NotifySettings {
            desktop: false,
            command: vec!["cp".into(), "--".into(), "/dev/null".into()],
        });
        notifier.notify(&format!("{}\u{1b}[31m", file.display()));
        assert!(file.exists());
    }
}
