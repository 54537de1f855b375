//! What senders of 1.0 have said of metrics: its requests tell types, helps and units apart from the samples.
//!
//! Prometheus sends them once a minute, by families, in requests that have nothing else. They are no rows, so they are
//! remembered in memory, and the rows that come after say what was told of their metric. After a restart rows say nothing of
//! it until the sender tells again. A family is found by the metric's name, or that without the suffix that its type gives
//! to some of its samples.
//!
//! Source: prometheus/prompb/types.proto, `MetricMetadata`; OpenMetrics 1.0, "Suffixes". Limits: all that is remembered is at most
//! [`TEXT_BYTES_MAX`]; what would be more is not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::metadata::{Metadata, MetricType};
use crate::protobuf::wire::{Fields, WireError, repeated};

/// Names, helps and units of all tenants, in bytes. A large Prometheus has some 5,000 families of 100 bytes each; this is
/// thirty of them.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// What a map takes for an entry beside its texts, roughly, lest empty ones be free.
const ENTRY_BYTES: usize = 128;

/// What was told, by tenant; clones remember the same.
#[derive(Debug, Clone, Default)]
pub struct Families(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    tenants: HashMap<String, Arc<FamiliesOfTenant>>,
    bytes: usize,
}

/// What was told by one tenant's senders, by the names of families.
#[derive(Debug, Clone, Default)]
pub(super) struct FamiliesOfTenant(HashMap<Vec<u8>, Family>);

#[derive(Debug, Clone, Default)]
struct Family {
    metric_type: MetricType,
    help: Vec<u8>,
    unit: Vec<u8>,
}

impl Families {
    /// Remembers what a payload of a tenant tells, and gives all that the tenant has told.
    ///
    /// # Errors
    /// A payload that was not validated.
    pub(super) fn learn(&self, tenant: &str, payload: &[u8]) -> Result<Arc<FamiliesOfTenant>, WireError> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for message in repeated(payload, 3) {
            let (name, family) = read(message?)?;
            told.learn(tenant, name, family);
        }
        Ok(told.tenants.get(tenant).cloned().unwrap_or_default())
    }
}

impl Told {
    fn learn(&mut self, tenant: &str, name: &[u8], family: Family) {
        let known = self.tenants.get(tenant).and_then(|families| families.0.get(name));
        let before = known.map_or(0, |known| known.bytes(name));
        let bytes = self.bytes - before + family.bytes(name);
        if bytes > TEXT_BYTES_MAX {
            return;
        }
        self.bytes = bytes;
        if !self.tenants.contains_key(tenant) {
            self.tenants.insert(tenant.to_owned(), Arc::default());
        }
        if let Some(families) = self.tenants.get_mut(tenant) {
            // Whoever holds it is decoding a payload, which is over before the next one comes.
            Arc::make_mut(families).0.insert(name.to_vec(), family);
        }
    }
}

impl Family {
    fn bytes(&self, name: &[u8]) -> usize {
        ENTRY_BYTES + name.len() + self.help.len() + self.unit.len()
    }
}

impl FamiliesOfTenant {
    /// What was told of a metric; nothing where it is not known.
    pub(super) fn metadata_of(&self, metric_name: &str) -> Metadata<'_> {
        let suffixes: [(&str, &[MetricType]); 5] = [
            ("", &[]),
            ("_bucket", &[MetricType::Histogram, MetricType::GaugeHistogram]),
            ("_count", &[MetricType::Histogram, MetricType::Summary]),
            ("_sum", &[MetricType::Histogram, MetricType::Summary]),
            ("_total", &[MetricType::Counter]),
        ];
        let found = suffixes.into_iter().find_map(|(suffix, types)| {
            let family = self.0.get(metric_name.strip_suffix(suffix)?.as_bytes())?;
            (types.is_empty() || types.contains(&family.metric_type)).then_some(family)
        });
        found.map_or_else(Metadata::default, |family| Metadata {
            metric_type: family.metric_type,
            help: &family.help,
            unit: &family.unit,
        })
    }
}

