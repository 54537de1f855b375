//! Parts by cells and by what is kept of them are those by rows.

use std::sync::Arc;
use std::time::Duration;

use meshlake_schema::UnixNanos;

use super::*;
use crate::fixture::{self, CALL, CLIENT, Request, SERVED, SPAN, Span};
use crate::settled::lines::Lines;
use crate::{By, Fold, Grain, Question, Range, Settled, Told};

fn question(by: By, grain: Grain) -> Question {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    let step = (by == By::Whole).then_some(Duration::from_secs(10));
    let range = Range::new(at(600), at(1_800), step).expect("not empty");
    Question { range, by, grain, source: Source::Auto }
}

fn asked() -> Question {
    question(By::Service, Grain::Told(Told::FLAGS.with(Told::CODE)))
}

/// Somebody outside calls a gateway, which calls a, which calls b and c; one call to b is refused on its way. And a calls d twice by
/// an address, of which d tells once. Spans tell of one more call of a's.
fn rows() -> (Vec<Request>, Vec<Span>) {
    let served = |name, request_id| Request { destination: ("default", name), request_id, ..SERVED };
    let made = |name, request_id| Request { destination: ("default", name), request_id, ..CALL };
    let gateway = Request { observer: "gateway", source: ("istio-system", "ingress"), ..made("a", "0") };
    let rows = vec![
        gateway,
        made("b", "1"),
        served("b", "1"),
        // In the next ten minutes.
        Request { second: 1_250, ..made("c", "2") },
        Request { second: 1_250, ..served("c", "2") },
        Request { flags: "UO", outcome: "error", code: 503, attempts: 0, ..made("b", "3") },
        Request { destination: ("", "10.9.9.9"), request_id: "4", ..CALL },
        served("d", "4"),
        Request { destination: ("", "10.9.9.9"), request_id: "5", ..CALL },
    ];
    (rows, vec![Span { kind: CLIENT, peer_service: "b", ..SPAN }])
}

fn settled() -> Settled {
    let (rows, spans) = rows();
    let mut fold = Fold::new(question(By::Whole, Grain::Whole));
    fold.add_requests(&fixture::requests(&rows));
    fold.add_spans(&fixture::spans(&spans));
    fold.settle().expect("a few cells")
}

