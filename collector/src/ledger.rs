//! The loss ledger: what became of every record, as rows that ride in the same group as the records.
//!
//! A counter kept beside the data would drift from it with the first crash; a row in the same WAL record
//! cannot. What is decoded and not yet durable has no row, so it is kept in memory and shown as in flight:
//! accepted = durable + in flight. Limits: whole exports that were refused have no records that anybody
//! could count, they are exports in `admit::stats`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use meshlake_schema::metrics::Page;
use meshlake_schema::{Table, TableBatch, UnixNanos};

use crate::columns::{DictionaryColumn, NumberColumn};
use crate::signal::Signal;
use crate::tally::Tally;

/// Whose records, of what kind, over which way: the key of every count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    pub tenant: Arc<str>,
    pub signal: Signal,
    /// How they came in: the source of their format.
    pub source: &'static str,
}

/// Records that were accepted and are not durable yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    pub tenant: Arc<str>,
    pub signal: Signal,
    pub source: &'static str,
    pub records: u64,
}

/// Records that became durable, or were refused durably, since start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordTotals {
    pub signal: Signal,
    pub source: &'static str,
    pub tally: Tally,
}

/// The part of the ledger that is in memory. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct LedgerView {
    counts: Arc<Mutex<Counts>>,
}

#[derive(Debug, Default)]
struct Counts {
    in_flight: BTreeMap<Origin, u64>,
    totals: BTreeMap<(Signal, &'static str), Tally>,
}

impl LedgerView {
    /// One entry per tenant, signal and source with records in flight, sorted by them.
    pub fn in_flight(&self) -> Vec<InFlight> {
        let counts = self.lock();
        let entries = counts.in_flight.iter().map(|(origin, records)| InFlight {
            tenant: Arc::clone(&origin.tenant),
            signal: origin.signal,
            source: origin.source,
            records: *records,
        });
        entries.collect()
    }

    /// One entry per signal and source since start, sorted by them, over all tenants.
    pub fn totals(&self) -> Vec<RecordTotals> {
        let counts = self.lock();
        let totals = counts.totals.iter();
        totals
            .map(|((signal, source), tally)| RecordTotals { signal: *signal, source, tally: tally.clone() })
            .collect()
    }

