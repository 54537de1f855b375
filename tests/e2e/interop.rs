//! The tables are open: Polars, `deltalake` and DuckDB read the same rows as our own SQL, after a flush, after
//! merging and after a clean stop.
//!
//! They are the packages from PyPI, run by `read_tables.py`. DuckDB's own Delta extension is downloaded at run
//! time, so it reads the files that `deltalake` lists. Without the packages this test says so and how to get
//! them. Every sum of what was sent is arithmetic on the constants below.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::data::accesslog::v3::{
    AccessLogCommon, HttpAccessLogEntry, HttpResponseProperties,
};
use envoy_types::pb::envoy::service::accesslog::v3::StreamAccessLogsMessage;
use envoy_types::pb::envoy::service::accesslog::v3::access_log_service_client::AccessLogServiceClient;
use envoy_types::pb::envoy::service::accesslog::v3::stream_access_logs_message::{
    HttpAccessLogEntries, Identifier, LogEntries,
};
use envoy_types::pb::google::protobuf::{Duration as ProtoDuration, Timestamp, UInt32Value};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric,
    number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{BINARY, Server, request};
use crate::payloads::{logs, now_nanos, span, string, traces};

/// A flush a second, and nothing merged by itself.
const ENVIRONMENT: [(&str, &str); 2] =
    [("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", "1"), ("MESHLAKE_MAINTAIN__ENABLED", "false")];
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

/// Spans, log records and requests of one part of the load; there are two parts, flushed one by one, so that
/// there is something to merge.
const ROWS: u64 = 40;
/// Data points of each metric table and part.
const POINTS: u64 = 6;
const SERVICES: [&str; 2] = ["orders", "stock"];

/// Figures of a table by our own SQL, named as `read_tables.py` names them.
const TABLES: [&str; 7] =
    ["spans", "logs", "metric_points", "metric_histograms", "requests", "ledger", "traces"];

#[tokio::test(flavor = "multi_thread")]
async fn other_readers_see_the_rows_that_our_sql_sees() -> Result<()> {
    let Some(python) = python(&READERS)? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start_with(&["run"], &data, &ENVIRONMENT).await?;
    // Two hours ago at a full second, so that no row is in the future, nor near the end of what is kept.
    let start = now_nanos() / SECOND * SECOND - 7_200 * SECOND;
    for part in 0..2 {
        send(&server, start, part).await?;
        all_in_files(&server).await?;
    }
    let files_flushed = check(&python, &server, &data, start).await?;
    let admin = server.addresses.admin.as_str();
    let merged = Command::new(BINARY)
        .args(["maintain", "--data-dir"])
        .arg(&data)
        .env("MESHLAKE_ADMIN__HTTP", admin)
        .output()
        .await?;
    ensure!(merged.status.success(), "{}", String::from_utf8_lossy(&merged.stderr));
    let files_merged = check(&python, &server, &data, start).await?;
    ensure!(files_merged < files_flushed, "{files_merged} files after merging, {files_flushed} before");
    Ok(())
}

/// Flushes by age are an hour away, so what is in files was put there by the stop.
#[tokio::test(flavor = "multi_thread")]
async fn other_readers_see_every_row_after_a_clean_stop() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let environment =
        [("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", "3600"), ("MESHLAKE_MAINTAIN__ENABLED", "false")];
    let server = Server::start_with(&["run"], &data, &environment).await?;
    let start = now_nanos() / SECOND * SECOND - 7_200 * SECOND;
    for part in 0..2 {
        send(&server, start, part).await?;
    }
    let in_memory = server.metric("meshlake_commits_total").await?;
    ensure!(in_memory == 0.0, "{in_memory} commits before the stop");
    ensure!(server.terminate().await? == Some(0), "the stop fails");
    let in_files = rows_in_files(&data).await?;
    let (rows, points) = (2 * ROWS, 2 * POINTS);
    let want = [("spans", rows), ("logs", rows), ("requests", rows)];
    for (table, want) in want.into_iter().chain([("metric_points", points), ("metric_histograms", points)]) {
        ensure!(in_files[table] == want, "{table}: {in_files}");
    }
    // Every span is a trace of its own.
    ensure!(in_files["traces"] == rows && in_files["ledger"].as_u64() > Some(0), "{in_files}");
    let Some(python) = python(&READERS)? else { return Ok(()) };
    check_sent(&read_tables(&python, &data.join("tables"), start / 1_000).await?)?;
    let server = Server::start_with(&["run"], &data, &environment).await?;
    check(&python, &server, &data, start).await?;
    Ok(())
}

