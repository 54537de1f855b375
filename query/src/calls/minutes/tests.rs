//! Answers of minutes that are kept are those of rows, however rows come.

use std::sync::atomic::{AtomicI64, Ordering};

use meshlake_calls::{By, Frame, Grain, Picture};
use meshlake_engine::{Engine, EngineConfig};
use meshlake_fixture::{Changing, Row, SnapshotBuilder, row};
use meshlake_schema::{Clock, Table};

use super::families::{FAMILIES_MAX, Family, Known, MINUTES_MAX, What};
use super::*;
use crate::calls::{Plan, load_from, pictured};

const SECOND: i64 = 1_000_000_000;

/// The time.
struct Now(AtomicI64);

impl Clock for Now {
    fn now(&self) -> UnixNanos {
        UnixNanos(self.0.load(Ordering::Relaxed))
    }
}

struct Mesh {
    store: Arc<Changing>,
    now: Arc<Now>,
    engine: Engine,
    /// By the record that brought them.
    rows: Vec<(Table, Vec<Row>)>,
    /// How many records are in each file; those behind them are in none.
    files: Vec<usize>,
}

impl Mesh {
    fn new() -> Mesh {
        let store = Arc::new(Changing::new(SnapshotBuilder::new()));
        let now = Arc::new(Now(AtomicI64::new(0)));
        let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
        let engine = Engine::with_functions(store.clone(), config, now.clone(), Vec::new());
        Mesh {
            store,
            now,
            engine: engine.expect("no directory is named"),
            rows: Vec::new(),
            files: Vec::new(),
        }
    }

    /// One more record.
    fn add(&mut self, table: Table, rows: Vec<Row>) {
        self.rows.push((table, rows));
        let records = (1..).zip(&self.rows);
        let snapshot = records
            .fold(SnapshotBuilder::new(), |builder, (lsn, (table, rows))| builder.hot(*table, lsn, rows));
        self.store.set(snapshot);
    }

    /// One more record of spans, and files as they are by now.
    async fn add_spans(&mut self, rows: Vec<Row>, files: &[usize]) {
        self.rows.push((Table::Spans, rows));
        self.files = files.to_vec();
        let (mut builder, mut next) = (SnapshotBuilder::new(), 0);
        let records: Vec<(u64, &[Row])> =
            (1..).zip(&self.rows).map(|(lsn, (_, rows))| (lsn, rows.as_slice())).collect();
        for count in &self.files {
            builder = builder.file_of_records(Table::Spans, &records[next..next + count]).await;
            next += count;
        }
        builder = builder.watermark(Table::Spans, next as u64);
        let passing = records[next..].iter();
        self.store.set(passing.fold(builder, |builder, (lsn, rows)| builder.hot(Table::Spans, *lsn, rows)));
    }

    async fn at(&self, second: i64) -> Query {
        self.now.0.store(second * SECOND, Ordering::Relaxed);
        self.engine.begin("default").await.expect("a place is free")
    }
}

fn span(second: i64, ids: (u64, u64, u64), kind: i64, service: &str, name: &str) -> Row {
    let (trace, id, parent) = ids;
    let mut span = row(
        second * SECOND + i64::try_from(id).expect("small"),
        [
            ("trace_id", format!("{trace:032x}").as_str().into()),
            ("span_id", format!("{id:016x}").as_str().into()),
            ("service_name", service.into()),
            ("name", name.into()),
            ("kind", kind.into()),
            ("outcome", if trace.is_multiple_of(5) { "error" } else { "ok" }.into()),
            ("duration_nano", (SECOND * i64::try_from(trace % 40).expect("small") / 7).into()),
            ("is_proxy", false.into()),
        ],
    );
    if parent > 0 {
        span.insert("parent_span_id", format!("{parent:016x}").as_str().into());
    }
    span
}

const CLIENT: i64 = 3;
const SERVER: i64 = 2;
const PRODUCER: i64 = 4;
const CONSUMER: i64 = 5;

/// A call of web to one of three, whose own spans come in another record; some last over the end of a minute.
fn call(second: i64, trace: u64) -> [Row; 2] {
    let callee = ["cart", "stock", "pay"][trace as usize % 3];
    let lag = [0, 1, 45][trace as usize % 3];
    [
        span(second, (trace, 1, 0), CLIENT, "web", "GET"),
        span(second + lag, (trace, 2, 1), SERVER, callee, ["GET /a", "GET /b"][trace as usize % 2]),
    ]
}

fn question(from: i64, to: i64, step: Option<u64>, grain: Grain) -> Question {
    let (from, to) = (UnixNanos(from * SECOND), UnixNanos(to * SECOND));
    let range = Range::new(from, to, step.map(Duration::from_secs)).expect("not empty");
    Question { range, by: By::Service, grain, source: Source::Auto }
}