    /// Writes what became of records since start, and what was odd about them.
    pub fn metrics(&self, page: &mut Page) {
        let totals = self.totals();
        let name = "meshlake_records_total";
        page.family(name, "counter", "Records by what became of them; the ledger has them for ever.");
        for RecordTotals { signal, source, tally } in &totals {
            let of = [("signal", signal.name()), ("source", source)];
            let events = [
                ("received", tally.received),
                ("accepted", tally.accepted),
                ("deduplicated", tally.deduplicated),
            ];
            for (event, count) in events {
                page.sample(name, &[of[0], of[1], ("event", event)], count);
            }
            for (reason, count) in &tally.rejected {
                let labels = [of[0], of[1], ("event", "rejected"), ("reason", reason.name())];
                page.sample(name, &labels, count);
            }
        }
        let name = "meshlake_warnings_total";
        page.family(name, "counter", "What was cut, mended or odd in accepted records.");
        for RecordTotals { signal, source, tally } in &totals {
            for (warning, times) in tally.warnings.given() {
                let labels = [("signal", signal.name()), ("source", source), ("warning", warning.name())];
                page.sample(name, &labels, times);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes that one group makes. Its records are in flight until it is dropped.
#[derive(Debug)]
pub(crate) struct Changes {
    view: LedgerView,
    by_origin: BTreeMap<Origin, Tally>,
}

impl Changes {
    pub(crate) fn new(view: LedgerView) -> Self {
        Changes { view, by_origin: BTreeMap::new() }
    }

    /// Adds what became of one payload; its accepted records are in flight from here on.
    pub(crate) fn add(&mut self, origin: &Origin, tally: &Tally) {
        if tally.accepted > 0 {
            *self.view.lock().in_flight.entry(origin.clone()).or_default() += tally.accepted;
        }
        self.by_origin.entry(origin.clone()).or_default().merge(tally);
    }

    /// The changes as rows of the ledger, counted at `time`; `None` when there are none.
    pub(crate) fn batch(&self, time: UnixNanos) -> Option<TableBatch> {
        let mut rows = Rows::default();
        for (origin, tally) in &self.by_origin {
            rows.push(origin, time, "received", None, tally.received);
            rows.push(origin, time, "accepted", None, tally.accepted);
            for (reason, records) in &tally.rejected {
                rows.push(origin, time, "rejected", Some(reason.name()), *records);
            }
            rows.push(origin, time, "deduplicated", None, tally.deduplicated);
        }
        rows.finish()
    }

    /// Says that the group is durable.
    pub(crate) fn became_durable(self) {
        let mut counts = self.view.lock();
        for (origin, tally) in &self.by_origin {
            counts.totals.entry((origin.signal, origin.source)).or_default().merge(tally);
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        let mut counts = self.view.lock();
        for (origin, tally) in std::mem::take(&mut self.by_origin) {
            if let Entry::Occupied(mut records) = counts.in_flight.entry(origin) {
                *records.get_mut() = records.get().saturating_sub(tally.accepted);
                if *records.get() == 0 {
                    records.remove();
                }
            }
        }
    }
}

/// Rows of the table `ledger`; the columns are documented in `meshlake_schema`.
#[derive(Debug, Default)]
struct Rows {
    tenant: DictionaryColumn,
    time: NumberColumn<TimestampMicrosecondType>,
    signal: DictionaryColumn,
    source: DictionaryColumn,
    event: DictionaryColumn,
    reason: DictionaryColumn,
    records: NumberColumn<Int64Type>,
}

impl Rows {
    fn push(&mut self, origin: &Origin, time: UnixNanos, event: &str, reason: Option<&str>, records: u64) {
        if records == 0 {
            return;
        }
        self.tenant.push(&origin.tenant);
        self.time.push(time.micros());
        self.signal.push(origin.signal.name());
        self.source.push(origin.source);
        self.event.push(event);
        self.reason.push_option(reason);
        self.records.push(i64::try_from(records).expect("a group has fewer records than 2^63"));
    }

    fn finish(mut self) -> Option<TableBatch> {
        if self.records.is_empty() {
            return None;
        }
        let columns = vec![
            self.tenant.finish(),
            self.time.finish_utc(),
            self.signal.finish(),
            self.source.finish(),
            self.event.finish(),
            self.reason.finish(),
            self.records.finish(),
        ];
        let rows = RecordBatch::try_new(Table::Ledger.schema().clone(), columns)
            .expect("one column of the declared type for each of the table's");
        Some(TableBatch::try_new(Table::Ledger, rows).expect("built with the table's own schema"))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{AsArray as _, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;
    use crate::tally::RejectReason;

    fn origin(tenant: &str) -> Origin {
        Origin { tenant: Arc::from(tenant), signal: Signal::Traces, source: "otlp_grpc" }
    }

    fn tally(accepted: u64, rejected: u64) -> Tally {
        let mut tally = Tally { received: accepted + rejected, accepted, ..Tally::default() };
        if rejected > 0 {
            tally.reject(RejectReason::InvalidSpanId, rejected);
        }
        tally
    }

    fn in_flight(view: &LedgerView) -> Vec<(String, u64)> {
        view.in_flight().into_iter().map(|entry| (entry.tenant.to_string(), entry.records)).collect()
    }

    fn texts(batch: &TableBatch, column: &str) -> Vec<Option<String>> {
        let column = batch.rows().column_by_name(column).expect("a column of the ledger");
        let dictionary = column.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().expect("strings");
        dictionary.into_iter().map(|text| text.map(str::to_owned)).collect()
    }

    #[test]
    fn changes_balance_by_event() {
        let mut changes = Changes::new(LedgerView::default());
        changes.add(&origin("a"), &tally(3, 2));
        changes.add(&origin("a"), &tally(4, 0));
        changes.add(&origin("b"), &tally(0, 1));
        let batch = changes.batch(UnixNanos(1_000)).expect("rows");
        let records: &[i64] = batch.rows()["records"].as_primitive::<Int64Type>().values();
        // a: received 9 = accepted 7 + rejected 2; b: received 1 = rejected 1.
        assert_eq!(records, [9, 7, 2, 1, 1]);
        let events: Vec<_> = texts(&batch, "event").into_iter().flatten().collect();
        assert_eq!(events, ["received", "accepted", "rejected", "received", "rejected"]);
        assert_eq!(texts(&batch, "reason")[2].as_deref(), Some("invalid_span_id"));
        assert_eq!(texts(&batch, "reason")[0], None);
        let tenants: Vec<_> = texts(&batch, "tenant").into_iter().flatten().collect();
        assert_eq!(tenants, ["a", "a", "a", "b", "b"]);
    }

    #[test]
    fn no_records_make_no_row() {
        let mut changes = Changes::new(LedgerView::default());
        changes.add(&origin("a"), &tally(0, 0));
        assert!(changes.batch(UnixNanos(0)).is_none());
    }

    #[test]
    fn accepted_records_are_in_flight_until_durable() {
        let view = LedgerView::default();
        let (mut first, mut second) = (Changes::new(view.clone()), Changes::new(view.clone()));
        first.add(&origin("a"), &tally(3, 2));
        second.add(&origin("a"), &tally(4, 0));
        assert_eq!(in_flight(&view), [("a".to_owned(), 7)]);
        first.became_durable();
        assert_eq!(in_flight(&view), [("a".to_owned(), 4)]);
        assert_eq!(view.totals()[0].tally, tally(3, 2));
        drop(second);
        assert_eq!(in_flight(&view), [], "a failed group is in flight no more");
        assert_eq!(view.totals()[0].tally, tally(3, 2), "and never counted as durable");
    }
}
