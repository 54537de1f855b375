//! Prometheus remote write, 1.0 and 2.0: series of samples and native histograms to rows of the metric tables.
//!
//! A float sample is a row of `metric_points`, a native histogram one of `metric_exp_histograms`, one with custom buckets
//! of `metric_histograms`. Names and labels are kept as they are sent: `metric_name` is the label `__name__`, all other
//! labels are `attributes`, and `scope_name` says where the row comes from, so that a reader renames nothing. Beside that
//! the labels `job` and `instance` name the resource, for those who ask for services.
//!
//! A series that breaks a rule is rejected alone, by a reason. Samples come in any order. The message is read where it
//! lies, series by series; 2.0 resolves its references into the table of symbols on the way.
//!
//! Sources: prometheus.io, "Remote-Write 1.0" and "2.0"; the data model of Prometheus for labels and native histograms.
//! Limits: [`LABELS_MAX`] labels and [`BUCKETS_MAX`] buckets; how long a label may be is in `limits`.

mod unpack;
mod rows;
mod orphans;
mod exemplars;
mod samples;
mod histograms;
mod buckets;
mod names;
mod series;
mod labels;
pub mod families;
mod metadata;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::{Builders, Format, Sender};
use crate::limits::ATTRIBUTES_MAX;
use crate::protobuf::wire::WireError;
use crate::signal::Signal;
use crate::tally::{Arrival, Tally};
use orphans::Orphans;
use rows::Rows;
use series::{Payload, Series};

/// Labels of a series beside its name; as many as attributes of any other record. A series is rejected above it and not
/// cut, because without a label it would be another series.
const LABELS_MAX: usize = ATTRIBUTES_MAX;

/// Buckets of one sign between the first and the last that has values. Prometheus keeps 160 that have some; at the
/// finest schema, 256 buckets a power of two, these reach over 77 powers of ten.
const BUCKETS_MAX: usize = 1 << 16;

/// The scope of every row that came in by remote write.
pub const SCOPE_NAME: &str = "prometheus.remote_write";

/// Which of the two messages a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

pub static VERSION_1: Format = Format {
    name: "prometheus_remote_write_1",
    signal: Signal::Metrics,
    source: "remote_write_1",
    resends: |_| true,
    rewrites: false,
    tells_written: true,
    unpack: |bytes| unpack::unpack(bytes, Version::One),
    decode: |bytes, sender, arrival, out| decode(bytes, Version::One, sender, arrival, out),
};

pub static VERSION_2: Format = Format {
    name: "prometheus_remote_write_2",
    signal: Signal::Metrics,
    source: "remote_write_2",
    resends: |_| true,
    rewrites: false,
    tells_written: true,
    unpack: |bytes| unpack::unpack(bytes, Version::Two),
    decode: |bytes, sender, arrival, out| decode(bytes, Version::Two, sender, arrival, out),
};

/// Decodes the series of one payload, one row a sample, in the order sent; last come exemplars of which no sample was
/// sent along.
///
/// # Errors
/// A payload that was not validated; `out` may then hold part of a row.
fn decode(
    bytes: &[u8],
    version: Version,
    sender: Option<&Sender>,
    arrival: &Arrival<'_>,
    out: &mut Builders,
) -> Result<Tally, WireError> {
    let told = match (version, sender) {
        (Version::One, Some(Sender::Families(families))) => families.learn(arrival.tenant, bytes)?,
        _ => Arc::default(),
    };
    let payload = Payload::read(bytes, version)?;
    let mut orphans = Orphans::find(&payload)?;
    let mut rows = Rows::new(arrival, &told, &mut out.metrics);
    let mut series = Series::default();
    for message in payload.series() {
        series.read(message?, &payload)?;
        if series.has_points() {
            rows.push_points(&mut series, &payload, &mut orphans)?;
        }
    }
    for message in orphans.left() {
        series.read(message, &payload)?;
        rows.push_exemplars_alone(&mut series, &payload)?;
    }
    Ok(rows.end())
}
