//! Lines to rows: one row each, read or not.
//!
//! A line that cannot be read is kept whole in `raw`, is not counted as a call, and says in its attribute `unread_field`
//! which field failed first. Times are what refuses a line: outside the accepted window it would be deleted at once, or
//! never.
//!
//! What others have put in front of a line is taken off where it cannot be read otherwise.
//!
//! Limits: a line is cut at [`LINE_BYTES_MAX`] and then kept unread. Where the format is not told, each line is tried as
//! the one before it first.

pub(crate) mod records;

use std::borrow::Cow;
use std::sync::Arc;

use meshlake_schema::Outcome;

use super::envelope::Envelope;
use super::origin::LineOrigin;
use super::pattern::LINE;
use super::reading::{PeerEnd, Reading};
use super::settle::{Clock, settle, time_of_unread};
use super::{LineFormat, Program, json, known, w3c};
use crate::limits::{BODY_BYTES_MAX, cut_text};
use crate::normalize::requests::facts::RequestFacts;
use crate::normalize::requests::proxy::{ProxyIdentity, ProxyKind};
use crate::normalize::requests::{Verdict, judge};
use crate::request_rows::RequestBuilder;
use crate::row_attributes::RowAttributes;
use crate::tally::{Arrival, RejectReason, Tally, Warning};

/// Bytes of a line that are read; a longer one is cut and kept unread. The same as of a log record's body: lines come as
/// bodies, too.
pub const LINE_BYTES_MAX: usize = BODY_BYTES_MAX;

/// What fails of a line whose file says elsewhere which fields it has.
const FIELDS: &str = "#Fields";

/// Stands for the format of a line that is in none.
const UNKNOWN: &str = "unknown";
const UNKNOWN_PROGRAM: Program = Program { service: "", kind: ProxyKind::Plain, observer: None };

/// A line, and the time in the header of the message that it came in, where it came in one.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    pub header_time: &'a [u8],
    pub text: &'a [u8],
}

/// Pushes a row for each line of `bytes`; empty lines are none.
pub fn decode_lines(
    bytes: &[u8],
    origin: &LineOrigin,
    arrival: &Arrival<'_>,
    out: &mut RequestBuilder,
) -> Tally {
    let plain = |text| Line { header_time: b"", text };
    decode_each(lines(bytes).map(plain), origin, arrival, out)
}

/// Pushes a row for each of these lines.
pub fn decode_each<'a>(
    lines: impl Iterator<Item = Line<'a>>,
    origin: &LineOrigin,
    arrival: &Arrival<'_>,
    out: &mut RequestBuilder,
) -> Tally {
    let mut tally = Tally::of(arrival);
    let mut reader = LineReader::new(origin);
    lines.for_each(|line| reader.push(line, arrival, out, &mut tally));
    tally
}

/// The lines of a text, without what ends them; empty ones are left out.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    let all = std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line)
    });
    all.map(<[u8]>::trim_ascii_end).filter(|line| !line.is_empty())
}

/// Reads lines of one origin, in their order.
pub(crate) struct LineReader<'o> {
    origin: &'o LineOrigin,
    /// Who the proxy is, by program.
    proxies: Vec<(Program, ProxyIdentity)>,
    attributes: RowAttributes,
    /// What stood in front of the last line that could be read only without it.
    envelope: Option<Envelope>,
    /// The known format that the last line was in.
    last: Option<&'static LineFormat>,
    /// The format of the lines that follow, where a line has said it.
    said: Option<LineFormat>,
}

impl<'o> LineReader<'o> {
    pub(crate) fn new(origin: &'o LineOrigin) -> Self {
        let mut reader = LineReader {
            origin,
            proxies: Vec::new(),
            attributes: RowAttributes::default(),
            envelope: None,
            last: None,
            said: None,
        };
        if reader.takes_directives() {
            reader.said = known::w3c(&origin.fields);
        }
        reader
    }