/// Rows in files by table, as `meshlake inspect` counts them.
async fn rows_in_files(data: &Path) -> Result<Value> {
    let output = Command::new(BINARY).args(["inspect", "--json", "--data-dir"]).arg(data).output().await?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let inspection: Value = serde_json::from_slice(&output.stdout)?;
    let tables = inspection["tables"].as_array().context("tables")?;
    let rows = tables.iter().map(|table| {
        let name = table["table"].as_str().context("a name")?;
        Ok((name.to_owned(), table["files"]["rows"].clone()))
    });
    Ok(Value::Object(rows.collect::<Result<_>>()?))
}

/// The first format version, whose log entries are gone but for a checkpoint: the schema, the files and
/// their partitions are in it.
#[tokio::test(flavor = "multi_thread")]
async fn other_readers_start_from_a_checkpoint() -> Result<()> {
    let Some(python) = python(&READERS)? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format-1/data/tables/spans");
    let copy = dir.path().join("spans");
    for below in ["_delta_log", "date=2026-11-23"] {
        std::fs::create_dir_all(copy.join(below))?;
        for entry in std::fs::read_dir(kept.join(below))? {
            let entry = entry?;
            if entry.path().extension().is_none_or(|extension| extension != "json") {
                std::fs::copy(entry.path(), copy.join(below).join(entry.file_name()))?;
            }
        }
    }
    let spans = &read_tables(&python, dir.path(), 0).await?["spans"];
    // Rows 0 to 3; a number is the sum of the bytes of the column's name times 1,000, plus the row.
    let sum: u64 = "duration_nano".bytes().map(u64::from).sum();
    for reader in ["polars", "duckdb"] {
        let figures = &spans[reader];
        ensure!(figures["rows"] == 4, "{reader}: {figures}");
        ensure!(figures["duration_nano"] == 4 * 1_000 * sum + (1 + 2 + 3), "{reader}: {figures}");
        ensure!(figures["dates"] == json!({"2026-11-23": 4}), "{reader}: {figures}");
    }
    Ok(())
}

/// Sends a part of the load: rows of two services, every second one a day earlier, numbered from
/// `part * ROWS`; row `n` starts `n` seconds after `start` and takes `n` microseconds.
async fn send(server: &Server, start: u64, part: u64) -> Result<()> {
    let numbers = || part * ROWS..(part + 1) * ROWS;
    for (index, service) in SERVICES.into_iter().enumerate() {
        let own = || numbers().filter(move |number| number % 2 == index as u64);
        let spans = own().map(|number| Span {
            start_time_unix_nano: time_of(start, number),
            end_time_unix_nano: time_of(start, number) + number * 1_000,
            ..span(number)
        });
        post(server, "traces", &traces(service, spans.collect())).await?;
        let records = own().map(|number| LogRecord {
            time_unix_nano: time_of(start, number),
            severity_number: 9,
            attributes: vec![string("test.number", &number.to_string())],
            ..LogRecord::default()
        });
        post(server, "logs", &logs(service, records.collect())).await?;
    }
    post(server, "metrics", &metrics(start, part)).await?;
    stream_requests(server, start, numbers().collect()).await
}

fn time_of(start: u64, number: u64) -> u64 {
    start + number * SECOND - (number / 2 % 2) * DAY
}

async fn post(server: &Server, signal: &str, export: &impl Message) -> Result<()> {
    let url = format!("http://{}/v1/{signal}", server.addresses.otlp_http);
    let headers = [("content-type", "application/x-protobuf")];
    let (status, _) = request("POST", &url, &headers, export.encode_to_vec().into()).await?;
    ensure!(status == 200, "{signal}: {status}");
    Ok(())
}

