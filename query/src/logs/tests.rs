//! Questions over snapshots made by hand: files and buffer, both tables.

use std::sync::Arc;

use meshlake_engine::{Engine, EngineConfig};
use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
use meshlake_logql::tree::log::Log;
use meshlake_logql::{Answer, Query, Steps, parse};
use meshlake_schema::{SystemClock, Table, UnixNanos};

use super::{
    Counted, Direction, Exploring, Lines, Numbers, counted, explored, label_names, label_values, lines,
    numbers,
};
use crate::explore::cursor::Cursor;

/// The first instant of the rows.
const T: i64 = 1_700_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;

fn log_row(second: i64, service: &str, severity: i64, body: &str) -> Row {
    let resource = format!(r#"{{"k8s.pod.name":"{service}-0","service.name":"{service}","zone":"z1"}}"#);
    let attributes: &[(&str, &str)] = &[("http.method", "GET")];
    row(
        T + second * SECOND,
        [
            ("service_name", Cell::from(service)),
            ("resource", Cell::Text(resource)),
            ("resource_id", Cell::from(service.len() as i64)),
            ("severity_number", Cell::from(severity)),
            ("body", Cell::from(body)),
            ("trace_id", Cell::from("0af7651916cd43dd8448eb211c80319c")),
            ("attributes", Cell::from(attributes)),
        ],
    )
}

fn request_row(second: i64, observer: &str, code: i64) -> Row {
    row(
        T + second * SECOND,
        [
            ("observer", Cell::from(observer)),
            ("outcome", Cell::from(if code >= 500 { "error" } else { "ok" })),
            ("source_service", Cell::from("front")),
            ("destination_service", Cell::from("cart")),
            ("destination_namespace", Cell::from("shop")),
            ("method", Cell::from("GET")),
            ("path", Cell::from("/items?id=7")),
            ("response_code", Cell::from(code)),
            ("duration_nano", Cell::from(2_500_000)),
        ],
    )
}

/// A minute of lines of two services, the second half of them in the buffer, and requests that both sides saw.
async fn engine() -> Engine {
    let of = |from: i64, to: i64| -> Vec<Row> {
        let one = |second: i64| {
            let level = if second % 10 == 0 { 17 } else { 9 };
            log_row(
                second,
                if second % 2 == 0 { "cart" } else { "front" },
                level,
                &format!("line={second} took={second}ms"),
            )
        };
        (from..to).map(one).collect()
    };
    let requests = vec![request_row(5, "server", 200), request_row(6, "client", 503)];
    let snapshot = SnapshotBuilder::new()
        .file(Table::Logs, &of(0, 30), &[])
        .await
        .watermark(Table::Logs, 1)
        .hot(Table::Logs, 2, &of(30, 60))
        .file(Table::Requests, &requests, &[])
        .await;
    let config = EngineConfig { parallelism: 2, ..EngineConfig::default() };
    Engine::new(snapshot.reader(), config, Arc::new(SystemClock)).expect("no directory is named")
}

fn log(text: &str) -> Log {
    match parse(text).expect(text) {
        Query::Log(log) => log,
        Query::Metric(_) => panic!("{text} asks for numbers"),
    }
}

const MINUTE: (UnixNanos, UnixNanos) = (UnixNanos(T), UnixNanos(T + 60 * SECOND));

async fn texts(text: &str, limit: usize, direction: Direction) -> Vec<String> {
    let question = Lines { log: log(text), from: MINUTE.0, to: MINUTE.1, limit, direction };
    let found = lines(&engine().await, "default", question).await.expect(text);
    found.into_iter().map(|found| found.line).collect()
}

#[tokio::test]
async fn the_newest_or_the_oldest_lines_come_from_files_and_buffer() {
    let newest = texts(r#"{service_name="cart"}"#, 2, Direction::Backward).await;
    assert_eq!(newest, ["line=58 took=58ms", "line=56 took=56ms"].map(str::to_owned).to_vec());
    let oldest = texts(r#"{service_name=~"cart|front", source="logs"} |= "=1""#, 3, Direction::Forward).await;
    assert_eq!(oldest, ["line=1 took=1ms", "line=10 took=10ms", "line=11 took=11ms"]);
    let all = texts(r#"{source="logs"}"#, 100, Direction::Backward).await;
    assert_eq!(all.len(), 60);
    assert_eq!(
        texts(r#"{level="error"} | logfmt | line > 40"#, 9, Direction::Forward).await,
        ["line=50 took=50ms"]
    );
    assert!(texts(r#"{service_name="none"}"#, 9, Direction::Forward).await.is_empty());
}

#[tokio::test]
async fn a_request_is_a_line_of_whose_proxy_saw_it() {
    let question = |text: &str| Lines {
        log: log(text),
        from: MINUTE.0,
        to: MINUTE.1,
        limit: 9,
        direction: Direction::Forward,
    };
    let found = lines(&engine().await, "default", question(r#"{source="requests"}"#)).await.expect("lines");
    let label = |at: usize, name: &str| {
        let labels = &found[at].labels;
        labels.iter().find(|(known, ..)| known == name).map(|(_, value, _)| value.clone())
    };
    assert_eq!(found.len(), 2);
    assert_eq!(
        (label(0, "service_name"), label(0, "level")),
        (Some("cart".to_owned()), Some("info".to_owned()))
    );
    assert_eq!(
        (label(0, "job"), label(0, "path")),
        (Some("shop/cart".to_owned()), Some("/items?id=7".to_owned()))
    );
    assert_eq!(
        (label(1, "service_name"), label(1, "level")),
        (Some("front".to_owned()), Some("error".to_owned()))
    );
    let want = "[2023-11-14T22:13:25.000Z] \"GET /items?id=7 -\" 200 - - - \"-\" 0 0 2 - \"-\" \"-\" \"-\" \"-\" \"-\" - - - - - -";
    assert_eq!(found[0].line, want);
    let failed = lines(&engine().await, "default", question(r#"{source="requests"} | response_code >= 500"#))
        .await
        .expect("lines");
    assert_eq!(failed, found[1..]);
}

async fn at_the_end(text: &str) -> Vec<(String, f64)> {
    let Query::Metric(metric) = parse(text).expect(text) else { panic!("{text} asks for lines") };
    let steps = Steps::instant(MINUTE.1.0 - 1);
    match numbers(&engine().await, "default", Numbers { metric, steps }).await.expect(text) {
        Answer::Series(series) => {
            series.into_iter().map(|(labels, values)| (labels.to_string(), values[0].1)).collect()
        }
        Answer::Number(values) => vec![(String::new(), values[0])],
    }
}

#[tokio::test]
async fn lines_are_counted_and_measured() {
    let check = async |text: &str, want: &[(&str, f64)]| {
        let want: Vec<_> = want.iter().map(|(labels, value)| ((*labels).to_owned(), *value)).collect();
        assert_eq!(at_the_end(text).await, want, "{text}");
    };
    // Of 60 lines six are errors, at every tenth second, and all of those are cart's.
    check(
        r#"sum by (level) (count_over_time({source="logs"}[1m]))"#,
        &[(r#"{level="error"}"#, 6.0), (r#"{level="info"}"#, 54.0)],
    )
    .await;
    check(r#"sum(count_over_time({service_name="cart", source="logs"}[10s]))"#, &[("{}", 5.0)]).await;
    check(r#"sum(rate({source="logs"} | http_method="GET" [1m]))"#, &[("{}", 1.0)]).await;
    check(r#"count(count_over_time({source="logs"}[1m]))"#, &[("{}", 3.0)]).await;
    // The mean of the even seconds from 40 to 58, in seconds.
    let text = r#"avg_over_time({service_name="cart", source="logs"} | logfmt | unwrap duration(took) [20s]) by (service_name)"#;
    check(text, &[(r#"{service_name="cart"}"#, 0.049)]).await;
    check(r#"vector(1)+vector(1)"#, &[("{}", 2.0)]).await;
    check(r#"absent_over_time({app="x"}[1m])"#, &[(r#"{app="x"}"#, 1.0)]).await;
}

/// What a stream lacks may stand beside its lines: then it counts there.
#[tokio::test]
async fn a_level_may_be_a_streams_or_a_lines() {
    let beside: &[(&str, &str)] = &[("level", "audit")];
    let mut other = log_row(3, "cart", 0, "x");
    other.insert("attributes", Cell::from(beside));
    let snapshot = SnapshotBuilder::new().hot(Table::Logs, 1, &[log_row(1, "cart", 9, "y"), other]);
    let engine = Engine::new(snapshot.reader(), EngineConfig::default(), Arc::new(SystemClock));
    let Query::Metric(metric) =
        parse(r#"sum by (level) (count_over_time({job="cart"}[1m]))"#).expect("a query")
    else {
        panic!("it asks for numbers")
    };
    let question = Numbers { metric, steps: Steps::instant(T + 5 * SECOND) };
    let answer = numbers(&engine.expect("no directory is named"), "default", question).await.expect("series");
    let Answer::Series(mut series) = answer else { panic!("it is a vector") };
    series.sort_by(|a, b| a.0.cmp(&b.0));
    let told: Vec<_> = series.iter().map(|(labels, values)| (labels.to_string(), values[0].1)).collect();
    assert_eq!(told, [(r#"{level="audit"}"#.to_owned(), 1.0), (r#"{level="info"}"#.to_owned(), 1.0)]);
}

#[tokio::test]
async fn labels_are_those_of_streams_with_lines_in_the_range() {
    let engine = engine().await;
    let names =
        label_names(&engine, "default", vec![log(r#"{source="logs"}"#)], MINUTE).await.expect("names");
    let want = ["job", "k8s_pod_name", "level", "pod", "service_name", "source"];
    assert_eq!(names.into_keys().collect::<Vec<_>>(), want);
    let services =
        label_values(&engine, "default", "service_name", Vec::new(), MINUTE).await.expect("values");
    assert_eq!(services.into_iter().collect::<Vec<_>>(), ["cart", "front"]);
    let early = (UnixNanos(T), UnixNanos(T + 1));
    let services = label_values(&engine, "default", "service_name", Vec::new(), early).await.expect("values");
    assert_eq!(services.into_iter().collect::<Vec<_>>(), ["cart"], "the first line alone");
    // Ten lines of 15 bytes and twenty of 17.
    let found = counted(&engine, "default", log(r#"{service_name="cart", source="logs"}"#), MINUTE)
        .await
        .expect("counts");
    let bytes = 5 * "line=2 took=2ms".len() as u64 + 25 * "line=12 took=12ms".len() as u64;
    assert_eq!(found, Counted { streams: 2, entries: 30, bytes });
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let question = Lines {
        log: log(r#"{source="logs"}"#),
        from: MINUTE.0,
        to: MINUTE.1,
        limit: 9,
        direction: Direction::Forward,
    };
    assert_eq!(lines(&engine().await, "other", question).await, Ok(Vec::new()));
}

fn exploring(query: &str, cursor: Cursor, lines_max: usize) -> Exploring {
    let (from, to) = (UnixNanos(T), UnixNanos(T + 60 * SECOND));
    Exploring { log: log(query), from, to, cursor, lines_max, values_max: 2 }
}

/// Of a minute's lines every tenth is an error, and of those of even seconds all are of `cart`.
#[tokio::test]
async fn lines_are_explored_by_level_and_stream() {
    let engine = engine().await;
    let exploring = exploring(r#"{source="logs"} |= "took""#, Cursor::NEWEST, 3);
    let found = explored(&engine, "default", exploring).await.expect("it is answered");
    let [unknown, trace, debug, info, warn, error, fatal] = found.bars.sums();
    assert_eq!([unknown, trace, debug, info, warn, error, fatal], [0, 0, 0, 54, 0, 6, 0]);
    let told = |wanted: &str| -> Vec<(String, u64)> {
        let (_, facet) = found.facets.iter().find(|(name, _)| *name == wanted).expect("it is there");
        facet.values.iter().map(|counted| (counted.value.clone(), counted.rows)).collect()
    };
    let want = |values: [(&str, u64); 2]| values.map(|(value, rows)| (value.to_owned(), rows)).to_vec();
    assert_eq!(told("service_name"), want([("cart", 30), ("front", 30)]));
    assert_eq!(told("level"), want([("info", 54), ("error", 6)]));
    let lines: Vec<&str> = found.lines.iter().map(|(_, found)| found.line.as_str()).collect();
    assert_eq!(lines, ["line=59 took=59ms", "line=58 took=58ms", "line=57 took=57ms"]);
    assert_eq!(found.next, Some(Cursor { time: UnixNanos(T + 57 * SECOND), skip: 1 }));
}

#[tokio::test]
async fn pages_of_lines_follow_one_another() {
    let engine = engine().await;
    let (mut cursor, mut seen) = (Some(Cursor::NEWEST), Vec::new());
    while let Some(at) = cursor {
        let page = exploring(r#"{service_name="cart"}"#, at, 7);
        let found = explored(&engine, "default", page).await.expect("it is answered");
        // 30 lines, and the request that cart's own proxy saw.
        assert_eq!(found.bars.total(), 31);
        seen.extend(found.lines.into_iter().map(|(_, found)| found.time.0));
        cursor = found.next;
    }
    assert!(seen.is_sorted_by(|a, b| a > b), "each once, newest first: {seen:?}");
    assert_eq!(seen.len(), 31);
    let behind = Cursor { time: UnixNanos(T), skip: 10_000 };
    assert!(explored(&engine, "default", exploring(r#"{source="logs"}"#, behind, 1)).await.is_err());
}
