//! Answers on their way from a person to the client's dialog, with the daemon killed at every point of it.

use std::collections::HashSet;

use claustre_protocol::{
    ids::AskId,
    model::AskKind,
    status::{ClaudeStatus, Reason},
};
use proptest::prelude::*;

use super::{Ask, AskState, recover_asks, tests::Desk};
use crate::{
    command::SessionCommand as S,
    entity::World,
    event::{AskOutcome, Event},
};

impl Desk {
    fn state(&self, ask: AskId) -> AskState {
        self.world.ask(ask).unwrap().state()
    }

    fn report_ask(&self, ask: AskId, attended: Option<bool>) -> S {
        S::ReportAsk {
            session: self.session,
            ask,
            kind: AskKind::Permission,
            title: "Bash: ls".into(),
            detail: "ls -la".into(),
            options: Vec::new(),
            answerable: true,
            since: self.world.now,
            attended,
        }
    }

    /// What a daemon that starts says of it.
    fn recover(&mut self, ask: AskId) {
        for command in recover_asks(&[self.world.ask(ask).unwrap()]) {
            self.go(command);
        }
    }
}

/// What may happen to an ask, in short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Approve,
    Attended,
    Unattended,
    Taken,
    ElsewhereNow,
    Restart,
}

#[test]
fn from_every_state_every_step_leads_where_the_table_says() {
    use Step as P;
    let steps = [
        P::Approve,
        P::Attended,
        P::Unattended,
        P::Taken,
        P::ElsewhereNow,
        P::Restart,
    ];
    // Which steps lead to the state, and where each step leads from there; "no" is a refusal, "-" changes nothing.
    let table: [(&[Step], &str, [&str; 6]); 6] = [
        (
            &[],
            "open",
            ["answered", "-", "tab", "-", "elsewhere", "tab"],
        ),
        (
            &[P::Unattended],
            "tab",
            ["no", "open", "-", "-", "elsewhere", "-"],
        ),
        (
            &[P::Approve],
            "answered",
            ["no", "-", "answered", "approved", "elsewhere", "answered"],
        ),
        (
            &[P::Approve, P::Unattended],
            "answered",
            ["no", "answered", "-", "approved", "elsewhere", "-"],
        ),
        (
            &[P::Approve, P::Taken],
            "approved",
            ["no", "-", "-", "-", "-", "-"],
        ),
        (
            &[P::ElsewhereNow],
            "elsewhere",
            ["no", "-", "-", "-", "-", "-"],
        ),
    ];
    for (path, at, leads) in table {
        for (step, wanted) in steps.into_iter().zip(leads) {
            let mut desk = Desk::idle();
            let ask = desk.ask(AskKind::Permission, true);
            for before in path {
                take(&mut desk, ask, *before).unwrap();
            }
            assert_eq!(word(&desk.state(ask)), at, "{path:?}");
            let what = format!("{path:?}, then {step:?}");
            match take(&mut desk, ask, step) {
                Err(_) => assert_eq!(wanted, "no", "{what}"),
                Ok(events) if events.is_empty() => assert_eq!(wanted, "-", "{what}"),
                Ok(_) => assert_eq!(word(&desk.state(ask)), wanted, "{what}"),
            }
        }
    }
}

fn take(desk: &mut Desk, ask: AskId, step: Step) -> Result<Vec<Event>, crate::Rejection> {
    let session = desk.session;
    let command = match step {
        Step::Approve => desk.answer(Some(ask), AskOutcome::Approved),
        Step::Attended => S::ReportAskAttended { session, ask },
        Step::Unattended => S::ReportAskUnattended { session, ask },
        Step::Taken => S::ReportAnswerTaken { session, ask },
        Step::ElsewhereNow => S::ReportAskClosed {
            session,
            ask: Some(ask),
            outcome: AskOutcome::Elsewhere,
        },
        Step::Restart => {
            let known: Ask = desk.world.ask(ask).unwrap();
            // A closed ask is not among those that a start looks at.
            let mut events = Vec::new();
            if known.outcome.get().is_none() {
                for command in recover_asks(&[known]) {
                    events.extend(desk.attempt(command)?);
                }
            }
            return Ok(events);
        }
    };
    desk.attempt(command)
}

