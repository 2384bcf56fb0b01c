//! The true status of a session, from everything that tells something of it.
//!
//! Hooks come first: they are exact and say why. But no hook reports an interruption with Esc, a dialog
//! refused with Esc, or the end by `kill -9`; there the client's registry and the process decide.
//! Pure: the caller brings the clock and the readings.

use claustre_domain::session::Ending;
use claustre_protocol::status::{ClaudeStatus, Reason, Source};
use claustre_protocol::time::Timestamp;

use super::hook_state::{HookState, Phase};
use super::registry::{Liveness, RegistryEntry, RegistryStatus, WaitingFor};

/// A client that is well started reports SessionStart in 0.6 s; after this long something stands in its way.
pub const HOOKS_EXPECTED_MILLIS: i64 = 5_000;
/// How long a hook may be under way: one that arrives this much after a change of the registry may
/// still tell of the time before it.
const SETTLE_MILLIS: i64 = 2_000;

/// Everything that tells something of a session.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// What its hooks say; none before the first.
    pub hook: Option<&'a HookState>,
    /// What the client's registry says; none without a living entry.
    pub registry: Option<&'a RegistryView>,
    /// What is known of the client's process.
    pub process: &'a ProcessState,
    /// When the launcher was told to start it.
    pub launched_at: Timestamp,
    /// The time of this look.
    pub now: Timestamp,
    /// What would be on its screen before it says anything, and what to do about it; empty where nothing was foreseen.
    pub foreseen: &'a str,
}

/// What the registry says of one living client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryView {
    /// What it is doing.
    pub status: RegistryStatus,
    /// Since when.
    pub since: Timestamp,
    /// When the file was read.
    pub read_at: Timestamp,
}

/// What is known of the client's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessState {
    /// It runs.
    Alive,
    /// The launcher saw it end.
    Exited {
        /// Its exit status, where it exited.
        code: Option<i32>,
        /// The signal that ended it.
        signal: Option<i32>,
        /// When.
        at: Timestamp,
    },
    /// It is gone and nobody saw how.
    Gone {
        /// When that was noticed.
        at: Timestamp,
    },
    /// It could not be started.
    NotStarted {
        /// Why, in one line.
        why: String,
        /// When.
        at: Timestamp,
    },
    /// Its host started anew, or its launcher is gone: nothing can be known of it any more.
    Lost {
        /// When that was noticed.
        at: Timestamp,
    },
    /// Nobody has looked yet.
    Unknown,
}

/// The status, why, who said so, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fused {
    /// What the session is doing.
    pub status: ClaudeStatus,
    /// Why, where the status alone does not say.
    pub reason: Option<Reason>,
    /// Who said so.
    pub source: Source,
    /// Since when.
    pub since: Timestamp,
    /// What exactly is waited for, runs or failed, in one line.
    pub detail: Option<String>,
}

impl RegistryView {
    /// The view of an entry, if its process may live and it tells a status.
    #[must_use]
    pub fn of(entry: &RegistryEntry, read_at: Timestamp) -> Option<Self> {
        if entry.liveness == Liveness::Dead || entry.status == RegistryStatus::Unknown {
            return None;
        }
        let since = entry.status_since.or(entry.started_at)?;
        Some(Self {
            status: entry.status.clone(),
            since,
            read_at,
        })
    }
}

/// The status that follows from all readings.
#[must_use]
pub fn fuse(inputs: &Inputs<'_>) -> Fused {
    if let Some(ended) = from_process(inputs) {
        return ended;
    }
    match (inputs.hook, inputs.registry) {
        (None, None) => starting(inputs),
        (None, Some(registry)) => without_hooks(inputs, registry),
        (Some(hook), None) => from_hook(hook),
        (Some(hook), Some(registry)) => {
            let heard = from_hook(hook);
            let shown = from_registry(registry);
            let is_same = heard.status == shown.status
                || (is_at_rest(hook) && shown.status == ClaudeStatus::Idle);
            if is_same {
                return refine(heard, hook, registry, shown);
            }
            if registry_wins(hook, registry, inputs.now) {
                return overrule(hook, shown);
            }
            heard
        }
    }
}

