//! Wakes between hosts: texts `partition:head` on a channel of pub/sub.

use std::future::ready;
use std::sync::Mutex;
use std::time::Duration;

use annals_core::error::{DriverError, ErrorChain};
use annals_core::place::{Partition, Position};
use annals_core::port::bus::Wake;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use redis::Value;
use tokio::sync::broadcast;
use tokio_stream::wrappers::BroadcastStream;
use tracing::{info, warn};

use crate::copies::lock;
use crate::failure::{Failure, FailureKind};
use crate::link::Link;
use crate::outage::Outage;

/// Most wakes that are kept for a listener that is slow. A power of two, as the queue would round it
/// up to one anyway. A wake says no more than the next one of its partition, so few are enough.
pub const QUEUED_WAKES_MAX: usize = 64;

/// Longest that telling others may take, in milliseconds. After that the wake may be lost, which a
/// wake may be.
pub const WAKE_MS_MAX: u64 = 2_000;

/// Sends wakes, and gives those heard to listeners.
pub(crate) struct Wakes {
    ear: Ear,
    outage: Mutex<Outage>,
}

impl Wakes {
    pub(crate) fn new(namespace: &str) -> Self {
        let ear = Ear {
            channel: format!("annals:wake:{namespace}"),
            heard: broadcast::Sender::new(QUEUED_WAKES_MAX),
        };
        Self { ear, outage: Mutex::default() }
    }

    /// What hears for the listeners.
    pub(crate) fn ear(&self) -> Ear {
        self.ear.clone()
    }

    pub(crate) async fn send(&self, link: &Link, wake: Wake) -> Result<(), DriverError> {
        let mut command = redis::cmd("PUBLISH");
        command.arg(&self.ear.channel).arg(format!("{}:{}", wake.partition, wake.head));
        let sent = link.query::<Value>(command, Duration::from_millis(WAKE_MS_MAX)).await;
        self.note(sent.as_ref().err());
        sent.map(drop).map_err(|failure| failure.error)
    }

    /// Says once that wakes are refused. That there is no connection, the keeper says.
    fn note(&self, failure: Option<&Failure>) {
        let channel = &self.ear.channel;
        let Some(failure) = failure else {
            if lock(&self.outage).ends() {
                info!(channel, "wakes are sent again");
            }
            return;
        };
        if failure.kind == FailureKind::Refused && lock(&self.outage).begins() {
            let error = ErrorChain(&failure.error);
            warn!(channel, %error, "wakes cannot be sent");
        }
    }

    /// The wakes from now on. A listener that is too slow is given the newest.
    pub(crate) fn listen(&self) -> BoxStream<'static, Wake> {
        let heard = BroadcastStream::new(self.ear.heard.subscribe());
        heard.filter_map(|wake| ready(wake.ok())).boxed()
    }
}

/// Hears wakes and passes them on.
#[derive(Clone)]
pub(crate) struct Ear {
    channel: String,
    heard: broadcast::Sender<Wake>,
}

impl Ear {
    pub(crate) fn channel(&self) -> &str {
        &self.channel
    }

    /// Passes a message on: the channel it came on, and the text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn hear(&self, message: &[Value]) -> Result<(), String> {
        let text = match message {
            [_, Value::BulkString(text)] => text.as_slice(),
            _ => return Err("it is no text".to_owned()),
        };
        let wake = parse(text).ok_or_else(|| {
            let text: String = String::from_utf8_lossy(text).chars().take(64).collect();
            format!("`{}` is not `partition:head`", text.escape_debug())
        })?;
        // An error means that nobody listens, which is fine.
        drop(self.heard.send(wake));
        Ok(())
    }
}

fn parse(text: &[u8]) -> Option<Wake> {
    let (partition, head) = std::str::from_utf8(text).ok()?.split_once(':')?;
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(partition) || !is_number(head) {
        return None;
    }
    let partition = Partition(partition.parse().ok()?);
    Some(Wake { partition, head: Position::new(head.parse().ok()?) })
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn reads_what_it_writes_and_refuses_the_rest() {
        // Guards hosts against anything that others send on the channel.
        let wakes = Wakes::new("default");
        let mut listener = wakes.listen();
        let hear = |text: &[u8]| {
            let channel = Value::BulkString(b"annals:wake:default".to_vec());
            wakes.ear().hear(&[channel, Value::BulkString(text.to_vec())])
        };
        assert_eq!(hear(b"4294967295:18446744073709551615"), Ok(()));
        let wake = Wake { partition: Partition(u32::MAX), head: Position::new(u64::MAX) };
        assert_eq!(listener.next().now_or_never(), Some(Some(wake)));
        let refused: [&[u8]; 9] = [
            b"",
            b":",
            b"0",
            b"0:",
            b"+0:1",
            b"0:-1",
            b"0:1:2",
            b"4294967296:0",
            b"\xff:\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n",
        ];
        for text in refused {
            let fault = hear(text).unwrap_err();
            assert!(fault.len() < 200 && !fault.contains('\n'), "{fault}");
        }
        assert_eq!(wakes.ear().hear(&[Value::Nil]), Err("it is no text".to_owned()));
        assert_eq!(listener.next().now_or_never(), None);
    }
}