fn word(state: &AskState) -> &'static str {
    match state {
        AskState::Open => "open",
        AskState::OnlyInTab => "tab",
        AskState::Answered(_) => "answered",
        AskState::Closed(AskOutcome::Approved) => "approved",
        AskState::Closed(AskOutcome::Elsewhere) => "elsewhere",
        AskState::Closed(_) => "closed",
    }
}

#[test]
fn what_nobody_waits_for_is_refused_with_a_sentence_until_a_hook_connects() {
    let mut desk = Desk::idle();
    let ask = AskId::new(desk.world.mint());
    let spooled = desk.report_ask(ask, Some(false));
    desk.go(spooled);
    assert_eq!(
        desk.stands(),
        (ClaudeStatus::WaitingForInput, Some(Reason::Permission))
    );
    for outcome in [AskOutcome::Approved, AskOutcome::Denied] {
        for named in [None, Some(ask)] {
            let answer = desk.answer(named, outcome);
            let why = desk.refused(answer);
            assert!(why.contains("can only be answered in its tab"), "{why}");
        }
    }
    let session = desk.session;
    desk.go(S::ReportAskAttended { session, ask });
    let answer = desk.answer(Some(ask), AskOutcome::Approved);
    desk.go(answer.clone());
    assert_eq!(
        desk.stands().0,
        ClaudeStatus::WaitingForInput,
        "not taken yet"
    );
    let why = desk.refused(answer);
    assert!(why.contains("has not taken the answer yet"), "{why}");
}

#[test]
fn what_an_earlier_version_noted_of_a_permission_waits_for_a_hook_as_well() {
    let old = r#"{"session":"00000000-0000-4000-8000-000000000001","task":null,
        "ask":"00000000-0000-4000-8000-000000000002","kind":"permission","title":"Bash: ls","detail":"ls","options":[],
        "answerable":true,"since":"2026-11-20T10:00:00Z"}"#;
    let asked: crate::event::SessionAsked = serde_json::from_str(old).unwrap();
    let mut ask = Ask::new(asked.ask);
    ask.asked = Some(Box::new(asked));
    assert!(ask.needs_hook() && ask.is_attended());
    assert_eq!(recover_asks(std::slice::from_ref(&ask)).len(), 1);
    // The state of an entity that an earlier version stored.
    let mut stored = serde_json::to_value(&ask).unwrap();
    let fields = stored.as_object_mut().unwrap();
    fields.remove("attended");
    fields.remove("given");
    assert_eq!(serde_json::from_value::<Ask>(stored).unwrap(), ask);
}

/// What waits in the spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Spooled {
    Ask,
    Taken,
}

/// Where the asking hook is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    Waits,
    /// It has read the answer.
    Read,
    /// It has printed it: the client has it.
    Printed,
    Ended,
}

/// One dialog, its hook, a daemon that may be killed, and a person who approves.
struct Play {
    desk: Desk,
    ask: AskId,
    hook: Hook,
    is_killed: bool,
    /// The running daemon and whether the hook is connected to it.
    daemon: Option<bool>,
    /// Does the daemon have the answer to be written to this connection?
    to_write: bool,
    spool: Vec<Spooled>,
    was_spooled: bool,
    /// Reports that count once.
    seen: HashSet<Spooled>,
    /// An approval waits for its confirmation.
    waits: bool,
    acknowledged: u32,
    ran: u32,
}

impl Play {
    fn new() -> Self {
        let mut desk = Desk::idle();
        let ask = AskId::new(desk.world.mint());
        Self {
            desk,
            ask,
            hook: Hook::Waits,
            is_killed: false,
            daemon: Some(false),
            to_write: false,
            spool: Vec::new(),
            was_spooled: false,
            seen: HashSet::new(),
            waits: false,
            acknowledged: 0,
            ran: 0,
        }
    }

    fn known(&self) -> Option<Ask> {
        self.desk
            .world
            .ask(self.ask)
            .filter(|ask| ask.asked.is_some())
    }

    fn store(&mut self, report: Spooled, is_connected: bool) {
        if !self.seen.insert(report) {
            return;
        }
        let command = match report {
            Spooled::Ask => self.desk.report_ask(self.ask, Some(is_connected)),
            Spooled::Taken => S::ReportAnswerTaken {
                session: self.desk.session,
                ask: self.ask,
            },
        };
        self.desk.go(command);
    }

    fn drain(&mut self) {
        for report in std::mem::take(&mut self.spool) {
            self.store(report, false);
        }
    }

