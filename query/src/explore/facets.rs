//! Which values a column has, and how many rows have each.

use std::cmp::Reverse;
use std::collections::HashMap;

/// Values that are told apart. A column of more (ids, addresses, paths with ids in them) is no choice for people; ten facets
/// of as many values take some megabytes for each thread.
pub const VALUES_MAX: usize = 4_096;

/// Bytes of a value; one that is longer makes no choice either.
pub const VALUE_BYTES_MAX: usize = 256;

/// A value and how many rows have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    pub value: String,
    pub rows: u64,
}

/// The values of one column over all rows that were counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facet {
    /// Those of most rows first, then by name; as many as were asked for.
    pub values: Vec<Counted>,
    /// How many other values there are, and rows that have one.
    pub others: usize,
    pub other_rows: u64,
    /// There are more than [`VALUES_MAX`], or longer ones than [`VALUE_BYTES_MAX`]: none is told, as some would be wrong.
    pub is_given_up: bool,
}

impl Facet {
    /// Of values in any order, the `most` that most rows have.
    pub fn of(values: impl IntoIterator<Item = (String, u64)>, most: usize) -> Facet {
        let counted = values.into_iter().map(|(value, rows)| Counted { value, rows });
        let mut values: Vec<Counted> = counted.filter(|counted| counted.rows > 0).collect();
        values.sort_unstable_by(|a, b| (Reverse(a.rows), &a.value).cmp(&(Reverse(b.rows), &b.value)));
        let rest = values.split_off(values.len().min(most));
        let other_rows = rest.iter().map(|counted| counted.rows).sum();
        Facet { values, others: rest.len(), other_rows, is_given_up: false }
    }

    /// One that has too many values.
    pub fn given_up() -> Facet {
        Facet { is_given_up: true, ..Facet::default() }
    }
}

/// Counts the values of a column.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    places: HashMap<String, u32>,
    counts: Vec<u64>,
    is_given_up: bool,
}

impl Tally {
    /// What stands for nothing, or for a value that is not counted.
    const NOWHERE: u32 = u32::MAX;

    /// Where a value is counted; for an empty one, which is none, nowhere.
    pub fn place(&mut self, value: &str) -> u32 {
        if let Some(place) = self.places.get(value) {
            return *place;
        }
        if value.is_empty() || self.is_given_up {
            return Tally::NOWHERE;
        }
        if self.counts.len() == VALUES_MAX || value.len() > VALUE_BYTES_MAX {
            self.is_given_up = true;
            return Tally::NOWHERE;
        }
        let place = self.counts.len() as u32;
        self.places.insert(value.to_owned(), place);
        self.counts.push(0);
        place
    }

    pub fn add(&mut self, place: u32, rows: u64) {
        if let Some(count) = self.counts.get_mut(place as usize) {
            *count += rows;
        }
    }

    /// Whether that is the place of a value.
    pub fn has(&self, place: u32) -> bool {
        (place as usize) < self.counts.len()
    }

    /// The values by place.
    pub fn values(&self) -> Vec<&str> {
        let mut values = vec![""; self.counts.len()];
        for (value, place) in &self.places {
            values[*place as usize] = value;
        }
        values
    }

    pub fn is_given_up(&self) -> bool {
        self.is_given_up
    }

    /// Gives up if the other was given up.
    pub fn give_up_with(&mut self, other: &Tally) {
        self.is_given_up |= other.is_given_up;
    }

    /// Bytes that it takes, about: each value with its place in a map and its count.
    pub fn bytes(&self) -> usize {
        const ENTRY_BYTES: usize = 64;
        self.places.keys().map(|value| value.len() + ENTRY_BYTES).sum()
    }

    /// Adds what another thread counted.
    pub fn merge(&mut self, other: &Tally) {
        for (value, place) in &other.places {
            let own = self.place(value);
            self.add(own, other.counts[*place as usize]);
        }
        self.give_up_with(other);
    }

    pub fn facet(self, most: usize) -> Facet {
        if self.is_given_up {
            return Facet::given_up();
        }
        let Tally { places, counts, .. } = self;
        Facet::of(places.into_iter().map(|(value, place)| (value, counts[place as usize])), most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(values: impl IntoIterator<Item = String>) -> Tally {
        let mut tally = Tally::default();
        for value in values {
            let place = tally.place(&value);
            tally.add(place, 1);
        }
        tally
    }

    #[test]
    fn the_most_frequent_come_first_and_the_rest_is_counted() {
        let told = |text: &str| tally(text.split(' ').map(str::to_owned));
        let mut whole = told("b a c a  d");
        whole.merge(&told("d e d"));
        let counted = |value: &str, rows| Counted { value: value.to_owned(), rows };
        let want = Facet {
            values: vec![counted("d", 3), counted("a", 2)],
            others: 3,
            other_rows: 3,
            is_given_up: false,
        };
        assert_eq!(whole.facet(2), want);
    }

    /// However rows are dealt out to threads, the same columns are given up.
    #[test]
    fn a_facet_of_too_many_values_is_given_up() {
        let numbers = |range: std::ops::Range<usize>| tally(range.map(|n| n.to_string()));
        let facet = numbers(0..VALUES_MAX).facet(1);
        assert_eq!((facet.others, facet.is_given_up), (VALUES_MAX - 1, false));
        assert_eq!(numbers(0..VALUES_MAX + 1).facet(1), Facet::given_up());
        let mut halves = numbers(0..VALUES_MAX);
        halves.merge(&numbers(1..VALUES_MAX + 1));
        assert_eq!(halves.facet(1), Facet::given_up());
        assert!(!tally(["x".repeat(VALUE_BYTES_MAX)]).facet(1).is_given_up);
        assert!(tally(["x".repeat(VALUE_BYTES_MAX + 1)]).facet(1).is_given_up);
    }
}
