//! Answers made of cells are those made of rows, bit for bit, however minutes were settled.
//!
//! Minutes are settled in runs of any length and order, from rows of the run and of two minutes around it; some rows come
//! late, and what they reach is settled again. Then questions of every grouping are answered from cells, but for some
//! minutes that are left open, and must come to the picture of the rows.

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use meshlake_calls::golden::{self, golden};
use meshlake_calls::graph::{Graph, frame, graph};
use meshlake_calls::minutes::{MINUTE, minute_of, rows_of};
use meshlake_calls::shown::{Focus, Wanted};
use meshlake_calls::{
    By, Digest, Digested, Fold, Frame, GoldenBy, Grain, Lines, NodeIdentity, Picture, Question, Range, Source,
};
use meshlake_schema::{SETTLE_MARGIN_MINUTES, Table, TimeRange, UnixNanos};

use crate::feeding::{feed, feed_in_order, feed_open, start};
use crate::oracle::{FROM, TO};
use crate::random::Random;
use crate::series;
use crate::telemetry::Row;

/// Questions asked of the rows of a story; with hundreds of stories each of them is asked often.
const QUESTIONS: usize = 3;

/// Cells by table and the minute that they begin in.
type Cells = BTreeMap<(Table, i64), RecordBatch>;

/// What the answers of cells and of rows differ in.
pub fn differences(told: &[Row], random: &mut Random) -> Vec<String> {
    let cells = settle(told, random);
    let step = |seconds| Some(Duration::from_secs(seconds));
    let questions = [
        (Table::Calls10s, By::Service, Grain::Operation, None),
        (Table::Calls10s, By::Version, Grain::Node, step(10)),
        (Table::Calls1m, By::Service, Grain::Instance, step(120)),
        (Table::Calls1m, By::Version, Grain::InstanceAndProxy, step(60)),
        (Table::Calls1m, By::Workload, Grain::Operation, None),
        (Table::Calls10m, By::Service, Grain::Node, None),
        (Table::Calls10m, By::Version, Grain::Node, None),
        (Table::Calls10m, By::Service, Grain::Cluster, None),
    ];
    let mut found: Vec<String> = cells.values().filter_map(callers_differ).collect();
    found.extend(widened_differ(&cells, told, random));
    found.extend(series_differ(&cells, told, random));
    for _ in 0..QUESTIONS {
        let (table, by, grain, step) = random.pick(&questions);
        let source = random.pick(&[Source::Auto, Source::Auto, Source::Spans, Source::Requests]);
        let range = range(table, step, random);
        let question = Question { range, by, grain, source };
        let open = open(table, random);
        let live = folded(question, told, random);
        found.extend(frame_differs(&live, question, table, &cells, &open, told, random));
        found.extend(focus_differs(&live, question, table, &cells, &open, told));
        let mixed = shown(&mixed(question, table, &cells, &open, Frame::whole(), told, random));
        let live = shown(&live);
        if mixed != live {
            let first = mixed.lines().zip(live.lines()).find(|(mixed, live)| mixed != live);
            found.push(format!("{question:?} of {table:?}, open {open:?}: cells and rows say {first:#?}"));
        }
    }
    found
}

/// Whether the picture of one service, of cells and rows, shows it otherwise than that of all does.
#[allow(clippy::too_many_arguments)]
fn frame_differs(
    live: &Picture,
    question: Question,
    table: Table,
    cells: &Cells,
    open: &[TimeRange],
    told: &[Row],
    random: &mut Random,
) -> Option<String> {
    let nodes: Vec<&NodeIdentity> = live.nodes.iter().collect();
    if nodes.is_empty() {
        return None;
    }
    let node = random.pick(&nodes);
    let service = random.pick(&[&node.id, &node.name]);
    let (by, frame) = match question.grain {
        Grain::Node if random.percent(50) => (GoldenBy::Edge, Frame::edges(Some(service))),
        Grain::Operation => (GoldenBy::Operation, Frame::nodes(Some(service))),
        _ => (GoldenBy::Service, Frame::nodes(Some(service))),
    };
    let framed = mixed(question, table, cells, open, frame, told, random);
    let [whole, part] = [live, &framed].map(|picture| golden(picture, by, Some(service)));
    let is_known = golden::unknown_service(&framed, Some(service)).is_none();
    (whole != part || !is_known)
        .then(|| format!("{service} by {by} in {question:?}: in the whole {whole:#?}, alone {part:#?}"))
}

