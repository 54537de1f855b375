//! The stems of one tenant, small: by number, with labels as numbers of pairs.
//!
//! A question about names and labels looks at every stem there is, of which there may be a million, so that a stem takes some
//! hundred bytes here and the ten labels of one are ten numbers. What is asked of a label is then asked once a pair of name
//! and value instead of once a stem, and what is asked of a name once a class. Numbers hold for as long as the index does;
//! nothing is ever taken out of it.

use std::hash::Hash;
use std::sync::{Arc, LazyLock};

use hashbrown::HashMap;
use meshlake_promql::{Label, Labels, METRIC_NAME};
use meshlake_schema::rows::Text;

use super::labelled::{Labelled, Marked};
use super::{DELTA, Entry};
use crate::samples::stems::{Promoted, ResourceLabels, Shape, Stem, StemKey, labels};

/// Bytes that an entry of a table of numbers takes beside what it holds, about.
const NUMBERED_BYTES: usize = 48;

/// What is the same in many stems.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Class {
    /// The metric as it is stored, and the name of its series without an ending; numbers of texts.
    metric: u32,
    family: u32,
    pub shape: Shape,
    is_delta: bool,
    pub is_remote_written: bool,
}

/// A stored series; see [`Stem`].
#[derive(Debug, Clone, Copy)]
struct Slim {
    key: StemKey,
    class: u32,
    resource: u32,
    /// Where its labels are among those of all.
    labels: (u32, u32),
}

/// Values by number, each once.
#[derive(Debug)]
struct Numbered<T> {
    numbers: HashMap<T, u32>,
    all: Vec<T>,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Numbered { numbers: HashMap::new(), all: Vec::new() }
    }
}

impl<T: Clone + Eq + Hash> Numbered<T> {
    fn get(&self, number: u32) -> &T {
        &self.all[number as usize]
    }

    fn len(&self) -> usize {
        self.all.len()
    }

    /// The number of a value, and whether it is new.
    fn number(&mut self, value: T) -> (u32, bool) {
        if let Some(known) = self.numbers.get(&value) {
            return (*known, false);
        }
        let next = u32::try_from(self.all.len()).expect("each takes more than a byte of memory");
        self.all.push(value.clone());
        self.numbers.insert(value, next);
        (next, true)
    }
}

/// The stems of one tenant.
#[derive(Debug, Default)]
pub struct Index {
    texts: Numbered<Arc<str>>,
    /// Names and values of labels, numbers of texts.
    pairs: Numbered<(u32, u32)>,
    classes: Numbered<Class>,
    /// Bits of what tells the series of a stem apart.
    marks: Numbered<Vec<u64>>,
    resources: Vec<Resource>,
    resource_numbers: HashMap<i64, u32>,
    stems: Vec<Slim>,
    /// Of all stems, pairs by number.
    labels: Vec<u32>,
    /// None for a metric that has no name in Prometheus.
    by_key: HashMap<StemKey, Option<u32>>,
    /// Labels whose values several attributes made, of the few stems that have such.
    collisions: HashMap<u32, Vec<String>>,
    bytes: usize,
    promoted: Promoted,
}

/// What a resource adds to labels, and the labels of its target; none for one that has none.
#[derive(Debug)]
struct Resource {
    labels: ResourceLabels,
    target: Option<Vec<(String, String)>>,
}

impl Index {
    /// An index of no stems yet, whose resources add the labels of `promoted`.
    pub fn of(promoted: Promoted) -> Self {
        Index { promoted, ..Index::default() }
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    pub fn stem_count(&self) -> usize {
        self.stems.len()
    }

    pub fn resource_count(&self) -> usize {
        self.resources.len()
    }

    pub fn class_of(&self, stem: u32) -> u32 {
        self.stems[stem as usize].class
    }

    pub fn class_count(&self) -> usize {
        self.classes.len()
    }

    pub fn class(&self, class: u32) -> &Class {
        self.classes.get(class)
    }

    /// The number of a class's metric, as it is stored.
    pub fn metric(&self, class: u32) -> u32 {
        self.classes.get(class).metric
    }

    /// The name of a class's series, without an ending.
    pub fn family(&self, class: u32) -> &Arc<str> {
        self.texts.get(self.classes.get(class).family)
    }

    pub fn key(&self, stem: u32) -> StemKey {
        self.stems[stem as usize].key
    }

    pub fn resource_of(&self, stem: u32) -> u32 {
        self.stems[stem as usize].resource
    }

    /// The labels of a resource's `target_info`.
    pub fn target(&self, resource: u32) -> Option<&[(String, String)]> {
        self.resources[resource as usize].target.as_deref()
    }

    /// The labels of a stem, pairs by number, in order of their names.
    pub fn labels_of(&self, stem: u32) -> &[u32] {
        let (from, to) = self.stems[stem as usize].labels;
        &self.labels[from as usize..to as usize]
    }

    pub fn pair_count(&self) -> usize {
        self.pairs.len()
    }

    pub fn pair(&self, pair: u32) -> (&Arc<str>, &Arc<str>) {
        let (name, value) = *self.pairs.get(pair);
        (self.texts.get(name), self.texts.get(value))
    }

    /// Name and value of a pair, numbers of texts.
    pub fn pair_numbers(&self, pair: u32) -> (u32, u32) {
        *self.pairs.get(pair)
    }

    /// The number of a text; none of one that no series has.
    pub fn text_number(&self, text: &str) -> Option<u32> {
        self.texts.numbers.get(text).copied()
    }

    /// What tells the series of a stem apart.
    pub fn marks(&self, marks: u32) -> impl Iterator<Item = f64> + '_ {
        self.marks.get(marks).iter().map(|bits| f64::from_bits(*bits))
    }

