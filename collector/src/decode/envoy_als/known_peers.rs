//! Peers that proxies have told of before, so that metadata which comes with every entry is read once.
//!
//! A proxy repeats some 300 bytes about its peer in each entry, and has few peers; looking them up as bytes costs a tenth of
//! reading them. Limits: [`PEERS_MAX`] peers, of at most [`PEER_BYTES_MAX`] bytes each; where there are more, all are
//! forgotten and learnt anew, which costs what it would without this.

use std::sync::Arc;

use hashbrown::HashMap;

use super::fields::Texts;
use super::peer;
use crate::normalize::requests::proxy::WorkloadFacts;

/// Peers that are known: the pods of a large mesh, at some kilobyte each.
const PEERS_MAX: usize = 4_096;

/// Bytes of metadata that are remembered. Istio's takes 200 to 400, with labels up to two thousand.
const PEER_BYTES_MAX: usize = 4 << 10;

/// Facts by the bytes that they were read from.
#[derive(Debug, Default)]
pub struct KnownPeers {
    peers: HashMap<Box<[u8]>, Known>,
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
        if let Some(known) = self.peers.get(any) {
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
            self.peers.insert(any.into(), known);
        }
        Some(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An `Any` of a `Struct` with one member, by the rules of protobuf: field 1 is the type's name, field 2 the message; an
    /// entry of a map has its key in 1 and its value in 2, and a `Value` its text in 3.
    fn peer(key: &str, text: &[u8]) -> Vec<u8> {
        let field = |number: u8, bytes: &[u8]| {
            let mut field = vec![number << 3 | 2];
            let mut length = bytes.len();
            while length >= 0x80 {
                field.push(length as u8 | 0x80);
                length >>= 7;
            }
            field.push(length as u8);
            field.extend(bytes);
            field
        };
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
