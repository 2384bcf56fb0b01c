//! How many connections a socket keeps: those that have said nothing yet, those of one process, and all of them.
//!
//! Every connection is accepted at once. One that says nothing gives its place to a newer one, so that no number of silent
//! connections keeps out a program that speaks; some places are kept for people, whatever else is connected.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use claustre_protocol::rpc::{Fault, FaultCode};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// File descriptors that are left for everything that is no connection: the store, watched processes, pipes of programs.
const OTHER_FILES: u64 = 256;
/// Connections that may be open at once where the system allows enough files.
const MOST: usize = 4_096;
/// How often the log says that connections were turned away.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The limits of one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub all: usize,
    /// Of them, places that only people's programs get.
    pub kept_for_people: usize,
    /// Connections that have not said hello yet; one more ends the oldest of them.
    pub silent: usize,
    /// Connections of one process.
    pub per_process: usize,
    /// Whether those that have said hello count for their process.
    pub counts_greeted: bool,
    /// Time that a connection has to say hello.
    pub hello: Duration,
}

impl Limits {
    /// Limits for one of two sockets that share what the system lets this process open.
    pub fn sharing(open_files: u64) -> Self {
        let half = usize::try_from(open_files.saturating_sub(OTHER_FILES) / 2).unwrap_or(MOST);
        let all = half.clamp(64, MOST);
        Self {
            all,
            kept_for_people: all / 16,
            silent: all / 4,
            per_process: 256,
            counts_greeted: true,
            hello: Duration::from_secs(5),
        }
    }
}

/// Counts the connections of one socket.
pub struct Admission {
    socket: &'static str,
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    greeted: usize,
    per_process: HashMap<i32, usize>,
    /// By the order in which they came.
    silent: BTreeMap<u64, CancellationToken>,
    next: u64,
    turned_away: u64,
    logged: Option<Instant>,
}

impl State {
    fn open(&self) -> usize {
        self.greeted + self.silent.len()
    }
}