fn shown(picture: &Picture) -> String {
    let Picture { range, nodes, node_cells, edge_cells, warnings, .. } = picture;
    format!("{range:?}\n{nodes:?}\n{node_cells:?}\n{edge_cells:?}\n{warnings:?}")
}

/// Asks for what is kept, and folds the rows beside it: for edges by ten seconds each time, and for one of three others.
async fn check(query: &Query, now: i64, round: usize) {
    let often = (question(now - 900, now, Some(10), Grain::Node), Frame::edges(Some("web")));
    let others = [
        (question(now - 900, now, None, Grain::Node), Frame::whole()),
        (question(now / 60 * 60 - 600, now, Some(60), Grain::Operation), Frame::nodes(Some("cart"))),
        (question(now - 200, now - 70, None, Grain::Instance), Frame::nodes(None)),
    ];
    let other = others.into_iter().cycle().nth(round);
    for (question, frame) in std::iter::once(often).chain(other) {
        let told = load_from(query, question, frame.clone()).await.expect("a few cells");
        let folded = pictured(query, Plan::of(query, question), frame).await.expect("a few cells");
        assert_eq!(shown(&told), shown(&folded), "{question:?} at {now}");
        let is_empty = folded.node_cells.is_empty() && folded.edge_cells.is_empty();
        assert!(!is_empty || now < 6_300, "{question:?} at {now}");
    }
}

/// Eight minutes of a mesh of which spans come in, some 40 s after their callers', some a minute and a half late; asked for every
/// 40 s. From the fourth minute on it sends messages, from the sixth on proxies tell of calls too.
#[tokio::test]
async fn what_is_kept_is_what_rows_say() {
    let mut mesh = Mesh::new();
    let begin = 6_000;
    let (mut trace, mut delayed) = (0, Vec::new());
    for round in 0..12 {
        let now = begin + round * 40;
        let mut callers = Vec::new();
        let mut callees = std::mem::take(&mut delayed);
        for second in (now - 40..now).step_by(2) {
            trace += 1;
            let [made, received] = call(second, trace);
            callers.push(made);
            if trace.is_multiple_of(11) { delayed.push(received) } else { callees.push(received) }
        }
        if round % 4 == 3 {
            callees.push(call(now - 90, 100_000 + trace)[1].clone());
        }
        if round > 4 {
            for (id, kind, service) in [(1, PRODUCER, "web"), (2, CONSUMER, "mail")] {
                let mut message =
                    span(now - 1, (200_000 + trace, id, id - 1), kind, service, "mails publish");
                message.insert("messaging_system", "kafka".into());
                message.insert("messaging_destination_name", "mails".into());
                callers.push(message);
            }
        }
        mesh.add(Table::Spans, callers);
        mesh.add(Table::Spans, callees);
        if round > 7 {
            mesh.add(Table::Requests, vec![request(now - 3), request(now - 62)]);
        }
        check(&mesh.at(now).await, now, round as usize).await;
    }
}

/// Five minutes of a mesh whose spans are flushed now and then, and whose files are merged, some of them with one that is new; asked
/// for every ten seconds. Nothing of the minutes that run is folded, but when a file has rows that were read and others.
#[tokio::test]
async fn what_runs_is_counted_file_by_file() {
    let mut mesh = Mesh::new();
    let (mut trace, mut late, mut files, mut counted) = (0, Vec::new(), Vec::new(), 0);
    for round in 0..30 {
        let now = 6_000 + round * 10;
        let mut rows = std::mem::take(&mut late);
        for second in now - 10..now {
            trace += 1;
            let [made, received] = call(second, trace);
            rows.push(made);
            if trace.is_multiple_of(7) { late.push(received) } else { rows.push(received) }
        }
        let in_files: usize = files.iter().sum();
        match round % 10 {
            2 | 5 | 8 => files.push(mesh.rows.len() - in_files),
            // Two that were read; then one that was, and what was in none.
            6 | 9 if files.len() > 1 => {
                let last = files.split_off(files.len() - 2).into_iter().sum::<usize>();
                files.push(last + if round % 10 == 9 { mesh.rows.len() - in_files } else { 0 });
            }
            _ => {}
        }
        mesh.add_spans(rows, &files).await;
        let query = mesh.at(now).await;
        check(&query, now, round as usize).await;
        // What sticks out of the first minute is folded.
        let question = question(now / 60 * 60 - 900, now, Some(10), Grain::Node);
        let folded = [TimeRange { from: question.range.from(), to: question.range.to() }];
        let found = found(&query, &question, &folded).await.expect("a few cells");
        counted += usize::from(found.is_some_and(|found| found.folded.is_empty()));
    }
    assert_eq!(counted, 30);
}

fn request(second: i64) -> Row {
    row(
        second * SECOND,
        [
            ("duration_nano", 10_000_000.into()),
            ("observer", "server".into()),
            ("layer", "l7".into()),
            ("counted", true.into()),
            ("outcome", "ok".into()),
            ("source_service", "web".into()),
            ("destination_service", "cart".into()),
        ],
    )
}

