//! What a decoder is told about a payload, and what it answers: which records became rows, which were
//! refused and why.
//!
//! Every format shares it, so that the ledger, `/metrics` and replies speak of one closed list of reasons.

use std::fmt;

use arrow::datatypes::TimestampSecondType;
use arrow::temporal_conversions::as_datetime;
use meshlake_schema::UnixNanos;

/// What is the same for every record of one payload.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Whose data it is; goes to the column `tenant`.
    pub tenant: &'a str,
    /// When the collector took the payload in; goes to the column `ingest_time`.
    pub ingest_time: UnixNanos,
    /// Records from before this instant are refused: they would be deleted at once by retention.
    pub earliest: UnixNanos,
    /// Records from after this instant are refused: no clock is that wrong, and a file far in the future
    /// would outlive its retention. The instant itself is accepted, as is `earliest`.
    pub latest: UnixNanos,
}

impl Arrival<'_> {
    /// The time of a record from the nanoseconds on the wire.
    ///
    /// # Errors
    /// [`RejectReason::TimeOutOfRange`] outside the accepted window.
    pub fn accepted_time(&self, unix_nano: u64) -> Result<UnixNanos, RejectReason> {
        match i64::try_from(unix_nano).map(UnixNanos) {
            Ok(time) if self.earliest <= time && time <= self.latest => Ok(time),
            _ => Err(RejectReason::TimeOutOfRange),
        }
    }
}

/// The times that records may have, both ends included, as a sender is told of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    earliest: UnixNanos,
    latest: UnixNanos,
}

impl fmt::Display for Window {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whole seconds of 64-bit nanoseconds are within what a calendar can show.
        let shown = |time: UnixNanos| as_datetime::<TimestampSecondType>(time.seconds()).unwrap_or_default();
        let (earliest, latest) = (shown(self.earliest), shown(self.latest));
        write!(
            out,
            "taken are times from {earliest:?}Z, which collector.retention_days sets, to {latest:?}Z, an hour ahead"
        )
    }
}

/// Why a record of a decodable payload was refused. A closed list: each reason is a label of the ledger
/// and of the reply's error message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RejectReason {
    /// A span's trace id is not 16 bytes, or all zero.
    InvalidTraceId,
    /// A span's own id is not 8 bytes, or all zero.
    InvalidSpanId,
    /// A span's parent id is neither absent nor 8 bytes; read as absent it would make a root of a child.
    InvalidParentSpanId,
    /// The time of a span's start or of a metric point is zero.
    MissingTime,
    /// The record's time is older than the retention or too far in the future.
    TimeOutOfRange,
    /// A number point has no value and does not say (flag bit 0) that none was recorded.
    NoValue,
    /// A histogram's buckets contradict its bounds, count or sum.
    BadHistogramBuckets,
    /// A count is above 2^63 - 1, which no table can hold.
    CountOutOfRange,
    /// A sum or histogram does not say whether it is delta or cumulative.
    UnspecifiedTemporality,
    /// A series has no label `__name__`, or an empty one.
    MissingMetricName,
    /// A label of a series is empty, comes twice, or is no UTF-8; to leave it out would make another series.
    BadLabel,
    /// A series has more labels, or longer ones, than are kept.
    TooManyLabels,
    LabelTooLong,
    /// A reference into the table of symbols leads nowhere, or has no partner; or the table does not begin with "".
    BadSymbol,
    /// A native histogram has buckets of a kind that is not known.
    UnknownHistogramSchema,
    /// A native histogram has more buckets between its first and its last than are kept.
    TooManyBuckets,
}

impl RejectReason {
    /// The label in the ledger, in metrics and in replies.
    pub const fn name(self) -> &'static str {
        match self {
            RejectReason::InvalidTraceId => "invalid_trace_id",
            RejectReason::InvalidSpanId => "invalid_span_id",
            RejectReason::InvalidParentSpanId => "invalid_parent_span_id",
            RejectReason::MissingTime => "missing_time",
            RejectReason::TimeOutOfRange => "time_out_of_range",
            RejectReason::NoValue => "no_value",
            RejectReason::BadHistogramBuckets => "bad_histogram_buckets",
            RejectReason::CountOutOfRange => "count_out_of_range",
            RejectReason::UnspecifiedTemporality => "unspecified_temporality",
            RejectReason::MissingMetricName => "missing_metric_name",
            RejectReason::BadLabel => "bad_label",
            RejectReason::TooManyLabels => "too_many_labels",
            RejectReason::LabelTooLong => "label_too_long",
            RejectReason::BadSymbol => "bad_symbol",
            RejectReason::UnknownHistogramSchema => "unknown_histogram_schema",
            RejectReason::TooManyBuckets => "too_many_buckets",
        }
    }
}

