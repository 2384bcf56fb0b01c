//! What is said and asked before a worktree goes: what is kept of it, and what goes for good.

use claustre_protocol::request::{Named, RemovalPreview, Request, ShownLoss, file_count};

use super::{Context, error::CliError};

/// So many paths are named; the others are counted.
const MOST_NAMED: usize = 10;

/// Shows what closing a session, or a task's session, would keep and lose of its worktree. Nothing where none is open.
pub fn of_closing(context: &mut Context, of: &str) -> Result<RemovalPreview, CliError> {
    let preview: RemovalPreview =
        context.call(Request::WorktreePreview(Named { of: of.into() }))?;
    if !preview.is_open {
        return Ok(RemovalPreview::default());
    }
    say(context, &preview);
    Ok(preview)
}

/// Shows what removing the worktree of a closed session would keep and lose.
pub fn of_worktree(context: &mut Context, of: &str) -> Result<RemovalPreview, CliError> {
    let preview = context.call(Request::WorktreePreview(Named { of: of.into() }))?;
    say(context, &preview);
    Ok(preview)
}

fn say(context: &Context, preview: &RemovalPreview) {
    for line in lines(preview) {
        context.ui.say(&line);
    }
}

/// What the person has seen then; none where there is no worktree.
pub fn shown(preview: &RemovalPreview) -> Option<ShownLoss> {
    preview.session_id.map(|_| preview.shown())
}

fn lines(preview: &RemovalPreview) -> Vec<String> {
    if preview.session_id.is_none() {
        return Vec::new();
    }
    if let Some(why) = &preview.stays {
        return vec![format!("the worktree stays: {why}")];
    }
    let mut kept = Vec::new();
    let mut add = |number: u64, noun: &str, what: &str| {
        if number > 0 {
            let plural = if number == 1 { "" } else { "s" };
            kept.push(format!("{number} {noun}{plural}{what}"));
        }
    };
    add(preview.changed_files, "changed file", "");
    add(preview.unpushed_commits, "unpushed commit", "");
    add(preview.ignored_kept, "ignored file", "");
    let mut lines = vec![match kept.is_empty() {
        true => format!(
            "removes the worktree {}; nothing in it is changed",
            preview.path
        ),
        false => format!(
            "removes the worktree {}; a snapshot keeps {}",
            preview.path,
            kept.join(", ")
        ),
    }];
    if !preview.lost.is_empty() {
        lines.push(format!(
            "goes for good, ignored and too large for a snapshot: {}",
            file_count(preview.lost_files, preview.lost_bytes)
        ));
        for lost in preview.lost.iter().take(MOST_NAMED) {
            lines.push(format!(
                "    {} ({})",
                lost.path,
                file_count(lost.files, lost.bytes)
            ));
        }
        let unnamed = preview.lost.len().saturating_sub(MOST_NAMED);
        let more = preview
            .lost_more
            .saturating_add(u64::try_from(unnamed).unwrap_or(u64::MAX));
        if more > 0 {
            lines.push(format!("    and {more} more"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use claustre_protocol::{ids::SessionId, request::LostPath};

    use super::*;

    #[test]
    fn what_goes_for_good_is_named_and_counted() {
        let mut preview = RemovalPreview {
            session_id: Some(SessionId::new(uuid::Uuid::nil())),
            path: "/w/x".into(),
            ..RemovalPreview::default()
        };
        assert_eq!(lines(&RemovalPreview::default()), Vec::<String>::new());
        assert_eq!(
            lines(&preview),
            ["removes the worktree /w/x; nothing in it is changed"]
        );
        preview.changed_files = 1;
        preview.ignored_kept = 2;
        preview.lost = (0..12)
            .map(|at| LostPath {
                path: format!("data{at}/"),
                files: 2,
                bytes: 5_000_000,
            })
            .collect();
        preview.lost_more = 3;
        (preview.lost_files, preview.lost_bytes) = (30, 75_000_000);
        let said = lines(&preview);
        assert_eq!(
            said[..3],
            [
                "removes the worktree /w/x; a snapshot keeps 1 changed file, 2 ignored files",
                "goes for good, ignored and too large for a snapshot: 30 files, 75 MB",
                "    data0/ (2 files, 5.0 MB)"
            ]
        );
        assert_eq!(said.last().unwrap(), "    and 5 more");
        preview.stays = Some("/w/x/vendor holds work".into());
        assert_eq!(
            lines(&preview),
            ["the worktree stays: /w/x/vendor holds work"]
        );
    }
}
