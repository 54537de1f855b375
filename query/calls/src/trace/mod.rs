//! Counts the calls of traces: who called whom, whatever lies between.
//!
//! ```text
//! order    the spans of each trace together, each once
//! tree     who is whose parent
//! sides    received sides, each once, and who made each
//! layers   made spans to calls: layers, tries, answers
//! told     calls to cells
//! ```
//! Strict parent-child pairing (client span, server span) loses most real meshes: a gateway records client
//! spans only, a sidecar puts two spans of its own between caller and callee, frameworks nest spans, one made span may
//! be answered by many. So each trace is walked as a whole. All walks are loops over arrays, linear in the number of
//! spans: a trace may be a million spans wide or deep, or a circle.

mod told;
mod layers;
mod attempts;
mod draft;
mod sides;
mod tree;
mod order;

use self::layers::{Ground, Layers};
use self::order::Order;
use self::sides::Sides;
use self::tree::Tree;
use crate::aliases::Aliases;
use crate::cells::Book;
use crate::messages::Messages;
use crate::services::Services;
use crate::spans::{Shapes, Shard};

pub use self::told::Tally;

/// Where calls are counted.
pub struct Counting<'a> {
    pub book: &'a mut Book,
    pub services: &'a Services,
    pub aliases: &'a mut Aliases,
    pub messages: &'a mut Messages,
    pub tally: &'a mut Tally,
}

/// Room that is used for one trace after another.
#[derive(Default)]
pub struct Walk {
    order: Order,
    tree: Tree,
    sides: Sides,
    layers: Layers,
}

impl Walk {
    /// Counts the calls of all traces of a shard, which has each of them whole.
    pub fn count(&mut self, shard: &Shard, shapes: &Shapes, counting: &mut Counting<'_>) {
        let services = counting.services;
        self.order.put(shard.rooms(), shapes);
        for trace in self.order.spans.chunk_by_mut(|a, b| a.trace == b.trace) {
            let trace = order::once(trace, services);
            self.tree.build(trace, services);
            self.sides.find(shard, trace, &self.tree, &counting.book.parties);
            let ground =
                Ground { spans: trace, tree: &self.tree, shard, parties: &counting.book.parties, services };
            self.layers.find(&ground, &mut self.sides);
            told::tell(trace, shard, &self.sides, &self.layers.calls, counting);
        }
    }
}

#[cfg(test)]
mod tests;
