//! Holds spans until their parents are known: fixed-size records, names as numbers.
//!
//! A span can only be counted on an edge once its ancestors are seen, and those may arrive minutes later
//! or lie in another file; so the pass over the rows only keeps what pairing needs, about 100 bytes a span.
//! Limits: [`SPANS_HELD_MAX`]; what comes after still counts at its node, but on no edge, and the answer
//! says so.

use arrow::array::RecordBatch;
use meshlake_schema::Outcome;

use crate::cells::{Book, CellKey, DetailId, Evidence, Grain, Side};
use crate::columns::{boolean, double};
use crate::measure::{Observation, Protocol};
use crate::party::{Interner, PartyId};
use crate::peers::{Peer, PeerKind, peer};
use crate::requests::outcome_of;
use crate::span_rows::{ProxyTags, SpanColumns, SpanKind, hex64, hex128};

/// Most spans that are held for pairing: 2,000,000 at 112 bytes are some 220 MB.
pub const SPANS_HELD_MAX: usize = 2_000_000;

/// Most distinct far ends; calls to others keep an unknown far end.
const PEERS_MAX: usize = 20_000;

/// A far end that is held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPeer {
    pub kind: PeerKind,
    pub name: String,
    pub scoped: bool,
}

/// One span, as far as pairing needs it.
#[derive(Debug, Clone)]
pub struct HeldSpan {
    pub trace: u128,
    pub span: u64,
    /// 0 for a root: a span id of zeros is invalid by the W3C trace context.
    pub parent: u64,
    /// Trace and span of the first link; zeros without one. Only consumers keep it.
    pub link: (u128, u64),
    pub time: i64,
    duration_nano: i64,
    pub weight: f64,
    pub party: PartyId,
    pub detail: DetailId,
    peer: Option<u32>,
    pub kind: SpanKind,
    protocol: Protocol,
    outcome: Outcome,
    pub is_proxy: bool,
    pub is_gateway: bool,
}

impl HeldSpan {
    /// The call that the span stands for.
    pub fn call(&self) -> Observation {
        Observation {
            weight: self.weight,
            outcome: self.outcome,
            duration_nano: self.duration_nano,
            timed: true,
            bytes_in: 0,
            bytes_out: 0,
            retries: 0,
            sent: 1,
            protocol: self.protocol,
        }
    }
}

/// Spans so far.
#[derive(Debug)]
pub struct HeldSpans {
    pub spans: Vec<HeldSpan>,
    peers: Interner<HeldPeer>,
    held_max: usize,
    /// Spans that could not be held.
    pub dropped: u64,
}

impl Default for HeldSpans {
    fn default() -> Self {
        HeldSpans::with_bound(SPANS_HELD_MAX)
    }
}

impl HeldSpans {
    pub(super) fn with_bound(held_max: usize) -> Self {
        HeldSpans { spans: Vec::new(), peers: Interner::new(PEERS_MAX), held_max, dropped: 0 }
    }

    /// The far end that a span names.
    pub fn peer(&self, span: &HeldSpan) -> Option<&HeldPeer> {
        span.peer.map(|number| self.peers.value(number))
    }

    /// Every far end's name that may be a host.
    pub fn hosts(&self) -> impl Iterator<Item = &str> {
        self.peers.values().iter().filter(|peer| peer.kind != PeerKind::Queue).map(|peer| peer.name.as_str())
    }

    /// Holds the spans of a batch, also those that start outside the range: they may be the parents and
    /// children of others.
    pub fn add(&mut self, batch: &RecordBatch, book: &mut Book) {
        let columns = SpanColumns::of(batch);
        let (is_proxy, weight) = (boolean(batch, "is_proxy"), double(batch, "adjusted_count"));
        for row in 0..batch.num_rows() {
            let is_proxy = is_proxy(row).unwrap_or(false);
            let weight = weight(row).filter(|w| w.is_finite() && *w > 0.0).unwrap_or(1.0);
            let span = self.read(&columns, row, is_proxy, weight, book);
            if self.spans.len() < self.held_max {
                self.spans.push(span);
            } else {
                self.dropped += 1;
                count_at_node(&span, book);
            }
        }
    }

    fn read(
        &mut self,
        columns: &SpanColumns<'_>,
        row: usize,
        is_proxy: bool,
        weight: f64,
        book: &mut Book,
    ) -> HeldSpan {
        let proxy = if is_proxy { columns.proxy(row) } else { ProxyTags::default() };
        let kind = proxy.kind(SpanKind::of(columns.kind.or_zero(row)));
        let evidence = columns.peer_evidence(row, proxy.upstream_cluster);
        let peer = peer(&evidence).filter(|_| kind.is_made() || kind == SpanKind::Consumer);
        let link = columns.links.get(row).filter(|_| kind == SpanKind::Consumer);
        HeldSpan {
            trace: hex128(columns.trace_id.get(row)),
            span: hex64(columns.span_id.get(row)),
            parent: hex64(columns.parent.get(row)),
            link: link.map_or((0, 0), |(trace, span)| (hex128(Some(trace)), hex64(Some(span)))),
            time: columns.time.or_zero(row),
            duration_nano: columns.duration.or_zero(row),
            weight,
            party: columns.party(row, &proxy, book),
            detail: match book.grain {
                Grain::Node => DetailId::NONE,
                Grain::Operation => book.detail(columns.name.get(row)),
                Grain::Instance => book.detail(columns.instance.get(row)),
            },
            peer: peer.and_then(|peer| self.hold_peer(&peer)),
            kind,
            protocol: columns.protocol(row, &evidence),
            outcome: outcome_of(columns.outcome.get(row)),
            is_proxy,
            is_gateway: proxy.is_gateway,
        }
    }

    fn hold_peer(&mut self, peer: &Peer<'_>) -> Option<u32> {
        self.peers.intern(peer, || HeldPeer {
            kind: peer.kind,
            name: peer.name.to_owned(),
            scoped: peer.scoped,
        })
    }
}

/// A received call that could not be held counts at its node. A proxy's may double its application's, which
/// cannot be known here, so it does not count.
fn count_at_node(span: &HeldSpan, book: &mut Book) {
    let Some(bucket) = book.range.bucket_of(span.time) else { return };
    if span.kind.is_received() && !span.is_proxy {
        let key = CellKey {
            source: PartyId::NOBODY,
            destination: span.party,
            detail: span.detail,
            bucket,
            side: Side::Server,
            evidence: Evidence::Spans,
            refused: false,
        };
        book.add(key, &span.call());
    }
}

const _: () = assert!(size_of::<HeldSpan>() <= 128, "the bound above says how much memory is held");