/// Whether the graph around a node is another where only that is drawn.
fn focus_differs(
    live: &Picture,
    question: Question,
    table: Table,
    cells: &Cells,
    open: &[TimeRange],
    told: &[Row],
) -> Option<String> {
    // Other choices of the story are to stay what they were.
    let mut random = Random::new(told.len() as u64);
    let is_graph = question.grain == Grain::Node && question.range.step().is_none();
    let nodes: Vec<&NodeIdentity> = live.nodes.iter().filter(|_| is_graph).collect();
    if nodes.is_empty() {
        return None;
    }
    let node = random.pick(&nodes);
    let focus = Focus { node: random.pick(&[&node.id, &node.name]), depth: random.below(3) };
    let wanted = Wanted { focus: Some(focus), errors_only: random.percent(20), ..Wanted::default() };
    let around = mixed(question, table, cells, open, frame(&wanted), told, &mut random);
    let [whole, part] = [live, &around].map(|picture| Graph { warnings: vec![], ..graph(picture, &wanted) });
    (whole != part).then(|| format!("{wanted:?} in {question:?}: in the whole {whole:#?}, alone {part:#?}"))
}

/// Whether what nodes received from each caller is not what its edges say that was seen of it there. Messages of
/// several senders have none at their node, and the sides of connections are counted apart.
fn callers_differ(cells: &RecordBatch) -> Option<String> {
    let text = |name: &str| {
        let column = cast(cells.column_by_name(name).expect("a column"), &DataType::Utf8);
        column.expect("names are texts").as_string::<i32>().clone()
    };
    let sum = |name: &str| cells.column_by_name(name).expect("a column").as_primitive::<Int64Type>().clone();
    let caller =
        ["namespace", "name", "workload", "version", "naming"].map(|part| text(&format!("source_{part}")));
    let (entry, evidence) = (text("entry"), text("evidence"));
    let (requests, seen) = (sum("requests_milli"), sum("received_milli"));
    let mut sums: BTreeMap<String, [i64; 2]> = BTreeMap::new();
    for row in 0..cells.num_rows() {
        let (place, milli) = match entry.value(row) {
            "edge" | "refused" => (0, seen.value(row)),
            "received" if caller[1].is_valid(row) => (1, requests.value(row)),
            _ => continue,
        };
        let parts = caller.each_ref().map(|part| part.is_valid(row).then(|| part.value(row)));
        let of_caller = sums.entry(format!("{} {parts:?}", evidence.value(row))).or_default();
        of_caller[place] += milli;
    }
    let differs = sums.iter().find(|(_, [on_edges, at_nodes])| on_edges != at_nodes);
    differs.map(|(caller, sums)| format!("cells say of {caller} on edges and at nodes {sums:?}"))
}

/// Whether cells of ten minutes are others when they are made of the cells of minutes, and of rows where some are open.
fn widened_differ(cells: &Cells, told: &[Row], random: &mut Random) -> Option<String> {
    let open = open(Table::Calls1m, random);
    let range =
        Range::new(UnixNanos(FROM), UnixNanos(TO), Some(Duration::from_secs(600))).expect("not empty");
    let whole = Question { range, by: By::Whole, grain: Grain::Whole, source: Source::Auto };
    let settled =
        fold_of(whole, Table::Calls1m, cells, &open, told, random).settle().expect("a story is small");
    let widened = settled.rows(Table::Calls10m, "default", UnixNanos(0)).expect("columns of the table");
    let is_same = cells[&(Table::Calls10m, minute_of(FROM))] == *widened.rows();
    (!is_same).then(|| format!("cells of ten minutes are others when made of minutes, open {open:?}"))
}

/// Whether series made of cells, and of rows where some are open, are others than those of rows alone.
fn series_differ(cells: &Cells, told: &[Row], random: &mut Random) -> Option<String> {
    let hasher = RandomState::new();
    let asked = [
        (Table::Calls10s, 10, false),
        (Table::Calls1m, 60, true),
        (Table::Calls1m, 600, false),
        (Table::Calls10m, 600, false),
    ];
    let (table, seconds, by_operation) = random.pick(&asked);
    let (question, open) = (series::question(seconds, by_operation), open(table, random));
    let finished =
        |fold: Fold| series::shown(&fold.finish_series(seconds, &hasher).expect("a story is small"));
    let mixed = finished(fold_of(question, table, cells, &open, told, random));
    let mut live = Fold::new(question);
    feed(&mut live, question.source, told, &[rows_of(&question.range)], random);
    let live = finished(live);
    let first = mixed.iter().zip(&live).find(|(mixed, live)| mixed != live);
    (mixed != live)
        .then(|| format!("series by {seconds} s of {table:?}, open {open:?}: cells and rows say {first:#?}"))
}

