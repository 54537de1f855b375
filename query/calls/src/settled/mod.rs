//! Cells as rows of the settled tables: what a fold counted in a minute, to be read instead of counted again.
//!
//! ```text
//! ends     caller and callee
//! entries  what is counted
//! numbers  sums and histograms
//! encode   a book in which all is told apart -> rows of a table
//! decode   rows -> cells of any grouping
//! whole    rows of narrow cells -> those of wide ones
//! digest   rows of a file -> cells of nodes and edges, kept for many questions
//! lines    what those are numbered by
//! ```
//! A fold for a question counts each call in the cell of its grouping; a fold that settles counts it in the cell of all
//! that is told apart, and reading those adds them up in the cell of the grouping. Sums are whole numbers, so both come
//! to the same, whatever lies between.

pub mod encode;
pub mod decode;
pub mod digest;
pub mod lines;
mod whole;
mod numbers;
mod ends;
mod entries;

use meshlake_schema::{BatchError, Table, TableBatch, UnixNanos};

use crate::cells::Book;
use crate::held::Granted;

/// Cells of a range that is settled.
#[derive(Debug)]
pub struct Settled {
    pub(super) book: Book,
    pub(super) is_cut: bool,
    /// The memory that it takes.
    pub(super) _granted: Granted,
}

