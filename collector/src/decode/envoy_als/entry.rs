//! One `HTTPAccessLogEntry` or `TCPAccessLogEntry` as the facts of a request and attributes.
//!
//! What has a column goes to the facts, everything else to the attributes, so nothing is lost: byte
//! counts and time offsets as one object each (`bytes`, `offsets_nano`), headers and trailers under
//! `request_header.`, `response_header.`, `response_trailer.`, custom tags under their own names, dynamic
//! metadata under `metadata.`, filter state that names no peer under `filter_state.`, listeners inside Envoy under
//! `internal_address.` and the column of the address that stands for them.
//!
//! Source: envoy/data/accesslog/v3/accesslog.proto.

use meshlake_schema::{ResponseFlags, UnixNanos};

use super::fields::{SentAddress, Texts, address, map_entry, nanos};
use super::http::Http;
use super::known_peers::KnownPeers;
use super::peer::{PeerKey, peer_key};
use super::tls::read_tls;
use super::values;
use crate::normalize::requests::facts::{Layer, RequestFacts};
use crate::protobuf::wire::{Fields, Value, WireError};
use crate::row_attributes::RowAttributes;
use crate::tally::{Arrival, RejectReason};

/// An entry while it is read.
pub(super) struct Entry<'a, 's> {
    seen: RequestFacts<'a>,
    texts: Texts,
    attributes: &'s mut RowAttributes,
    peers: &'s mut KnownPeers,
    start_nanos: Option<i64>,
    duration_nanos: Option<i64>,
    /// Nanoseconds from the start to the events of [`OFFSET_NAMES`], which is fields 6 to 12.
    offsets: [Option<u64>; 7],
    /// Bytes on the wire: downstream sent and received, upstream sent and received; fields 29 to 32.
    wire_bytes: [Option<u64>; 4],
    http: Http,
}

const OFFSET_NAMES: [&str; 7] = [
    "last_rx",
    "first_upstream_tx",
    "last_upstream_tx",
    "first_upstream_rx",
    "last_upstream_rx",
    "first_downstream_tx",
    "last_downstream_tx",
];
const FIRST_UPSTREAM_TX: usize = 1;
const LAST_UPSTREAM_RX: usize = 4;
const LAST_DOWNSTREAM_TX: usize = 6;

impl<'a, 's> Entry<'a, 's> {
    pub(super) fn new(layer: Layer, attributes: &'s mut RowAttributes, peers: &'s mut KnownPeers) -> Self {
        let source_format = match layer {
            Layer::L7 => "envoy_als_http",
            Layer::L4 => "envoy_als_tcp",
        };
        Entry {
            seen: RequestFacts { layer, source_format, ..RequestFacts::default() },
            texts: Texts::default(),
            attributes,
            peers,
            start_nanos: None,
            duration_nanos: None,
            offsets: [None; 7],
            wire_bytes: [None; 4],
            http: Http::default(),
        }
    }

