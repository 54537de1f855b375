//! A format of text between fields, compiled to what cuts a line into them.
//!
//! ```text
//! [%START_TIME%] "%REQ(:METHOD)% ...       [ | start | `] "` | method | ` ` | ...
//! ```
//! Each field ends where the text behind it begins, so reading a line is a search for one byte a field, without a regular
//! expression, and with nothing allocated but for text that is escaped.
//!
//! Envoy escapes nothing. A user agent of `a" "b` looks like two fields, and then what follows does not fit what it
//! would have to be. Such a line is read once more, trying later ends for each field in turn, up to a bound.
//!
//! Limits: two fields without text between them are told apart only where the first is digits or in braces, or the second
//! is a path, which begins with a slash.

use std::borrow::Cow;

use super::escape::Escape;
use super::field::Field;
use super::numbers::take_digits;
use super::reading::Reading;
use crate::row_attributes::RowAttributes;

/// Ends of fields that are tried for one line. A format has some 25 fields, and few of them are ambiguous; lines that
/// were made to be ambiguous in all of them must not hold up the others.
const TRIES_MAX: usize = 2_000;

/// What stands between an address and its port.
const PORT_MARK: &str = ":";

/// What a line is unread by that does not begin as the format does, or goes on behind its end.
pub(super) const LINE: &str = "line";

/// A part of a format in one of the languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Literal(String),
    Field(Field),
    /// A field in braces that is left out, with the space behind it, when there is nothing to say.
    Optional(Field),
}

/// A compiled format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    before: Box<str>,
    parts: Box<[Part]>,
    /// How many parts there are up to the last that a line must not end before.
    needed: usize,
    escape: Escape,
}

/// A field and the text behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    field: Field,
    /// Empty at the end of the line, or where the field ends by itself.
    until: Box<str>,
    ends: Ends,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// Where the text behind it begins.
    AtText,
    /// The same, where that is a space and so may be one of a list.
    BehindList,
    /// With the line.
    AtEnd,
    /// With its digits.
    WithDigits,
    /// With its closing brace; without an opening one it is not there.
    WithBrace,
    /// Where the path begins that follows at once, or where it would stand.
    BeforePath,
    /// Before the colon of its port; an address of IP version 6 has others.
    BeforePort,
}

/// Why tokens make no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flaw {
    /// No field at all.
    Empty,
    /// This field, by its place among the fields and its name, is followed by another at once.
    Touching(usize, &'static str),
}

impl Pattern {
    /// # Errors
    /// Lines could not be told into fields.
    pub(super) fn new(tokens: Vec<Token>, escape: Escape) -> Result<Pattern, Flaw> {
        let mut before = String::new();
        let mut parts: Vec<Part> = Vec::new();
        for token in tokens {
            match (token, parts.last_mut()) {
                (Token::Literal(text), None) => before.push_str(&text),
                (Token::Literal(text), Some(last)) => last.push_literal(&text),
                // The path as it was asked for, in two pieces, or the query in two.
                (Token::Field(Field::Query), Some(last))
                    if last.field.takes_query() && last.until.is_empty() => {}
                (Token::Field(field), last) => {
                    close(last, &field);
                    parts.push(Part { field, until: "".into(), ends: Ends::AtEnd });
                }
                (Token::Optional(field), last) => {
                    close(last, &field);
                    parts.push(Part { field, until: "".into(), ends: Ends::WithBrace });
                }
            }
        }
        if parts.is_empty() {
            return Err(Flaw::Empty);
        }
        let touches = |part: &Part| part.ends == Ends::WithDigits && !part.field.is_digits();
        if let Some(at) = parts.iter().position(touches) {
            return Err(Flaw::Touching(at, parts[at].field.name()));
        }
        let needed = parts.iter().rposition(|part| part.field.is_needed()).map_or(0, |last| last + 1);
        Ok(Pattern { before: before.into(), parts: parts.into(), needed, escape })
    }

