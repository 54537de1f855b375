//! What is kept says what the files say, is found again, and is bounded.

use meshlake_calls::{Frame, Picture};
use meshlake_engine::{Engine, EngineConfig};
use meshlake_fixture::{Row, SnapshotBuilder, batch, row};
use meshlake_schema::Clock;

use super::*;
use crate::calls::{Plan, drawn, fed, load_from};

const SECOND: i64 = 1_000_000_000;

/// Every test's present: 40 minutes after the epoch.
struct Now;

impl Clock for Now {
    fn now(&self) -> UnixNanos {
        UnixNanos(2_400 * SECOND)
    }
}

/// A call of one of two services to one of three, as the callee's proxy saw it.
fn call(number: i64) -> Row {
    let name = |names: &[&'static str]| names[number as usize % names.len()];
    row(
        (600 + number * 2) * SECOND,
        [
            ("duration_nano", (number * 1_000_000).into()),
            ("observer", "server".into()),
            ("layer", "l7".into()),
            ("counted", true.into()),
            ("outcome", name(&["ok", "ok", "error"]).into()),
            ("source_service", name(&["web", "app"]).into()),
            ("source_namespace", "shop".into()),
            ("destination_service", name(&["cart", "cart", "stock", "pay"]).into()),
            ("destination_namespace", "shop".into()),
            ("destination_version", name(&["v1", "v2"]).into()),
            ("method", "GET".into()),
            ("path", name(&["/a", "/b", "/c"]).into()),
        ],
    )
}

fn range(from: i64, to: i64, step: Option<u64>) -> Range {
    let (from, to) = (UnixNanos(from * SECOND), UnixNanos(to * SECOND));
    Range::new(from, to, step.map(Duration::from_secs)).expect("not empty")
}

/// Cells of minutes and of ten minutes of calls of half an hour, in some files, and no rows.
async fn engine() -> Engine {
    let rows: Vec<Row> = (0..900).map(call).collect();
    let whole = range(600, 2_400, Some(60));
    let mut fold =
        Fold::new(Question { range: whole, by: By::Whole, grain: Grain::Whole, source: Source::Auto });
    fold.add_requests(batch(Table::Requests, &rows).rows());
    let settled = fold.settle().expect("a few cells");
    let cells = |table| settled.rows(table, "default", UnixNanos(0)).expect("columns of the table");
    let snapshot = SnapshotBuilder::new().put(&cells(Table::Calls10m), &[]).await;
    let snapshot = snapshot.put(&cells(Table::Calls1m), &[]).await;
    let config = EngineConfig { parallelism: 1, ..EngineConfig::default() };
    let engine = Engine::with_functions(snapshot.reader(), config, Arc::new(Now), Vec::new());
    engine.expect("no directory is named")
}

async fn query() -> Query {
    engine().await.begin("default").await.expect("a place is free")
}

/// The picture of what is kept alone.
async fn picture(query: &Query, question: Question, frame: Frame) -> Picture {
    let times = [TimeRange { from: question.range.from(), to: question.range.to() }];
    let surveyed = [(Table::Calls10m, times.to_vec())];
    let table = if question.grain == Grain::Node { Table::Calls10m } else { Table::Calls1m };
    let fold = Fold::new(question).framed(frame).within(query.budget());
    let fold = fed(query, &[], &surveyed, fold, &question).await.expect("a few cells");
    drawn(query, &question, &[(table, times.to_vec())], None, fold).await.expect("a few cells")
}

/// Read once as a whole, as few cells are, and from what is kept: the same nodes and edges to the last bucket of a histogram.
#[tokio::test]
async fn what_is_kept_says_what_the_file_says() {
    let engine = engine().await;
    let ranges = [range(600, 2_400, None), range(1_200, 1_800, None), range(600, 2_400, Some(600))];
    let grains = [Grain::Node, Grain::Operation, Grain::Instance];
    let asked = ranges.into_iter().flat_map(|range| grains.map(|grain| (range, grain)));
    for ((range, grain), by) in asked.zip(By::ALL.into_iter().cycle()) {
        let narrow = [Frame::nodes(Some("cart")), Frame::edges(Some("shop/web")), Frame::around("cart", 1)];
        for frame in narrow.into_iter().chain([Frame::whole()]) {
            let question = Question { range, by, grain, source: Source::Auto };
            let query = engine.begin("default").await.expect("a place is free");
            assert!(Plan::of(&query, question).are_few);
            let read = load_from(&query, question, frame.clone()).await.expect("a few cells");
            // What was kept by the first is what the second reads.
            for _ in 0..2 {
                let kept = picture(&query, question, frame.clone()).await;
                assert_eq!(format!("{:?}", read.nodes), format!("{:?}", kept.nodes));
                assert_eq!(format!("{:?}", read.node_cells), format!("{:?}", kept.node_cells));
                assert_eq!(format!("{:?}", read.edge_cells), format!("{:?}", kept.edge_cells));
                assert_eq!(read.outlined, kept.outlined);
                assert!(!kept.nodes.is_empty());
            }
        }
    }
    let spans = Question {
        range: range(600, 2_400, None),
        by: By::Service,
        grain: Grain::Node,
        source: Source::Spans,
    };
    let query = engine.begin("default").await.expect("a place is free");
    assert!(picture(&query, spans, Frame::whole()).await.nodes.is_empty(), "only rows told of calls");
}

fn of_survey(by: By) -> Wanted {
    let question = Question { range: range(0, 600, None), by, grain: Grain::Node, source: Source::Auto };
    Wanted::of_survey(Table::Calls10m, &question).expect("it is the widest")
}

async fn digests(query: &Query, by: By) -> Vec<Arc<Digest>> {
    let found = found(query, &of_survey(by), &[TimeRange::ALL]).await.expect("a few cells");
    found.expect("not too many").digests
}

#[tokio::test]
async fn a_file_is_read_once_by_each_grouping() {
    let query = query().await;
    let first = digests(&query, By::Service).await;
    let again = digests(&query, By::Service).await;
    assert!(!first.is_empty() && first.iter().zip(&again).all(|(first, again)| Arc::ptr_eq(first, again)));
    let other = digests(&query, By::Version).await;
    assert!(first.iter().zip(&other).all(|(first, other)| !Arc::ptr_eq(first, other)));
}

#[tokio::test]
async fn what_was_not_used_for_longest_goes() {
    let query = query().await;
    let digest = digests(&query, By::Service).await.remove(0);
    let file = &query.files(Table::Calls10m)[0];
    let bytes = OVERHEAD_BYTES + digest.bytes();
    let kept = Digests { bytes_max: 2 * bytes, held: Mutex::default() };
    let key = |tenant: &str| of_survey(By::Service).key(tenant);
    let is_kept = |tenant: &str| kept.look(&key(tenant), &[file]).found[0].is_some();
    let keep = |tenant: &str| {
        let lines = kept.look(&key(tenant), &[]).lines;
        kept.keep(&key(tenant), file, &lines, &digest);
    };
    ["a", "b"].into_iter().for_each(keep);
    assert_eq!([is_kept("b"), is_kept("a")], [true, true], "as much as there may be");
    keep("c");
    // A third is too much, and an eighth is freed beside it.
    assert_eq!(["a", "b", "c"].map(is_kept), [false, false, true]);
    assert_eq!(kept.held().bytes, bytes);
    kept.forget(&key("c"));
    assert_eq!((is_kept("c"), kept.held().bytes), (false, 0));
}

/// Whoever made a digest by lines that are let go of meanwhile must not have it kept by others.
#[tokio::test]
async fn what_is_numbered_otherwise_is_not_kept() {
    let query = query().await;
    let digest = digests(&query, By::Service).await.remove(0);
    let file = &query.files(Table::Calls10m)[0];
    let (kept, key) = (Digests::default(), of_survey(By::Service).key("a"));
    let lines = kept.look(&key, &[]).lines;
    kept.forget(&key);
    kept.keep(&key, file, &lines, &digest);
    assert!(kept.look(&key, &[file]).found[0].is_none());
}

#[test]
fn more_cells_than_can_be_kept_are_not() {
    let half = CELLS_MAX / 2;
    assert!(!are_too_many([half, CELLS_MAX - half].into_iter()));
    assert!(are_too_many([half, CELLS_MAX - half, 1].into_iter()));
    assert!(are_too_many([u64::MAX, u64::MAX].into_iter()));
}

/// What cells of minutes tell of all services would drive out everything else; of one it is little.
#[test]
fn of_what_is_told_apart_only_one_service_is_kept() {
    let question =
        |grain| Question { range: range(0, 600, None), by: By::Service, grain, source: Source::Auto };
    let all = Filter::And(Vec::new());
    let one = Filter::is_in("destination_name", Vec::new());
    let is_kept = |table, grain, filter| Wanted::of_drawing(table, &question(grain), filter).is_some();
    assert!(is_kept(Table::Calls10m, Grain::Node, &all) && !is_kept(Table::Calls1m, Grain::Node, &all));
    assert!(
        !is_kept(Table::Calls1m, Grain::Operation, &all) && is_kept(Table::Calls1m, Grain::Operation, &one)
    );
    let callers = Grain::Told(meshlake_calls::Told::FLAGS);
    assert!(!is_kept(Table::Calls10m, callers, &one));
}
