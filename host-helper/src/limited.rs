//! Calls that may block, a few at a time: each on a thread of its own, outside the runtime's blocking pool, so that calls which hang
//! never hold a thread that somebody else needs.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{
    sync::{Semaphore, oneshot},
    time::{Instant, timeout_at},
};

/// A call was not made, or nobody knows what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitedError {
    /// Too many calls wait; this one was not made.
    #[error("too many calls wait already")]
    Busy,
    /// It waited for its turn until its time was up; it was not made.
    #[error("the calls before it took too long")]
    NoTurn,
    /// It was made and did not come back in time, or ended without a result.
    #[error("it did not come back in time")]
    Unknown,
}

/// A limit on calls of one kind.
#[derive(Debug)]
pub struct Limited {
    name: &'static str,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
}

impl Limited {
    /// At most `at_once` calls run, and `most_waiting` more wait for their turn. `name` is what the threads are called.
    pub fn new(name: &'static str, at_once: usize, most_waiting: usize) -> Self {
        Self {
            name,
            turns: Arc::new(Semaphore::new(at_once)),
            waiting: AtomicUsize::new(0),
            most_waiting,
        }
    }

    /// Makes a call; waiting and call together take at most `limit`. A call that does not come back keeps its place until it does.
    ///
    /// # Errors
    /// See [`LimitedError`].
    pub async fn call<Value: Send + 'static>(
        &self,
        limit: Duration,
        call: impl FnOnce() -> Value + Send + 'static,
    ) -> Result<Value, LimitedError> {
        let deadline = Instant::now() + limit;
        let turn = match self.turns.clone().try_acquire_owned() {
            Ok(turn) => turn,
            Err(_) => {
                let _place = Place::take(self)?;
                timeout_at(deadline, self.turns.clone().acquire_owned())
                    .await
                    .map_err(|_| LimitedError::NoTurn)?
                    .map_err(|_| LimitedError::NoTurn)?
            }
        };
        let (sender, receiver) = oneshot::channel();
        let thread = thread::Builder::new().name(self.name.into());
        let started = thread.spawn(move || {
            let value = call();
            // The next one may have its turn before this one's caller wakes up.
            drop(turn);
            // A caller that stopped waiting needs no answer.
            sender.send(value).ok();
        });
        if let Err(error) = started {
            tracing::error!(%error, name = self.name, "starting a thread");
            return Err(LimitedError::Busy);
        }
        timeout_at(deadline, receiver)
            .await
            .map_err(|_| LimitedError::Unknown)?
            .map_err(|_| LimitedError::Unknown)
    }
}

/// A place among those that wait.
struct Place<'limited>(&'limited AtomicUsize);

impl<'limited> Place<'limited> {
    fn take(limited: &'limited Limited) -> Result<Self, LimitedError> {
        let place = Self(&limited.waiting);
        if limited.waiting.fetch_add(1, Ordering::Relaxed) >= limited.most_waiting {
            // Dropping it gives back what was counted.
            return Err(LimitedError::Busy);
        }
        Ok(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(30);

    /// A call that comes back when the sender is dropped.
    fn hanging() -> (mpsc::Sender<()>, impl FnOnce() + Send + 'static) {
        let (sender, receiver) = mpsc::channel::<()>();
        (sender, move || assert!(receiver.recv().is_err()))
    }

    #[tokio::test]
    async fn calls_that_hang_are_few_and_those_behind_them_are_refused_in_time() {
        let limited = Arc::new(Limited::new("test", 2, 3));
        let mut gates = Vec::new();
        for _ in 0..2 {
            let (gate, call) = hanging();
            gates.push(gate);
            assert_eq!(limited.call(SOON, call).await, Err(LimitedError::Unknown));
        }
        // Both places are still taken: three more wait, and a fourth is refused at once.
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let limited = limited.clone();
                tokio::spawn(async move { limited.call(LONG, || 7).await })
            })
            .collect();
        while limited.waiting.load(Ordering::Relaxed) < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(limited.call(LONG, || 7).await, Err(LimitedError::Busy));
        drop(gates);
        for call in waiting {
            assert_eq!(call.await.unwrap(), Ok(7));
        }
        assert_eq!(
            limited.call(LONG, || 8).await,
            Ok(8),
            "all places are free again"
        );
    }

    #[tokio::test]
    async fn who_does_not_get_a_turn_in_time_is_told_that_nothing_was_done() {
        let limited = Limited::new("test", 1, 3);
        let (_gate, call) = hanging();
        assert_eq!(limited.call(SOON, call).await, Err(LimitedError::Unknown));
        assert_eq!(limited.call(SOON, || 7).await, Err(LimitedError::NoTurn));
        assert_eq!(limited.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_call_that_panics_gives_its_place_back() {
        let limited = Limited::new("test", 1, 3);
        let broken = limited.call(LONG, || panic!("a defect")).await;
        assert_eq!(broken, Err::<(), _>(LimitedError::Unknown));
        assert_eq!(limited.call(LONG, || 7).await, Ok(7));
    }
}