/// Those of settled cells, and how many rows were looked at that the filter lets through.
fn of_cells(wanted: &PartsFrame, table: Table) -> (Parts, Option<Filter>) {
    let cells = settled().rows(table, "default", UnixNanos(0)).expect("columns of the table");
    let mut fold = Fold::new(asked()).fold_only(Vec::new());
    fold.survey_cells(cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
    let mut assembly = fold.assembly(wanted.clone()).expect("a few cells");
    let filter = assembly.filter();
    assembly.add_cells(table, cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
    (assembly.finish().expect("a few cells"), filter)
}

/// The same by what is kept of those cells.
fn of_digests(wanted: &PartsFrame, table: Table) -> Parts {
    let cells = settled().rows(table, "default", UnixNanos(0)).expect("columns of the table");
    let step = Duration::from_secs(table.cell_seconds().expect("it has cells").into());
    let Question { range, .. } = asked();
    let range = Range::new(range.from(), range.to(), Some(step)).expect("not empty");
    let digest = |grain| {
        let mut lines = Lines::default();
        let mut fold = Fold::new(Question { range, grain, ..asked() }).fold_only(Vec::new());
        fold.add_cells(table, cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
        let digest = fold.digest(&mut lines).expect("a few cells").expect("a few lines");
        (lines, [Arc::new(digest)])
    };
    let times = &[TimeRange::ALL];
    let surveyed = || {
        let (lines, digests) = digest(Grain::Told(Told::NOTHING));
        let mut fold = Fold::new(asked()).fold_only(Vec::new());
        fold.survey_digests(&Digested { lines: &lines, digests: &digests, times }).expect("a few cells");
        fold.assembly(wanted.clone()).expect("a few cells")
    };
    let mut assembly = surveyed();
    let (lines, digests) = digest(asked().grain);
    assembly.add_digests(&Digested { lines: &lines, digests: &digests, times }).expect("a few cells");
    let parts = assembly.finish().expect("a few cells");
    // Where the cells that tell more are too many to be kept, they are read.
    let mut assembly = surveyed();
    assembly.add_cells(table, cells.rows(), times).expect("columns of the table");
    assert_eq!(assembly.finish().expect("a few cells"), parts, "{wanted:?}, {}", table.name());
    parts
}

/// A call in each ten minutes of two hours, by cells: parts are of the whole range, and so is what is held of them.
#[test]
fn ten_minutes_with_one_place_take_the_room_of_one() {
    let at = |second: i64| UnixNanos(second * 1_000_000_000);
    let call = |number: i64| Request { second: 600 + number * 600, ..SERVED };
    let range = |step| Range::new(at(600), at(7_800), step).expect("not empty");
    let whole =
        Question { range: range(Some(Duration::from_secs(600))), ..question(By::Whole, Grain::Whole) };
    let mut fold = Fold::new(whole);
    fold.add_requests(&fixture::requests(&(0..12).map(call).collect::<Vec<_>>()));
    let settled = fold.settle().expect("a few cells");
    let cells = settled.rows(Table::Calls10m, "default", UnixNanos(0)).expect("columns of the table");
    let mut fold = Fold::new(Question { range: range(None), ..asked() }).fold_only(Vec::new());
    fold.survey_cells(cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
    let mut assembly = fold.assembly(PartsFrame::default()).expect("a few cells");
    assembly.add_cells(Table::Calls10m, cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
    // On the edge and at the node.
    assert_eq!((cells.rows().num_rows(), assembly.book.cells().count()), (24, 2));
    let parts = assembly.finish().expect("a few cells").parts;
    assert_eq!(parts.iter().map(|part| part.measure.requests()).collect::<Vec<_>>(), [12.0, 12.0]);
}

fn of_rows() -> Parts {
    let (rows, spans) = rows();
    let mut fold = Fold::new(asked());
    fold.add_requests(&fixture::requests(&rows));
    fold.add_spans(&fixture::spans(&spans));
    fold.finish_parts().expect("a few cells")
}

fn name(name: &str) -> Option<String> {
    Some(name.to_owned())
}

/// What is wanted of all parts is what is told, to the last latency, and by the same names.
#[test]
fn what_is_wanted_is_as_in_the_whole() {
    let whole = of_rows();
    assert!(whole.parts.len() > 8, "{whole:?}");
    let all = PartsFrame::default();
    let cases = [
        (all.clone(), whole.parts.len()),
        (PartsFrame { service: name("b"), ..all.clone() }, 4),
        (PartsFrame { server: name("c"), ..all.clone() }, 2),
        (PartsFrame { client: name("ingress"), ..all.clone() }, 1),
        (PartsFrame { service: name("d"), ..all.clone() }, 2),
        (PartsFrame { at_gateways: true, ..all.clone() }, 3),
        (PartsFrame { service: name("nobody"), ..all }, 0),
    ];
    for (wanted, count) in cases {
        for table in Table::settled() {
            let (parts, _) = of_cells(&wanted, table);
            let is_wanted = |part: &&Part| {
                wanted.wants(part.source.map(|source| &whole.nodes[source]), &whole.nodes[part.target])
            };
            let want: Vec<Part> = whole.parts.iter().filter(is_wanted).cloned().collect();
            assert_eq!((&parts.nodes, &parts.parts), (&whole.nodes, &want), "{wanted:?}");
            assert_eq!(parts.parts.len(), count, "{wanted:?}: {:?}", parts.parts);
            assert_eq!(of_digests(&wanted, table), parts, "{wanted:?}, {}", table.name());
        }
    }
}

#[test]
fn cells_are_found_by_all_names_of_an_end() {
    let is_in = |column: &str, names: &[&str]| {
        Filter::is_in(column, names.iter().map(|name| Value::Text((*name).to_owned())).collect())
    };
    let filter = |wanted: PartsFrame| of_cells(&wanted, Table::Calls10m).1;
    let all = PartsFrame::default();
    assert_eq!(filter(all.clone()), Some(Filter::And(Vec::new())));
    assert_eq!(
        filter(PartsFrame { server: name("d"), ..all.clone() }),
        Some(is_in("destination_name", &["10.9.9.9", "d"]))
    );
    assert_eq!(
        filter(PartsFrame { client: name("ingress"), ..all.clone() }),
        Some(is_in("source_name", &["ingress"]))
    );
    assert_eq!(filter(PartsFrame { service: name("nobody"), ..all }), None);
}

#[test]
fn counts_are_told_without_latencies() {
    let table = Table::Calls10m;
    let cells = settled().rows(table, "default", UnixNanos(0)).expect("columns of the table");
    let wanted = PartsFrame { without_latencies: true, ..PartsFrame::default() };
    let mut fold = Fold::new(asked()).fold_only(Vec::new());
    fold.survey_cells(cells.rows(), &[TimeRange::ALL]).expect("columns of the table");
    let mut assembly = fold.assembly(wanted).expect("a few cells");
    let names = decode::columns(table, assembly.reading());
    assert!(!names.iter().any(|name| name.contains("latency")), "{names:?}");
    let places = names.iter().map(|name| cells.rows().schema().index_of(name).expect("a column"));
    let read = cells.rows().project(&places.collect::<Vec<_>>()).expect("columns of the batch");
    assembly.add_cells(table, &read, &[TimeRange::ALL]).expect("columns of the table");
    let counts = |parts: Parts| {
        let count = |part: Part| (part.detail, part.measure.requests_milli(), part.measure.errors());
        parts.parts.into_iter().map(count).collect::<Vec<_>>()
    };
    assert_eq!(counts(assembly.finish().expect("a few cells")), counts(of_rows()));
}