/// A `MetricMetadata` message.
fn read(message: &[u8]) -> Result<(&[u8], Family), WireError> {
    let (mut name, mut family): (&[u8], _) = (b"", Family::default());
    for field in Fields::new(message) {
        match field? {
            (1, value) => family.metric_type = MetricType::of(value.varint(1)?),
            (2, value) => name = value.bytes(2)?,
            (4, value) => family.help = value.bytes(4)?.to_vec(),
            (5, value) => family.unit = value.bytes(5)?.to_vec(),
            _ => {}
        }
    }
    Ok((name, family))
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::decode::remote_write::testing::{MetricMetadata, WriteRequest};

    fn request(told: &[(&str, u64, &str)]) -> Vec<u8> {
        let metadata = told.iter().map(|(name, metric_type, help)| MetricMetadata {
            metric_type: *metric_type,
            metric_family_name: (*name).to_owned(),
            help: (*help).to_owned(),
            unit: "s".to_owned(),
        });
        WriteRequest { metadata: metadata.collect(), ..WriteRequest::default() }.encode_to_vec()
    }

    /// Types by number: 1 counter, 2 gauge, 3 histogram, 5 summary.
    #[test]
    fn a_family_is_found_by_the_names_of_its_samples() {
        let told = [("c", 1, "a"), ("d_total", 1, "b"), ("g", 2, "c"), ("h", 3, "d"), ("s", 5, "e")];
        let families = Families::default().learn("t", &request(&told)).expect("valid");
        let cases = [
            ("c", "a"),
            ("c_total", "a"),
            ("d_total", "b"),
            ("d", ""),
            ("g", "c"),
            ("g_total", ""),
            ("g_count", ""),
            ("h", "d"),
            ("h_bucket", "d"),
            ("h_sum", "d"),
            ("h_count", "d"),
            ("s_sum", "e"),
            ("s_count", "e"),
            ("s_bucket", ""),
            ("", ""),
        ];
        for (name, help) in cases {
            let metadata = families.metadata_of(name);
            assert_eq!(
                (metadata.help, metadata.unit.is_empty()),
                (help.as_bytes(), help.is_empty()),
                "{name}"
            );
        }
    }

    #[test]
    fn the_last_word_counts_and_tenants_are_apart() {
        let families = Families::default();
        families.learn("a", &request(&[("m", 1, "old"), ("n", 2, "kept")])).expect("valid");
        let of_b = families.learn("b", &request(&[])).expect("valid");
        assert_eq!(of_b.metadata_of("m"), Metadata::default());
        let of_a = families.learn("a", &request(&[("m", 2, "new")])).expect("valid");
        assert_eq!(
            (of_a.metadata_of("m").help, of_a.metadata_of("m").metric_type),
            (b"new".as_slice(), MetricType::Gauge)
        );
        assert_eq!(of_a.metadata_of("n").help, b"kept");
    }

    /// 1,024 families of 16 KiB fit; of 40 more none is remembered, and those that are known still change.
    #[test]
    fn what_is_remembered_is_bounded() {
        let families = Families::default();
        let help = "h".repeat((16 << 10) - ENTRY_BYTES - 5);
        let names: Vec<_> = (0..1_064).map(|at| format!("{at:04}")).collect();
        let told: Vec<_> = names.iter().map(|name| (name.as_str(), 1, help.as_str())).collect();
        let known = families.learn("t", &request(&told)).expect("valid");
        let is_known = |name: &&String| !known.metadata_of(name).help.is_empty();
        // A family takes 16 KiB, its unit included.
        assert_eq!(names.iter().filter(is_known).count(), 1_024);
        drop(known);
        let known = families
            .learn("t", &request(&[("0001", 2, "short"), ("0002", 2, ""), ("1063", 2, &help)]))
            .expect("valid");
        assert_eq!(known.metadata_of("0001").help, b"short");
        assert_eq!(known.metadata_of("1063").help, help.as_bytes(), "there is room again");
    }
}
