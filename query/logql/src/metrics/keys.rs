//! Which series a line is of.
//!
//! Most lines are of a stream that came before and have no labels of their own that count: then the series is known by the
//! stream alone. Labels are made a set only for a series that is new.

use hashbrown::HashMap;
use meshlake_promql::Labels;

use crate::pipeline::LabelSet;
use crate::tree::metric::Grouping;

/// Labels that tell series apart.
#[derive(Debug, Clone)]
pub enum Kept<'q> {
    /// One series, whatever the labels.
    None,
    By(&'q [String]),
    /// All but those, and but the one that is a number.
    Without(&'q [String], Option<&'q str>),
}

impl<'q> Kept<'q> {
    pub fn new(grouping: Option<&'q Grouping>, unwrapped: Option<&'q str>) -> Kept<'q> {
        match grouping {
            Some(grouping) if !grouping.is_without => Kept::By(&grouping.labels),
            Some(grouping) => Kept::Without(&grouping.labels, unwrapped),
            None => Kept::Without(&[], unwrapped),
        }
    }

    fn keeps(&self, name: &str) -> bool {
        match self {
            Kept::None => false,
            Kept::By(names) => names.iter().any(|known| known == name),
            Kept::Without(names, unwrapped) => {
                *unwrapped != Some(name) && !names.iter().any(|known| known == name)
            }
        }
    }

    /// The labels of the series.
    fn labels(&self, labels: &LabelSet<'_>) -> Labels {
        let found = labels.iter().map(|(name, value, _)| (name, value));
        Labels::from_pairs(found.filter(|(name, _)| self.keeps(name)))
    }

    /// Writes what tells the series from others.
    fn write(&self, labels: &LabelSet<'_>, out: &mut Vec<u8>) {
        let mut push = |text: &str| {
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        };
        match self {
            Kept::None => {}
            Kept::By(names) => names.iter().for_each(|name| push(labels.get(name).unwrap_or_default())),
            Kept::Without(..) => {
                let found = labels.iter().map(|(name, value, _)| (name, value));
                let mut found: Vec<_> =
                    found.filter(|(name, value)| !value.is_empty() && self.keeps(name)).collect();
                found.sort_unstable();
                for (name, value) in found {
                    push(name);
                    push(value);
                }
            }
        }
    }
}

/// The series that are known, by number.
#[derive(Debug)]
pub struct Keys<'q> {
    kept: Kept<'q>,
    by_key: HashMap<Box<[u8]>, usize>,
    /// By where a stream's labels lie, which are held so that no others come to lie there.
    by_stream: HashMap<usize, (Labels, usize)>,
    labels: Vec<Labels>,
    buffer: Vec<u8>,
}

impl<'q> Keys<'q> {
    pub fn new(kept: Kept<'q>) -> Keys<'q> {
        Keys {
            kept,
            by_key: HashMap::new(),
            by_stream: HashMap::new(),
            labels: Vec::new(),
            buffer: Vec::new(),
        }
    }

    pub fn labels(&self) -> &[Labels] {
        &self.labels
    }

    /// The series of a line; a new one has the number that was the count.
    pub fn place(&mut self, labels: &LabelSet<'_>) -> usize {
        let stream = labels.stream();
        let lies = stream
            .iter()
            .next()
            .map(|first| std::ptr::from_ref(first).addr())
            .filter(|_| labels.is_of_stream());
        if let Some((_, place)) = lies.and_then(|lies| self.by_stream.get(&lies)) {
            return *place;
        }
        self.buffer.clear();
        self.kept.write(labels, &mut self.buffer);
        let place = match self.by_key.get(self.buffer.as_slice()) {
            Some(place) => *place,
            None => {
                let place = self.labels.len();
                self.labels.push(self.kept.labels(labels));
                self.by_key.insert(self.buffer.as_slice().into(), place);
                place
            }
        };
        if let Some(lies) = lies {
            self.by_stream.insert(lies, (stream.clone(), place));
        }
        place
    }

    /// The series that is another's of the same question.
    pub fn place_of(&mut self, labels: &Labels) -> usize {
        self.place(&LabelSet::new(labels))
    }
}
