//! The two ends of a call as rows name them, each distinct name held once.
//!
//! A row repeats up to eight strings about its ends; holding a number instead keeps a held span at a
//! fixed size and makes the key of a cell cheap to hash. Names are found by a 64-bit hash of their parts
//! alone: at [`PARTIES_MAX`] names the chance of any collision is about 1e-9.
//!
//! A party is not yet a node: the same service is named with and without its namespace by different rows.
//! `services.rs` brings them together once all rows have been seen.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

/// Most distinct ends of calls that are told apart while rows are read; what lies beyond is summed under one
/// name and the answer says so. A party takes about 200 bytes: 40 MB. Guess, not measured.
pub const PARTIES_MAX: usize = 200_000;

/// The name that stands for everything beyond a bound.
pub const OTHER: &str = "(other)";

/// Tells the parties that no row names from those of the same name.
const BUILT_IN: &str = "(built in)";

/// Holds each distinct value once and numbers it.
#[derive(Debug)]
pub struct Interner<T> {
    numbers: HashMap<u64, u32>,
    values: Vec<T>,
    hasher: RandomState,
    max: usize,
}

impl<T> Interner<T> {
    pub fn new(max: usize) -> Self {
        Interner { numbers: HashMap::new(), values: Vec::new(), hasher: RandomState::new(), max }
    }

    /// The number of the value that `key` identifies, which `make` builds when it is new; `None` when it is
    /// new and the bound is reached.
    pub fn intern(&mut self, key: impl Hash, make: impl FnOnce() -> T) -> Option<u32> {
        let hash = self.hasher.hash_one(key);
        if let Some(number) = self.numbers.get(&hash) {
            return Some(*number);
        }
        if self.values.len() >= self.max {
            return None;
        }
        let number = u32::try_from(self.values.len()).expect("every bound in use fits u32");
        self.numbers.insert(hash, number);
        self.values.push(make());
        Some(number)
    }

    /// The number of the value that `key` identifies, if it is held.
    pub fn known(&self, key: impl Hash) -> Option<u32> {
        self.numbers.get(&self.hasher.hash_one(key)).copied()
    }

    pub fn value(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    pub fn values(&self) -> &[T] {
        &self.values
    }
}

/// Number of a party in [`Parties`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartyId(u32);

impl PartyId {
    /// No known party: the call counts at its other end and is on no edge.
    pub const NOBODY: PartyId = PartyId(0);
    /// Callers that nothing identifies; as a node they belong to the callee, never one node for all.
    pub const CALLERS: PartyId = PartyId(1);
    /// A callee that nothing identifies; as a node it belongs to the caller.
    pub const UNKNOWN: PartyId = PartyId(2);
    pub const OTHER: PartyId = PartyId(3);

    /// Whether it stands for what no row names.
    pub fn is_built_in(self) -> bool {
        self <= PartyId::OTHER
    }

    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The first so many.
    pub fn first(count: usize) -> impl Iterator<Item = PartyId> + use<> {
        (0u32..).map(PartyId).take(count)
    }
}

/// What is known about a party beside its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Marks(u8);

impl Marks {
    pub const NONE: Marks = Marks(0);
    /// It spoke for itself: its own spans, or rows of its own proxy.
    pub const OBSERVED: Marks = Marks(1);
    pub const GATEWAY: Marks = Marks(2);
    pub const DATABASE: Marks = Marks(4);
    pub const MESSAGING: Marks = Marks(8);
    /// Callers that nothing identifies.
    pub const CALLER: Marks = Marks(16);
    /// Not a service of the mesh: an address or a host that only its callers know.
    pub const OUTSIDE: Marks = Marks(32);
    /// It spoke for itself by its own SDK, not only by a proxy beside it.
    pub const APPLICATION: Marks = Marks(64);
    /// A proxy of the mesh knows it as a service.
    pub const MESH: Marks = Marks(128);

    pub fn has(self, marks: Marks) -> bool {
        self.0 & marks.0 == marks.0
    }

    pub fn bits(self) -> u8 {
        self.0
    }

    pub fn of_bits(bits: u8) -> Marks {
        Marks(bits)
    }

    #[must_use]
    pub fn with(self, marks: Marks) -> Marks {
        Marks(self.0 | marks.0)
    }
}

/// What kind of name it is: the same word means another thing as another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Naming {
    /// A service, or a host that may be one.
    #[default]
    Host,
    /// The host of a data store.
    StoreHost,
    /// A database inside a data store whose host is not known, or the product.
    Store,
    /// A queue, or the broker that stands for it.
    Queue,
}