/// What was changed about an accepted record on its way in, or is odd about it as it was sent. A closed list,
/// which the reply's message names: nothing that was sent is lost without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Warning {
    /// A string was no UTF-8 and had bytes replaced by U+FFFD.
    TextReplaced,
    /// A trace or span id of a log record or exemplar was invalid and was left out.
    IdDropped,
    /// An exemplar had no value and was left out.
    ExemplarDropped,
    /// An attribute was left out because its key came again; the last one holds.
    AttributeRepeated,
    /// An attribute was left out because its record, event, link or exemplar has more than are kept.
    AttributeDropped,
    /// A key, a value or a body was cut because it is longer than is kept.
    ValueCut,
    /// A value was cut at the deepest level that is kept.
    ValueTooDeep,
    /// A time beside the record's own is beyond 2^63 - 1 ns, the year 2262, and is stored as that.
    TimeLowered,
    /// An event or link was left out because its span has more than are kept.
    EventDropped,
    LinkDropped,
    /// A span ends before it starts, or so late that its duration is stored as the longest there is.
    OddEnd,
    /// A span does not say when it ended.
    NoEnd,
    /// A span has no name.
    NoName,
    /// A line of an access log could not be read in full and was kept as it came.
    LineUnread,
}

impl Warning {
    pub const ALL: [Warning; 14] = [
        Warning::TextReplaced,
        Warning::IdDropped,
        Warning::ExemplarDropped,
        Warning::AttributeRepeated,
        Warning::AttributeDropped,
        Warning::ValueCut,
        Warning::ValueTooDeep,
        Warning::TimeLowered,
        Warning::EventDropped,
        Warning::LinkDropped,
        Warning::OddEnd,
        Warning::NoEnd,
        Warning::NoName,
        Warning::LineUnread,
    ];

    /// The label in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Warning::TextReplaced => "text_replaced",
            Warning::IdDropped => "id_dropped",
            Warning::ExemplarDropped => "exemplar_dropped",
            Warning::AttributeRepeated => "attribute_repeated",
            Warning::AttributeDropped => "attribute_dropped",
            Warning::ValueCut => "value_cut",
            Warning::ValueTooDeep => "value_too_deep",
            Warning::TimeLowered => "time_lowered",
            Warning::EventDropped => "event_dropped",
            Warning::LinkDropped => "link_dropped",
            Warning::OddEnd => "odd_end",
            Warning::NoEnd => "no_end",
            Warning::NoName => "no_name",
            Warning::LineUnread => "line_unread",
        }
    }

    /// What happened, behind how often it did.
    pub const fn what(self) -> &'static str {
        match self {
            Warning::TextReplaced => "strings were not UTF-8 and had bytes replaced by U+FFFD",
            Warning::IdDropped => "invalid trace or span ids were left out",
            Warning::ExemplarDropped => "exemplars without a value were left out",
            Warning::AttributeRepeated => "attributes were left out because their key came again",
            Warning::AttributeDropped => "attributes beyond 128 of a record were left out",
            Warning::ValueCut => "keys, values or bodies were too long and were cut",
            Warning::ValueTooDeep => "values were cut below 32 levels",
            Warning::TimeLowered => "times beyond the year 2262 were lowered to it",
            Warning::EventDropped => "events beyond 1024 of a span were left out",
            Warning::LinkDropped => "links beyond 1024 of a span were left out",
            Warning::OddEnd => "spans end before they start or 292 years later",
            Warning::NoEnd => "spans have no end and are stored with a duration of 0",
            Warning::NoName => "spans have no name",
            Warning::LineUnread => "lines could not be read and were kept whole",
        }
    }
}

/// How often each [`Warning`] was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warnings([u64; Warning::ALL.len()]);

impl Warnings {
    #[inline]
    pub fn add(&mut self, warning: Warning, times: u64) {
        self.0[warning as usize] += times;
    }

    pub fn count(&self, warning: Warning) -> u64 {
        self.0[warning as usize]
    }

    /// Those that were given, and how often, in the order of [`Warning::ALL`].
    pub fn given(&self) -> impl Iterator<Item = (Warning, u64)> + '_ {
        Warning::ALL.into_iter().map(|warning| (warning, self.count(warning))).filter(|(_, times)| *times > 0)
    }

    pub fn is_empty(&self) -> bool {
        self.given().next().is_none()
    }

    pub fn merge(&mut self, other: &Warnings) {
        for (times, more) in self.0.iter_mut().zip(other.0) {
            *times += more;
        }
    }
}

/// What became of the records of one payload. Always `received == accepted + rejected_count()`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records in the payload: spans, log records, data points, access log entries.
    pub received: u64,
    /// Records that became rows.
    pub accepted: u64,
    /// Records refused, by reason, each reason once, in the order first met.
    pub rejected: Vec<(RejectReason, u64)>,
    /// Records of an export that was stored before and came again. They are in no other count.
    pub deduplicated: u64,
    /// What the sender should know of records that were accepted.
    pub warnings: Warnings,
    /// Lines that became rows unread, by the name of the first field that failed; a closed set, as columns are.
    pub unread: Vec<(&'static str, u64)>,
    /// The times that records could have; told where one was refused for its own.
    pub window: Option<Window>,
    /// What an export holds in which no records were found, for its sender.
    pub found_instead: Option<String>,
    /// What was written, by kind, for formats whose senders are told.
    pub written: Written,
}

