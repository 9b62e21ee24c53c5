//! Cutting a body into lines, holding no more than one line and one part of the body.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Buf as _, Bytes, BytesMut};

use crate::Api;
use crate::problem::{Code, Problem};
use crate::request::body;

/// A line of a body.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number; the first is 1.
    pub(super) number: u64,
    /// Its text without the line break, or why it cannot be had.
    pub(super) text: Result<Bytes, Problem>,
}

/// The lines of a body. Blank ones are counted and passed over.
pub(super) struct Lines {
    api: Arc<Api>,
    body: Body,
    // What came and is not a line yet: `begun` belongs to lines that began in an earlier part.
    part: Bytes,
    begun: BytesMut,
    is_too_long: bool,
    is_over: bool,
    number: u64,
    bytes_count: u64,
}

impl Lines {
    pub(super) fn new(api: Arc<Api>, body: Body) -> Self {
        Self {
            api,
            body,
            part: Bytes::new(),
            begun: BytesMut::new(),
            is_too_long: false,
            is_over: false,
            number: 0,
            bytes_count: 0,
        }
    }

    /// The next line; `None` after the last.
    pub(super) async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.next_of_part() {
                if is_blank(&line) {
                    continue;
                }
                return Some(line);
            }
            if self.is_over {
                return None;
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) => {
                    self.is_over = true;
                    let has_more = self.is_too_long || !self.begun.is_empty();
                    return has_more.then(|| self.end_line()).filter(|line| !is_blank(line));
                }
                Err(problem) => {
                    self.is_over = true;
                    self.number += 1;
                    return Some(Line { number: self.number, text: Err(problem) });
                }
            }
        }
    }

    /// Reads a part of the body; `false` at its end.
    async fn read(&mut self) -> Result<bool, Problem> {
        let Some(part) = body::next(&self.api, &mut self.body).await? else {
            return Ok(false);
        };
        let bytes = u64::try_from(part.len()).unwrap_or(u64::MAX);
        self.bytes_count = self.bytes_count.saturating_add(bytes);
        let bytes_max = self.api.options.batch_bytes_max;
        if self.bytes_count > bytes_max {
            let text = format!(
                "The batch has more than {bytes_max} bytes. Send what comes from this line on in \
                 another request."
            );
            return Err(Problem::new(Code::BodyTooLarge, text).with("bytes_max", Some(bytes_max)));
        }
        self.part = part;
        Ok(true)
    }

    /// The next line that ends in the part at hand.
    fn next_of_part(&mut self) -> Option<Line> {
        if self.part.is_empty() {
            return None;
        }
        let line_break = self.part.iter().position(|byte| *byte == b'\n');
        let text = self.part.split_to(line_break.unwrap_or(self.part.len()));
        let bytes_max = self.api.options.line_bytes_max;
        if self.begun.len().saturating_add(text.len()) > bytes_max {
            self.is_too_long = true;
            self.begun.clear();
        }
        if line_break.is_none() {
            if !self.is_too_long {
                self.begun.extend_from_slice(&text);
            }
            return None;
        }
        self.part.advance(1);
        if self.begun.is_empty() && !self.is_too_long {
            // The whole line is in this part: no copy.
            self.number += 1;
            return Some(Line { number: self.number, text: Ok(text) });
        }
        if !self.is_too_long {
            self.begun.extend_from_slice(&text);
        }
        Some(self.end_line())
    }

    fn end_line(&mut self) -> Line {
        self.number += 1;
        let begun = self.begun.split().freeze();
        let bytes_max = self.api.options.line_bytes_max;
        let text = if std::mem::take(&mut self.is_too_long) {
            let text = format!("The line has more than {bytes_max} bytes. Send less in one line.");
            Err(Problem::new(Code::LineTooLarge, text).with("bytes_max", bytes_max))
        } else {
            Ok(begun)
        };
        Line { number: self.number, text }
    }
}

fn is_blank(line: &Line) -> bool {
    line.text.as_ref().is_ok_and(|text| text.iter().all(u8::is_ascii_whitespace))
}
