//! Where long-running parts run: on a thread of their own, or as tasks of the caller.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

/// Where shards and runners run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Each on an operating system thread of its own, which calls plugins without holding up
    /// anything else.
    Threads,
    /// All as local tasks of the caller's thread, in one order for one seed. The caller must be
    /// inside a [`LocalSet`].
    LocalTasks,
}

/// A running part. Ask it to end by its own channel, then [`Actor::join`] it.
#[derive(Debug)]
pub(crate) struct Actor {
    ended: oneshot::Receiver<()>,
}

impl Actor {
    /// Starts what `make` makes. The future is made where it runs, so it need not be `Send`.
    pub(crate) fn spawn<F>(
        placement: Placement,
        name: &str,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> std::io::Result<Self>
    where
        F: Future<Output = ()> + 'static,
    {
        let (end, ended) = oneshot::channel();
        match placement {
            Placement::Threads => {
                let handle = Handle::current();
                // The thread ends with its future; `ended` is how its owner awaits it.
                std::thread::Builder::new().name(name.to_owned()).spawn(move || {
                    let local = LocalSet::new();
                    handle.block_on(local.run_until(async move { make().await }));
                    drop(end);
                })?;
            }
            Placement::LocalTasks => {
                tokio::task::spawn_local(async move {
                    make().await;
                    drop(end);
                });
            }
        }
        Ok(Self { ended })
    }

    /// The same for work that others must not notice: on a thread of its own, `on_thread` is called
    /// first.
    pub(crate) fn spawn_in_background<F>(
        placement: Placement,
        name: &str,
        on_thread: Option<fn()>,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> std::io::Result<Self>
    where
        F: Future<Output = ()> + 'static,
    {
        let on_thread = on_thread.filter(|_| placement == Placement::Threads);
        Self::spawn(placement, name, move || {
            if let Some(on_thread) = on_thread {
                on_thread();
            }
            make()
        })
    }

    /// Waits until it has ended.
    pub(crate) async fn join(self) {
        // Both a sent value and a dropped sender mean the end.
        self.ended.await.unwrap_or_default();
    }
}
