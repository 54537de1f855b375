//! Envoy's access log service: a `StreamAccessLogsMessage` to rows of `requests`.
//!
//! A stream says once who sends it, in its first message (some relays say it in every one); the receiver
//! keeps what [`decode_identifier`] gives and hands it back for every following message of the stream. Of
//! the 60 KB that Envoy puts there, `node.extensions` is skipped and never kept.
//!
//! Source: envoy/service/accesslog/v3/als.proto. Limits: an entry without a start time, or outside the
//! accepted window, is refused.

mod identity;
mod entry;
mod http;
mod tls;
mod known_peers;
mod peer;
mod flat_node;
mod values;
mod fields;

use crate::decode::{Format, Sender, valid_protobuf};
use crate::normalize::requests::facts::{Layer, RequestFacts};
use crate::normalize::requests::judge;
use crate::normalize::requests::proxy::{ProxyIdentity, WorkloadFacts};
use crate::protobuf::messages::envoy::STREAM_ACCESS_LOGS_MESSAGE;
use crate::protobuf::wire::{Fields, WireError};
use crate::request_rows::RequestBuilder;
use crate::row_attributes::RowAttributes;
use crate::signal::Signal;
use crate::tally::{Arrival, Tally, Warning};
use entry::Entry;
pub use known_peers::KnownPeers;

/// One message of a stream. Nobody acknowledges it, so nobody sends it again. Entries of a proxy that was never named
/// are rows all the same.
pub static FORMAT: Format = Format {
    name: "envoy_als",
    signal: Signal::Requests,
    source: "envoy_als",
    resends: |_| false,
    rewrites: false,
    tells_written: false,
    unpack: |bytes| valid_protobuf(bytes, &STREAM_ACCESS_LOGS_MESSAGE),
    decode: |bytes, sender, arrival, out| match sender {
        Some(Sender::Proxy(proxy)) => {
            decode_entries(bytes, proxy, arrival, &mut out.peers, &mut out.requests)
        }
        Some(Sender::Lines(_) | Sender::Families(_)) | None => {
            let unnamed = ProxyIdentity::new("", "", WorkloadFacts::default());
            decode_entries(bytes, &unnamed, arrival, &mut out.peers, &mut out.requests)
        }
    },
};

/// Who sends a stream, from any message of it; `None` when this one does not say.
///
/// # Errors
/// A message that was not validated.
pub fn decode_identifier(message: &[u8]) -> Result<Option<ProxyIdentity>, WireError> {
    let mut identifier = None;
    for field in Fields::new(message) {
        if let (1, value) = field? {
            identifier = Some(value.bytes(1)?);
        }
    }
    identifier.map(identity::read).transpose()
}

/// Decodes the entries of one message into `out`, one row each, in the order sent.
///
/// # Errors
/// A message that was not validated; `out` may then hold part of a row.
pub fn decode_entries(
    message: &[u8],
    proxy: &ProxyIdentity,
    arrival: &Arrival<'_>,
    peers: &mut KnownPeers,
    out: &mut RequestBuilder,
) -> Result<Tally, WireError> {
    let mut tally = Tally::of(arrival);
    let mut attributes = RowAttributes::default();
    for field in Fields::new(message) {
        let (layer, entries) = match field? {
            (2, value) => (Layer::L7, value.bytes(2)?),
            (3, value) => (Layer::L4, value.bytes(3)?),
            _ => continue,
        };
        for field in Fields::new(entries) {
            if let (1, value) = field? {
                attributes.clear();
                let mut entry = Entry::new(layer, &mut attributes, peers);
                entry.read(value.bytes(1)?)?;
                let (seen, replaced) = entry.finish(arrival);
                if let Ok(seen) = &seen {
                    tally.warnings.add(Warning::TextReplaced, replaced);
                    push(seen, proxy, arrival, &mut attributes, out);
                    tally.warnings.merge(attributes.warnings());
                }
                tally.count(seen.map(drop));
            }
        }
    }
    Ok(tally)
}

fn push(
    seen: &RequestFacts<'_>,
    proxy: &ProxyIdentity,
    arrival: &Arrival<'_>,
    attributes: &mut RowAttributes,
    out: &mut RequestBuilder,
) {
    for (key, value) in &proxy.attributes {
        attributes.push_text("", key, value);
    }
    let verdict = judge(seen, proxy);
    // A gateway's and a caller's proxy's connections from below are of neither end of the call that the row is about.
    let certificates = [
        ("tls.server.", &seen.own_principal, verdict.destination.principal),
        ("tls.client.", &seen.caller_principal, verdict.source.principal),
    ];
    for (prefix, principal, told) in certificates {
        if !principal.is_empty() && **principal != *told {
            attributes.push_text(prefix, "principal", principal);
        }
    }
    out.push(arrival, seen, &verdict, proxy, attributes, None);
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod capture_tests;
