//! Counts what the receivers did with exports, for `/metrics`.
//!
//! Whole exports that were refused never reach the ledger, which counts records: nobody can say how many
//! records undecodable bytes hold. So they are counted here, by receiver, signal and status. Labels come
//! from closed lists; nothing that a sender writes becomes a label.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use meshlake_schema::metrics::Page;

/// Exports with the same labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportLabels {
    /// `otlp_grpc`, `otlp_http` or `envoy_als`.
    pub receiver: &'static str,
    /// A signal's name, or `unknown` when the export named none.
    pub signal: &'static str,
    /// `ok`, `partial`, `repeat`, or the name of a refusal.
    pub status: &'static str,
}

/// Counters since start.
#[derive(Debug, Default)]
pub struct Stats {
    exports: Mutex<BTreeMap<ExportLabels, u64>>,
    wire_bytes: AtomicU64,
    payload_bytes: AtomicU64,
}

/// A reading of [`Stats`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatsReading {
    /// Exports answered; of access log streams, messages stored or lost, and what ended a stream.
    pub exports: Vec<(ExportLabels, u64)>,
    /// Bytes, as sent, of the exports and messages that could be unpacked.
    pub wire_bytes: u64,
    /// The same after inflating and after JSON was rewritten as protobuf.
    pub payload_bytes: u64,
}

impl Stats {
    pub fn count_export(&self, labels: ExportLabels) {
        *self.exports.lock().unwrap_or_else(PoisonError::into_inner).entry(labels).or_default() += 1;
    }

    pub fn count_bytes(&self, wire: usize, payload: usize) {
        self.wire_bytes.fetch_add(wire as u64, Ordering::Relaxed);
        self.payload_bytes.fetch_add(payload as u64, Ordering::Relaxed);
    }

    /// Writes what was answered, and its bytes.
    pub fn metrics(&self, page: &mut Page) {
        let StatsReading { exports, wire_bytes, payload_bytes } = self.read();
        let name = "meshlake_exports_total";
        page.family(name, "counter", "Exports answered, by receiver, signal and status.");
        for (ExportLabels { receiver, signal, status }, count) in exports {
            page.sample(name, &[("receiver", receiver), ("signal", signal), ("status", status)], count);
        }
        page.single("meshlake_wire_bytes_total", "counter", "Bytes of exports as sent.", wire_bytes);
        page.single("meshlake_payload_bytes_total", "counter", "Bytes of exports, inflated.", payload_bytes);
    }

    pub fn read(&self) -> StatsReading {
        let exports = self.exports.lock().unwrap_or_else(PoisonError::into_inner);
        StatsReading {
            exports: exports.iter().map(|(labels, count)| (*labels, *count)).collect(),
            wire_bytes: self.wire_bytes.load(Ordering::Relaxed),
            payload_bytes: self.payload_bytes.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports_are_counted_by_labels() {
        let stats = Stats::default();
        let ok = ExportLabels { receiver: "otlp_grpc", signal: "traces", status: "ok" };
        let large = ExportLabels { status: "too_large", ..ok };
        stats.count_export(ok);
        stats.count_export(large);
        stats.count_export(ok);
        assert_eq!(stats.read().exports, [(ok, 2), (large, 1)]);
    }
}
