//! Everything the world must be asked to do, as data. Each has a key: an effect that is done twice with one key is done once.

use claustre_protocol::{
    ids::{EventId, MessageId, SessionId, TaskId},
    request::ShownLoss,
};
use serde::{Deserialize, Serialize};

/// One thing to do. Its outcome comes back as a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "snake_case")]
pub enum Effect {
    /// Make the worktree and write the launch plan.
    PrepareSession { session: SessionId },
    /// Open a pane with the launcher.
    OpenPane { session: SessionId },
    /// Tell the launcher to continue the conversation, or open a pane where there is no launcher.
    ResumeClient { session: SessionId, cause: EventId },
    /// End the client; with `resume` the launcher starts it again at once.
    EndClient {
        session: SessionId,
        resume: bool,
        cause: EventId,
    },
    /// Close the session's tab.
    CloseTab { session: SessionId },
    /// Keep the work in a snapshot, then remove the worktree.
    RemoveWorktree {
        session: SessionId,
        /// What the person was shown of what goes for good.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shown: Option<ShownLoss>,
    },
    /// Type a message when the client is ready for it.
    DeliverMessage {
        session: SessionId,
        message: MessageId,
    },
    /// Asked for by former versions, and done by doing nothing: the marks of tabs are no effects.
    NameTab { session: SessionId, cause: EventId },
    /// Tell the person that something needs them.
    Notify {
        session: Option<SessionId>,
        task: Option<TaskId>,
        text: String,
        cause: EventId,
    },
}

impl Effect {
    /// Equal keys: the same thing.
    pub fn key(&self) -> String {
        match self {
            Self::PrepareSession { session } => format!("prepare/{session}"),
            Self::OpenPane { session } => format!("pane/{session}"),
            Self::ResumeClient { session, cause } => format!("resume/{session}/{cause}"),
            Self::EndClient {
                session,
                resume,
                cause,
            } => format!("end/{session}/{resume}/{cause}"),
            Self::CloseTab { session } => format!("close/{session}"),
            Self::RemoveWorktree { session, .. } => format!("remove/{session}"),
            Self::DeliverMessage { message, .. } => format!("message/{message}"),
            Self::NameTab { session, cause } => format!("name/{session}/{cause}"),
            Self::Notify {
                session,
                task,
                cause,
                ..
            } => format!("notify/{session:?}/{task:?}/{cause}"),
        }
    }

    /// The session it is about; effects of one session run one after another.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::PrepareSession { session }
            | Self::OpenPane { session }
            | Self::ResumeClient { session, .. }
            | Self::EndClient { session, .. }
            | Self::CloseTab { session }
            | Self::RemoveWorktree { session, .. }
            | Self::DeliverMessage { session, .. }
            | Self::NameTab { session, .. } => Some(*session),
            Self::Notify { session, .. } => *session,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_former_versions_stored_is_still_read() {
        let id = "0b0e7a51-6f5c-4d0e-9a57-0d4f6ad2f6a1";
        let stored = format!(r#"{{"effect":"name_tab","session":"{id}","cause":"{id}"}}"#);
        let effect: Effect = serde_json::from_str(&stored).unwrap();
        assert!(matches!(effect, Effect::NameTab { .. }));
        assert_eq!(effect.key(), format!("name/{id}/{id}"));
    }
}