    /// Whether its lines are about requests, not connections.
    pub(super) fn is_of_requests(&self) -> bool {
        self.parts.iter().any(|part| part.field.is_of_requests())
    }

    /// Reads a line into `to`, each field as short as it can be.
    ///
    /// # Errors
    /// The name of the first field that the line does not have, or of one that cannot be what it should.
    pub(super) fn read<'a>(&self, line: &'a str, to: &mut Reading<'a>) -> Result<(), &'static str> {
        self.read_parts(self.behind_begin(line).ok_or(LINE)?, to)
    }

    /// Reads a line into `to` whose fields end later than they could, if the format does not escape what would tell; whether
    /// it can be read so.
    pub(super) fn read_longer<'a>(&self, line: &'a str, to: &mut Reading<'a>) -> bool {
        let Some(rest) = self.behind_begin(line).filter(|_| self.escape == Escape::None) else {
            return false;
        };
        let Some(texts) = self.other_ends(rest, true).or_else(|| self.other_ends(rest, false)) else {
            return false;
        };
        let mut parts = self.parts.iter().zip(texts);
        parts.all(|(part, text)| part.field.set(text.into(), to).is_ok())
    }

    /// What follows the text that lines begin with, which most formats do not have.
    fn behind_begin<'a>(&self, line: &'a str) -> Option<&'a str> {
        if self.before.is_empty() { Some(line) } else { line.strip_prefix(&*self.before) }
    }

    fn read_parts<'a>(&self, line: &'a str, to: &mut Reading<'a>) -> Result<(), &'static str> {
        let escape = self.escape.of(line);
        let mut rest = line;
        for (at, part) in self.parts.iter().enumerate() {
            let unread = |_| part.field.name();
            let last =
                || part.cut_last(rest).filter(|(text, _)| at + usize::from(!text.is_empty()) >= self.needed);
            let cut = part.cut(rest, 0, escape).or_else(last);
            let (text, after) = cut.ok_or_else(|| part.field.name())?;
            part.field.set(escape.read(text), to).map_err(unread)?;
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { Err(LINE) }
    }

    /// The texts of the fields if some choice of their ends makes all of them fit, and be `likely` if so asked.
    fn other_ends<'a>(&self, line: &'a str, likely: bool) -> Option<Vec<&'a str>> {
        let mut scratch = Reading::new("", RowAttributes::default());
        let mut texts: Vec<&str> = Vec::with_capacity(self.parts.len());
        // Where each field began, and how long the last end that was tried made it.
        let mut tried: Vec<(usize, usize)> = vec![(0, 0)];
        for _ in 0..TRIES_MAX {
            let (begin, from) = *tried.last()?;
            let part = &self.parts[tried.len() - 1];
            let Some((text, after)) = part.cut(&line[begin..], from, self.escape) else {
                tried.pop();
                texts.pop();
                continue;
            };
            // The next try for this field begins one character later.
            let next = text.len() + line[begin + text.len()..].chars().next().map_or(1, char::len_utf8);
            tried.last_mut()?.1 = next;
            scratch.clear();
            let is_odd = likely && !part.field.is_likely(text);
            if is_odd || part.field.set(Cow::Borrowed(text), &mut scratch).is_err() {
                continue;
            }
            texts.push(text);
            if tried.len() < self.parts.len() {
                tried.push((line.len() - after.len(), 0));
            } else if after.is_empty() {
                return Some(texts);
            } else {
                texts.pop();
            }
        }
        None
    }
}

/// A field that another follows at once ends with its digits, or before a path.
fn close(last: Option<&mut Part>, next: &Field) {
    if let Some(last) = last
        && last.ends == Ends::AtEnd
    {
        last.ends = if next.is_path() { Ends::BeforePath } else { Ends::WithDigits };
    }
}

