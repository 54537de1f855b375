//! Takes batches of rows in any order and ends in a picture of the calls.
//!
//! ```text
//! loop { feed all rows; if !fold.end_pass()? { break } }
//! fold.finish()?
//! ```
//! Most questions take one pass. Where the rows take more than the budget, a pass holds a part of the traces and of
//! the requests and the rows are fed again for the rest; each is counted whole, in one pass, so that no bound
//! leaves a call off its edge.

mod answers;
mod options;
#[cfg(test)]
mod large_mesh;

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::min;
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use meshlake_schema::rows::RowsError;
use meshlake_schema::{Budget, SETTLE_MARGIN_MINUTES, Spent, Table, TimeRange, UnixNanos};

use crate::addresses::Addresses;
use crate::cells::Book;
use crate::choice::Source;
use crate::connections::Connections;
use crate::error::FoldError;
use crate::frame::Frame;
use crate::grouping::{By, Grain};
use crate::hashing::mixed_pair;
use crate::held::{Granted, HELD_BYTES_MAX, Held, Weighed as _};
use crate::margin::{Margin, Stretch};
use crate::messages::Messages;
use crate::minutes::{NamesByMinute, Words};
use crate::packed::Amount;
use crate::range::Range;
use crate::requests::rows::RequestRows;
use crate::requests::seen::Seen;
use crate::requests::twins::Twins;
use crate::requests::{self, Leftovers};
use crate::settled::decode;
use crate::settled::digest::Digested;
use crate::span_rows::SpanBatch;
use crate::spans::{self, Shapes, Shard};
use crate::survey::Survey;
use crate::trace::walks::Walks;

/// How long the parts are that a trace is looked at in where nothing else fits.
const SLICE_NANOS: i64 = 10_000_000_000;

/// What to count and how to group it.
#[derive(Debug, Clone, Copy)]
pub struct Question {
    pub range: Range,
    pub by: By,
    pub grain: Grain,
    pub source: Source,
}

/// Rows so far.
pub struct Fold {
    question: Question,
    frame: Frame,
    budget: Option<Arc<dyn Budget>>,
    /// Memory for what is held beside rows.
    beside: Granted,
    book: Book,
    /// Of settled cells.
    survey: Survey,
    /// Of what a pass holds.
    bytes_max: usize,
    requests: Held<Vec<Seen>>,
    twins: Twins,
    spans: Held<Shard>,
    margin: Margin,
    /// Rows of two minutes around tell of calls.
    reaches_far: bool,
    shapes: Shapes,
    names: NamesByMinute,
    addresses: Addresses,
    messages: Messages,
    connections: Connections,
    leftovers: Leftovers,
    threads: usize,
    /// Traces and requests are looked at in parts; see [`Fold::settling_in_little`].
    is_sliced: bool,
    first_row: Option<i64>,
    misread: Option<RowsError>,
    refused: Option<Spent>,
}

impl Fold {
    pub fn new(question: Question) -> Fold {
        Fold::with_budget(question, HELD_BYTES_MAX)
    }

    /// Holds at most about so many bytes of rows in a pass.
    pub fn with_budget(question: Question, bytes_max: usize) -> Fold {
        let book = Book::new(question.range, question.by, question.grain);
        Fold {
            question,
            frame: Frame::whole(),
            budget: None,
            beside: Granted::default(),
            book,
            survey: Survey::default(),
            bytes_max,
            requests: Held::with_budget(bytes_max / 2),
            twins: Twins::default(),
            spans: Held::with_budget(bytes_max / 2),
            margin: Margin::default(),
            reaches_far: false,
            shapes: Shapes::default(),
            names: NamesByMinute::default(),
            addresses: Addresses::default(),
            messages: Messages::default(),
            connections: Connections::default(),
            leftovers: Leftovers::default(),
            threads: 1,
            is_sliced: false,
            first_row: None,
            misread: None,
            refused: None,
        }
    }