impl Settled {
    /// Whether some cells are summed up in others, or names as one, or traces were looked at in parts.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The rows of one of the tables, sorted by callee, caller and time, made at `now`.
    ///
    /// # Errors
    /// A bug of ours: the columns are not the table's.
    ///
    /// # Panics
    /// When the table has no cells.
    pub fn rows(&self, table: Table, tenant: &str, now: UnixNanos) -> Result<TableBatch, BatchError> {
        encode::rows(&self.book, table, tenant, now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use arrow::array::{AsArray, BooleanArray, RecordBatch, StringArray};
    use arrow::compute::cast;
    use arrow::compute::kernels::nullif::nullif;
    use arrow::datatypes::{DataType, Int32Type, Int64Type};
    use meshlake_schema::filter::Value;
    use meshlake_schema::{Filter, Table, TimeRange, UnixNanos};

    use crate::choice::Source;
    use crate::fixture::{
        self, CALL, CLIENT, CONSUMER, FROM_SECOND, PRODUCER, Request, SERVED, SPAN, Span, edges, nodes,
    };
    use crate::golden::golden;
    use crate::{By, Fold, Frame, GoldenBy, Grain, Picture, Question, Range};

    fn question(by: By, grain: Grain) -> Question {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let range = Range::new(at(960), at(1_080), Some(Duration::from_secs(10))).expect("not empty");
        Question { range, by, grain, source: Source::Auto }
    }

    /// Three calls of one operation in as many slots of ten seconds of a minute, of one of which the callee has a row, and one
    /// of another.
    fn rows() -> Vec<Request> {
        let call =
            Request { path: "/a", second: FROM_SECOND, instance: "pod-1", proxy_version: "1.27.1", ..CALL };
        let served = Request { path: "/a", instance: "pod-1", proxy_version: "1.27.1", ..SERVED };
        let later = |second| Request { second: FROM_SECOND + second, ..call };
        vec![call, served, later(-10), later(10), Request { path: "/b", ..call }]
    }

    fn settled() -> crate::Settled {
        let mut fold = Fold::new(question(By::Whole, Grain::Whole));
        fold.add_requests(&fixture::requests(&rows()));
        fold.settle().expect("a few cells")
    }

    #[test]
    fn every_table_takes_the_cells_and_sums_them() {
        for table in Table::settled() {
            let cells = settled().rows(table, "default", UnixNanos(0)).expect("columns of the table");
            let column = |name: &str| cells.rows().column_by_name(name).expect("a column").clone();
            let requests = column("requests_milli");
            let requests: i64 = requests.as_primitive::<Int64Type>().values().iter().sum();
            assert_eq!(requests, 5_000, "{}: four calls on the edge, one at the node", table.name());
            // The call that the callee told of, the same at the node, /b, and the other two of /a, which are one cell
            // of a minute; without operations they and /b are.
            let want = [(Table::Calls10s, 5), (Table::Calls1m, 4), (Table::Calls10m, 3)];
            assert!(want.contains(&(table, cells.row_count())), "{}: {}", table.name(), cells.row_count());
        }
    }

    /// One call that tells its duration, one that does not, an upgrade that lasts, and a connection; each of 100 bytes in.
    #[test]
    fn a_call_without_a_duration_has_its_sizes_all_the_same() {
        let untimed = Request { millis: 0, is_untimed: true, ..CALL };
        let upgrade = Request { code: 101, ..CALL };
        let connection = Request { layer: "l4", second: FROM_SECOND + 30, ..CALL };
        let mut fold = Fold::new(question(By::Whole, Grain::Whole));
        fold.add_requests(&fixture::requests(&[CALL, untimed, upgrade, connection]));
        let settled = fold.settle().expect("a few cells");
        let cells = settled.rows(Table::Calls10s, "default", UnixNanos(0)).expect("columns of the table");
        let counts = |name: &str| {
            let lists =
                cells.rows().column_by_name(name).expect("a column").as_list::<i32>().values().clone();
            lists.as_primitive::<Int64Type>().values().iter().sum::<i64>()
        };
        let names = ["latency_counts_milli", "request_size_counts_milli", "response_size_counts_milli"];
        assert_eq!(names.map(counts), [1_000, 2_000, 2_000]);
    }

    /// The picture of settled cells alone.
    fn picture_of(question: Question, frame: Frame, table: Table, cells: &RecordBatch) -> Picture {
        let mut fold = Fold::new(question).fold_only(Vec::new()).framed(frame);
        fold.survey_cells(cells, &[TimeRange::ALL]).expect("columns of the table");
        let mut drawing = fold.drawing().expect("a few cells");
        drawing.add_cells(table, cells, &[TimeRange::ALL]).expect("columns of the table");
        drawing.finish().expect("a few cells")
    }

    /// What each caller sent to b, as `caller entry calls`; `-` for nobody.
    fn callers(cells: &RecordBatch) -> Vec<String> {
        let text = |name: &str| {
            let column = cells.column_by_name(name).expect("a column");
            cast(column, &DataType::Utf8).expect("names are texts").as_string::<i32>().clone()
        };
        let (callers, entries) = (text("source_name"), text("entry"));
        let requests = cells.column_by_name("requests_milli").expect("a column");
        let requests = requests.as_primitive::<Int64Type>();
        let rows = callers.iter().zip(entries.iter().flatten()).zip(requests.values());
        let mut told: Vec<String> = rows
            .filter(|((_, entry), _)| entry.starts_with("received"))
            .map(|((caller, entry), milli)| format!("{} {entry} {}", caller.unwrap_or("-"), milli / 1_000))
            .collect();
        told.sort_unstable();
        told
    }

    /// By rows: a calls b, which tells of it too, twice; c is known to b's proxy alone; one caller is nobody it knows. By spans: a
    /// calls b, the parent of another call is lost, a third has none; b takes a message of a queue, and one of two links.
    #[test]
    fn what_a_node_received_is_told_by_caller() {
        let rows = [
            Request { request_id: "1", ..CALL },
            Request { request_id: "1", ..SERVED },
            Request { request_id: "2", second: FROM_SECOND + 1, ..CALL },
            Request { request_id: "2", second: FROM_SECOND + 1, ..SERVED },
            Request { source: ("default", "c"), ..SERVED },
            Request { source: ("", ""), ..SERVED },
        ];
        let b = Span { service: ("default", "b"), ..SPAN };
        let sent = Span { kind: PRODUCER, ..SPAN };
        let spans = [
            Span { kind: CLIENT, ..SPAN },
            Span { id: 2, parent: 1, ..b },
            Span { trace: 2, parent: 9, ..b },
            Span { trace: 3, ..b },
            Span { trace: 4, kind: CONSUMER, queue: "orders", ..b },
            Span { trace: 5, ..sent },
            Span { trace: 6, ..sent },
            Span { trace: 7, kind: CONSUMER, links: &[(5, 1), (6, 1)], ..b },
        ];
        let mut fold = Fold::new(question(By::Whole, Grain::Whole));
        fold.add_requests(&fixture::requests(&rows));
        fold.add_spans(&fixture::spans(&spans));
        let settled = fold.settle().expect("a few cells");
        let cells = settled.rows(Table::Calls10m, "default", UnixNanos(0)).expect("columns of the table");
        let want = [
            "- received 1",
            "- received_messages 1",
            "a received 1",
            "a received 2",
            "c received 1",
            "client received 1",
            "client received 1",
            "orders received_messages 1",
        ];
        assert_eq!(callers(cells.rows()), want);
    }

    /// Versions before cells knew callers wrote one cell a node, with nobody as its caller.
    #[test]
    fn cells_of_nodes_without_a_caller_are_read_as_ever() {
        let cells = settled().rows(Table::Calls1m, "default", UnixNanos(0)).expect("columns of the table");
        let entries = cells.rows().column_by_name("entry").expect("a column").as_dictionary::<Int32Type>();
        let entries = entries.downcast_dict::<StringArray>().expect("texts");
        let is_at_node = BooleanArray::from_iter(
            entries.into_iter().map(|entry| Some(entry.is_some_and(|entry| entry.starts_with("received")))),
        );
        let fields = cells.rows().schema_ref().fields().iter();
        let columns = cells.rows().columns().iter().zip(fields).map(|(column, field)| {
            let is_source = field.name().starts_with("source_");
            if is_source { nullif(column, &is_at_node).expect("as many rows") } else { Arc::clone(column) }
        });
        let without =
            RecordBatch::try_new(cells.rows().schema(), columns.collect()).expect("null is allowed");
        assert_ne!(callers(cells.rows()), callers(&without));
        let picture = |cells: &RecordBatch| {
            let range = Range::new(UnixNanos(960 * 1_000_000_000), UnixNanos(1_080 * 1_000_000_000), None);
            let range = range.expect("not empty");
            let asked = Question { range, ..question(By::Version, Grain::Operation) };
            let picture = picture_of(asked, Frame::whole(), Table::Calls1m, cells);
            (edges(&picture), nodes(&picture))
        };
        assert_eq!(picture(cells.rows()), picture(&without));
    }

    /// Cells of ten minutes, of rows and of the cells of their minutes, are the same to the last column.
    #[test]
    fn wide_cells_are_the_sum_of_narrow_ones() {
        let spans =
            [Span { kind: CLIENT, ..SPAN }, Span { id: 2, parent: 1, service: ("default", "b"), ..SPAN }];
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let range = Range::new(at(600), at(1_200), Some(Duration::from_secs(600))).expect("not empty");
        let whole = Question { range, ..question(By::Whole, Grain::Whole) };
        let fine = Range::new(at(600), at(1_200), Some(Duration::from_secs(10))).expect("not empty");
        let mut fold = Fold::new(Question { range: fine, ..whole });
        let failed = Request {
            second: 700,
            code: 503,
            outcome: "error",
            flags: "UF",
            principal: "spiffe://a",
            ..CALL
        };
        fold.add_requests(&fixture::requests(
            &[rows(), vec![failed, Request { path: "/c", ..failed }]].concat(),
        ));
        fold.add_spans(&fixture::spans(&spans));
        let folded = fold.settle().expect("a few cells");
        let of_rows = folded.rows(Table::Calls10m, "default", UnixNanos(0)).expect("columns of the table");
        for narrow in [Table::Calls10s, Table::Calls1m] {
            let cells = folded.rows(narrow, "default", UnixNanos(0)).expect("columns of the table");
            let mut fold = Fold::new(whole).fold_only(Vec::new());
            fold.add_cells(narrow, cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
            let settled = fold.settle().expect("a few cells");
            let of_cells =
                settled.rows(Table::Calls10m, "default", UnixNanos(0)).expect("columns of the table");
            assert_eq!(of_cells.rows(), of_rows.rows(), "{}", narrow.name());
        }
    }

    #[test]
    fn cells_make_the_picture_of_the_rows() {
        let cells = settled().rows(Table::Calls10s, "default", UnixNanos(0)).expect("columns of the table");
        for grain in [Grain::Node, Grain::Operation, Grain::Instance, Grain::InstanceAndProxy, Grain::Cluster]
        {
            let asked = question(By::Service, grain);
            let picture = picture_of(asked, Frame::whole(), Table::Calls10s, cells.rows());
            let slots = [1, 2, 1].map(|calls| format!("default/a -> default/b {calls}/0"));
            assert_eq!(edges(&picture), slots);
            assert_eq!(nodes(&picture), ["default/b 1/0"]);
        }
    }

    /// Ten services of a hundred operations each, called in each of twelve slots of ten seconds: those of one are answered
    /// as in the whole, and nothing of the others is held.
    #[test]
    fn a_frame_shows_what_the_whole_shows_of_a_service() {
        let calls: Vec<Request> = (0..1_200)
            .map(|number: i64| {
                let path = &*Box::leak(format!("/p{}", number / 10 % 10).into_boxed_str());
                let name = ["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9"][number as usize % 10];
                Request { path, destination: ("default", name), second: 960 + number / 100 * 10, ..SERVED }
            })
            .collect();
        let mut fold = Fold::new(question(By::Whole, Grain::Whole));
        fold.add_requests(&fixture::requests(&calls));
        let settled = fold.settle().expect("a few cells");
        let cells = settled.rows(Table::Calls10s, "default", UnixNanos(0)).expect("columns of the table");
        let asked = question(By::Service, Grain::Operation);
        let whole = picture_of(asked, Frame::whole(), Table::Calls10s, cells.rows());
        let framed = picture_of(asked, Frame::nodes(Some("b3")), Table::Calls10s, cells.rows());
        let of_b3 = |picture: &Picture| golden(picture, GoldenBy::Operation, Some("default/b3"));
        assert_eq!(of_b3(&whole), of_b3(&framed));
        assert_eq!((of_b3(&framed).len(), whole.node_cells.len()), (120, 1_200));
        assert_eq!((framed.node_cells.len(), framed.edge_cells.len(), framed.nodes.len()), (120, 0, 1));
        let edges = picture_of(asked, Frame::edges(Some("b3")), Table::Calls10s, cells.rows());
        assert_eq!((edges.node_cells.len(), edges.edge_cells.len(), edges.nodes.len()), (0, 12, 2));
        assert_eq!(golden(&whole, GoldenBy::Edge, Some("b3")), golden(&edges, GoldenBy::Edge, Some("b3")));
    }

    /// Cells are looked up by the names that their ends have there, which are not always those of the answer.
    #[test]
    fn a_frame_says_by_which_names_cells_are_found() {
        let by_alias = Request { destination: ("", "web"), request_id: "1", ..CALL };
        let answered = Request { destination: ("default", "b"), request_id: "1", ..SERVED };
        let later = Request { destination: ("", "web"), second: FROM_SECOND + 60, ..CALL };
        let other = Request { destination: ("default", "c"), ..SERVED };
        let mut fold = Fold::new(question(By::Whole, Grain::Whole));
        fold.add_requests(&fixture::requests(&[by_alias, answered, later, other]));
        let settled = fold.settle().expect("a few cells");
        let cells = settled.rows(Table::Calls1m, "default", UnixNanos(0)).expect("columns of the table");
        let filter = |frame: Frame| {
            let mut fold = Fold::new(question(By::Service, Grain::Node)).fold_only(Vec::new()).framed(frame);
            fold.survey_cells(cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
            fold.drawing().expect("a few cells").filter()
        };
        let text = |name: &str| Value::Text(name.to_owned());
        let targets = Filter::is_in("destination_name", vec![text("b"), text("web")]);
        assert_eq!(filter(Frame::edges(Some("default/b"))), targets);
        assert_eq!(filter(Frame::nodes(Some("c"))), Filter::is_in("destination_name", vec![text("c")]));
        let from_a = Filter::is_in("source_name", vec![text("a")]);
        let to_a = Filter::is_in("destination_name", vec![]);
        assert_eq!(filter(Frame::edges(Some("a"))), Filter::Or(vec![to_a, from_a]));
        assert_eq!(filter(Frame::whole()), Filter::And(vec![]));
    }

    /// Cells of an earlier version may call an end otherwise in one width than in another.
    #[test]
    fn cells_that_no_survey_knows_are_said() {
        let settled = settled();
        let rows = |table| settled.rows(table, "default", UnixNanos(0)).expect("columns of the table");
        let surveyed = rows(Table::Calls10m);
        let mut fold = Fold::new(question(By::Service, Grain::Operation)).fold_only(Vec::new());
        fold.survey_cells(&surveyed.rows().slice(0, 1), &[TimeRange::ALL]).expect("columns of the table");
        let mut drawing = fold.drawing().expect("a few cells");
        drawing.add_cells(Table::Calls1m, rows(Table::Calls1m).rows(), &[TimeRange::ALL]).expect("columns");
        let picture = drawing.finish().expect("a few cells");
        // All five cells are of a and b, but only one of three kinds was surveyed.
        let left_out =
            picture.warnings.iter().find(|warning| warning.contains("are left out")).expect("said");
        let shown: f64 = picture.edge_cells.iter().map(|edge| edge.measure.requests()).sum::<f64>()
            + picture.node_cells.iter().map(|cell| cell.measure.requests()).sum::<f64>();
        assert!(left_out.starts_with(&format!("{} calls", 5.0 - shown)), "{left_out}, {shown} are shown");
    }
}
