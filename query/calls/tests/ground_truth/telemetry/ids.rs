//! Ids of traces and spans: by number, so that a part of a story leaves the same rows as the whole.

use crate::random::mixed;
use crate::story::{Call, Story, Trace};

/// Which span of a call, or of a try; part of its id.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    Root,
    Internal(u8),
    Operation,
    Request(u8),
    Lookup,
    Connect,
    ProxyMade(u8),
    ProxyReceived,
    Received(u8),
    Between,
    Receive,
    Create,
    Settle,
}

impl Part {
    fn number(self) -> u64 {
        match self {
            Part::Root => 0,
            Part::Operation => 1,
            Part::Lookup => 2,
            Part::Connect => 3,
            Part::ProxyReceived => 4,
            Part::Between => 5,
            Part::Receive => 6,
            Part::Create => 7,
            Part::Settle => 8,
            Part::Internal(at) => 16 + u64::from(at),
            Part::Request(at) => 32 + u64::from(at),
            Part::ProxyMade(at) => 48 + u64::from(at),
            Part::Received(at) => 64 + u64::from(at),
        }
    }
}

pub fn trace_id(story: &Story, trace: &Trace) -> u128 {
    u128::from(mixed(story.seed)) << 64 | u128::from(mixed(trace.number + 1))
}

/// The span that stands for sending a message, to which its consumers point.
pub fn message_id(call: &Call) -> u64 {
    span_id(call.number, if call.made.created { Part::Create } else { Part::Request(0) })
}

pub fn span_id(number: u64, part: Part) -> u64 {
    mixed(number << 8 | part.number()).max(1)
}