    /// Adds rows of `requests`.
    pub fn add_requests(&mut self, batch: &RecordBatch) {
        self.see(batch);
        self.reaches_far |= batch.num_rows() > 0;
        let Fold { book, requests, twins, names, addresses, is_sliced, .. } = self;
        let mut has_connections = false;
        RequestRows::of(batch, book.grain).read(batch, book, |_, seen| {
            has_connections |= seen.is_connection;
            names.see(Words::Requests, seen.start, [seen.source, seen.destination]);
            seen.tell_addresses(addresses);
            twins.see(&seen);
            requests.add(sliced(seen.hash(), seen.start, *is_sliced), |rows| rows.push(seen));
        });
        if has_connections {
            book.busy.keep();
        }
    }

    /// Adds rows of `spans`. Rows outside the range are kept as possible parents and children, not counted.
    pub fn add_spans(&mut self, batch: &RecordBatch) {
        match SpanBatch::read(batch.clone(), self.question.by, self.question.grain) {
            Ok(batch) => self.add_span_batch(&batch),
            Err(error) => self.misread = Some(error),
        }
    }

    /// Begins with a stretch of spans, once all rows of requests are in; whether any of its spans are wanted. Who feeds a part of
    /// the rows before they are asked for in this order feeds [`Stretch::Whole`].
    pub fn begin(&mut self, stretch: Stretch) -> bool {
        // Parts of a trace lie in several shards, and in several passes.
        let stretch = if self.is_sliced { Stretch::Whole } else { stretch };
        let is_wanted = self.margin.begin(stretch, &self.spans, self.book.busy.is_kept());
        self.make_room();
        is_wanted
    }

    /// The same of rows whose first half was read elsewhere, for this question.
    pub fn add_span_batch(&mut self, batch: &SpanBatch) {
        self.see(batch.rows());
        let Fold {
            book,
            shapes,
            spans,
            margin,
            reaches_far,
            requests,
            messages,
            names,
            addresses,
            bytes_max,
            is_sliced,
            ..
        } = self;
        // Rows of requests come first; what they leave is the spans'.
        spans.bound(bytes_max.saturating_sub(requests.bytes()).max(*bytes_max / 2));
        let added = batch.said(book, shapes).and_then(|said| {
            batch.tell_names(&said, names, addresses);
            if !*is_sliced && !said.may_have_links() {
                for (place, alike) in batch.by_shard() {
                    let held = margin.held(alike);
                    spans.add_to(place, |shard| shard.add_all(&held, |shape| said.id(shape)));
                }
                return Ok(());
            }
            if said.may_have_links() {
                margin.see_messages();
                *reaches_far = true;
            }
            batch.one_by_one(&said, |span, shape, links| {
                if shape.role == spans::Role::Consumed {
                    links.iter().for_each(|link| messages.want(*link));
                }
                if !margin.holds(span.trace, shape.role.is_of_message()) {
                    return;
                }
                let hash = sliced(spans::hash_of(span.trace), span.start, *is_sliced);
                spans.add(hash, |shard| shard.add(span, links));
            })
        });
        self.misread = self.misread.take().or(added.err());
        self.make_room();
    }