/// One end of a call as a row names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PartyName<'a> {
    pub naming: Naming,
    pub name: &'a str,
    pub namespace: Option<&'a str>,
    pub workload: Option<&'a str>,
    pub version: Option<&'a str>,
    /// 0 where it is not known.
    pub port: u16,
    /// The name means this only to those who use it, as `localhost` does.
    pub is_scoped: bool,
}

/// A party that is held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Party {
    pub naming: Naming,
    pub name: String,
    pub namespace: Option<String>,
    pub workload: Option<String>,
    pub version: Option<String>,
    pub port: u16,
    pub is_scoped: bool,
    pub marks: Marks,
}

impl Party {
    /// Its name, with all that makes it another.
    pub fn as_name(&self) -> PartyName<'_> {
        PartyName {
            naming: self.naming,
            name: &self.name,
            namespace: self.namespace.as_deref(),
            workload: self.workload.as_deref(),
            version: self.version.as_deref(),
            port: self.port,
            is_scoped: self.is_scoped,
        }
    }
}

/// All parties of one answer.
#[derive(Debug)]
pub struct Parties {
    interner: Interner<Party>,
    overflowed: bool,
}

impl Default for Parties {
    fn default() -> Self {
        let mut interner = Interner::new(PARTIES_MAX);
        // In the order of the constants of `PartyId`. The key must differ from that of a real party.
        for (name, marks, is_scoped) in [
            ("", Marks::NONE, false),
            ("client", Marks::CALLER, true),
            ("unknown", Marks::OUTSIDE, true),
            (OTHER, Marks::OUTSIDE, false),
        ] {
            interner.intern((BUILT_IN, name), || Party {
                name: name.to_owned(),
                marks,
                is_scoped,
                ..Party::default()
            });
        }
        Parties { interner, overflowed: false }
    }
}

impl Parties {
    /// The number of this party: of the name, and of what is known beside it. A name that is known in two ways is two
    /// parties, so that what is known of one end of a call is told by its own rows and not by when others came. Beyond
    /// [`PARTIES_MAX`] the number of [`OTHER`].
    pub fn intern(&mut self, party: &PartyName<'_>, marks: Marks) -> PartyId {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let number = self.interner.intern((party, marks), || Party {
            naming: party.naming,
            name: party.name.to_owned(),
            namespace: owned(party.namespace),
            workload: owned(party.workload),
            version: owned(party.version),
            port: party.port,
            is_scoped: party.is_scoped,
            marks,
        });
        self.overflowed |= number.is_none();
        number.map_or(PartyId::OTHER, PartyId)
    }

    pub fn len(&self) -> usize {
        self.interner.values().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn party(&self, id: PartyId) -> &Party {
        self.interner.value(id.0)
    }

    /// Whether `word` is the name that `own` itself goes by, so that nothing can be learnt of it.
    pub fn is_own_name(&self, word: PartyId, own: PartyId) -> bool {
        let (said, is) = (self.party(word), self.party(own));
        let is_same = (&said.name, &said.namespace) == (&is.name, &is.namespace);
        is_same && said.namespace.is_some() && is.marks.has(Marks::OBSERVED)
    }

    /// Every party with its number, in the order of first appearance.
    pub fn iter(&self) -> impl Iterator<Item = (PartyId, &Party)> {
        let ids = (0u32..).map(PartyId);
        ids.zip(self.interner.values())
    }

    /// Whether some parties were summed under [`OTHER`].
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_is_a_name_and_what_is_known_of_it() {
        let mut parties = Parties::default();
        let reviews = PartyName { name: "reviews", namespace: Some("default"), ..PartyName::default() };
        let first = parties.intern(&reviews, Marks::OBSERVED);
        let again = parties.intern(&reviews, Marks::OBSERVED);
        let gateway = parties.intern(&reviews, Marks::GATEWAY);
        let other = parties.intern(&PartyName { namespace: None, ..reviews }, Marks::OBSERVED);
        assert_eq!(first, again);
        assert!(first != other && first != gateway && other != gateway);
        assert_eq!(parties.party(gateway).marks, Marks::GATEWAY);
    }

    #[test]
    fn beyond_the_bound_everything_is_other() {
        let mut parties = Parties::default();
        // Four places are taken from the start.
        let ids: Vec<_> = (0..PARTIES_MAX - 3)
            .map(|i| parties.intern(&PartyName { name: &i.to_string(), ..PartyName::default() }, Marks::NONE))
            .collect();
        assert!(parties.overflowed());
        assert_eq!(parties.party(ids[PARTIES_MAX - 5]).name, (PARTIES_MAX - 5).to_string());
        assert_eq!(parties.party(ids[PARTIES_MAX - 4]).name, OTHER);
    }
}
