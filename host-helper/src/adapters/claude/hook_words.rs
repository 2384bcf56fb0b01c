//! The client's words for kinds and reasons, with a place for words that are new.

use crate::text;

/// Why a session started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartSource {
    /// A new conversation.
    Startup,
    /// An old conversation taken up again.
    Resume,
    /// `/clear`: same process, new conversation id.
    Clear,
    /// After a compaction: same conversation.
    Compact,
    /// A source this version does not know.
    Other(String),
}

/// Why a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndReason {
    /// The user left with `/exit` or Ctrl-D.
    PromptInputExit,
    /// `/clear`: the process goes on with a new conversation.
    Clear,
    /// The user logged out.
    Logout,
    /// A signal, or a reason this version does not know (the client's word).
    Other(String),
}

/// What a notification is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotificationKind {
    /// A permission dialog is open and was not answered for some seconds.
    PermissionPrompt,
    /// The client has been waiting for a prompt for a while.
    IdlePrompt,
    /// A kind this version does not know.
    Other(String),
}

/// Why the API ended a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopFailureKind {
    /// The usage limit is reached, or the request was rejected with 429.
    RateLimit,
    /// The service is overloaded.
    Overloaded,
    /// The key or login is not accepted.
    AuthenticationFailed,
    /// The organisation does not allow this login.
    OauthOrgNotAllowed,
    /// No credit.
    BillingError,
    /// The request itself was refused.
    InvalidRequest,
    /// No such model.
    ModelNotFound,
    /// A failure of the service.
    ServerError,
    /// The answer grew too long.
    MaxOutputTokens,
    /// The client does not know either.
    Unknown,
    /// A kind this version does not know.
    Other(String),
}

/// How the client treats what needs permission.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "String", into = "String")]
pub enum PermissionMode {
    /// Asks.
    Default,
    /// Edits files without asking.
    AcceptEdits,
    /// A classifier decides.
    Auto,
    /// Refuses instead of asking.
    DontAsk,
    /// Only plans.
    Plan,
    /// Never asks.
    BypassPermissions,
    /// A mode this version does not know.
    Other(String),
}

impl PermissionMode {
    /// The client's spelling, as `--permission-mode` takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Default => "default",
            Self::AcceptEdits => "acceptEdits",
            Self::Auto => "auto",
            Self::DontAsk => "dontAsk",
            Self::Plan => "plan",
            Self::BypassPermissions => "bypassPermissions",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for PermissionMode {
    fn from(name: String) -> Self {
        match name.as_str() {
            "default" => Self::Default,
            "acceptEdits" => Self::AcceptEdits,
            "auto" => Self::Auto,
            "dontAsk" => Self::DontAsk,
            "plan" => Self::Plan,
            "bypassPermissions" => Self::BypassPermissions,
            _ => Self::Other(text::one_line(&name, 60)),
        }
    }
}

impl From<PermissionMode> for String {
    fn from(mode: PermissionMode) -> Self {
        mode.as_str().to_owned()
    }
}

impl StopFailureKind {
    /// Reads the client's word.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "rate_limit" => Self::RateLimit,
            "overloaded" => Self::Overloaded,
            "authentication_failed" => Self::AuthenticationFailed,
            "oauth_org_not_allowed" => Self::OauthOrgNotAllowed,
            "billing_error" => Self::BillingError,
            "invalid_request" => Self::InvalidRequest,
            "model_not_found" => Self::ModelNotFound,
            "server_error" => Self::ServerError,
            "max_output_tokens" => Self::MaxOutputTokens,
            "unknown" => Self::Unknown,
            other => Self::Other(text::one_line(other, 60)),
        }
    }
}
