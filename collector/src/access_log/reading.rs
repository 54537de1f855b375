//! One line while it is read: what its fields have said so far, and what that comes to when all have spoken.
//!
//! A field of a log seldom is a column. A time may come in pieces and at either end of the call, a duration as five
//! timers, an address apart from its port; retries as a number, as a list of addresses, or as a mark. So fields fill in
//! what they say, and `settle` makes the facts of it, once for all formats.

use std::borrow::Cow;

use meshlake_schema::ResponseFlags;

use super::moment::Moment;
use crate::normalize::requests::facts::RequestFacts;
use crate::row_attributes::RowAttributes;

/// Timers of HAProxy, and of proxies that split a duration as it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Timer {
    /// Until the request was there.
    Request,
    /// In queues.
    Queue,
    /// Until the connection to the server stood.
    Connect,
    /// Until the response began.
    Response,
    /// Until the response had ended.
    Data,
    /// All of it, without waiting for the request.
    Active,
    /// All of it.
    Total,
}

const TIMERS: usize = Timer::Total as usize + 1;

/// Which end of a call, seen from the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PeerEnd {
    Upstream,
    Downstream,
}

/// What is known of the upstream's answers besides addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Upstream {
    /// Whether a field told of the last connection, and that there was none.
    pub unconnected: Option<bool>,
    /// Whether a field told of the last response's header, and that there was none.
    pub unanswered: Option<bool>,
}

/// Ports that came apart from their addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Ports {
    pub remote: Option<u16>,
    pub direct_remote: Option<u16>,
    pub local: Option<u16>,
    pub upstream_local: Option<u16>,
    pub upstream: Option<u16>,
}

/// One line while it is read.
#[derive(Debug)]
pub(super) struct Reading<'a> {
    pub seen: RequestFacts<'a>,
    pub attributes: RowAttributes,
    pub start: Moment,
    pub end: Moment,
    pub duration_nano: Option<i64>,
    pub timers: [Option<i64>; TIMERS],
    /// What follows the path, where a format has it apart; with its question mark.
    pub query: Cow<'a, str>,
    pub ports: Ports,
    pub retries: Option<u64>,
    pub upstream: Upstream,
    /// A trace's and a span's id that came apart.
    pub trace_id: Option<[u8; 16]>,
    pub span_id: Option<[u8; 8]>,
    /// Whether the format has a field for the protocol, and so tells requests from connections.
    pub has_protocol_field: bool,
    /// Whether the proxy named a protocol, be it one without a column.
    pub names_protocol: bool,
    /// Whether what is no request is no TCP either.
    pub is_of_datagrams: bool,
    /// Whose side the proxy took, where each line says it: the end that is its own. Then also what that end sent and
    /// received.
    pub own_end: Option<PeerEnd>,
    pub own_sent: u64,
    pub own_received: u64,
    /// HAProxy's: the frontend, whether a server was chosen, which side ended the session and when.
    pub frontend: Cow<'a, str>,
    pub names_server: bool,
    pub termination: Option<[u8; 2]>,
}

impl<'a> Reading<'a> {
    /// Nothing has been read yet. The attributes are cleared; they are handed in for their memory.
    pub(super) fn new(source_format: &'static str, mut attributes: RowAttributes) -> Self {
        attributes.clear();
        Reading {
            seen: RequestFacts { source_format, ..RequestFacts::default() },
            attributes,
            start: Moment::default(),
            end: Moment::default(),
            duration_nano: None,
            timers: [None; TIMERS],
            query: Cow::default(),
            ports: Ports::default(),
            retries: None,
            upstream: Upstream::default(),
            trace_id: None,
            span_id: None,
            has_protocol_field: false,
            names_protocol: false,
            is_of_datagrams: false,
            own_end: None,
            own_sent: 0,
            own_received: 0,
            frontend: Cow::default(),
            names_server: false,
            termination: None,
        }
    }

    /// Forgets everything that was read.
    pub(super) fn clear(&mut self) {
        *self = Reading::new(self.seen.source_format, std::mem::take(&mut self.attributes));
    }

    pub(super) fn add_flags(&mut self, short_names: &str) {
        if !short_names.is_empty() {
            self.seen.flags.0 |= ResponseFlags::from_short_names(short_names).0;
        }
    }

    /// Sets a timer; one without a value is of a stage that was not reached.
    pub(super) fn set_timer(&mut self, timer: Timer, nanos: Option<i64>) {
        self.timers[timer as usize] = nanos;
        match timer {
            Timer::Connect => self.upstream.unconnected = Some(nanos.is_none()),
            Timer::Response => self.upstream.unanswered = Some(nanos.is_none()),
            _ => {}
        }
    }

    pub(super) fn timer(&self, timer: Timer) -> Option<i64> {
        self.timers[timer as usize]
    }
}
