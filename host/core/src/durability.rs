//! The news that an accepted commit is durable, or that nobody knows.
//!
//! A store accepts a commit at once and makes it durable later, together with others. Whoever
//! appended awaits [`Durability::wait`], or leaves a callback that the store's writer runs, which
//! saves a reply one hop between threads.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use futures_util::future::poll_fn;

/// An accepted commit could not be made durable: it may be there after a restart, or not. Appending
/// the same command id again is safe and tells.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the commit was accepted but may not be durable: {cause}")]
pub struct DurabilityLost {
    /// What the store says.
    pub cause: Arc<str>,
}

type Outcome = Result<(), DurabilityLost>;
type Callback = Box<dyn FnOnce(Outcome) + Send>;

enum State {
    Pending,
    Awaited(Waker),
    Callback(Callback),
    Done(Outcome),
}

/// Tells when one commit is durable.
pub struct Durability(Inner);

enum Inner {
    Done(Outcome),
    Pending(Arc<Mutex<State>>),
}

/// The store's end of a [`Durability`]. Dropping it without a word counts as lost.
pub struct DurabilityNotifier(Option<Arc<Mutex<State>>>);

impl Durability {
    /// A commit that is durable already.
    #[must_use]
    pub const fn done() -> Self {
        Self(Inner::Done(Ok(())))
    }

    /// A commit that becomes durable when the notifier says so.
    #[must_use]
    pub fn pending() -> (DurabilityNotifier, Self) {
        let state = Arc::new(Mutex::new(State::Pending));
        (DurabilityNotifier(Some(Arc::clone(&state))), Self(Inner::Pending(state)))
    }

    /// Waits for the news.
    ///
    /// # Errors
    /// [`DurabilityLost`] when the store failed to make the commit durable.
    pub async fn wait(self) -> Result<(), DurabilityLost> {
        let state = match self.0 {
            Inner::Done(outcome) => return outcome,
            Inner::Pending(state) => state,
        };
        poll_fn(|context| {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if let State::Done(outcome) = &*state {
                return Poll::Ready(outcome.clone());
            }
            *state = State::Awaited(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Runs `callback` with the news: at once when it is known, else on the store's writer thread,
    /// where it must neither block nor panic.
    pub fn on_done(self, callback: impl FnOnce(Result<(), DurabilityLost>) + Send + 'static) {
        let state = match self.0 {
            Inner::Done(outcome) => return callback(outcome),
            Inner::Pending(state) => state,
        };
        let outcome = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if let State::Done(outcome) = &*state {
                outcome.clone()
            } else {
                *state = State::Callback(Box::new(callback));
                return;
            }
        };
        callback(outcome);
    }
}

impl DurabilityNotifier {
    /// Tells whoever waits.
    pub fn notify(mut self, outcome: Result<(), DurabilityLost>) {
        if let Some(state) = self.0.take() {
            tell(&state, outcome);
        }
    }
}

impl Drop for DurabilityNotifier {
    fn drop(&mut self) {
        if let Some(state) = self.0.take() {
            tell(&state, Err(DurabilityLost { cause: Arc::from("the store went away") }));
        }
    }
}

fn tell(state: &Mutex<State>, outcome: Outcome) {
    let before = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *state, State::Done(outcome.clone()))
    };
    match before {
        State::Awaited(waker) => waker.wake(),
        State::Callback(callback) => callback(outcome),
        State::Pending | State::Done(_) => {}
    }
}

impl fmt::Debug for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Inner::Done(outcome) => f.debug_tuple("Durability").field(outcome).finish(),
            Inner::Pending(_) => f.write_str("Durability(pending)"),
        }
    }
}

impl fmt::Debug for DurabilityNotifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurabilityNotifier")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn tells_a_waiter_and_a_callback_before_and_after() {
        // Guards replies: none is lost, whichever of the two sides comes first.
        let (notifier, durability) = Durability::pending();
        notifier.notify(Ok(()));
        assert_eq!(pollster::block_on(durability.wait()), Ok(()));

        let (notifier, durability) = Durability::pending();
        let waiter = std::thread::spawn(move || pollster::block_on(durability.wait()));
        notifier.notify(Ok(()));
        assert_eq!(waiter.join().unwrap(), Ok(()));

        let (tx, rx) = mpsc::channel();
        for notify_first in [false, true] {
            let (notifier, durability) = Durability::pending();
            let tx = tx.clone();
            let callback = move |outcome| tx.send(outcome).unwrap();
            if notify_first {
                notifier.notify(Ok(()));
                durability.on_done(callback);
            } else {
                durability.on_done(callback);
                notifier.notify(Ok(()));
            }
            assert_eq!(rx.recv().unwrap(), Ok(()));
        }
    }

    #[test]
    fn a_dropped_notifier_means_lost() {
        // Guards against a caller that waits for ever after the writer died.
        let (notifier, durability) = Durability::pending();
        drop(notifier);
        let lost = DurabilityLost { cause: Arc::from("the store went away") };
        assert_eq!(pollster::block_on(durability.wait()), Err(lost));
    }
}