    /// Surveys cells of a settled table, once, in whatever pass: those that begin in one of `times`, which are ascending and
    /// apart, and none of which is folded from rows. What of them is shown is to be added to the drawing.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn survey_cells(&mut self, batch: &RecordBatch, times: &[TimeRange]) -> Result<(), FoldError> {
        self.see_cells(batch);
        decode::survey(batch, times, &mut self.book, &mut self.survey)?;
        Ok(self.charge()?)
    }

    /// Surveys cells that are kept, as [`Fold::survey_cells`] does.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn survey_digests(&mut self, digested: &Digested<'_>) -> Result<(), FoldError> {
        self.survey_counted(digested, digested.first())
    }

    /// The same of what was counted of rows, the earliest of which starts at `first`.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn survey_counted(
        &mut self,
        digested: &Digested<'_>,
        first: Option<UnixNanos>,
    ) -> Result<(), FoldError> {
        self.first_row = self.first_row.into_iter().chain(first.map(|first| first.0)).min();
        if !digested.survey(&mut self.book, &mut self.survey) {
            return Err(FoldError::TooManyCells);
        }
        Ok(self.charge()?)
    }

    /// Adds cells as [`Fold::survey_cells`] does, whole, for what is no picture.
    ///
    /// # Errors
    /// A bug of ours: the batch is not one of columns of the table.
    pub fn add_cells(
        &mut self,
        table: Table,
        batch: &RecordBatch,
        times: &[TimeRange],
    ) -> Result<(), RowsError> {
        self.see_cells(batch);
        let put = |book: &mut Book, key, amount: &Amount<'_>, ()| book.add_amount(key, amount);
        decode::add(batch, table, times, &mut self.book, |_, _| Some(()), put)
    }

    fn see_cells(&mut self, batch: &RecordBatch) {
        let starts = batch.column_by_name("time").and_then(|column| column.as_primitive_opt());
        let first =
            starts.and_then(min::<TimestampMicrosecondType>).map(|micros| micros.saturating_mul(1_000));
        self.first_row = self.first_row.into_iter().chain(first).min();
    }

    /// How many minutes around those that count tell of their calls: one, where there are only spans, none of which tells of a
    /// message. What joins several traces, or rows without ids, takes [`SETTLE_MARGIN_MINUTES`].
    pub fn margin_minutes(&self) -> i64 {
        if self.reaches_far { SETTLE_MARGIN_MINUTES } else { 1 }
    }

    /// The start of the earliest row or cell so far, whether it is counted or not.
    pub fn first_row(&self) -> Option<UnixNanos> {
        self.first_row.map(UnixNanos)
    }

    fn see(&mut self, batch: &RecordBatch) {
        let starts =
            batch.column_by_name("time_unix_nano").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let first = starts.and_then(min);
        self.first_row = self.first_row.into_iter().chain(first).min();
    }

    /// Has the budget grant what is held beside rows: sums, names, links, rows that wait for another observer's.
    fn charge(&mut self) -> Result<(), Spent> {
        let Fold { book, survey, shapes, messages, leftovers, addresses, twins, margin, .. } = self;
        let names = shapes.bytes() + addresses.bytes() + twins.bytes() + margin.bytes();
        let counted = book.bytes() + survey.bytes();
        self.beside.resize(counted + names + messages.bytes() + leftovers.bytes())
    }

    /// The same while rows are held, which are let go of where there is no room for both.
    fn make_room(&mut self) {
        while let Err(spent) = self.charge() {
            if !self.spans.give_way() && !self.requests.give_way() {
                self.refused = Some(spent);
                return;
            }
        }
    }

    /// Counts what the pass holds. Whether there is more, for which all rows have to be fed again.
    ///
    /// # Errors
    /// [`FoldError`].
    pub fn end_pass(&mut self) -> Result<bool, FoldError> {
        self.misread.take().map_or(Ok(()), Err)?;
        self.requests.spent()?;
        self.spans.spent()?;
        self.refused.map_or(Ok(()), Err)?;
        self.twins.close(&self.book.parties);
        while let Some(mut shard) = self.requests.take() {
            let bytes = shard.bytes();
            let Fold { book, twins, names, addresses, connections, leftovers, .. } = self;
            twins.take_out(&mut shard, &book.parties);
            requests::count(shard, names, addresses, leftovers, book, connections);
            self.requests.dropped(bytes);
            self.make_room();
            in_time(self.budget.as_ref())?;
        }
        self.refused.map_or(Ok(()), Err)?;
        let more_requests = self.requests.begin_next_pass();
        let Fold { book, messages, shapes, names, addresses, threads, spans, .. } = self;
        let walks = Walks { shapes, names, addresses, budget: self.budget.as_ref(), threads: *threads };
        walks.count(spans, book, messages)?;
        if self.book.cells_overflowed() {
            return Err(FoldError::TooManyCells);
        }
        let more_spans = self.spans.begin_next_pass();
        self.margin = Margin::default();
        self.charge()?;
        Ok(more_requests || more_spans)
    }

    /// Counts what is left; whether some rows did not fit.
    fn count_all(&mut self) -> Result<bool, FoldError> {
        let more = self.end_pass()?;
        self.join();
        in_time(self.budget.as_ref())?;
        if self.book.cells_overflowed() { Err(FoldError::TooManyCells) } else { Ok(more) }
    }

    /// Joins what lies in several shards, of what they told.
    fn join(&mut self) {
        let Fold { book, names, connections, .. } = self;
        book.learnt.close();
        let busy = book.busy.take();
        std::mem::take(&mut self.leftovers).finish(names, book, connections);
        std::mem::take(&mut self.messages).finish(book);
        std::mem::take(connections).finish(&busy, names, book);
    }
}