    pub(super) fn read(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        for field in Fields::new(message) {
            match (self.seen.layer, field?) {
                (_, (1, value)) => self.read_common(value.bytes(1)?)?,
                (Layer::L7, (2, value)) => self.seen.protocol = protocol(value.varint(2)?),
                (Layer::L7, (3, value)) => {
                    self.http.read_request(
                        value.bytes(3)?,
                        &mut self.seen,
                        &mut self.texts,
                        self.attributes,
                    )?;
                }
                (Layer::L7, (4, value)) => {
                    self.http.read_response(
                        value.bytes(4)?,
                        &mut self.seen,
                        &mut self.texts,
                        self.attributes,
                    )?;
                }
                (Layer::L4, (2, value)) => self.read_connection(value.bytes(2)?)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The facts, or why their row is refused, and how many of its texts were no UTF-8.
    pub(super) fn finish(self, arrival: &Arrival<'_>) -> (Result<RequestFacts<'a>, RejectReason>, u64) {
        let replaced = self.texts.replaced;
        // A time of zero is one that was not set.
        let Some(start) = self.start_nanos.filter(|nanos| *nanos != 0) else {
            return (Err(RejectReason::MissingTime), replaced);
        };
        // A time before 1970 is a negative number here and outside of every window.
        let start = u64::try_from(start).map_err(|_| RejectReason::TimeOutOfRange);
        match start.and_then(|start| arrival.accepted_time(start)) {
            Ok(start) => (Ok(self.accepted(start)), replaced),
            Err(reason) => (Err(reason), replaced),
        }
    }

    fn accepted(self, start: UnixNanos) -> RequestFacts<'a> {
        let Entry { mut seen, attributes, offsets, wire_bytes, http, duration_nanos, .. } = self;
        seen.start = start;
        let last_byte = offsets[LAST_DOWNSTREAM_TX].map(|nanos| i64::try_from(nanos).unwrap_or(i64::MAX));
        let told = duration_nanos.or(last_byte);
        (seen.duration_nano, seen.is_untimed) = (told.unwrap_or_default().max(0), told.is_none());
        seen.upstream_duration_nano = match (offsets[FIRST_UPSTREAM_TX], offsets[LAST_UPSTREAM_RX]) {
            (Some(first), Some(last)) => i64::try_from(last.saturating_sub(first)).ok(),
            _ => None,
        };
        if seen.layer == Layer::L4 && !seen.log_type.is_udp() {
            seen.protocol = "TCP";
        }
        attributes.push_numbers("offsets_nano", OFFSET_NAMES.into_iter().zip(offsets));
        let [downstream_sent, downstream_received, upstream_sent, upstream_received] = wire_bytes;
        let bytes = [
            ("downstream_sent", downstream_sent),
            ("downstream_received", downstream_received),
            ("upstream_sent", upstream_sent),
            ("upstream_received", upstream_received),
        ];
        attributes.push_numbers("bytes", bytes.into_iter().chain(http.header_bytes()));
        http.finish(&mut seen, attributes);
        seen
    }

    fn read_connection(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        for field in Fields::new(message) {
            match field? {
                (1, value) => self.seen.request_bytes = value.varint(1)?,
                (2, value) => self.seen.response_bytes = value.varint(2)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_common(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        for field in Fields::new(message) {
            let (number, value) = field?;
            match number {
                1 => self.attributes.push_double("sample_rate", f64::from_bits(value.fixed64(1)?)),
                2 | 3 | 13 | 14 | 20 => self.read_address(number, value.bytes(number)?)?,
                4 => read_tls(value.bytes(4)?, &mut self.seen, &mut self.texts, self.attributes)?,
                5 => self.start_nanos = Some(nanos(value.bytes(5)?)?),
                6..=12 => {
                    let offset = nanos(value.bytes(number)?)?;
                    self.offsets[number as usize - 6] = u64::try_from(offset).ok();
                }
                16 => self.seen.flags = flags(value.bytes(16)?)?,
                17 => self.read_metadata(value.bytes(17)?)?,
                21 => self.read_filter_state(value.bytes(21)?)?,
                22 => {
                    let (name, tag) = map_entry(value.bytes(22)?)?;
                    self.attributes.push_text("", &self.texts.read(name), &self.texts.read(tag));
                }
                23 => self.duration_nanos = Some(nanos(value.bytes(23)?)?),
                24 => self.seen.attempts = value.varint(24)?,
                27 => self.seen.log_type.intermediate = value.varint(27)? != 0,
                29..=32 => self.wire_bytes[number as usize - 29] = Some(value.varint(number)?),
                33 => self.seen.log_type.number = value.varint(33)? as i32,
                15 | 18 | 19 | 25 | 26 | 28 => self.read_common_text(number, value)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn read_common_text(&mut self, number: u32, value: Value<'a>) -> Result<(), WireError> {
        let text = self.texts.read(value.bytes(number)?);
        match number {
            15 => self.seen.upstream_cluster = text,
            18 => self.seen.upstream_transport_failure_reason = text,
            19 => self.seen.route = text,
            25 => self.seen.connection_termination_details = text,
            26 => self.seen.stream_id = text,
            _ if text.is_empty() => {}
            _ => self.attributes.push_text("", "downstream_transport_failure_reason", &text),
        }
        Ok(())
    }

    fn read_address(&mut self, number: u32, message: &'a [u8]) -> Result<(), WireError> {
        let SentAddress { address, internal } = address(message, &mut self.texts)?;
        let (slot, column) = match number {
            2 => (&mut self.seen.downstream_remote, "downstream_remote_address"),
            3 => (&mut self.seen.downstream_local, "downstream_local_address"),
            13 => (&mut self.seen.upstream_host, "upstream_host"),
            14 => (&mut self.seen.upstream_local, "upstream_local_address"),
            _ => (&mut self.seen.downstream_direct_remote, "downstream_direct_remote_address"),
        };
        *slot = address;
        if let Some(internal) = internal {
            self.attributes.push_text("internal_address.", column, &internal);
        }
        Ok(())
    }

    /// Dynamic metadata: `Struct`s by filter (1), `Any`s by filter (2).
    fn read_metadata(&mut self, message: &'a [u8]) -> Result<(), WireError> {
        for field in Fields::new(message) {
            let (number @ (1 | 2), entry) = field? else { continue };
            let (filter, metadata) = map_entry(entry.bytes(number)?)?;
            let filter = self.texts.read(filter);
            let mut written = Ok(());
            self.attributes.push_with("metadata.", &filter, |text, types| {
                written = match number {
                    1 => values::write_struct(metadata, &mut self.texts, text, types),
                    _ => values::write_any(metadata, &mut self.texts, text, types),
                };
            });
            written?;
        }
        Ok(())
    }

    fn read_filter_state(&mut self, entry: &'a [u8]) -> Result<(), WireError> {
        let (key, any) = map_entry(entry)?;
        if let Some(side) = peer_key(key)
            && let Some(facts) = self.peers.read(any, &mut self.texts)
        {
            let slot = match side {
                PeerKey::Upstream => &mut self.seen.upstream_peer,
                PeerKey::Downstream => &mut self.seen.downstream_peer,
            };
            // Keys come in any order; metadata says more than an id.
            if slot.is_none() || !facts.from_node_id {
                *slot = Some(facts);
            }
            return Ok(());
        }
        let name = self.texts.read(key);
        let mut written = Ok(());
        self.attributes.push_with("filter_state.", &name, |text, types| {
            written = values::write_any(any, &mut self.texts, text, types);
        });
        written
    }
}

/// `ResponseFlags`: bools, but `unauthorized_details` (13), a message that is there exactly when UAEX holds.
pub(super) fn flags(message: &[u8]) -> Result<ResponseFlags, WireError> {
    let mut flags = ResponseFlags::default();
    for field in Fields::new(message) {
        match field? {
            (number, Value::Varint(0)) if number != 13 => {}
            (number, _) => flags.set_field(number),
        }
    }
    Ok(flags)
}

fn protocol(version: u64) -> &'static str {
    match version {
        1 => "HTTP/1.0",
        2 => "HTTP/1.1",
        3 => "HTTP/2",
        4 => "HTTP/3",
        _ => "",
    }
}
