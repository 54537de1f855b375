//! A format of pairs, `key=value` or `key="value"`, behind a head with the time: ztunnel's.
//!
//! ```text
//! 2024-04-11T15:38:42.182974Z  INFO access: connection complete src.addr=10.244.0.24:46238 direction="outbound" ...
//! ```
//! Pairs come in any order and any of them may be missing; a key that no field names is an attribute.

use hashbrown::HashMap;

use super::escape::Escape;
use super::field::Field;
use super::moment::TimeFormat;
use super::pattern::LINE;
use super::reading::Reading;

/// A compiled format.
#[derive(Debug, Clone)]
pub(super) struct Pairs {
    /// The key that every line has; the first one of a line.
    first: &'static str,
    fields: HashMap<&'static str, Field>,
}

impl Pairs {
    pub(super) fn new(first: &'static str, fields: impl IntoIterator<Item = (&'static str, Field)>) -> Pairs {
        Pairs { first, fields: fields.into_iter().collect() }
    }

    /// Reads a line into `to`. The head's first word is the time of the end, its last words are the attribute `message`.
    ///
    /// # Errors
    /// As a pattern's.
    pub(super) fn read<'a>(&self, line: &'a str, to: &mut Reading<'a>) -> Result<(), &'static str> {
        let (head, _) = line.split_once(self.first).ok_or(LINE)?;
        let mut rest = &line[head.len()..];
        let (time, message) = head.split_once([' ', '\t']).ok_or(LINE)?;
        Field::End(TimeFormat::Any).set(time.into(), to).map_err(|_| "time")?;
        let message = message.rsplit(['\t', ':']).find(|part| !part.trim().is_empty()).unwrap_or_default();
        to.attributes.push_text("", "message", message.trim());
        while let Some((key, after)) = rest.split_once('=') {
            let text;
            (text, rest) = value(after).ok_or(LINE)?;
            let key = key.trim_start();
            match self.fields.get(key) {
                Some(field) => {
                    field.set(Escape::Backslash.read(text), to).map_err(|_| field.name())?;
                }
                None => to.attributes.push_text("", key, &Escape::Backslash.read(text)),
            }
        }
        if rest.trim().is_empty() { Ok(()) } else { Err(LINE) }
    }
}

/// The value that a text begins with, without its quotes, and what follows.
fn value(text: &str) -> Option<(&str, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return Some(text.split_at(text.find([' ', '\t']).unwrap_or(text.len())));
    };
    let mut quotes = memchr::memchr_iter(b'"', quoted.as_bytes());
    let end = quotes.find(|at| !Escape::Backslash.escapes(quoted.as_bytes(), *at))?;
    Some((&quoted[..end], &quoted[end + 1..]))
}