/// What brings rows together: what they share, and where that has too many also when they start.
fn sliced(hash: u64, start: i64, is_sliced: bool) -> u64 {
    if is_sliced { mixed_pair(hash, start.div_euclid(SLICE_NANOS).cast_unsigned()) } else { hash }
}

fn in_time(budget: Option<&Arc<dyn Budget>>) -> Result<(), Spent> {
    budget.map_or(Ok(()), |budget| budget.check_time())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use meshlake_schema::budget::Allowance;

    use super::*;
    use crate::condense::Beyond;
    use crate::fixture::{self, CALL, CLIENT, CONSUMER, Request, SERVED, SERVER, SPAN, Span, edges, nodes};
    use crate::golden::golden;
    use crate::golden_by::GoldenBy;
    use crate::measure::Measure;
    use crate::picture::Picture;

    fn question() -> Question {
        Question { range: fixture::range(), by: By::Service, grain: Grain::Node, source: Source::Auto }
    }

    /// The rows of 2,000 calls each, in so many bytes a pass; how many passes it took.
    fn folded(bytes_max: usize, threads: usize) -> (usize, Picture) {
        let rows: Vec<Request> = (0..2_000)
            .flat_map(|number: i64| {
                let request_id = &*Box::leak(format!("r{number}").into_boxed_str());
                let at = number * 20;
                let made = Request { source: ("x", "c"), destination: ("x", "d"), request_id, at, ..CALL };
                [made, Request { observer: "server", ..made }]
            })
            .collect();
        let spans: Vec<Span> = (1..=2_000)
            .flat_map(|trace| {
                let made = Span { trace, kind: CLIENT, ..SPAN };
                [made, Span { id: 2, parent: 1, kind: SERVER, service: ("default", "b"), ..made }]
            })
            .collect();
        let (rows, spans) = (fixture::requests(&rows), fixture::spans(&spans));
        let mut fold = Fold::with_budget(question(), bytes_max).on_threads(threads);
        let mut passes = 0;
        loop {
            passes += 1;
            fold.add_requests(&rows);
            fold.add_spans(&spans);
            if !fold.end_pass().expect("a few cells") {
                return (passes, fold.finish().expect("a few cells"));
            }
        }
    }

    #[test]
    fn more_passes_make_the_same_picture() {
        let (one, whole) = folded(HELD_BYTES_MAX, 1);
        let (many, parts) = folded(200_000, 1);
        assert!(one == 1 && many > 3, "{one}, {many}");
        assert_eq!(edges(&whole), ["default/a -> default/b 2000/0", "x/c -> x/d 2000/0"]);
        assert_eq!((edges(&whole), nodes(&whole)), (edges(&parts), nodes(&parts)));
        assert_eq!(measures(&whole), measures(&parts));
    }

    #[test]
    fn more_threads_make_the_same_picture() {
        let (_, alone) = folded(HELD_BYTES_MAX, 1);
        for threads in [0, 2, 7, 1_000] {
            let (_, together) = folded(HELD_BYTES_MAX, threads);
            assert_eq!((edges(&alone), nodes(&alone)), (edges(&together), nodes(&together)), "{threads}");
            assert_eq!(measures(&alone), measures(&together), "{threads}");
        }
    }

    /// A call that is received in the minute after those that count, where 2,000 other traces lie.
    #[test]
    fn near_what_counts_only_traces_that_count_are_held() {
        let made = Span { kind: CLIENT, second: 1_059, ..SPAN };
        let received =
            Span { id: 2, parent: 1, kind: SERVER, service: ("default", "b"), second: 1_081, ..SPAN };
        let others = (2..2_002).map(|trace| Span { trace, kind: SERVER, second: 1_085, ..SPAN });
        let near: Vec<Span> = others.chain([received]).collect();
        let held = |fold: &Fold| fold.spans.held().map(Shard::len).sum::<usize>();
        let fed = |near: &[Span]| {
            let mut fold = Fold::new(question());
            assert!(fold.begin(Stretch::Counted));
            fold.add_spans(&fixture::spans(&[made]));
            assert!(fold.begin(Stretch::Near));
            fold.add_spans(&fixture::spans(near));
            fold
        };
        let mut fold = fed(&near);
        assert_eq!((held(&fold), fold.margin_minutes()), (2, 1));
        assert_eq!([Stretch::NearAgain, Stretch::Far].map(|stretch| fold.begin(stretch)), [false; 2]);
        assert_eq!(edges(&fold.finish().expect("a few cells")), ["default/a -> default/b 1/0"]);
        // Where one of them takes a message, what that may lead to is wanted.
        let message = Span { trace: 7, id: 9, parent: 1, kind: CONSUMER, second: 1_086, ..SPAN };
        let near: Vec<Span> = near.into_iter().chain([message]).collect();
        let mut fold = fed(&near);
        assert_eq!((held(&fold), fold.margin_minutes()), (2, 2));
        assert!(fold.begin(Stretch::NearAgain));
        fold.add_spans(&fixture::spans(&near));
        assert_eq!(held(&fold), 4, "the trace of the message, beside the call");
        assert!(fold.begin(Stretch::Far));
    }

    fn measures(picture: &Picture) -> Vec<Measure> {
        picture.edge_cells.iter().map(|edge| edge.measure.clone()).collect()
    }

    #[test]
    fn a_fold_ends_when_its_time_is_over() {
        let ended = |time| {
            let budget = Arc::new(Allowance::new(1 << 20, Some(Duration::from_secs(time))));
            let mut fold = Fold::new(question()).within(budget);
            fold.add_requests(&fixture::requests(&[SERVED]));
            fold.finish().err()
        };
        assert_eq!(ended(0), Some(FoldError::Spent(Spent::Time)));
        assert_eq!(ended(3_600), None);
    }

    /// 30,000 spans of 640 bytes each while the trace is walked, beside 56 each that are held: 21 MB.
    #[test]
    fn a_trace_that_takes_more_than_there_is_is_no_answer() {
        let spans: Vec<Span> =
            (1..=30_000).map(|id| Span { id, parent: id - 1, kind: CLIENT, ..SPAN }).collect();
        let spans = fixture::spans(&spans);
        let fold = |bytes_max| {
            let budget = Arc::new(Allowance::new(bytes_max, None));
            let mut fold = Fold::new(question()).within(Arc::clone(&budget) as Arc<dyn Budget>);
            fold.add_spans(&spans);
            (fold.finish().map(|picture| edges(&picture)), budget.bytes())
        };
        let (refused, left) = fold(18 << 20);
        assert!(matches!(refused, Err(FoldError::Spent(Spent::Bytes { .. }))), "{refused:?}");
        assert_eq!(left, 0, "all is given back");
        assert!(fold(32 << 20).0.is_ok());
    }

    /// One trace of 60,000 spans of ten services, which call nobody, over a minute: 3.4 MB held and 38 MB to walk them in one; of
    /// ten seconds a sixth of that. Cells are settled all the same, and all calls are in them.
    #[test]
    fn a_trace_that_fits_nowhere_is_settled_in_parts() {
        let services = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        let spans: Vec<Span> = (1..=60_000)
            .map(|id: u64| {
                let (number, service) = (id as i64, ("default", services[id as usize % 10]));
                Span {
                    id,
                    parent: 1 << 40,
                    kind: SERVER,
                    service,
                    second: 960 + number / 1_000,
                    at: 1,
                    ..SPAN
                }
            })
            .collect();
        let spans = fixture::spans(&spans);
        let settled = |bytes_max, is_little: bool| {
            let at = |second: i64| UnixNanos(second * 1_000_000_000);
            let range = Range::new(at(960), at(1_080), Some(Duration::from_secs(10))).expect("not empty");
            let question = Question { range, by: By::Whole, grain: Grain::Whole, source: Source::Auto };
            let fold = Fold::new(question).within(Arc::new(Allowance::new(bytes_max, None)));
            let mut fold =
                if is_little { fold.settling_in_little() } else { fold.settling(Beyond::OthersOfNames) };
            loop {
                fold.add_spans(&spans);
                if !fold.end_pass()? {
                    return fold.settle();
                }
            }
        };
        let refused = settled(24 << 20, false);
        assert!(matches!(refused, Err(FoldError::Spent(Spent::Bytes { .. }))));
        for (bytes_max, is_little) in [(64 << 20, false), (24 << 20, true)] {
            let settled = settled(bytes_max, is_little).expect("each part fits");
            assert_eq!(settled.is_cut(), is_little);
            let cells = settled.rows(Table::Calls10m, "default", UnixNanos(0)).expect("columns of the table");
            let requests = cells.rows().column_by_name("requests_milli").expect("a column");
            assert_eq!(requests.as_primitive::<Int64Type>().values().iter().sum::<i64>(), 60_000_000);
        }
    }

    /// A trace as above, which is one call in many layers, beside 100,000 of one span, which are read first and take what there is.
    #[test]
    fn rows_give_way_to_a_walk() {
        let others: Vec<Span> = (2..=100_001).map(|trace| Span { trace, kind: SERVER, ..SPAN }).collect();
        let long: Vec<Span> =
            (1..=30_000).map(|id| Span { id, parent: id - 1, kind: CLIENT, ..SPAN }).collect();
        let rows = [fixture::spans(&others), fixture::spans(&long)];
        let fold = |bytes_max| {
            let budget = Arc::new(Allowance::new(bytes_max, None));
            let mut fold = Fold::new(question()).within(Arc::clone(&budget) as Arc<dyn Budget>);
            for pass in 1.. {
                rows.iter().for_each(|rows| fold.add_spans(rows));
                if !fold.end_pass().expect("there is room for each trace") {
                    return (pass, nodes(&fold.finish().expect("a few cells")), budget.bytes());
                }
            }
            unreachable!("a pass ends with fewer shards than it began with")
        };
        let want = vec!["default/a 100000/0".to_owned(), "unknown@default/a 1/0".to_owned()];
        assert_eq!(fold(64 << 20), (1, want.clone(), 0));
        let (passes, told, left) = fold(23 << 20);
        assert!(passes > 1, "5.6 MB and 20.9 do not fit");
        assert_eq!((told, left), (want, 0));
    }

    /// Ten services of twenty operations, called in each of six slots of ten seconds: 1,200 cells at nodes, and of one service 120.
    #[test]
    fn one_service_is_told_apart_where_all_are_too_many() {
        let name = |number: usize| ["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"][number % 10];
        let calls: Vec<Request> = (0..2_400)
            .map(|number: usize| {
                let path = &*Box::leak(format!("/p{}", number / 10 % 20).into_boxed_str());
                let second = fixture::FROM_SECOND + number as i64 / 200 % 6 * 10;
                Request { path, destination: ("default", name(number)), second, ..SERVED }
            })
            .collect();
        let rows = fixture::requests(&calls);
        let frame = Frame::nodes(Some("b3"));
        let range = fixture::range();
        let by_slot = Range::new(range.from(), range.to(), Some(Duration::from_secs(10))).expect("not empty");
        let asked = Question { range: by_slot, grain: Grain::Operation, ..question() };
        let fold = |asked, cells_max| {
            let mut fold =
                Fold::new(asked).framed(frame.clone()).bounded(cells_max, usize::MAX, Beyond::Refuse);
            fold.add_requests(&rows);
            fold
        };
        let of_b3 = |picture: &Picture| golden(picture, GoldenBy::Operation, Some("default/b3"));
        let whole = fold(asked, 10_000).finish().expect("there is room for all");
        assert_eq!(fold(asked, 500).finish().err(), Some(FoldError::TooManyCells));
        let shown = fold(question(), 500).drawing().expect("a few nodes").into_shown();
        let mut narrow =
            Fold::new(asked).framed(frame.clone()).bounded(500, usize::MAX, Beyond::Refuse).showing(shown);
        narrow.add_requests(&rows);
        let narrow = narrow.finish().expect("what is shown finds room");
        assert_eq!((of_b3(&narrow).len(), of_b3(&narrow)), (120, of_b3(&whole)));
        assert_eq!(narrow.warnings, whole.warnings);
    }

    /// Each consumer links to as many messages as a span may, in no trace that is read.
    #[test]
    fn what_is_held_beside_rows_is_taken_from_the_budget_too() {
        let links: &'static [(u128, u64)] = Box::leak((1..=1_000).map(|link| (link, 1)).collect());
        let spans: Vec<Span> =
            (2_000..2_020).map(|trace| Span { trace, kind: CONSUMER, links, ..SPAN }).collect();
        let fold = |bytes_max| {
            let budget = Arc::new(Allowance::new(bytes_max, None));
            let mut fold = Fold::new(question()).within(Arc::clone(&budget) as Arc<dyn Budget>);
            fold.add_spans(&fixture::spans(&spans));
            let ended = fold.finish().map(|picture| nodes(&picture));
            (ended, budget.bytes())
        };
        assert_eq!(fold(64 << 20), (Ok(vec!["default/a 20/0".to_owned()]), 0));
        // 20,000 links of 32 bytes are in the deliveries, and a thousand are looked for.
        let (refused, left) = fold(1 << 20);
        assert!(matches!(refused, Err(FoldError::Spent(Spent::Bytes { .. }))), "{refused:?}");
        assert_eq!(left, 0, "all is given back");
    }

    /// The memory that is granted for rows is given back, and where even a part of them finds none the fold says so.
    #[test]
    fn a_fold_takes_its_memory_from_the_budget() {
        let spans: Vec<Span> = (1..=2_000).map(|trace| Span { trace, ..SPAN }).collect();
        let spans = fixture::spans(&spans);
        let fold = |bytes_max| {
            let budget = Arc::new(Allowance::new(bytes_max, None));
            let mut fold = Fold::new(question()).within(Arc::clone(&budget) as Arc<dyn Budget>);
            loop {
                fold.add_spans(&spans);
                match fold.end_pass() {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(error) => return (Err(error), budget.grow(bytes_max).is_ok()),
                }
            }
            let picture = fold.finish().expect("a few cells");
            (Ok(nodes(&picture)), budget.grow(bytes_max).is_ok())
        };
        let whole = Ok(vec!["default/a 2000/0".to_owned()]);
        assert_eq!(fold(64 << 20), (whole.clone(), true));
        assert_eq!(fold(200_000), (whole, true), "in several passes");
        assert!(matches!(fold(1_000).0, Err(FoldError::Spent(Spent::Bytes { .. }))));
    }
}