    fn hook_leaves(&mut self) {
        if self.daemon == Some(true) {
            let (session, ask) = (self.desk.session, self.ask);
            self.desk.go(S::ReportAskUnattended { session, ask });
            self.daemon = Some(false);
            self.to_write = false;
        }
        self.confirm();
    }

    /// The person who approved learns how it ended.
    fn confirm(&mut self) {
        let Some(known) = self.known().filter(|_| self.waits) else {
            return;
        };
        match known.state() {
            AskState::Closed(AskOutcome::Approved) => {
                self.acknowledged += 1;
                self.waits = false;
            }
            AskState::Answered(_) if known.is_attended() => {}
            _ => self.waits = false,
        }
    }

    /// Does the step of this number, if it is possible now.
    fn step(&mut self, number: u8, with_kills: bool) -> bool {
        let (session, ask) = (self.desk.session, self.ask);
        match (number, self.daemon) {
            // The hook connects; what is answered already is given to it.
            (0, Some(false)) if self.hook == Hook::Waits => {
                self.store(Spooled::Ask, true);
                self.desk.go(S::ReportAskAttended { session, ask });
                self.daemon = Some(true);
                self.to_write = matches!(self.desk.state(ask), AskState::Answered(_));
            }
            (1, None) if self.hook == Hook::Waits && !self.was_spooled => {
                self.was_spooled = true;
                self.spool.push(Spooled::Ask);
            }
            (2, Some(_)) if !self.spool.is_empty() => self.drain(),
            (3, Some(is_connected)) if self.known().is_some() && !self.waits => {
                let answer = self.desk.answer(Some(ask), AskOutcome::Approved);
                if self.desk.attempt(answer).is_err() {
                    return false;
                }
                self.waits = true;
                self.to_write = is_connected;
            }
            (4, Some(true)) if self.to_write && self.hook == Hook::Waits => {
                self.to_write = false;
                self.hook = Hook::Read;
            }
            (5, _) if self.hook == Hook::Read => {
                self.hook = Hook::Printed;
                self.ran += 1;
            }
            (6, daemon) if self.hook == Hook::Printed => {
                self.hook = Hook::Ended;
                if daemon == Some(true) {
                    self.store(Spooled::Taken, true);
                    self.confirm();
                } else {
                    self.spool.push(Spooled::Taken);
                }
                self.hook_leaves();
            }
            (7, Some(_)) if with_kills => {
                self.daemon = None;
                self.to_write = false;
                self.waits = false;
            }
            (8, None) => {
                self.daemon = Some(false);
                self.drain();
                if self.known().is_some() {
                    self.desk.recover(ask);
                }
            }
            (9, _) if with_kills && self.hook != Hook::Ended => {
                self.hook = Hook::Ended;
                self.is_killed = true;
                self.hook_leaves();
            }
            _ => return false,
        }
        true
    }
}

fn play(steps: &[u8], kills_hooks: bool) -> Play {
    let mut play = Play::new();
    for step in steps {
        play.step(*step % if kills_hooks { 10 } else { 9 }, true);
        assert!(play.ran <= 1, "allowed once, it runs once");
        assert!(
            play.acknowledged <= play.ran,
            "an acknowledged approval runs"
        );
    }
    // Then nothing is killed any more.
    while (0..9).any(|step| play.step(step, false)) {}
    play
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn wherever_the_daemon_is_killed_an_approval_runs_once_and_nothing_is_stuck(
        steps in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let play = play(&steps, false);
        prop_assert_eq!(play.desk.state(play.ask), AskState::Closed(AskOutcome::Approved));
        prop_assert_eq!((play.ran, play.hook), (1, Hook::Ended));
        prop_assert!(play.acknowledged <= 1);
    }

    #[test]
    fn of_a_hook_that_was_killed_nothing_is_acknowledged_that_did_not_run(
        steps in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut play = play(&steps, true);
        prop_assert!(play.acknowledged <= play.ran);
        if play.is_killed && play.known().is_some() {
            // What is left of it can be answered in its tab, and nothing else is claimed.
            let state = play.desk.state(play.ask);
            prop_assert!(state != AskState::Open, "{:?}", state);
            let answer = play.desk.answer(Some(play.ask), AskOutcome::Approved);
            prop_assert!(play.desk.attempt(answer).is_err());
        }
    }
}
