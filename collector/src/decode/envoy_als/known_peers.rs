//! Peers that proxies have told of before, so that metadata which comes with every entry is read once.
//!
//! A proxy repeats some 300 bytes about its peer in each entry, and has few peers; looking them up costs a quarter of reading
//! them. Members of a `Struct` come in any order, and in another one each time: Envoy builds it anew for each entry, and
//! protobuf leaves open in which order a map is written. So a peer is known by the sum of its members' hashes. Limits:
//! [`PEERS_MAX`] peers, of at most [`PEER_BYTES_MAX`] bytes each; where there are more, all are forgotten and learnt anew, which
//! costs what it would without this. Of a member that comes twice it is not told which was the last.

use std::sync::Arc;

use hashbrown::HashMap;

use xxhash_rust::xxh3::xxh3_128;

use super::fields::Texts;
use super::peer;
use crate::normalize::requests::proxy::WorkloadFacts;
use crate::protobuf::wire::{Fields, WireError};

/// Peers that are known: the pods of a large mesh, at some kilobyte each.
const PEERS_MAX: usize = 4_096;

/// Bytes of metadata that are remembered. Istio's takes 200 to 400, with labels up to two thousand.
const PEER_BYTES_MAX: usize = 4 << 10;

/// Facts by the hash of what they were read from.
#[derive(Debug, Default)]
pub struct KnownPeers {
    peers: HashMap<u128, Known>,
}

#[derive(Debug)]
struct Known {
    facts: Arc<WorkloadFacts<'static>>,
    /// Texts of it that were no UTF-8.
    replaced: u64,
}

impl KnownPeers {
    /// What the `Any` of a peer says; `None` when it is in none of the encodings.
    pub(super) fn read(&mut self, any: &[u8], texts: &mut Texts) -> Option<Arc<WorkloadFacts<'static>>> {
        let hash = hash_of(any);
        if let Some(known) = self.peers.get(&hash) {
            texts.replaced += known.replaced;
            return Some(Arc::clone(&known.facts));
        }
        let before = texts.replaced;
        let facts = Arc::new(peer::read(any, texts)?.into_owned());
        if any.len() <= PEER_BYTES_MAX {
            if self.peers.len() == PEERS_MAX {
                self.peers.clear();
            }
            let known = Known { facts: Arc::clone(&facts), replaced: texts.replaced - before };
            self.peers.insert(hash, known);
        }
        Some(facts)
    }
}

/// The hash of an `Any`, whatever the order of the members of its `Struct`.
fn hash_of(any: &[u8]) -> u128 {
    // Labels are a map in the map, and there is none in them.
    let of_member = |entry: &[u8]| {
        Ok(match peer::labels_of(entry)? {
            Some(labels) => !sum_of_members(labels, |label| Ok(xxh3_128(label)))?,
            None => xxh3_128(entry),
        })
    };
    let members = peer::struct_of(any).and_then(|members| sum_of_members(members, of_member).ok());
    members.unwrap_or_else(|| xxh3_128(any))
}

