//! An answer that comes line by line.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::failure::Failure;

/// Longest line, in bytes: a verdict with all its examples is far below.
const LINE_BYTES_MAX: usize = 8 << 20;

/// The lines of an answer.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    read: Vec<u8>,
}

impl Lines {
    pub(crate) fn new(body: Incoming) -> Self {
        Self { body, read: Vec::new() }
    }

    /// The next line; `None` at the end. A last line without a line break is none: it broke off.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.read.drain(..=end).collect();
                line.pop();
                return Ok(Some(line));
            }
            if self.read.len() > LINE_BYTES_MAX {
                let text = format!("a line of the answer has more than {LINE_BYTES_MAX} bytes");
                return Err(Failure::ours(text));
            }
            let Some(frame) = self.body.frame().await else {
                return Ok(None);
            };
            let frame =
                frame.map_err(|error| Failure::ours(format!("the answer broke off: {error}")))?;
            if let Ok(data) = frame.into_data() {
                self.read.extend_from_slice(&data);
            }
        }
    }
}