    /// A stem, whole.
    pub fn stem(&self, stem: u32) -> Stem {
        let class = self.class(self.class_of(stem));
        Stem {
            metric: Arc::clone(self.texts.get(class.metric)),
            family: Arc::clone(self.texts.get(class.family)),
            labels: self.named(stem),
            shape: class.shape,
            is_delta: class.is_delta,
            is_remote_written: class.is_remote_written,
            collisions: self.collisions.get(&stem).cloned().unwrap_or_default(),
        }
    }

    /// The labels of a stem, with its family for the name.
    fn named(&self, stem: u32) -> Labels {
        // One name for all, so that sets are compared without reading it.
        static NAME: LazyLock<Arc<str>> = LazyLock::new(|| METRIC_NAME.into());
        let label = |pair: &u32| {
            let (name, value) = self.pair(*pair);
            Label { name: Arc::clone(name), value: Arc::clone(value) }
        };
        let own = self.labels_of(stem);
        let before = own.partition_point(|pair| **self.pair(*pair).0 < *METRIC_NAME);
        let name = Label { name: Arc::clone(&NAME), value: Arc::clone(self.family(self.class_of(stem))) };
        let labels = own[..before].iter().map(label).chain([name]).chain(own[before..].iter().map(label));
        Labels::of_sorted(labels.collect())
    }

    /// The number of a row's stem, which is made when it is met first; none for a metric that has no name in Prometheus.
    pub fn number(&mut self, key: StemKey, labelled: &Labelled<'_>, row: usize) -> Option<u32> {
        if let Some(known) = self.by_key.get(&key) {
            return *known;
        }
        let stem = self.made(key, labelled, row);
        self.bytes += NUMBERED_BYTES;
        self.by_key.insert(key, stem);
        stem
    }

    /// The number of a key's stem, none for a metric that has no name in Prometheus; nothing before it was met.
    pub fn known(&self, key: StemKey) -> Option<Option<u32>> {
        self.by_key.get(&key).copied()
    }

    /// What a row says of its stem.
    pub fn entry(&mut self, stem: u32, marked: &Marked<'_>, row: usize) -> Entry {
        let is_spread = self.class(self.class_of(stem)).shape.is_spread();
        Entry {
            stem,
            marks: is_spread.then(|| self.number_of_marks(&marked.marks(row))),
            has_sum: is_spread && marked.has_sum(row),
            first: marked.first_time(row),
            last: marked.last_time(row),
        }
    }

    /// The number of a list of marks.
    fn number_of_marks(&mut self, marks: &[f64]) -> u32 {
        let (number, is_new) = self.marks.number(marks.iter().map(|mark| mark.to_bits()).collect());
        self.bytes += if is_new { 2 * (NUMBERED_BYTES + 8 * marks.len()) } else { 0 };
        number
    }

    fn made(&mut self, key: StemKey, labelled: &Labelled<'_>, row: usize) -> Option<u32> {
        let (family, shape) = labelled.names.family(row)?;
        let resource = self.resource(labelled, row);
        let mut collisions = Vec::new();
        let own = labelled.own_attributes(row);
        let of_resource = &self.resources[resource as usize].labels;
        let labels = labels(of_resource, labelled.scope(row), own, &mut collisions);
        let class = Class {
            metric: self.text(labelled.names.metric.get(row).unwrap_or_default()),
            family: self.text(&family),
            shape,
            is_delta: labelled.temporality.get(row) == Some(DELTA),
            is_remote_written: labelled.names.is_remote_written(row),
        };
        let (class, _) = self.classes.number(class);
        let place = |all: &Vec<u32>| u32::try_from(all.len()).expect("they take less memory than that");
        let from = place(&self.labels);
        for (name, value) in &labels {
            let pair = (self.text(name), self.text(value));
            let (pair, is_new) = self.pairs.number(pair);
            self.bytes += if is_new { NUMBERED_BYTES } else { 0 };
            self.labels.push(pair);
        }
        let stem = u32::try_from(self.stems.len()).expect("a stem takes more than a byte of memory");
        self.stems.push(Slim { key, class, resource, labels: (from, place(&self.labels)) });
        self.bytes += size_of::<Slim>() + labels.len() * size_of::<u32>();
        if !collisions.is_empty() {
            self.collisions.insert(stem, collisions);
        }
        Some(stem)
    }

    fn resource(&mut self, labelled: &Labelled<'_>, row: usize) -> u32 {
        let id = labelled.resource_id.or_zero(row);
        if let Some(known) = self.resource_numbers.get(&id) {
            return *known;
        }
        let text = |text: Text<'_>| text.get(row).unwrap_or_default().to_owned();
        let (resource, types) = (text(labelled.resource), text(labelled.resource_types));
        let labels = ResourceLabels::of(&resource, &types, &self.promoted);
        let target = ResourceLabels::of_target(&resource, &types);
        self.bytes += 2 * resource.len() + NUMBERED_BYTES;
        let number = u32::try_from(self.resources.len()).expect("each takes more than a byte of memory");
        self.resources.push(Resource { labels, target });
        self.resource_numbers.insert(id, number);
        number
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(known) = self.texts.numbers.get(text) {
            return *known;
        }
        self.bytes += NUMBERED_BYTES + text.len();
        self.texts.number(text.into()).0
    }
}