/// What of a payload was written, by the kinds that Prometheus remote write tells apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    pub samples: u64,
    pub histograms: u64,
    pub exemplars: u64,
    /// Exemplars that could not be read, or whose series was rejected.
    pub exemplars_left_out: u64,
}

impl Written {
    fn merge(&mut self, other: &Written) {
        self.samples += other.samples;
        self.histograms += other.histograms;
        self.exemplars += other.exemplars;
        self.exemplars_left_out += other.exemplars_left_out;
    }
}

impl Tally {
    /// Nothing yet of a payload that came in by `arrival`.
    pub fn of(arrival: &Arrival<'_>) -> Self {
        let window = Window { earliest: arrival.earliest, latest: arrival.latest };
        Tally { window: Some(window), ..Tally::default() }
    }

    /// Counts `records` as refused for `reason`; they are counted as received elsewhere.
    pub fn reject(&mut self, reason: RejectReason, records: u64) {
        match self.rejected.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, count)) => *count += records,
            None => self.rejected.push((reason, records)),
        }
    }

    /// Records refused, whatever the reason.
    pub fn rejected_count(&self) -> u64 {
        self.rejected.iter().map(|(_, count)| count).sum()
    }

    /// Adds what became of another payload.
    pub fn merge(&mut self, other: &Tally) {
        self.received += other.received;
        self.accepted += other.accepted;
        for (reason, count) in &other.rejected {
            self.reject(*reason, *count);
        }
        self.deduplicated += other.deduplicated;
        self.warnings.merge(&other.warnings);
        for (field, lines) in &other.unread {
            self.add_unread(field, *lines);
        }
        self.window = self.window.or(other.window);
        if self.found_instead.is_none() {
            self.found_instead.clone_from(&other.found_instead);
        }
        self.written.merge(&other.written);
    }

    /// Counts a line that is kept unread because of `field`; as a record it is counted elsewhere.
    pub(crate) fn keep_unread(&mut self, field: &'static str) {
        self.warnings.add(Warning::LineUnread, 1);
        self.add_unread(field, 1);
    }

    fn add_unread(&mut self, field: &'static str, lines: u64) {
        match self.unread.iter_mut().find(|(known, _)| *known == field) {
            Some((_, count)) => *count += lines,
            None => self.unread.push((field, lines)),
        }
    }

    /// Counts one record that was read: a row, or a refusal.
    pub(crate) fn count(&mut self, outcome: Result<(), RejectReason>) {
        self.received += 1;
        match outcome {
            Ok(()) => self.accepted += 1,
            Err(reason) => self.reject(reason, 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_adds_each_reason_once() {
        let mut tally = Tally::default();
        tally.count(Ok(()));
        tally.count(Err(RejectReason::NoValue));
        let mut other = Tally::default();
        other.count(Err(RejectReason::MissingTime));
        other.count(Err(RejectReason::NoValue));
        tally.merge(&other);
        assert_eq!((tally.received, tally.accepted, tally.rejected_count()), (4, 1, 3));
        assert_eq!(tally.rejected, [(RejectReason::NoValue, 2), (RejectReason::MissingTime, 1)]);
    }

    #[test]
    fn warnings_are_kept_apart_and_merged() {
        let (mut all, mut one) = (Warnings::default(), Warnings::default());
        assert!(all.is_empty());
        for (at, warning) in Warning::ALL.into_iter().enumerate() {
            assert_eq!(warning as usize, at, "each has a place of its own");
            all.add(warning, at as u64 + 1);
        }
        one.add(Warning::IdDropped, 5);
        one.merge(&all);
        let given: Vec<_> = one.given().map(|(_, times)| times).collect();
        let want: Vec<_> = (1..=Warning::ALL.len() as u64).map(|at| if at == 2 { 7 } else { at }).collect();
        assert_eq!(given, want);
    }

    #[test]
    fn the_window_is_told_in_utc_and_by_its_key() {
        // date -u -d @1795901115 is 2026-11-28T21:25:15, 30 days before and an hour later.
        let (earliest, latest) = (UnixNanos(1_793_309_115_999_999_999), UnixNanos(1_795_904_715_000_000_000));
        let arrival = Arrival { tenant: "default", ingest_time: UnixNanos(0), earliest, latest };
        let told = Tally::of(&arrival).window.expect("known").to_string();
        let want = "taken are times from 2026-10-29T21:25:15Z, which collector.retention_days sets, \
                    to 2026-11-28T22:25:15Z, an hour ahead";
        assert_eq!(told, want);
    }

    #[test]
    fn the_window_includes_both_ends() {
        let arrival = Arrival {
            tenant: "default",
            ingest_time: UnixNanos(20),
            earliest: UnixNanos(10),
            latest: UnixNanos(30),
        };
        for (unix_nano, accepted) in [(9, false), (10, true), (30, true), (31, false), (u64::MAX, false)] {
            assert_eq!(arrival.accepted_time(unix_nano).is_ok(), accepted, "{unix_nano}");
        }
    }
}