async fn minutes(mesh: &Mesh, now: i64) -> Option<(Vec<Arc<Digest>>, Vec<TimeRange>)> {
    let query = mesh.at(now).await;
    let question = question(5_700, now, None, Grain::Node);
    let folded = [TimeRange { from: question.range.from(), to: question.range.to() }];
    let found = found(&query, &question, &folded).await.expect("a few cells")?;
    let digests = found.found.read(&found.times, |digested| digested.digests.to_vec());
    Some((digests, found.folded))
}

/// Spans of 100:00 to 101:00. Until 102:06 more are awaited; then the minute is kept as long as no more come to it or beside it. A
/// proxy tells of a call some hours away, so that what runs is folded.
#[tokio::test]
async fn a_minute_is_counted_once_until_rows_reach_it() {
    let mut mesh = Mesh::new();
    mesh.add(Table::Requests, vec![request(20_000)]);
    mesh.add(Table::Spans, (0..60).flat_map(|second| call(6_000 + second, 3)).collect());
    assert!(minutes(&mesh, 6_125).await.is_none_or(|(_, folded)| folded[0].to.0 > 6_060 * SECOND));
    let (first, _) = minutes(&mesh, 6_126).await.expect("it is over");
    let (again, folded) = minutes(&mesh, 6_130).await.expect("it is kept");
    assert!(first.iter().zip(&again).all(|(first, again)| Arc::ptr_eq(first, again)));
    let left = TimeRange { from: UnixNanos(6_060 * SECOND), to: UnixNanos(6_130 * SECOND) };
    assert_eq!(folded, [left], "what is not over is folded");
    // In the minute beside it: what changed is folded, and kept once it is found as it was.
    mesh.add(Table::Spans, call(6_061, 9).to_vec());
    let place = first.len() - 1;
    let is_counted = |found: Option<(Vec<Arc<Digest>>, Vec<TimeRange>)>| {
        found.is_some_and(|(digests, _)| digests.len() > place)
    };
    assert!(!is_counted(minutes(&mesh, 6_131).await), "it changed");
    let (anew, _) = minutes(&mesh, 6_132).await.expect("others are kept");
    assert!(anew.len() > place && !Arc::ptr_eq(&anew[place], &first[place]), "it is as it was");
    // Two minutes away, which tells nothing of it.
    mesh.add(Table::Spans, call(6_125, 12).to_vec());
    let (kept, _) = minutes(&mesh, 6_133).await.expect("it is kept");
    assert!(Arc::ptr_eq(&anew[place], &kept[place]));
}

fn known(version: Version, margin: i64) -> Known {
    let told = Told { margin, first_row: None };
    Known { version, what: What::Counted(Arc::default(), told) }
}

#[test]
fn rows_two_minutes_away_matter_where_they_told_of_it() {
    let is_of = |margin, version| known([5, 7], margin).is_of(&version);
    assert_eq!([is_of(1, [5, 7]), is_of(1, [5, 9]), is_of(1, [6, 7])], [true, true, false]);
    assert_eq!([is_of(2, [5, 7]), is_of(2, [5, 9])], [true, false]);
    let records = BTreeMap::from([(10, 3), (12, 9), (14, 4)]);
    assert_eq!(
        [11, 12, 13, 16, 20].map(|minute| version(&records, minute)),
        [[9, 9], [9, 9], [9, 9], [0, 4], [0, 0]]
    );
}

#[test]
fn the_oldest_minutes_and_groupings_go() {
    let mut family = Family::default();
    let digests = |run: &[i64]| run.iter().map(|minute| (*minute, Digest::default())).collect();
    let run: Vec<i64> = (0..MINUTES_MAX as i64).collect();
    let told = Told { margin: 1, first_row: None };
    family.keep(&run, Some((told, digests(&run))), |_| [1, 1]);
    family.make_room();
    assert_eq!(family.minutes.len(), MINUTES_MAX);
    family.keep(&[500], Some((told, digests(&[500]))), |_| [1, 1]);
    family.make_room();
    assert_eq!((family.minutes.len(), family.minutes.contains_key(&0)), (MINUTES_MAX, false));
    let kept = Kept::default();
    let first = kept.family("0".to_owned());
    (1..FAMILIES_MAX).for_each(|number| drop(kept.family(number.to_string())));
    assert!(Arc::ptr_eq(&first, &kept.family("0".to_owned())), "as many as there may be");
    drop(kept.family("one more".to_owned()));
    let families = kept.families.lock().expect("no test panics with it");
    assert_eq!(families.by_key.len(), FAMILIES_MAX);
    assert!(families.by_key.contains_key("0") && !families.by_key.contains_key("1"));
}