impl Part {
    /// Adds to the text behind it.
    fn push_literal(&mut self, text: &str) {
        self.until = [&*self.until, text].concat().into();
        self.ends = match self.ends {
            Ends::WithBrace => Ends::WithBrace,
            _ if &*self.until == PORT_MARK && self.field.may_hold_colons() => Ends::BeforePort,
            _ if self.until.starts_with(' ') && self.field.is_list() => Ends::BehindList,
            _ => Ends::AtText,
        };
    }

    /// The text of the field at the beginning of `rest`, at least `from` bytes long, and what follows.
    #[inline]
    fn cut<'a>(&self, rest: &'a str, from: usize, escape: Escape) -> Option<(&'a str, &'a str)> {
        match self.ends {
            Ends::AtEnd => (from <= rest.len()).then_some((rest, "")),
            Ends::WithDigits => (from == 0).then(|| take_digits(rest)),
            Ends::WithBrace if from > 0 => None,
            Ends::WithBrace => match rest.strip_prefix('{') {
                Some(inside) => {
                    let (text, after) = inside.split_once('}')?;
                    Some((text, after.strip_prefix(&*self.until).unwrap_or(after)))
                }
                // Nor is the space behind it.
                None => Some(("", rest.strip_prefix(self.until.trim_start()).unwrap_or(rest))),
            },
            Ends::BeforePath if from > 0 => None,
            Ends::BeforePath => Some(rest.split_at(rest.find(['/', ' ', '"']).unwrap_or(rest.len()))),
            Ends::AtText | Ends::BehindList | Ends::BeforePort => {
                let end = self.find_end(rest, from, escape)?;
                Some((&rest[..end], &rest[end + self.until.len()..]))
            }
        }
    }

    /// The text of the field if what is behind it is the last of the line: blanks at the end of a line have been cut off it, be
    /// they of the format or because the fields behind say nothing.
    fn cut_last<'a>(&self, rest: &'a str) -> Option<(&'a str, &'a str)> {
        let until = self.until.trim_end();
        Some((rest.strip_suffix(until).filter(|_| until.len() < self.until.len())?, ""))
    }

    #[inline]
    fn find_end(&self, rest: &str, from: usize, escape: Escape) -> Option<usize> {
        let (bytes, until) = (rest.as_bytes(), self.until.as_bytes());
        // The first end that looks like a place in a list, in case there is no other: clients can send a comma at the end.
        let mut in_list = None;
        let mut begin = from;
        while let Some(at) = find(bytes, until, begin) {
            let is_end = match self.ends {
                Ends::BeforePort => is_before_port(&bytes[at + 1..]),
                _ => until[0] != b'"' || !escape.escapes(bytes, at),
            };
            if is_end && self.ends == Ends::BehindList && self.is_inside_list(rest, at) {
                in_list = in_list.or(Some(at));
            } else if is_end {
                return Some(at);
            }
            begin = at + 1;
        }
        in_list
    }

    /// Whether the space at `at` separates members of a list (`a, b`; `a : b`) instead of fields.
    fn is_inside_list(&self, text: &str, at: usize) -> bool {
        // Of forwarded addresses none is missing, so a dash is the next field.
        let is_next = self.field == Field::ForwardedFor && text[at..].starts_with(" -");
        !is_next && (text[..at].ends_with([',', ':']) || text[at..].starts_with(" : "))
    }
}

/// Where `until` begins in a text, from `begin` on. Both are short: preparing a search would take longer than it.
#[inline]
fn find(text: &[u8], until: &[u8], begin: usize) -> Option<usize> {
    let (first, more) = until.split_first()?;
    let mut at = begin;
    loop {
        at += memchr::memchr(*first, text.get(at..)?)?;
        let behind = &text[at + 1..];
        if behind.len() >= more.len() && more.iter().zip(behind).all(|(wanted, found)| wanted == found) {
            return Some(at);
        }
        at += 1;
    }
}

/// Whether what stands behind a colon is a port, or nothing, and no part of an address of IP version 6.
fn is_before_port(after: &[u8]) -> bool {
    let behind = after.iter().find(|byte| !byte.is_ascii_digit());
    !behind.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b']'))
}