/// Ends that cells of the table can tell.
fn range(table: Table, step: Option<Duration>, random: &mut Random) -> Range {
    let seconds = i64::from(table.cell_seconds().expect("a table of cells")) * 1_000_000_000;
    let cells = (TO - FROM) / seconds;
    let first = random.below(cells as usize) as i64;
    let last = first + 1 + random.below((cells - first) as usize) as i64;
    let at = |cell: i64| UnixNanos(FROM + cell * seconds);
    Range::new(at(first), at(last), step).expect("not empty")
}

/// Minutes, or the ten of them, that rows are folded of.
fn open(table: Table, random: &mut Random) -> Vec<TimeRange> {
    let width = i64::from(table.cell_seconds().expect("a table of cells").max(60)) * 1_000_000_000;
    let windows = (FROM..TO).step_by(width as usize).filter(|_| random.percent(30));
    windows.map(|from| TimeRange { from: UnixNanos(from), to: UnixNanos(from + width) }).collect()
}

fn settle(told: &[Row], random: &mut Random) -> Cells {
    let (late, early): (Vec<Row>, Vec<Row>) = told.iter().cloned().partition(|_| random.percent(5));
    let mut cells = Cells::new();
    let minutes = minute_of(FROM)..minute_of(TO);
    settle_runs(&minutes.clone().collect::<Vec<_>>(), &early, &mut cells, random);
    let reached = |minute: &i64| {
        let near = |row: &Row| minute_of(start(row)).abs_diff(*minute) <= SETTLE_MARGIN_MINUTES as u64;
        late.iter().any(near)
    };
    let reached: Vec<i64> = minutes.filter(reached).collect();
    settle_runs(&reached, told, &mut cells, random);
    let tens = run(FROM, TO, &[Table::Calls10m], told, random);
    cells.extend(tens.into_iter().map(|(table, batch)| ((table, minute_of(FROM)), batch)));
    cells
}

/// Settles these minutes, some of them together.
fn settle_runs(minutes: &[i64], rows: &[Row], cells: &mut Cells, random: &mut Random) {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for minute in minutes {
        match runs.last_mut() {
            Some(last) if last.1 == *minute && random.percent(60) => last.1 += 1,
            _ => runs.push((*minute, *minute + 1)),
        }
    }
    random.shuffle(&mut runs);
    for (first, end) in runs {
        let tables = [Table::Calls10s, Table::Calls1m];
        for (table, batch) in run(first * MINUTE, end * MINUTE, &tables, rows, random) {
            for minute in first..end {
                cells.insert((table, minute), of_minute(&batch, minute));
            }
        }
    }
}

fn of_minute(cells: &RecordBatch, minute: i64) -> RecordBatch {
    let times = cells.column_by_name("time").expect("a column").as_primitive::<TimestampMicrosecondType>();
    let is_in = times.values().iter().map(|micros| Some(minute_of(micros * 1_000) == minute));
    filter_record_batch(cells, &is_in.collect()).expect("as many rows")
}

fn run(from: i64, to: i64, tables: &[Table], rows: &[Row], random: &mut Random) -> Vec<(Table, RecordBatch)> {
    let step = Some(Duration::from_secs(10));
    let range = Range::new(UnixNanos(from), UnixNanos(to), step).expect("not empty");
    let mut fold = Fold::new(Question { range, by: By::Whole, grain: Grain::Whole, source: Source::Auto });
    let times = TimeRange { from: range.from(), to: range.to() };
    if random.percent(50) {
        feed_in_order(&mut fold, Source::Auto, rows, &[times], random);
    } else {
        feed(&mut fold, Source::Auto, rows, &[rows_of(&range)], random);
    }
    let settled = fold.settle().expect("a story is small");
    let rows =
        |table| settled.rows(table, "default", UnixNanos(0)).expect("columns of the table").into_rows();
    tables.iter().map(|table| (*table, rows(*table))).collect()
}

