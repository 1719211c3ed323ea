//! Reads server-sent events.

use std::time::Duration;

use super::ClientError;
use crate::rest::quorum::RecordedEvent;

/// The server says something every second; a stream that is silent for longer is dead.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// The events of one node, until it stops.
#[derive(Debug)]
pub struct EventStream {
    response: reqwest::Response,
    parser: SseParser,
}

impl EventStream {
    pub(super) fn new(response: reqwest::Response) -> Self {
        Self {
            response,
            parser: SseParser::default(),
        }
    }

    /// The next event; `None` when the node ended the stream.
    pub async fn next(&mut self) -> Result<Option<RecordedEvent>, ClientError> {
        loop {
            if let Some(data) = self.parser.pop() {
                return serde_json::from_str(&data)
                    .map(Some)
                    .map_err(ClientError::Decode);
            }
            let chunk = tokio::time::timeout(SILENCE_MAX, self.response.chunk()).await;
            match chunk.map_err(|_| ClientError::Silent(SILENCE_MAX))? {
                Ok(Some(bytes)) => self.parser.push(&bytes),
                Ok(None) => return Ok(None),
                Err(error) => return Err(ClientError::Transport(error)),
            }
        }
    }
}

/// Takes a stream of bytes apart into the data of its events (WHATWG HTML, 9.2.6); comments vanish.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    data: Option<String>,
    ready: std::collections::VecDeque<String>,
}

impl SseParser {
    /// Takes some bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                self.end_line(String::from_utf8_lossy(&line).trim_end_matches('\r'));
            } else {
                self.line.push(byte);
            }
        }
    }

    /// The data of the next complete event.
    pub fn pop(&mut self) -> Option<String> {
        self.ready.pop_front()
    }

    fn end_line(&mut self, line: &str) {
        if line.is_empty() {
            self.ready.extend(self.data.take());
        } else if let Some(value) = line.strip_prefix("data:") {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found_wherever_the_bytes_are_cut() {
        let stream = "id: 1\r\nevent: quorum\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\n: keep-alive\n\n\
            data:x\n\nid: 3\n\ndata: unfinished";
        for cut in 0..stream.len() {
            let mut parser = SseParser::default();
            parser.push(&stream.as_bytes()[..cut]);
            parser.push(&stream.as_bytes()[cut..]);
            let events: Vec<_> = std::iter::from_fn(|| parser.pop()).collect();
            assert_eq!(events, ["{\"a\":\n1}", "x"], "cut at {cut}");
        }
    }
}
