//! What a cell counts: calls on an edge, or what a node received of them.
//!
//! Both are counted of every call, because a callee tells of what arrived in its own words, and with its own latency.

/// What a cell counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entry {
    /// Calls on an edge.
    Edge,
    /// Calls on an edge that never reached the other side.
    Refused,
    /// Messages on an edge: proxies do not see them, so no evidence has to be chosen.
    Messages,
    /// Connections on an edge, which count where nothing told of what went through them.
    Connections,
    /// Connections that rows of requests on the same edge overlap, and those that only spans do. They count nothing but
    /// bytes, where spans count, which know none.
    Carrying,
    CarryingTraced,
    /// The same four at a node: received sides.
    Received,
    ReceivedMessages,
    ReceivedConnections,
    /// Nothing is counted: the destination answered to the name of the source.
    Alias,
}

impl Entry {
    pub fn is_edge(self) -> bool {
        !matches!(self, Entry::Received | Entry::ReceivedMessages | Entry::ReceivedConnections)
    }
}
