//! What the fields of a line come to together: the facts of one call.
//!
//! Nothing is invented: what no field said stays unknown. Two things are inferred, because every reader would: a proxy
//! that names an upstream has tried it at least once, and a call that has an end and a duration has a start.

use meshlake_schema::{ResponseFlags, UnixNanos};

use super::header_time::header_time;
use super::reading::{PeerEnd, Reading, Timer};
use super::termination;
use crate::normalize::requests::facts::{Layer, Observer, TraceContext};
use crate::tally::{Arrival, RejectReason};

/// What is known of when a line was logged beside what it says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock<'a> {
    /// Seconds east of UTC of times that are written without a zone.
    pub(super) offset_seconds: i32,
    /// The time in the header of the message that the line came in; empty where there is none.
    pub(super) header: &'a [u8],
}

impl<'a> Clock<'a> {
    /// With the time of another header where there was none.
    pub(super) fn or(self, header: &'a str) -> Clock<'a> {
        if self.header.is_empty() { Clock { header: header.as_bytes(), ..self } } else { self }
    }

    /// When the header says that it was logged. A clock that is wrong says nothing: no call is lost for it.
    fn logged(&self, arrival: &Arrival<'_>) -> Option<i64> {
        let text = str::from_utf8(self.header).ok()?;
        let logged = header_time(text, self.offset_seconds, arrival.ingest_time)?;
        let accepted = arrival.accepted_time(u64::try_from(logged).ok()?);
        accepted.ok().map(|_| logged)
    }
}

/// Settles what several fields say together, and when the call began. The facts are in `seen` then.
///
/// # Errors
/// No field says when it was, or the time is outside the accepted window.
pub(super) fn settle(
    reading: &mut Reading<'_>,
    arrival: &Arrival<'_>,
    clock: Clock<'_>,
) -> Result<(), RejectReason> {
    settle_durations(reading);
    let start = start(reading, arrival, clock).ok_or(RejectReason::MissingTime)?;
    let start = u64::try_from(start).map_err(|_| RejectReason::TimeOutOfRange)?;
    reading.seen.start = arrival.accepted_time(start)?;
    settle_addresses(reading);
    termination::settle(reading);
    settle_upstream(reading);
    if !reading.query.is_empty() && !reading.seen.path.contains('?') {
        reading.seen.path.to_mut().push_str(&reading.query);
    }
    if let (None, Some(trace_id)) = (reading.seen.trace_context, reading.trace_id) {
        let span_id = reading.span_id.unwrap_or_default();
        reading.seen.trace_context = Some(TraceContext { trace_id, span_id });
    }
    settle_layer(reading);
    Ok(())
}

/// When a line says that it was, if that is acceptable, else when it came in: for lines that cannot be read in full.
pub(super) fn time_of_unread(reading: &Reading<'_>, arrival: &Arrival<'_>, clock: Clock<'_>) -> UnixNanos {
    let said = start(reading, arrival, clock).and_then(|start| u64::try_from(start).ok());
    said.and_then(|start| arrival.accepted_time(start).ok()).unwrap_or(arrival.ingest_time)
}

/// What the line says goes before what its header does; proxies log when a call is over.
fn start(reading: &Reading<'_>, arrival: &Arrival<'_>, clock: Clock<'_>) -> Option<i64> {
    let end = || reading.end.unix_nano(clock.offset_seconds).or_else(|| clock.logged(arrival));
    let before = |end: i64| end.saturating_sub(reading.seen.duration_nano);
    reading.start.unix_nano(clock.offset_seconds).or_else(|| end().map(before))
}

fn settle_durations(reading: &mut Reading<'_>) {
    let all = [Timer::Active, Timer::Total].into_iter().find_map(|timer| reading.timer(timer));
    let parts = [Timer::Request, Timer::Queue, Timer::Connect, Timer::Response, Timer::Data];
    let parts = parts.map(|part| reading.timer(part));
    let sum = || parts.iter().any(Option::is_some).then(|| parts.iter().flatten().sum());
    let all = all.or_else(sum);
    let told = reading.duration_nano.or(all);
    (reading.seen.duration_nano, reading.seen.is_untimed) = (told.unwrap_or_default(), told.is_none());
    // A server was busy with it from when it was connected to the end, if it ever answered.
    if let (None, Some(all), Some(_)) =
        (reading.seen.upstream_duration_nano, all, reading.timer(Timer::Response))
    {
        let before = parts[..3].iter().flatten().sum::<i64>();
        reading.seen.upstream_duration_nano = Some(all.saturating_sub(before).max(0));
    }
}

fn settle_addresses(reading: &mut Reading<'_>) {
    let seen = &mut reading.seen;
    match reading.own_end {
        Some(PeerEnd::Downstream) => {
            seen.observer = Some(Observer::Client);
            (seen.request_bytes, seen.response_bytes) = (reading.own_sent, reading.own_received);
        }
        Some(PeerEnd::Upstream) => {
            seen.observer = Some(Observer::Server);
            (seen.request_bytes, seen.response_bytes) = (reading.own_received, reading.own_sent);
        }
        None => {}
    }
    let ports = [
        (&mut seen.downstream_remote, reading.ports.remote),
        (&mut seen.downstream_direct_remote, reading.ports.direct_remote),
        (&mut seen.downstream_local, reading.ports.local),
        (&mut seen.upstream_local, reading.ports.upstream_local),
        (&mut seen.upstream_host, reading.ports.upstream),
    ];
    for (address, port) in ports {
        if address.is_known() && address.port.is_none() {
            address.port = port;
        }
    }
}

fn settle_upstream(reading: &mut Reading<'_>) {
    let was_tried = reading.seen.upstream_host.is_known() || reading.names_server;
    if reading.seen.attempts == 0 && was_tried {
        reading.seen.attempts = reading.retries.unwrap_or_default().saturating_add(1);
    }
    // The client did not wait: nginx, those who took the code from it, and AWS have no other word for it.
    if matches!(reading.seen.response_code, Some(499 | 460)) {
        reading.add_flags("DC");
    }
    // An answer that the proxy made up because a part of the upstream's is missing: which, tells why.
    let is_bad_gateway = matches!(reading.seen.response_code, Some(502..=504));
    if was_tried && is_bad_gateway && reading.seen.flags == ResponseFlags::default() {
        if reading.upstream.unconnected == Some(true) {
            reading.add_flags("UF");
        } else if reading.upstream.unanswered == Some(true) {
            reading.add_flags(if reading.seen.response_code == Some(504) { "UT" } else { "UC" });
        }
    }
}

/// A proxy that logs requests and connections in one format says by what it leaves out that a line is a connection's.
fn settle_layer(reading: &mut Reading<'_>) {
    let seen = &mut reading.seen;
    let is_http = reading.names_protocol
        || !seen.method.is_empty()
        || seen.response_code.is_some()
        || seen.flags.0 & ResponseFlags::from_short_names("DPE").0 != 0;
    if reading.own_end.is_some() || (reading.has_protocol_field && !is_http) {
        seen.layer = Layer::L4;
    }
    if seen.layer == Layer::L4 && !seen.log_type.is_udp() && !reading.is_of_datagrams {
        seen.protocol = "TCP";
    }
}
