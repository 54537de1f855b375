//! Adds up parts of traces by key: the one place that says what two parts of a trace are together.
//!
//! A span is a part of one; a row of `traces` is a part of many. Both go through [`Parts::add`], whose
//! operations (minimum, maximum, sum, union, the first root in a total order) are associative and
//! commutative. So rows come out the same whatever order and grouping their spans went through.

use std::cmp::Ordering;

use hashbrown::HashMap;

use crate::names::Names;
use crate::tables::SERVICE_NAME_BYTES_MAX;
use crate::time::WINDOW_MICROS;

/// What makes two parts one: the same trace of the same tenant, in the same window of start times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key<'a> {
    pub trace_id: &'a str,
    /// Number of its name.
    pub tenant: u32,
    window: i64,
}

impl<'a> Key<'a> {
    pub fn new(trace_id: &'a str, tenant: u32, time_micros: i64) -> Self {
        Key { trace_id, tenant, window: time_micros.div_euclid(WINDOW_MICROS) }
    }
}

/// All that a row says but its key and its services.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    pub ingest_micros: i64,
    pub time_micros: i64,
    pub time_nanos: i64,
    pub end_nanos: i64,
    pub last_start_nanos: i64,
    pub span_count: i64,
    pub error_count: i64,
    pub status_error_count: i64,
    pub services_truncated: bool,
    pub root: Option<Root>,
}

/// A span without a parent; texts by number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Root {
    pub time_nanos: i64,
    pub duration_nanos: i64,
    pub service: Option<u32>,
    pub service_namespace: Option<u32>,
    pub name: Option<u32>,
    pub status_code: i32,
    pub outcome: Option<u32>,
    pub http_status: Option<i64>,
}

impl Root {
    /// The earliest first; of those that start together, whichever the rest of their columns puts first, so
    /// that the choice does not depend on who came first.
    fn order(&self, other: &Root, names: &Names) -> Ordering {
        let numbers =
            |root: &Root| (root.time_nanos, root.duration_nanos, root.status_code, root.http_status);
        let texts = |root: &Root| {
            let texts = [root.service, root.service_namespace, root.name, root.outcome];
            texts.map(|number| number.map(|number| names.text(number)))
        };
        numbers(self).cmp(&numbers(other)).then_with(|| texts(self).cmp(&texts(other)))
    }
}

impl Part {
    fn merge(&mut self, other: &Part, names: &Names) {
        self.ingest_micros = self.ingest_micros.max(other.ingest_micros);
        self.time_micros = self.time_micros.min(other.time_micros);
        self.time_nanos = self.time_nanos.min(other.time_nanos);
        self.end_nanos = self.end_nanos.max(other.end_nanos);
        self.last_start_nanos = self.last_start_nanos.max(other.last_start_nanos);
        self.span_count = self.span_count.saturating_add(other.span_count);
        self.error_count = self.error_count.saturating_add(other.error_count);
        self.status_error_count = self.status_error_count.saturating_add(other.status_error_count);
        self.services_truncated |= other.services_truncated;
        if let Some(root) = &other.root
            && self.root.is_none_or(|own| root.order(&own, names).is_lt())
        {
            self.root = Some(*root);
        }
    }
}

/// The parts seen so far, in the order of their first one.
#[derive(Default)]
pub(super) struct Parts<'a> {
    pub names: Names<'a>,
    pub keys: Vec<Key<'a>>,
    pub parts: Vec<Part>,
    /// Who took part, with repetitions: position of the part, number of the service's name.
    pub services: Vec<(u32, u32)>,
    positions: HashMap<Key<'a>, u32>,
    /// Of each part, the service added last: spans of one service mostly come together.
    last_services: Vec<Option<u32>>,
    last_position: usize,
}

impl<'a> Parts<'a> {
    /// Adds a part; says where it went, for [`Parts::add_service`].
    pub fn add(&mut self, key: Key<'a>, part: &Part) -> usize {
        // Spans of one trace mostly come together too.
        if self.keys.get(self.last_position) != Some(&key) {
            let next = u32::try_from(self.keys.len()).expect("batches in memory hold fewer than 2^32 rows");
            self.last_position = *self.positions.entry(key).or_insert(next) as usize;
        }
        let position = self.last_position;
        if position == self.keys.len() {
            self.keys.push(key);
            self.parts.push(*part);
            self.last_services.push(None);
        } else {
            self.parts[position].merge(part, &self.names);
        }
        position
    }

    pub fn add_service(&mut self, position: usize, service: u32) {
        if self.last_services[position] == Some(service) {
            return;
        }
        self.last_services[position] = Some(service);
        let (shown, is_cut) = cut(self.names.text(service));
        self.parts[position].services_truncated |= is_cut;
        let shown = if is_cut { self.names.number(shown) } else { service };
        self.services.push((u32::try_from(position).expect("positions are numbered by u32"), shown));
    }
}

/// At most [`SERVICE_NAME_BYTES_MAX`] bytes of a name, whole characters; whether that is less than all.
fn cut(name: &str) -> (&str, bool) {
    let end = name.floor_char_boundary(SERVICE_NAME_BYTES_MAX);
    (&name[..end], end < name.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        let fits = "x".repeat(SERVICE_NAME_BYTES_MAX);
        assert_eq!(cut(&fits), (fits.as_str(), false));
        assert_eq!(cut(&format!("{fits}y")), (fits.as_str(), true));
        // 255 bytes, then a character of two.
        let odd = format!("{}é", &fits[1..]);
        assert_eq!(cut(&odd), (&fits[1..], true));
    }
}