    /// Pushes the row of one line, and counts it.
    pub(crate) fn push(
        &mut self,
        line: Line<'_>,
        arrival: &Arrival<'_>,
        out: &mut RequestBuilder,
        tally: &mut Tally,
    ) {
        let Line { header_time, text: line } = line;
        if line.starts_with(w3c::DIRECTIVE.as_bytes()) && self.takes_directives() {
            // It says something of the lines, and is none.
            self.said = known::w3c(&String::from_utf8_lossy(line)).or(self.said.take());
            return;
        }
        let kept = cut_text(line, LINE_BYTES_MAX);
        let is_cut = kept.len() < line.len();
        // Proving is much faster than mending, and there is seldom anything to mend.
        let text = str::from_utf8(kept).map_or_else(|_| String::from_utf8_lossy(kept), Cow::Borrowed);
        tally.warnings.add(Warning::TextReplaced, u64::from(matches!(text, Cow::Owned(_))));
        tally.warnings.add(Warning::ValueCut, u64::from(is_cut));
        let mut attributes = std::mem::take(&mut self.attributes);
        let clock = self.clock(header_time);
        let result =
            if is_cut { Err(LINE) } else { self.push_any_way(&text, clock, &mut attributes, arrival, out) };
        let outcome = result.unwrap_or_else(|field| {
            self.push_unread((&text, field), clock, &mut attributes, arrival, out);
            tally.keep_unread(field);
            Ok(())
        });
        if outcome.is_ok() {
            tally.warnings.merge(attributes.warnings());
        }
        tally.count(outcome);
        self.attributes = attributes;
    }

    /// Reads a line and pushes its row as [`push_read`](Self::push_read) does, in the envelope that the last line was in, as
    /// it is, mended, or in any envelope.
    fn push_any_way(
        &mut self,
        line: &str,
        clock: Clock<'_>,
        attributes: &mut RowAttributes,
        arrival: &Arrival<'_>,
        out: &mut RequestBuilder,
    ) -> Result<Result<(), RejectReason>, &'static str> {
        if let Some(enclosed) = self.envelope.and_then(|envelope| envelope.open(line))
            && let Ok(pushed) =
                self.push_read(&enclosed.text, clock.or(enclosed.time), attributes, arrival, out)
        {
            return Ok(pushed);
        }
        let flaw = match self.push_read(line, clock, attributes, arrival, out) {
            Ok(pushed) => return Ok(pushed),
            Err(flaw) => flaw,
        };
        if let Some(mended) = json::mended(line) {
            return self.push_read(&mended, clock, attributes, arrival, out);
        }
        for envelope in Envelope::ALL {
            let Some(enclosed) = envelope.open(line) else { continue };
            let clock = clock.or(enclosed.time);
            if let Ok(pushed) = self.push_read(&enclosed.text, clock, attributes, arrival, out) {
                self.envelope = Some(envelope);
                return Ok(pushed);
            }
        }
        Err(flaw)
    }

    fn clock<'h>(&self, header: &'h [u8]) -> Clock<'h> {
        Clock { offset_seconds: self.origin.offset_seconds, header }
    }

    fn takes_directives(&self) -> bool {
        self.origin.format.as_ref().is_none_or(|format| format.name == known::W3C)
    }

    /// Reads a line and pushes its row; the outer error is the first field that failed, the inner one why its row is
    /// refused.
    fn push_read(
        &mut self,
        line: &str,
        clock: Clock<'_>,
        attributes: &mut RowAttributes,
        arrival: &Arrival<'_>,
        out: &mut RequestBuilder,
    ) -> Result<Result<(), RejectReason>, &'static str> {
        let mut flaw = LINE;
        let origin = self.origin;
        let known = if origin.format.is_none() { known::all() } else { &[] };
        let said = self.said.clone();
        // Once fields are said, lines that have others are not read by a guess.
        let others = origin.format.iter().chain(self.last).chain(known);
        let others = others.filter(|format| said.is_none() || format.name != known::W3C);
        for format in said.iter().chain(others) {
            let mut reading = Reading::new(format.name, std::mem::take(attributes));
            if let Err(field) = format.read(line, &mut reading) {
                // What a format says that nobody spoke of says nothing.
                let is_told = origin.format.is_some()
                    || said.as_ref().is_some_and(|said| said.is(format))
                    || self.last.is_some_and(|last| last.name == format.name);
                flaw = if flaw == LINE && is_told { field } else { flaw };
                *attributes = reading.attributes;
                continue;
            }
            if said.is_none() && origin.format.is_none() && origin.lacks_head && format.name == known::W3C {
                *attributes = reading.attributes;
                return Err(FIELDS);
            }
            reading.seen.layer = format.layer;
            let settled = settle(&mut reading, arrival, clock);
            *attributes = std::mem::take(&mut reading.attributes);
            let (seen, own_end) = (&mut reading.seen, reading.own_end);
            match settled {
                Err(RejectReason::MissingTime) => return Err("time"),
                Err(reason) => return Ok(Err(reason)),
                Ok(()) => {}
            }
            seen.observer = seen.observer.or(format.program.observer);
            let told = own_end.and_then(|end| own_proxy(end, seen, attributes));
            let proxy = match &told {
                Some(proxy) => proxy,
                None => proxy(&mut self.proxies, origin, format.program),
            };
            push_origin(proxy, attributes);
            out.push(arrival, seen, &judge(seen, proxy), proxy, attributes, None);
            if origin.format.is_none() && self.last.is_none_or(|last| !last.is(format)) {
                self.last = known::all().iter().find(|known| known.is(format));
            }
            return Ok(Ok(()));
        }
        Err(flaw)
    }

    /// Pushes the row of a line that cannot be read because of `field`.
    fn push_unread(
        &mut self,
        (line, field): (&str, &'static str),
        clock: Clock<'_>,
        attributes: &mut RowAttributes,
        arrival: &Arrival<'_>,
        out: &mut RequestBuilder,
    ) {
        let format = self.said.as_ref().or(self.origin.format.as_ref()).or(self.last);
        let (name, program) =
            format.map_or((UNKNOWN, UNKNOWN_PROGRAM), |format| (format.name, format.program));
        let mut reading = Reading::new(name, std::mem::take(attributes));
        if let Some(format) = format {
            // It may be read as far as its time.
            format.read_beginning(line, &mut reading);
        }
        let start = time_of_unread(&reading, arrival, clock);
        let seen = RequestFacts { start, is_untimed: true, source_format: name, ..RequestFacts::default() };
        *attributes = reading.attributes;
        attributes.clear();
        attributes.push_text("", "unread_field", field);
        let proxy = proxy(&mut self.proxies, self.origin, program);
        push_origin(proxy, attributes);
        // Nothing is known of it, so nothing is said to have failed.
        let verdict = Verdict { counted: false, outcome: Outcome::Ok, ..judge(&seen, proxy) };
        out.push(arrival, &seen, &verdict, proxy, attributes, Some(line));
    }
}

