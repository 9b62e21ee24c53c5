//! A connection that waits for its client to take what is sent, but not for ever.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A stream whose writes fail when none of it got on for a while.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    stalled_max: Duration,
    // Runs while a write waits.
    given_up: Pin<Box<Sleep>>,
    is_waiting: bool,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, stalled_max: Duration) -> Self {
        let given_up = Box::pin(tokio::time::sleep(stalled_max));
        Self { stream, stalled_max, given_up, is_waiting: false }
    }

    /// What becomes of a write: one that waits has an end.
    fn bounded<T>(
        &mut self,
        ctx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.given_up.as_mut().reset(Instant::now() + self.stalled_max);
        }
        match self.given_up.as_mut().poll(ctx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(ctx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(ctx, bytes);
        self.bounded(ctx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        ctx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(ctx, slices);
        self.bounded(ctx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(ctx);
        // A flush that is done says nothing about a write that waits.
        if flushed.is_ready() { flushed } else { self.bounded(ctx, flushed) }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, ctx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(ctx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_that_takes_nothing_is_cut_off_and_one_that_takes_slowly_is_not() {
        // Guards that no connection is held for ever by a client that does not read.
        let (stream, mut client) = tokio::io::duplex(4);
        let mut stream = Patient::new(stream, Duration::from_secs(10));
        let slowly = async {
            let mut bytes = Vec::new();
            while bytes.len() < 8 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                let mut one = [0; 1];
                client.read_exact(&mut one).await.unwrap();
                bytes.extend(one);
            }
            bytes
        };
        let (written, taken) = tokio::join!(stream.write_all(b"0123456789"), slowly);
        written.unwrap();
        assert_eq!(taken, b"01234567");
        let began = Instant::now();
        let error = stream.write_all(b"0123456789").await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 10));
    }
}
