//! The request that names the pull request of a session's task.

use claustre_domain::command::{Command, TaskCommand};
use claustre_protocol::{
    model::Task,
    request::PullRequest,
    rpc::{Fault, FaultCode},
};

use super::Api;
use crate::text;

/// Longest address, in characters.
const LONGEST_URL: usize = 2_000;

impl Api {
    /// Notes it at the task that the session works on; work whose turn has ended goes to review.
    pub(super) async fn session_pull_request(
        &self,
        wanted: PullRequest,
        actor: &str,
    ) -> Result<Task, Fault> {
        let doing = "noting the pull request";
        check_url(doing, &wanted.url)?;
        let session = self.find_session(doing, &wanted.of).await?;
        let Some(task) = session.task.value() else {
            return Err(Fault::new(
                FaultCode::Refused,
                format!(
                    "{doing}: the session {} works on no task",
                    session.tab_name()
                ),
                Some("claustre session list shows what each works on".into()),
            ));
        };
        let command = TaskCommand::ReportPullRequest {
            task,
            url: wanted.url,
        };
        self.engine.submit(Command::Task(command), actor).await?;
        self.task_of(task).await
    }
}

/// An address that can be shown and opened as it stands: `https`, a host without a user's name before it, and only characters that
/// an address is made of.
fn check_url(doing: &str, url: &str) -> Result<(), Fault> {
    let refused = |why: &str| {
        Err(Fault::new(
            FaultCode::InvalidParams,
            format!("{doing}: '{}' {why}", text::one_line(url, 120)),
            Some("give the address of its page: https://HOST/OWNER/REPOSITORY/pull/NUMBER".into()),
        ))
    };
    let Some(rest) = url.strip_prefix("https://") else {
        return refused("is no https address");
    };
    if url.len() > LONGEST_URL {
        return refused("is too long");
    }
    let is_of_an_address =
        |c: char| c.is_ascii_alphanumeric() || "-._~:/?#[]@!$&'()*+,;=%".contains(c);
    if !url.chars().all(is_of_an_address) {
        return refused("has characters that no address has");
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return refused("has a user's name before its host");
    }
    if !host.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[') {
        return refused("names no host");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_only_as_it_can_be_shown_and_opened() {
        for url in [
            "https://github.com/mara/shop/pull/412",
            "https://git.example:8443/a%20b/merge_requests/3?tab=files#note_1",
            "https://[::1]/pull/1",
        ] {
            assert_eq!(check_url("noting", url), Ok(()), "{url}");
        }
        for (url, why) in [
            ("", "is no https address"),
            (
                "http://github.com/mara/shop/pull/412",
                "is no https address",
            ),
            ("javascript:alert(1)", "is no https address"),
            ("github.com/mara/shop/pull/412", "is no https address"),
            ("https://", "names no host"),
            ("https:///pull/1", "names no host"),
            ("https://-x/1", "names no host"),
            ("https://github.com@evil.example/1", "a user's name"),
            (
                "https://github.com/\u{1b}[2J",
                "characters that no address has",
            ),
            ("https://github.com/a b", "characters that no address has"),
            ("https://github.com/a\n", "characters that no address has"),
            (
                "https://github.com/\u{202e}1",
                "characters that no address has",
            ),
            ("https://gíthub.com/1", "characters that no address has"),
        ] {
            let fault = check_url("noting", url).unwrap_err();
            assert!(fault.message.contains(why), "{url:?}: {fault}");
            assert!(!fault.message.chars().any(char::is_control));
            assert!(fault.hint().is_some());
        }
        let long = format!("https://h/{}", "a".repeat(LONGEST_URL));
        assert!(check_url("noting", &long).is_err());
    }
}