/// What the end of the process says, if it ended.
fn from_process(inputs: &Inputs<'_>) -> Option<Fused> {
    let said_goodbye = inputs.hook.is_some_and(|hook| hook.phase == Phase::Ended);
    let process = |status, reason, since, detail| {
        Some(Fused {
            status,
            reason: Some(reason),
            source: Source::Process,
            since,
            detail,
        })
    };
    match inputs.process {
        ProcessState::Alive | ProcessState::Unknown => None,
        ProcessState::NotStarted { why, at } => process(
            ClaudeStatus::Error,
            Reason::LaunchFailed,
            *at,
            Some(why.clone()),
        ),
        ProcessState::Lost { at } | ProcessState::Gone { at } if said_goodbye => {
            process(ClaudeStatus::Done, Reason::Exited, *at, None)
        }
        ProcessState::Lost { at } | ProcessState::Gone { at } => {
            process(ClaudeStatus::Error, Reason::Lost, *at, None)
        }
        ProcessState::Exited { code, signal, at } => {
            let detail = match (code, signal) {
                (Some(0), None) => None,
                (_, Some(signal)) => Some(format!("ended by signal {signal}")),
                (Some(code), None) => Some(format!("ended with exit status {code}")),
                (None, None) => Some("ended, nobody saw how".to_owned()),
            };
            let ending = match Ending::of_exit(*code, *signal) {
                _ if said_goodbye => Ending::Left,
                ending => ending,
            };
            let (status, reason) = match ending {
                Ending::Crashed if inputs.hook.is_none() => Ending::NotStarted.word(),
                ending => ending.word(),
            };
            process(status, reason, *at, detail)
        }
    }
}

fn starting(inputs: &Inputs<'_>) -> Fused {
    let is_late = inputs.now.millis_since(inputs.launched_at) > HOOKS_EXPECTED_MILLIS;
    let says_alive = *inputs.process == ProcessState::Alive;
    let detail = if inputs.foreseen.is_empty() {
        "the client runs and has said nothing yet: a dialog may be open in its pane"
    } else {
        inputs.foreseen
    };
    Fused {
        status: ClaudeStatus::Starting,
        reason: (is_late && says_alive).then_some(Reason::NoHooks),
        source: Source::Process,
        since: inputs.launched_at,
        detail: (is_late && says_alive).then(|| detail.to_owned()),
    }
}

/// The client is up by its registry, but no hook came. Soon after the launch that is normal.
fn without_hooks(inputs: &Inputs<'_>, registry: &RegistryView) -> Fused {
    let shown = from_registry(registry);
    if shown.status == ClaudeStatus::WaitingForInput {
        return shown;
    }
    if inputs.now.millis_since(inputs.launched_at) <= HOOKS_EXPECTED_MILLIS {
        return starting(inputs);
    }
    let detail = "its hooks are not heard; they may be disabled in a settings file";
    Fused {
        reason: Some(Reason::NoHooks),
        detail: Some(detail.to_owned()),
        ..shown
    }
}

fn from_hook(hook: &HookState) -> Fused {
    let fused = |status, reason, detail| Fused {
        status,
        reason,
        source: Source::Hook,
        since: hook.since,
        detail,
    };
    if !matches!(hook.phase, Phase::Ended | Phase::Leaving)
        && let Some(ask) = hook.pending.first()
    {
        let reason = if ask.is_question {
            Reason::Question
        } else {
            Reason::Permission
        };
        let detail = Some(ask.summary.clone());
        return Fused {
            since: ask.since,
            ..fused(ClaudeStatus::WaitingForInput, Some(reason), detail)
        };
    }
    match &hook.phase {
        Phase::Ready | Phase::TurnEnded { background: None } => {
            fused(ClaudeStatus::Idle, None, None)
        }
        Phase::Working => fused(ClaudeStatus::Working, None, None),
        Phase::TurnEnded {
            background: Some(what),
        } => fused(
            ClaudeStatus::Idle,
            Some(Reason::Background),
            Some(what.clone()),
        ),
        Phase::Interrupted => fused(ClaudeStatus::Idle, Some(Reason::Interrupted), None),
        // It goes on by itself never: it waits for the reset, and for someone to say "go on".
        Phase::Failed {
            usage_limit: true,
            message,
        } => fused(
            ClaudeStatus::WaitingForInput,
            Some(Reason::UsageLimit),
            Some(message.clone()),
        ),
        Phase::Failed {
            usage_limit: false,
            message,
        } => fused(
            ClaudeStatus::Error,
            Some(Reason::ApiError),
            Some(message.clone()),
        ),
        Phase::Ended => fused(ClaudeStatus::Done, Some(Reason::Exited), None),
        // Nobody saw yet how it ended; the caller waits for whoever did.
        Phase::Leaving => fused(ClaudeStatus::Error, Some(Reason::Lost), None),
    }
}

