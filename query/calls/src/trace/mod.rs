//! Counts the calls of traces: who called whom, whatever lies between.
//!
//! ```text
//! walks    shard by shard, several at the same time
//! order    the spans of each trace together, each once
//! tree     who is whose parent
//! sides    received sides, each once, and who made each
//! layers   made spans to calls: layers, tries, answers
//! told     calls to cells
//! ```
//! Strict parent-child pairing (client span, server span) loses most real meshes: a gateway records client
//! spans only, a sidecar puts two spans of its own between caller and callee, frameworks nest spans, one made span may
//! be answered by many. So each trace is walked as a whole, up to [`order::WALKED_SPANS_MAX`] spans. All walks are loops over
//! arrays, linear in the number of spans: a trace may be as wide or deep as it likes, or a circle.

pub mod walks;
mod told;
mod layers;
mod siblings;
mod attempts;
mod draft;
mod sides;
mod tree;
pub mod order;

use std::sync::Arc;

use self::layers::{Ground, Layers};
use self::order::Order;
use self::sides::Sides;
use self::tree::Tree;
use crate::addresses::Addresses;
use crate::cells::Book;
use crate::messages::Messages;
use crate::minutes::{Counted, CountedMinutes, NamesByMinute, Scope, Words, by_minute};
use crate::party::Parties;
use crate::services::Services;
use crate::spans::{Shapes, Shard, Span};

/// Where calls are counted.
pub struct Counting<'a> {
    pub book: &'a mut Book,
    pub parties: &'a Parties,
    pub names: &'a NamesByMinute,
    pub addresses: &'a Addresses,
    pub messages: &'a mut Messages,
}

/// Room that is used for one trace after another, all by the names of one pass.
#[derive(Default)]
pub struct Walk {
    /// Of the trace before: most have the scope of the one before.
    services: Option<(Scope, Arc<Services>)>,
    order: Order,
    tree: Tree,
    sides: Sides,
    layers: Layers,
}

impl Walk {
    /// Puts the spans of a shard in order, and returns how many its longest trace has.
    pub fn put(&mut self, shard: &Shard, shapes: &Shapes) -> usize {
        self.order.put(shard.rooms(), shapes);
        self.order.spans.chunk_by(|a, b| a.trace == b.trace).map(<[Span]>::len).max().unwrap_or(0)
    }

    /// Counts the calls of all traces of the shard that was put in order, which has each of them whole, in `minutes`.
    pub fn count(&mut self, shard: &Shard, minutes: &CountedMinutes, counting: &mut Counting<'_>) {
        let mut order = std::mem::take(&mut self.order);
        for trace in order.spans.chunk_by_mut(|a, b| a.trace == b.trace) {
            let start = |span: &Span| span.start;
            let Some(scope) = Scope::of_times(trace.iter().map(start)) else { continue };
            let reach = reach(trace, counting.book);
            if scope.is_seen_whole() {
                if minutes.are_met(scope, Counted::All, reach) {
                    self.walk(trace, scope, Counted::All, shard, counting);
                }
                continue;
            }
            for (minute, scope, mut seen) in by_minute(trace, start) {
                if minutes.are_met(scope, Counted::Minute(minute), reach) {
                    self.walk(&mut seen, scope, Counted::Minute(minute), shard, counting);
                }
            }
        }
        self.order = order;
    }

    /// Counts the calls of spans of one trace, which lie in the minutes of `scope`.
    fn walk(
        &mut self,
        trace: &mut [Span],
        scope: Scope,
        counted: Counted,
        shard: &Shard,
        counting: &mut Counting<'_>,
    ) {
        let services = match &self.services {
            Some((known, services)) if *known == scope => Arc::clone(services),
            _ => counting.names.services(scope, Words::Spans, counting.parties),
        };
        self.services = Some((scope, Arc::clone(&services)));
        let services: &Services = &services;
        let trace = order::once(trace, services);
        counting.book.cut_traces += u64::from(trace.len() > order::WALKED_SPANS_MAX);
        for part in order::parts(trace) {
            self.tree.build(part, services);
            self.sides.find(shard, part, &self.tree, counting.parties);
            let ground = Ground { spans: part, tree: &self.tree, shard, parties: counting.parties, services };
            self.layers.find(&ground, &mut self.sides);
            told::tell(part, shard, &self.sides, &self.layers.calls, counted, counting);
        }
    }
}

/// How many minutes away calls of other traces may be told of by this one: a message's two ends may lie in two traces, and a
/// call may be what a connection carries.
fn reach(trace: &[Span], book: &Book) -> i64 {
    i64::from(book.busy.is_kept() || trace.iter().any(|span| span.role.is_of_message()))
}

#[cfg(test)]
mod tests;