/// The picture of cells, and of rows where windows are open.
fn mixed(
    question: Question,
    table: Table,
    cells: &Cells,
    open: &[TimeRange],
    frame: Frame,
    told: &[Row],
    random: &mut Random,
) -> Picture {
    let times = closed(open);
    // What rows tell may have been counted before, too.
    let counted = if random.percent(50) { counted(question, open, told, random) } else { None };
    let folded = if counted.is_some() { &[][..] } else { open };
    let mut fold = Fold::new(question).fold_only(folded.to_vec()).framed(frame);
    let (open_lines, open_digests) = counted.unwrap_or_default();
    let of_rows = Digested { lines: &open_lines, digests: &open_digests, times: open };
    fold.survey_counted(&of_rows, None).expect("a story is small");
    // Few cells are read once, many twice, and some are kept; which of them a story has is its own affair.
    let (are_few, are_kept) = (told.len().is_multiple_of(3), told.len() % 3 == 1);
    let of_table = || cells.iter().filter(|((of, _), _)| *of == table).map(|(_, batch)| batch);
    let (lines, digests) = if are_kept { kept(question.by, table, of_table()) } else { Default::default() };
    let digested = Digested { lines: &lines, digests: &digests, times: &times };
    if are_kept {
        fold.survey_digests(&digested).expect("a story is small");
    }
    for batch in of_table().filter(|_| !are_kept) {
        if are_few {
            fold.add_cells(table, batch, &times).expect("columns of the table");
        } else {
            fold.survey_cells(batch, &times).expect("columns of the table");
        }
    }
    feed_open(&mut fold, question, folded, told, random);
    let mut drawing = fold.drawing().expect("a story is small");
    drawing.add_digests(&of_rows).expect("a story is small");
    if are_kept && question.grain == Grain::Node {
        drawing.add_digests(&digested).expect("a story is small");
        return drawing.finish().expect("a story is small");
    }
    for batch in of_table().filter(|_| !are_few) {
        drawing.add_cells(table, batch, &times).expect("columns of the table");
    }
    drawing.finish().expect("a story is small")
}

/// What rows tell of these times as it is kept; none where answers have to say something of it.
fn counted(
    question: Question,
    open: &[TimeRange],
    told: &[Row],
    random: &mut Random,
) -> Option<(Lines, Vec<Arc<Digest>>)> {
    let step = Some(Duration::from_secs(10));
    let range = Range::new(UnixNanos(FROM), UnixNanos(TO), step).expect("not empty");
    let question = Question { range, source: Source::Auto, ..question };
    let mut fold = Fold::new(question).fold_only(open.to_vec());
    feed_open(&mut fold, question, open, told, random);
    let mut lines = Lines::default();
    let digest = fold.digest_of_rows(&mut lines).expect("a story is small")?;
    let minutes = digest.by_minute().into_iter().map(|(_, digest)| Arc::new(digest)).collect();
    Some((lines, minutes))
}

/// Each batch of cells of a table as it is kept.
fn kept<'c>(
    by: By,
    table: Table,
    batches: impl Iterator<Item = &'c RecordBatch>,
) -> (Lines, Vec<Arc<Digest>>) {
    let seconds = table.cell_seconds().expect("a table of cells");
    let step = Some(Duration::from_secs(seconds.into()));
    let range = Range::new(UnixNanos(FROM), UnixNanos(TO), step).expect("not empty");
    let question = Question { range, by, grain: Grain::Node, source: Source::Auto };
    let mut lines = Lines::default();
    let digests = batches.map(|batch| {
        let mut fold = Fold::new(question).fold_only(Vec::new());
        fold.add_cells(table, batch, &[TimeRange::ALL]).expect("columns of the table");
        Arc::new(fold.digest(&mut lines).expect("a story is small").expect("with few lines"))
    });
    let digests = digests.collect();
    (lines, digests)
}

/// What is counted of cells, and of rows where windows are open.
fn fold_of(
    question: Question,
    table: Table,
    cells: &Cells,
    open: &[TimeRange],
    told: &[Row],
    random: &mut Random,
) -> Fold {
    let mut fold = Fold::new(question).fold_only(open.to_vec());
    let times = closed(open);
    for (_, batch) in cells.iter().filter(|((of, _), _)| *of == table) {
        fold.add_cells(table, batch, &times).expect("columns of the table");
    }
    feed_open(&mut fold, question, open, told, random);
    fold
}

/// The times between these.
fn closed(open: &[TimeRange]) -> Vec<TimeRange> {
    let starts = std::iter::once(UnixNanos(i64::MIN)).chain(open.iter().map(|window| window.to));
    let ends = open.iter().map(|window| window.from).chain(std::iter::once(UnixNanos(i64::MAX)));
    starts.zip(ends).map(|(from, to)| TimeRange { from, to }).collect()
}

fn folded(question: Question, told: &[Row], random: &mut Random) -> Picture {
    let mut fold = Fold::new(question);
    feed(&mut fold, question.source, told, &[rows_of(&question.range)], random);
    fold.finish().expect("a story is small")
}

/// All that a picture tells, a line for each cell.
pub fn shown(picture: &Picture) -> String {
    let nodes = picture.nodes.iter().map(|node| format!("{node:?}"));
    let cells = picture.node_cells.iter().map(|cell| format!("{cell:?}"));
    let edges = picture.edge_cells.iter().map(|edge| format!("{edge:?}"));
    let lines: Vec<String> =
        nodes.chain(cells).chain(edges).chain(picture.warnings.iter().cloned()).collect();
    lines.join("\n")
}