impl Admission {
    /// Nobody is connected yet.
    pub fn new(socket: &'static str, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            socket,
            limits,
            state: Mutex::default(),
        })
    }

    /// Takes in a connection of this process (none where the system does not say).
    ///
    /// # Errors
    /// [`FaultCode::Busy`]: the process has too many, or every place is taken by one that has said hello.
    pub fn enter(self: &Arc<Self>, process: Option<i32>) -> Result<Place, Fault> {
        let mut state = self.state();
        // A process outside our namespace has no number here.
        let process = process.filter(|pid| *pid > 0);
        if let Some(pid) = process {
            let has = state.per_process.get(&pid).copied().unwrap_or(0);
            if has >= self.limits.per_process {
                self.log(&mut state, "a process has too many", process);
                return Err(busy(format!(
                    "process {pid} has {has} connections open already"
                )));
            }
        }
        let is_full = state.open() >= self.limits.all;
        if state.silent.len() >= self.limits.silent || is_full {
            match state.silent.pop_first() {
                Some((_, oldest)) => {
                    oldest.cancel();
                    self.log(&mut state, "too many say nothing", process);
                }
                None => {
                    self.log(&mut state, "every place is taken", process);
                    return Err(busy(format!(
                        "{} connections are open already",
                        self.limits.all
                    )));
                }
            }
        }
        let number = state.next;
        state.next = number.wrapping_add(1);
        if let Some(pid) = process {
            *state.per_process.entry(pid).or_default() += 1;
        }
        let ended = CancellationToken::new();
        state.silent.insert(number, ended.clone());
        Ok(Place {
            admission: self.clone(),
            number,
            process,
            is_greeted: false,
            ended,
        })
    }

    fn log(&self, state: &mut State, why: &str, process: Option<i32>) {
        state.turned_away += 1;
        if state.logged.is_some_and(|at| at.elapsed() < LOG_EVERY) {
            return;
        }
        tracing::warn!(
            socket = self.socket,
            open = state.open(),
            silent = state.silent.len(),
            process,
            turned_away = state.turned_away,
            "a connection was turned away: {why}"
        );
        state.logged = Some(Instant::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one connection, until it is dropped.
pub struct Place {
    admission: Arc<Admission>,
    number: u64,
    process: Option<i32>,
    is_greeted: bool,
    ended: CancellationToken,
}

impl Place {
    /// Time that the connection has to say hello.
    pub fn hello_time(&self) -> Duration {
        self.admission.limits.hello
    }

    /// Notes that this time is over.
    pub fn timed_out(&self) {
        let mut state = self.admission.state();
        self.admission
            .log(&mut state, "no hello came in time", self.process);
    }

    /// Cancelled when a newer connection takes the place of this one, which has said nothing.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// The connection said hello: it keeps its place from now on.
    ///
    /// # Errors
    /// [`FaultCode::Busy`]: the places that are left are kept for people.
    pub fn greeted(&mut self, is_of_a_person: bool) -> Result<(), Fault> {
        let admission = self.admission.clone();
        let limits = &admission.limits;
        let mut state = admission.state();
        let others = limits.all.saturating_sub(limits.kept_for_people);
        if !is_of_a_person && state.greeted >= others {
            admission.log(&mut state, "what is left is kept for people", self.process);
            return Err(busy(format!(
                "{} connections are open already",
                state.greeted
            )));
        }
        if state.silent.remove(&self.number).is_none() {
            return Err(busy(
                "a newer connection has taken the place of this one".into(),
            ));
        }
        state.greeted += 1;
        self.is_greeted = true;
        if !limits.counts_greeted {
            release(&mut state, self.process.take());
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        if self.is_greeted {
            state.greeted = state.greeted.saturating_sub(1);
        }
        state.silent.remove(&self.number);
        release(&mut state, self.process);
    }
}

fn release(state: &mut State, process: Option<i32>) {
    let Some(pid) = process else { return };
    if let Some(count) = state.per_process.get_mut(&pid) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            state.per_process.remove(&pid);
        }
    }
}

fn busy(what: String) -> Fault {
    Fault::new(
        FaultCode::Busy,
        format!("connecting to the daemon: {what}"),
        Some("try again in a moment".to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limits: Limits) -> Arc<Admission> {
        Admission::new("test", limits)
    }

    const SMALL: Limits = Limits {
        all: 6,
        kept_for_people: 2,
        silent: 3,
        per_process: 100,
        counts_greeted: true,
        hello: Duration::from_secs(1),
    };

    #[test]
    fn one_that_says_nothing_gives_its_place_to_a_newer_one() {
        let admission = admission(SMALL);
        let silent: Vec<_> = (0..10)
            .map(|pid| admission.enter(Some(pid + 1)).unwrap())
            .collect();
        let ended = |place: &Place| place.ended().is_cancelled();
        assert_eq!(silent.iter().filter(|place| ended(place)).count(), 7);
        assert!(ended(&silent[6]) && !ended(&silent[7]));
        let mut speaks = admission.enter(Some(99)).unwrap();
        speaks.greeted(false).unwrap();
        // More silence does not touch one that has spoken.
        let more: Vec<_> = (0..10)
            .map(|pid| admission.enter(Some(pid + 200)).unwrap())
            .collect();
        assert!(!ended(&speaks));
        drop((silent, more, speaks));
        let state = admission.state();
        assert_eq!(state.open(), 0);
        assert!(state.per_process.is_empty());
    }

    #[test]
    fn some_places_are_kept_for_people() {
        let admission = admission(SMALL);
        let mut hooks = Vec::new();
        for pid in 1..=4 {
            let mut place = admission.enter(Some(pid)).unwrap();
            place.greeted(false).unwrap();
            hooks.push(place);
        }
        let mut hook = admission.enter(Some(5)).unwrap();
        assert_eq!(
            hook.greeted(false).unwrap_err().code,
            FaultCode::Busy.number()
        );
        drop(hook);
        let mut people = Vec::new();
        for pid in 6..=7 {
            let mut place = admission.enter(Some(pid)).unwrap();
            place.greeted(true).unwrap();
            people.push(place);
        }
        assert!(admission.enter(Some(8)).is_err(), "every place is taken");
        drop(hooks.pop());
        assert!(admission.enter(Some(8)).is_ok());
    }

    #[test]
    fn a_process_has_its_own_limit_and_one_without_a_number_has_none() {
        let limits = Limits {
            per_process: 2,
            all: 100,
            silent: 50,
            ..SMALL
        };
        let counting = admission(limits);
        let mut places = [
            counting.enter(Some(7)).unwrap(),
            counting.enter(Some(7)).unwrap(),
        ];
        for place in &mut places {
            place.greeted(false).unwrap();
        }
        let fault = counting.enter(Some(7)).err().unwrap();
        assert!(fault.message.contains("process 7"), "{}", fault.message);
        assert!(counting.enter(Some(8)).is_ok());
        let nameless: Vec<_> = (0..5).map(|_| counting.enter(Some(0)).unwrap()).collect();
        drop((places, nameless));
        assert!(counting.enter(Some(7)).is_ok());

        let trusting = admission(Limits {
            counts_greeted: false,
            ..limits
        });
        let known: Vec<_> = (0..5)
            .map(|_| {
                let mut place = trusting.enter(Some(7)).unwrap();
                place.greeted(false).unwrap();
                place
            })
            .collect();
        drop(known);
        assert!(trusting.state().per_process.is_empty());
    }

    #[test]
    fn limits_follow_what_the_system_allows_and_take_a_thousand_clients() {
        let usual = Limits::sharing(524_288);
        assert!(usual.all - usual.kept_for_people > 1_000);
        assert!(Limits::sharing(4_096).all - Limits::sharing(4_096).kept_for_people > 1_000);
        assert!(Limits::sharing(1_024).all * 2 < 1_024);
        assert_eq!(Limits::sharing(0).all, 64);
    }
}
