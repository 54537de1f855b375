//! A mark of one's own for each request: cases say `$mark`, `$now`, `$trace`, and what came in is found by it.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::payloads::now_nanos;

/// What tells one request from every other.
#[derive(Debug, Clone)]
pub struct Mark {
    /// The service name.
    pub name: String,
    pub now: u64,
    pub trace: String,
    pub span: String,
}

impl Mark {
    /// A mark with this service name, and ids and a time that no other one of this process has.
    pub fn new(name: &str) -> Mark {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Mark {
            name: name.to_owned(),
            now: now_nanos() + number,
            trace: format!("5b8efff7{number:024x}"),
            span: format!("eee19b7e{number:08x}"),
        }
    }

    /// `text` with its placeholders filled in.
    pub fn fill(&self, text: &str) -> String {
        if !text.contains('$') {
            return text.to_owned();
        }
        text.replace("$mark", &self.name)
            .replace("$now", &self.now.to_string())
            .replace("$seconds", &(self.now / 1_000_000_000).to_string())
            .replace("$trace", &self.trace)
            .replace("$span", &self.span)
    }
}
