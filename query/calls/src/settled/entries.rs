//! What a cell counts, by name.

use crate::cell_key::Evidence;
use crate::entry::Entry;

const NAMES: [(Entry, &str); 10] = [
    (Entry::Edge, "edge"),
    (Entry::Refused, "refused"),
    (Entry::Messages, "messages"),
    (Entry::Connections, "connections"),
    (Entry::Carrying, "carrying"),
    (Entry::CarryingTraced, "carrying_traced"),
    (Entry::Received, "received"),
    (Entry::ReceivedMessages, "received_messages"),
    (Entry::ReceivedConnections, "received_connections"),
    (Entry::Alias, "alias"),
];

pub fn name(entry: Entry) -> &'static str {
    NAMES.iter().find(|(known, _)| *known == entry).map_or("", |(_, name)| name)
}

pub fn evidence(name: &str) -> Option<Evidence> {
    [Evidence::Requests, Evidence::Spans].into_iter().find(|evidence| evidence.name() == name)
}

/// None for a name of a later version.
pub fn named(name: &str) -> Option<Entry> {
    NAMES.iter().find(|(_, known)| *known == name).map(|(entry, _)| *entry)
}
