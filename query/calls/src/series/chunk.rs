//! Label sets of ten minutes of the clock, and what was counted of each in each slot of time.
//!
//! Values of labels are numbered once, so that a question compares each value once and not once a label set. Most fields
//! of a label set are empty in most slots, so only those that hold something are kept, those of one field together: a
//! metric reads a few fields of all slots.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::metrics::Family;

/// An amount of one field in one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub field: u8,
    /// Counted from the chunk's start.
    pub slot: u8,
    pub amount: u64,
}

/// Label sets of one family, in the order in which they were met.
#[derive(Debug, Clone, Default)]
pub struct LabelSets {
    /// Numbers of values in the order of the family's labels, set after set.
    values: Vec<u32>,
    hashes: Vec<u64>,
    entries: Vec<Entry>,
    /// Where the entries of each set end.
    ends: Vec<u32>,
    width: usize,
}

impl LabelSets {
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Numbers of the values of a set, in the order of the family's labels.
    pub fn values(&self, set: usize) -> &[u32] {
        &self.values[set * self.width..(set + 1) * self.width]
    }

    /// A hash of the values of a set, the same in every chunk that was made with the same hasher.
    pub fn hash(&self, set: usize) -> u64 {
        self.hashes[set]
    }

    /// What was counted of a set in fields from one to another, both included; sorted by field and slot.
    pub fn entries(&self, set: usize, (first, last): (u8, u8)) -> &[Entry] {
        let start = if set == 0 { 0 } else { self.ends[set - 1] as usize };
        let all = &self.entries[start..self.ends[set] as usize];
        let from = all.partition_point(|entry| entry.field < first);
        let to = all.partition_point(|entry| entry.field <= last);
        &all[from..to]
    }

    fn bytes(&self) -> usize {
        self.values.len() * 4 + self.len() * 12 + self.entries.len() * size_of::<Entry>()
    }
}

/// The series of ten minutes.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Milliseconds since the epoch.
    pub start: i64,
    /// Milliseconds of a slot.
    pub slot: i64,
    texts: Vec<Arc<str>>,
    families: [LabelSets; Family::ALL.len()],
    /// What the asker should know.
    pub warnings: Vec<String>,
}

impl Chunk {
    pub fn sets(&self, family: Family) -> &LabelSets {
        &self.families[family as usize]
    }

    /// Values of labels, by number.
    pub fn texts(&self) -> &[Arc<str>] {
        &self.texts
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        let texts: usize = self.texts.iter().map(|text| text.len() + 32).sum();
        size_of::<Chunk>() + texts + self.families.iter().map(LabelSets::bytes).sum::<usize>()
    }
}

/// A chunk that is being made.
pub struct Draft<'h> {
    hasher: &'h RandomState,
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    families: [Sets; Family::ALL.len()],
}

#[derive(Default)]
struct Sets {
    places: HashMap<u64, usize>,
    values: Vec<u32>,
    hashes: Vec<u64>,
    entries: Vec<Vec<Entry>>,
}

/// One set of a draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    family: Family,
    set: usize,
}

impl<'h> Draft<'h> {
    pub fn new(hasher: &'h RandomState) -> Self {
        Draft { hasher, numbers: HashMap::new(), texts: Vec::new(), families: Default::default() }
    }

    /// The place of a label set, whose values are in the order of the family's labels.
    ///
    /// # Panics
    /// When there are not as many values as labels.
    pub fn place(&mut self, family: Family, values: &[&str]) -> Place {
        assert_eq!(values.len(), family.labels().len(), "a value for each label of {family:?}");
        let hash = self.hasher.hash_one(values);
        let sets = &mut self.families[family as usize];
        let next = sets.hashes.len();
        let set = *sets.places.entry(hash).or_insert(next);
        if set == next {
            sets.hashes.push(hash);
            sets.entries.push(Vec::new());
            for value in values {
                let number = number(value, &mut self.numbers, &mut self.texts);
                self.families[family as usize].values.push(number);
            }
        }
        Place { family, set }
    }

    /// Adds to a field of a set.
    pub fn add(&mut self, place: Place, entry: Entry) {
        if entry.amount > 0 {
            self.families[place.family as usize].entries[place.set].push(entry);
        }
    }

    /// The chunk that begins at `start`, of slots of `slot` milliseconds.
    pub fn finish(self, start: i64, slot: i64, warnings: Vec<String>) -> Chunk {
        let mut families = self.families.into_iter().zip(Family::ALL);
        let families = std::array::from_fn(|_| {
            let (sets, family) = families.next().expect("as many as there are families");
            sets.finish(family)
        });
        Chunk { start, slot, texts: self.texts, families, warnings }
    }
}

fn number(text: &str, numbers: &mut HashMap<Arc<str>, u32>, texts: &mut Vec<Arc<str>>) -> u32 {
    if let Some(known) = numbers.get(text) {
        return *known;
    }
    let number = u32::try_from(texts.len()).expect("a fold holds fewer texts");
    let text: Arc<str> = text.into();
    texts.push(Arc::clone(&text));
    numbers.insert(text, number);
    number
}

impl Sets {
    fn finish(self, family: Family) -> LabelSets {
        let mut sets = LabelSets {
            values: self.values,
            hashes: self.hashes,
            width: family.labels().len(),
            ..LabelSets::default()
        };
        for mut entries in self.entries {
            entries.sort_unstable_by_key(|entry| (entry.field, entry.slot));
            for entry in entries {
                let start = sets.ends.last().map_or(0, |end| *end as usize);
                match sets.entries[start..].last_mut() {
                    Some(held) if (held.field, held.slot) == (entry.field, entry.slot) => {
                        held.amount = held.amount.saturating_add(entry.amount);
                    }
                    _ => sets.entries.push(entry),
                }
            }
            sets.ends.push(u32::try_from(sets.entries.len()).expect("a fold has fewer cells"));
        }
        sets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_one_slot_and_field_are_one() {
        let hasher = RandomState::new();
        let mut draft = Draft::new(&hasher);
        let a = draft.place(Family::Services, &["x/a", "a", "x"]);
        let b = draft.place(Family::Services, &["b", "b", ""]);
        assert_eq!(draft.place(Family::Services, &["x/a", "a", "x"]), a);
        for (place, field, slot, amount) in
            [(a, 1, 0, 5), (b, 0, 2, 7), (a, 0, 3, 1), (a, 1, 0, 6), (a, 2, 0, 0)]
        {
            draft.add(place, Entry { field, slot, amount });
        }
        let chunk = draft.finish(600_000, 10_000, Vec::new());
        let sets = chunk.sets(Family::Services);
        let all = |set| {
            sets.entries(set, (0, u8::MAX)).iter().map(|e| (e.field, e.slot, e.amount)).collect::<Vec<_>>()
        };
        assert_eq!(all(0), [(0, 3, 1), (1, 0, 11)]);
        assert_eq!(all(1), [(0, 2, 7)]);
        assert_eq!(sets.entries(0, (1, 1)).len(), 1);
        let values = |set: usize| {
            sets.values(set).iter().map(|value| &*chunk.texts()[*value as usize]).collect::<Vec<_>>()
        };
        assert_eq!((values(0), values(1)), (vec!["x/a", "a", "x"], vec!["b", "b", ""]));
        assert_ne!(sets.hash(0), sets.hash(1));
    }
}
