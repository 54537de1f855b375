//! The label sets of all chunks of a range, each once.
//!
//! A value is compared with a matcher once, however many label sets have it; so a question of a few series among
//! thousands is a look at a few numbers each, and labels are made only of what it finds.

use std::collections::HashMap;
use std::sync::Arc;

use meshlake_calls::series::chunk::{Chunk, Entry};
use meshlake_calls::series::metrics::{BUCKET_BOUND, Family};
use meshlake_promql::{Error, Labels, METRIC_NAME, Matcher};
use meshlake_schema::Budget;

use super::grid::{DAY, floor};

/// When a series is there: from the ten minutes of the first call of a day to the end of it, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub from: i64,
    pub until: i64,
}

/// One label set.
#[derive(Debug, Default)]
pub struct Set {
    /// Ascending.
    pub lives: Vec<Life>,
    /// Its place in each chunk that has it, ascending.
    places: Vec<(u32, u32)>,
}

impl Set {
    /// Whether it is there at some time later than `after` and until `until`.
    pub fn is_in(&self, after: i64, until: i64) -> bool {
        self.lives.iter().any(|life| life.from <= until && after < life.until)
    }
}

/// See the module.
#[derive(Debug)]
pub struct Index {
    family: Family,
    chunks: Vec<Arc<Chunk>>,
    names: Vec<Arc<str>>,
    texts: Vec<Arc<str>>,
    values: Vec<u32>,
    sets: Vec<Set>,
}

impl Index {
    /// Of chunks in order of time, all hashed alike.
    pub fn of(chunks: Vec<Arc<Chunk>>, family: Family) -> Index {
        let names = family.labels().iter().map(|name| Arc::from(*name)).collect();
        let mut index = Index {
            family,
            chunks: Vec::new(),
            names,
            texts: Vec::new(),
            values: Vec::new(),
            sets: Vec::new(),
        };
        let mut places: HashMap<u64, usize> = HashMap::new();
        let mut numbers: HashMap<Arc<str>, u32> = HashMap::new();
        for (number, chunk) in (0u32..).zip(&chunks) {
            let sets = chunk.sets(family);
            for set in 0..sets.len() {
                let next = index.sets.len();
                let place = *places.entry(sets.hash(set)).or_insert(next);
                if place == next {
                    index.sets.push(Set::default());
                    index.add_values(chunk, sets.values(set), &mut numbers);
                }
                index.sets[place].see(chunk.start, (number, u32::try_from(set).unwrap_or(u32::MAX)));
            }
        }
        index.chunks = chunks;
        index
    }

    fn add_values(&mut self, chunk: &Chunk, values: &[u32], numbers: &mut HashMap<Arc<str>, u32>) {
        for value in values {
            let text = &chunk.texts()[*value as usize];
            let next = u32::try_from(self.texts.len()).expect("as many texts as label sets have values");
            let number = *numbers.entry(Arc::clone(text)).or_insert(next);
            if number == next {
                self.texts.push(Arc::clone(text));
            }
            self.values.push(number);
        }
    }

    /// Whether it is the index of these very chunks.
    pub fn is_of(&self, chunks: &[Arc<Chunk>], family: Family) -> bool {
        self.family == family
            && self.chunks.len() == chunks.len()
            && self.chunks.iter().zip(chunks).all(|(mine, other)| Arc::ptr_eq(mine, other))
    }

    pub fn set(&self, set: usize) -> &Set {
        &self.sets[set]
    }

    /// The label sets that match, but for the metric's name and bounds of buckets.
    ///
    /// # Errors
    /// [`Error::Timeout`]: each value is matched once, but there may be many, and an expression may be large.
    pub fn matching(&self, matchers: &[Matcher], budget: &dyn Budget) -> Result<Vec<usize>, Error> {
        let mut asked = Vec::new();
        for matcher in
            matchers.iter().filter(|matcher| ![METRIC_NAME, BUCKET_BOUND].contains(&matcher.name.as_str()))
        {
            match self.family.labels().iter().position(|label| *label == matcher.name) {
                Some(label) => asked.push((label, matcher, vec![None; self.texts.len()])),
                None if matcher.matches("") => {}
                None => return Ok(Vec::new()),
            }
        }
        let width = self.names.len();
        let mut found = Vec::new();
        'sets: for set in 0..self.sets.len() {
            let values = &self.values[set * width..(set + 1) * width];
            for (label, matcher, known) in &mut asked {
                let value = values[*label] as usize;
                let is_match = match known[value] {
                    Some(is_match) => is_match,
                    None => {
                        budget.check_time()?;
                        *known[value].insert(matcher.matches(&self.texts[value]))
                    }
                };
                if !is_match {
                    continue 'sets;
                }
            }
            found.push(set);
        }
        Ok(found)
    }

    /// Names of labels and their values, of those that have one.
    pub fn labels(&self, set: usize) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        let width = self.names.len();
        let values =
            self.values[set * width..(set + 1) * width].iter().map(|value| &self.texts[*value as usize]);
        self.names.iter().zip(values).filter(|(_, value)| !value.is_empty())
    }

    /// The labels of a series.
    pub fn labels_of(&self, set: usize, metric: &Arc<str>, bound: Option<&Arc<str>>) -> Labels {
        let own = self.labels(set).map(|(name, value)| (Arc::clone(name), Arc::clone(value)));
        let name = std::iter::once((Arc::from(METRIC_NAME), Arc::clone(metric)));
        let bound = bound.map(|bound| (Arc::from(BUCKET_BOUND), Arc::clone(bound)));
        Labels::from_pairs(name.chain(own).chain(bound))
    }

    /// What was counted of a set in some fields, chunk after chunk.
    pub fn counts(&self, set: usize, fields: (u8, u8)) -> impl Iterator<Item = (&Chunk, &[Entry])> {
        self.sets[set].places.iter().map(move |(chunk, place)| {
            let chunk = &*self.chunks[*chunk as usize];
            (chunk, chunk.sets(self.family).entries(*place as usize, fields))
        })
    }

    pub fn has_counts(&self, set: usize, fields: (u8, u8)) -> bool {
        self.counts(set, fields).any(|(_, entries)| !entries.is_empty())
    }
}

impl Set {
    fn see(&mut self, start: i64, place: (u32, u32)) {
        self.places.push(place);
        let until = floor(start, DAY).saturating_add(DAY);
        if self.lives.last().is_none_or(|life| life.until != until) {
            self.lives.push(Life { from: start, until });
        }
    }
}
