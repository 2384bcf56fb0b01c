//! What reports about worktrees change.

use claustre_protocol::{ids::ProjectId, status::LogLevel};

use crate::{command::WorktreeCommand, entity::World, event::Event, rejection::Rejection};

/// Says what a report about a worktree changes.
///
/// # Errors
/// The session is unknown.
pub fn decide(world: &dyn World, command: &WorktreeCommand) -> Result<Vec<Event>, Rejection> {
    match command {
        WorktreeCommand::ReportRemoved {
            session,
            snapshot,
            branch_deleted,
        } => {
            let known = world.session(*session).ok_or_else(|| {
                Rejection::not_found("noting a removal", "there is no such session")
            })?;
            // The assignment may have ended before the worktree went.
            let task = known.about();
            let mut events = vec![Event::WorktreeRemoved {
                session: *session,
                project: known.project().unwrap_or(ProjectId::new(uuid::Uuid::nil())),
                task,
                branch: known.branch(),
                snapshot: snapshot.clone(),
                branch_deleted: *branch_deleted,
            }];
            if let Some(snapshot) = snapshot {
                events.push(Event::TaskNoted {
                    task,
                    session: Some(*session),
                    source: "snapshot".into(),
                    level: LogLevel::Info,
                    text: format!(
                        "work kept in {snapshot}; bring it back with: claustre worktree restore {}",
                        session.short()
                    ),
                });
            }
            Ok(events)
        }
        WorktreeCommand::ReportRestored { session, path } => {
            let known = world.session(*session).ok_or_else(|| {
                Rejection::not_found("noting a restored worktree", "there is no such session")
            })?;
            Ok(vec![Event::WorktreeRestored {
                session: *session,
                path: path.clone(),
                edit_no: known.removed.next_edit(),
            }])
        }
        // One that was brought back or removed once more meanwhile has another.
        WorktreeCommand::ReportExpired { session, snapshot } => Ok(world
            .session(*session)
            .filter(|known| known.removed.value().as_ref() == Some(snapshot))
            .map(|known| {
                vec![
                    Event::SnapshotExpired {
                        session: *session,
                        snapshot: snapshot.clone(),
                    },
                    Event::TaskNoted {
                        task: known.about(),
                        session: Some(*session),
                        source: "snapshot".into(),
                        level: LogLevel::Info,
                        text: format!("{snapshot} was kept long enough and is let go"),
                    },
                ]
            })
            .unwrap_or_default()),
    }
}