fn from_registry(registry: &RegistryView) -> Fused {
    let fused = |status, reason, detail| Fused {
        status,
        reason,
        source: Source::Registry,
        since: registry.since,
        detail,
    };
    let waiting = |reason, detail: &str| {
        fused(
            ClaudeStatus::WaitingForInput,
            Some(reason),
            Some(detail.to_owned()),
        )
    };
    match &registry.status {
        RegistryStatus::Busy => fused(ClaudeStatus::Working, None, None),
        RegistryStatus::Idle => fused(ClaudeStatus::Idle, None, None),
        RegistryStatus::Shell => fused(ClaudeStatus::Idle, Some(Reason::Background), None),
        // `RegistryView::of` lets no such entry through; to claim the least is right all the same.
        RegistryStatus::Unknown => fused(ClaudeStatus::Starting, None, None),
        RegistryStatus::Waiting(what) => match what {
            WaitingFor::Permission => waiting(Reason::Permission, "permission prompt"),
            WaitingFor::Sandbox => waiting(Reason::Permission, "sandbox request"),
            WaitingFor::Worker => waiting(Reason::Permission, "worker request"),
            WaitingFor::Input => waiting(Reason::Question, "input needed"),
            WaitingFor::Dialog => waiting(Reason::Dialog, "a dialog is open in its pane"),
            WaitingFor::Other(words) => waiting(Reason::Dialog, words),
        },
    }
}

/// Whether by its hooks no turn runs, whatever the status is called: the registry's word for all of
/// these is "idle".
fn is_at_rest(hook: &HookState) -> bool {
    hook.pending.is_empty()
        && matches!(
            hook.phase,
            Phase::Ready | Phase::TurnEnded { .. } | Phase::Interrupted | Phase::Failed { .. }
        )
}

/// Both agree in the main; takes from the registry what it knows better.
fn refine(heard: Fused, hook: &HookState, registry: &RegistryView, shown: Fused) -> Fused {
    let is_newer = registry.since > hook.heard_at;
    match (&hook.phase, &registry.status) {
        // The background work began or ended since the turn's end.
        (Phase::Ready | Phase::TurnEnded { background: None }, RegistryStatus::Shell) => shown,
        (
            Phase::TurnEnded {
                background: Some(_),
            },
            RegistryStatus::Idle,
        ) if is_newer => Fused {
            reason: None,
            detail: None,
            ..shown
        },
        _ => heard,
    }
}

/// Whether the registry tells the newer truth.
fn registry_wins(hook: &HookState, registry: &RegistryView, now: Timestamp) -> bool {
    if registry.since > hook.heard_at {
        return true;
    }
    // A hook of the turn's last tool may come in just after Esc was noted in the registry. The file is
    // rewritten at each change, so if it stays as it was although the turn would go on, it is right.
    let came_right_after = hook.heard_at.millis_since(registry.since) <= SETTLE_MILLIS;
    let is_settled = registry.read_at.millis_since(hook.heard_at) > SETTLE_MILLIS
        && now.millis_since(hook.heard_at) > SETTLE_MILLIS;
    // A turn that began after the change is another turn.
    let claims_work =
        hook.phase == Phase::Working && hook.pending.is_empty() && hook.since < registry.since;
    came_right_after && is_settled && claims_work && registry.status != RegistryStatus::Busy
}

/// The registry's status, with the reason the change from the hooks' status implies.
fn overrule(hook: &HookState, shown: Fused) -> Fused {
    let was_in_turn = hook.phase == Phase::Working || !hook.pending.is_empty();
    match (shown.status, &hook.phase) {
        // A turn that ends without Stop and without StopFailure was ended by a person: Esc, Ctrl-C, or a
        // dialog refused with Esc.
        (ClaudeStatus::Idle, _) if was_in_turn => Fused {
            reason: Some(shown.reason.unwrap_or(Reason::Interrupted)),
            ..shown
        },
        // The menu that opens at the usage limit.
        (
            ClaudeStatus::WaitingForInput,
            Phase::Failed {
                usage_limit: true,
                message,
            },
        ) => Fused {
            reason: Some(Reason::UsageLimit),
            detail: Some(message.clone()),
            ..shown
        },
        _ => shown,
    }
}

#[cfg(test)]
#[path = "fuse_tests.rs"]
mod tests;