fn sum_of_members(
    message: &[u8],
    hash_of: impl Fn(&[u8]) -> Result<u128, WireError>,
) -> Result<u128, WireError> {
    let mut sum = 0_u128;
    for field in Fields::new(message) {
        let (number, value) = field?;
        sum = sum.wrapping_add(hash_of(value.bytes(number)?)?);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field of bytes: its number and type, its length as a varint, the bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut field = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            field.push(length as u8 | 0x80);
            length >>= 7;
        }
        field.push(length as u8);
        field.extend(bytes);
        field
    }

    /// An `Any` of a `Struct` with one member, by the rules of protobuf: field 1 is the type's name, field 2 the message; an
    /// entry of a map has its key in 1 and its value in 2, and a `Value` its text in 3.
    fn peer(key: &str, text: &[u8]) -> Vec<u8> {
        let member = [field(1, key.as_bytes()), field(2, &field(3, text))].concat();
        [field(1, b"type.googleapis.com/google.protobuf.Struct"), field(2, &field(1, &member))].concat()
    }

    #[test]
    fn what_is_told_again_is_what_was_told_first() {
        let (mut known, mut texts) = (KnownPeers::default(), Texts::default());
        let [a, broken] = [peer("service", b"a"), peer("service", b"b\xff")];
        let mut names = Vec::new();
        for any in [&a, &broken, &a, &broken] {
            names.push(known.read(any, &mut texts).expect("a peer").canonical_name.clone());
        }
        assert_eq!(names, ["a", "b\u{fffd}", "a", "b\u{fffd}"]);
        assert_eq!((texts.replaced, known.peers.len()), (2, 2), "each time it is told");
        assert_eq!(known.read(b"\x0a\x01x", &mut texts), None);
        assert_eq!(known.peers.len(), 2, "what says nothing is not remembered");
    }

    /// By the rules of protobuf, as above; members of both maps come in every order.
    #[test]
    fn the_order_of_members_is_of_no_account() {
        let member =
            |key: &str, value: Vec<u8>| field(1, &[field(1, key.as_bytes()), field(2, &value)].concat());
        let text = |text: &str| field(3, text.as_bytes());
        let any = |members: [Vec<u8>; 3]| {
            [field(1, b"type.googleapis.com/google.protobuf.Struct"), field(2, &members.concat())].concat()
        };
        let (app, version) = (member("app", text("a")), member("version", text("v1")));
        let labels = |labels: [&Vec<u8>; 2]| member("LABELS", field(5, &labels.map(Vec::clone).concat()));
        let (name, namespace) = (member("NAME", text("web-1")), member("NAMESPACE", text("shop")));
        let (mut known, mut texts) = (KnownPeers::default(), Texts::default());
        let mut told = Vec::new();
        for any in [
            any([name.clone(), namespace.clone(), labels([&app, &version])]),
            any([labels([&version, &app]), namespace.clone(), name.clone()]),
            any([namespace.clone(), labels([&app, &version]), name.clone()]),
        ] {
            told.push(known.read(&any, &mut texts).expect("a peer"));
        }
        assert!(told.iter().all(|facts| Arc::ptr_eq(facts, &told[0])), "read once");
        assert_eq!((&*told[0].instance, &*told[0].namespace), ("web-1", "shop"));
        // What is said of another, or in another place, is of another.
        for any in [
            any([name.clone(), namespace.clone(), labels([&app, &app])]),
            any([name.clone(), namespace.clone(), labels([&app, &member("version", text("v2"))])]),
            any([name.clone(), app.clone(), labels([&namespace, &version])]),
        ] {
            let other = known.read(&any, &mut texts).expect("a peer");
            assert!(!Arc::ptr_eq(&other, &told[0]));
        }
        assert_eq!(known.peers.len(), 4);
    }

    #[test]
    fn as_many_peers_are_known_as_fit() {
        let (mut known, mut texts) = (KnownPeers::default(), Texts::default());
        let name = |number: usize| format!("svc-{number}");
        for (number, held) in (0..PEERS_MAX + 1).zip((1..=PEERS_MAX).chain([1])) {
            let told = known.read(&peer("service", name(number).as_bytes()), &mut texts);
            assert_eq!(told.expect("a peer").canonical_name, name(number));
            assert_eq!(known.peers.len(), held);
        }
    }

    #[test]
    fn a_long_peer_is_read_and_not_remembered() {
        let (mut known, mut texts) = (KnownPeers::default(), Texts::default());
        let around = peer("service", &[b'x'; 1 << 10]).len() - (1 << 10);
        for (bytes, held) in [(PEER_BYTES_MAX + 1, 0), (PEER_BYTES_MAX, 1)] {
            let any = peer("service", &vec![b'x'; bytes - around]);
            assert_eq!(any.len(), bytes);
            let told = known.read(&any, &mut texts).expect("a peer");
            assert_eq!((told.canonical_name.len(), known.peers.len()), (bytes - around, held));
        }
    }
}
