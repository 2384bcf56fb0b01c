//! What a request waits for, so that one that waits too long is named in the log with the place where it stands.

use std::{
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// A request that takes longer is logged, once.
const TOO_LONG: Duration = Duration::from_secs(2);

type Place = Arc<Mutex<&'static str>>;

tokio::task_local! {
    /// What the request of this task waits for now.
    static PLACE: Place;
}

/// Waits for `future`, which is called `what` in the log where a request has to wait for it too long.
pub async fn on<F: Future>(what: &'static str, future: F) -> F::Output {
    let before = PLACE.try_with(|place| exchange(place, what)).ok();
    let output = future.await;
    if let Some(before) = before {
        PLACE.try_with(|place| exchange(place, before)).ok();
    }
    output
}

/// Does a request and logs it once where it takes longer than two seconds: which, whose, what it waits for; and again when it is over.
pub async fn watched<F: Future>(method: &str, actor: &str, request: F) -> F::Output {
    let begun = Instant::now();
    let mut is_late = false;
    let output = watched_within(TOO_LONG, request, |place| {
        is_late = true;
        tracing::warn!(
            method,
            actor,
            waits_for = place,
            "a request takes longer than {} s",
            TOO_LONG.as_secs()
        );
    })
    .await;
    if is_late {
        let seconds = begun.elapsed().as_secs_f64();
        tracing::warn!(method, actor, seconds, "a request that took long is done");
    }
    output
}

async fn watched_within<F: Future>(
    limit: Duration,
    request: F,
    late: impl FnOnce(&'static str),
) -> F::Output {
    let place: Place = Arc::new(Mutex::new("its own work"));
    let mut request = pin!(PLACE.scope(place.clone(), request));
    tokio::select! {
        biased;
        output = &mut request => return output,
        () = tokio::time::sleep(limit) => {}
    }
    late(*place.lock().unwrap_or_else(PoisonError::into_inner));
    request.await
}

fn exchange(place: &Place, what: &'static str) -> &'static str {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    std::mem::replace(&mut *place, what)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(future)
    }

    /// Never done by itself: a request that hangs.
    async fn hangs(until: &tokio::sync::Notify) {
        until.notified().await;
    }

    #[test]
    fn a_request_that_hangs_is_named_once_with_what_it_waits_for() {
        let named = RefCell::new(Vec::new());
        let over = tokio::sync::Notify::new();
        let request = async {
            on("the writer", async {}).await;
            on("Zellij", on("a read of the store", hangs(&over))).await;
            "done"
        };
        let output = block_on(watched_within(
            Duration::from_millis(20),
            request,
            |place| {
                named.borrow_mut().push(place);
                over.notify_one();
            },
        ));
        assert_eq!(output, "done");
        assert_eq!(*named.borrow(), ["a read of the store"]);
    }

    #[test]
    fn a_quick_request_is_not_named_and_no_request_is_needed() {
        let quick = on("the writer", async { 7 });
        let output = block_on(watched_within(Duration::from_secs(20), quick, |place| {
            panic!("{place}")
        }));
        assert_eq!(output, 7);
        assert_eq!(block_on(on("nobody asks", async { 8 })), 8);
    }
}