/// Who the proxy is whose program wrote a line.
fn proxy<'p>(
    proxies: &'p mut Vec<(Program, ProxyIdentity)>,
    origin: &LineOrigin,
    program: Program,
) -> &'p ProxyIdentity {
    let known = proxies.iter().position(|(known, _)| known.is(program));
    let at = known.unwrap_or_else(|| {
        proxies.push((program, origin.proxy(program)));
        proxies.len() - 1
    });
    &proxies[at].1
}

/// Who the proxy is that stands beside many, from what the line says of the end that it stood beside.
fn own_proxy(
    end: PeerEnd,
    seen: &mut RequestFacts<'_>,
    attributes: &mut RowAttributes,
) -> Option<ProxyIdentity> {
    let (facts, address) = match end {
        PeerEnd::Downstream => {
            // A row has a principal for the far end of what it calls, and none for its own.
            attributes.push_text("", "source_principal", &seen.caller_principal);
            (seen.downstream_peer.take(), &seen.downstream_remote)
        }
        PeerEnd::Upstream => (seen.upstream_peer.take(), &seen.upstream_host),
    };
    let mut facts = Arc::unwrap_or_clone(facts?);
    facts.addresses = address.ip().to_owned().into();
    if end == PeerEnd::Upstream {
        // The name that it was called by.
        let host = seen.upstream_cluster.split('.').next().unwrap_or_default();
        facts.canonical_name = host.to_owned().into();
        seen.own_principal = std::mem::take(&mut facts.principal).into_owned().into();
    }
    Some(ProxyIdentity { kind: ProxyKind::Sidecar, ..ProxyIdentity::new("", "", facts) })
}

fn push_origin(proxy: &ProxyIdentity, attributes: &mut RowAttributes) {
    for (key, value) in &proxy.attributes {
        attributes.push_text("", key, value);
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