fn metrics(start: u64, part: u64) -> ExportMetricsServiceRequest {
    let numbers = || part * POINTS..(part + 1) * POINTS;
    let attributes = |number: u64| vec![string("test.number", &number.to_string())];
    let points = numbers().map(|number| NumberDataPoint {
        time_unix_nano: time_of(start, number),
        attributes: attributes(number),
        value: Some(number_data_point::Value::AsDouble(number as f64 / 2.0)),
        ..NumberDataPoint::default()
    });
    let histograms = numbers().map(|number| HistogramDataPoint {
        time_unix_nano: time_of(start, number),
        attributes: attributes(number),
        count: 3,
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![10.0],
        ..HistogramDataPoint::default()
    });
    let metric = |name: &str, data| Metric { name: name.to_owned(), data: Some(data), ..Metric::default() };
    let gauge = metric::Data::Gauge(Gauge { data_points: points.collect() });
    let histogram =
        metric::Data::Histogram(Histogram { data_points: histograms.collect(), aggregation_temporality: 1 });
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![metric("test.gauge", gauge), metric("test.histogram", histogram)],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

/// One request per number, as Envoy streams them; returns when the collector has confirmed the stream's end.
async fn stream_requests(server: &Server, start: u64, numbers: Vec<u64>) -> Result<()> {
    let entry = |number: u64| {
        let time = time_of(start, number);
        let took = Some(ProtoDuration { seconds: 0, nanos: i32::try_from(number * 1_000)? });
        Ok(HttpAccessLogEntry {
            common_properties: Some(AccessLogCommon {
                start_time: Some(Timestamp { seconds: i64::try_from(time / SECOND)?, nanos: 0 }),
                duration: took,
                time_to_last_downstream_tx_byte: took,
                upstream_cluster: format!(
                    "outbound|80||{}.shop.svc.cluster.local",
                    SERVICES[number as usize % 2]
                ),
                ..AccessLogCommon::default()
            }),
            response: Some(HttpResponseProperties {
                response_code: Some(UInt32Value { value: 200 }),
                ..HttpResponseProperties::default()
            }),
            ..HttpAccessLogEntry::default()
        })
    };
    let log_entry = numbers.into_iter().map(entry).collect::<Result<_>>()?;
    let node =
        Node { id: "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local".to_owned(), ..Node::default() };
    let message = StreamAccessLogsMessage {
        identifier: Some(Identifier { node: Some(node), log_name: "test".to_owned() }),
        log_entries: Some(LogEntries::HttpLogs(HttpAccessLogEntries { log_entry })),
    };
    let mut client =
        AccessLogServiceClient::connect(format!("http://{}", server.addresses.otlp_grpc)).await?;
    client.stream_access_logs(tokio_stream::iter([message])).await.context("stream access logs")?;
    Ok(())
}

/// Waits until no row is in memory alone, the ledger's included.
async fn all_in_files(server: &Server) -> Result<()> {
    let url = format!("http://{}/metrics", server.addresses.admin);
    let flushed = async {
        loop {
            let (_, page) = request("GET", &url, &[], hyper::body::Bytes::new()).await?;
            let page = String::from_utf8(page.to_vec())?;
            let samples = page.lines().filter(|line| line.starts_with("meshlake_buffered_rows{"));
            let rows = samples.map(|line| Ok(line.rsplit(' ').next().context("a value")?.parse::<f64>()?));
            if rows.sum::<Result<f64>>()? == 0.0 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(FLUSH_TIMEOUT, flushed).await.context("not all rows came into files in time")?
}

/// Compares every table, and returns how many files there are.
async fn check(python: &Path, server: &Server, data: &Path, start: u64) -> Result<u64> {
    let since_micros = start / 1_000;
    let tables = read_tables(python, &data.join("tables"), since_micros).await?;
    let mut files = 0;
    for table in TABLES {
        let read = &tables[table];
        let want = by_sql(server, table, since_micros).await?;
        ensure!(want["rows"].as_u64() > Some(0), "{table} has no rows");
        ensure!(read["polars"] == want, "{table} by Polars: {}\nby our SQL: {want}", read["polars"]);
        ensure!(read["duckdb"] == want, "{table} by DuckDB: {}\nby our SQL: {want}", read["duckdb"]);
        ensure!(read["protocol"] == json!([1, 2]), "{table}: {read}");
        ensure!(read["partition_columns"] == json!(["date"]), "{table}: {read}");
        for figure in ["rows", "time_min", "time_max"] {
            ensure!(read["statistics"][figure] == want[figure], "{figure} of {table}: {read}");
        }
        files += read["files"].as_u64().context("files")?;
    }
    check_sent(&tables)?;
    Ok(files)
}

/// What was sent, by arithmetic.
fn check_sent(tables: &Value) -> Result<()> {
    let sent = 2 * ROWS;
    let sum = |count: u64| count * (count - 1) / 2;
    for table in ["spans", "requests"] {
        let read = &tables[table]["polars"];
        ensure!(
            (&read["rows"], &read["duration_nano"]) == (&sent.into(), &(1_000 * sum(sent)).into()),
            "{read}"
        );
        ensure!(read["services"] == json!({"orders": ROWS, "stock": ROWS}), "{table}: {read}");
        // Rows 0, 1, 4, 5, 8, ...
        ensure!(read["since"] == sent / 2, "{table}: {read}");
    }
    let logs = &tables["logs"]["polars"];
    ensure!((&logs["rows"], &logs["numbers"]) == (&sent.into(), &sum(sent).into()), "{logs}");
    for table in ["metric_points", "metric_histograms"] {
        let read = &tables[table]["polars"];
        ensure!(
            (&read["rows"], &read["numbers"]) == (&(2 * POINTS).into(), &sum(2 * POINTS).into()),
            "{read}"
        );
    }
    Ok(())
}

/// The figures of `table` as our own SQL gives them.
async fn by_sql(server: &Server, table: &str, since_micros: u64) -> Result<Value> {
    let columns = server
        .sql(&format!("SELECT column_name FROM information_schema.columns WHERE table_name = '{table}'"))
        .await?;
    let has = |name: &str| columns.iter().any(|row| row[0] == name);
    let number = |what: &'static str, condition: String| async move {
        server.number(&format!("SELECT {what} FROM {table} {condition}")).await
    };
    let counts = |key: &'static str| async move {
        let rows = server.sql(&format!("SELECT {key}, count(*) FROM {table} GROUP BY 1")).await?;
        let entry = |row: &Vec<Value>| Some((row[0].as_str()?.to_owned(), row[1].clone()));
        rows.iter().map(|row| entry(row).context("a name")).collect::<Result<serde_json::Map<_, _>>>()
    };
    let mut figures = json!({
        "rows": number("count(*)", String::new()).await?,
        "time_min": number("CAST(min(time) AS BIGINT)", String::new()).await?,
        "time_max": number("CAST(max(time) AS BIGINT)", String::new()).await?,
        "dates": counts("CAST(date AS VARCHAR)").await?,
        "since": number("count(*)", format!("WHERE CAST(time AS BIGINT) >= {since_micros}")).await?,
    });
    if has("duration_nano") {
        figures["duration_nano"] = number("sum(duration_nano)", String::new()).await?.into();
    }
    if has("time_unix_nano") {
        figures["time_unix_milli"] = number("sum(time_unix_nano / 1000000)", String::new()).await?.into();
    }
    if has("service_name") {
        figures["services"] = counts("coalesce(service_name, '')").await?.into();
    } else if has("destination_service") {
        figures["services"] = counts("coalesce(destination_service, '')").await?.into();
    }
    if has("attributes") {
        let numbers = "coalesce(sum(CAST(attributes['test.number'] AS BIGINT)), 0)";
        figures["numbers"] = number(numbers, String::new()).await?.into();
        figures["entries"] = number("sum(cardinality(attributes))", String::new()).await?.into();
    }
    Ok(figures)
}

async fn read_tables(python: &Path, tables: &Path, since_micros: u64) -> Result<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/read_tables.py");
    let output = Command::new(python)
        .arg(script)
        .arg(tables)
        .arg(since_micros.to_string())
        .kill_on_drop(true)
        .output()
        .await
        .context("run Python")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("the script prints JSON")
}

/// Readers of Delta tables.
const READERS: [&str; 3] = ["deltalake", "polars", "duckdb"];

/// The Python of the test tools with these packages. Their absence is a failure where tools are required (CI), else a
/// notice.
pub fn python(packages: &[&str]) -> Result<Option<PathBuf>> {
    let tools = match std::env::var_os("MESHLAKE_TEST_TOOLS") {
        Some(tools) => PathBuf::from(tools),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME")?).join(".cache/meshlake/test-tools"),
    };
    let libraries = std::fs::read_dir(tools.join("lib")).into_iter().flatten().flatten();
    let mut installed = libraries.map(|library| library.path().join("site-packages"));
    let is_complete = installed.any(|path| packages.iter().all(|name| path.join(name).exists()));
    if !is_complete {
        let how = "python3 -m venv ~/.cache/meshlake/test-tools && ~/.cache/meshlake/test-tools/bin/pip install -r tests/requirements.txt";
        ensure!(
            std::env::var_os("MESHLAKE_TEST_REQUIRE_TOOLS").is_none(),
            "{packages:?} are not installed: {how}"
        );
        eprintln!("SKIPPED: the test needs {packages:?} of Python: {how}");
    }
    Ok(is_complete.then(|| tools.join("bin/python")))
}
