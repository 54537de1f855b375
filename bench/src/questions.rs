//! How long answers take on a stored load of [`Signal::Tracegen`](crate::payload::Signal::Tracegen).
//!
//! The questions are those of Jaeger's ClickHouse benchmark, put in our SQL, with the times published there, and
//! searches for attributes that have no column. Each is asked over HTTP, as its users do, once for warmth and
//! then a number of times; ids are all different. The published search also joins each trace's bounds from
//! a table that Jaeger keeps; ours returns the ids.
//! Source: jaegertracing/jaeger, `internal/storage/v2/clickhouse/BENCHMARKING.md`: 4 cores (8 threads), the
//! mean of 3 runs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;

use crate::process;
use crate::random::Random;
use crate::report::{self, MEBIBYTE};
use crate::server::{Place, Server};

const START_TIME_MAX: Duration = Duration::from_secs(300);

/// Half the width of the range of durations that is searched: with durations even over 38 us, 5 us are one in 8.
const DURATION_NANOS: i64 = 2_500;

/// What is asked, and how often.
#[derive(Debug, Clone, Args)]
pub struct QuestionsArgs {
    /// Directory that `size --signal tracegen` has left.
    #[arg(long)]
    data_dir: PathBuf,
    /// Times that a search is asked.
    #[arg(long, default_value_t = 10)]
    times: usize,
    /// Traces that are asked for.
    #[arg(long, default_value_t = 50)]
    traces: usize,
}

/// A question with the time published for it, milliseconds.
struct Question {
    label: &'static str,
    published_ms: Option<u32>,
    sql: String,
}

/// What questions name, taken from what is stored.
struct Sample {
    trace_ids: Vec<String>,
    /// Columns of one child span of the first trace, so that a search for all of them finds it.
    service: String,
    operation: String,
    /// As SQL takes it.
    time: String,
    duration_nano: i64,
    key: String,
    value: String,
}

/// Starts a server on the directory, asks it everything, and writes the page.
///
/// # Errors
/// When the server cannot be started, or has no answer.
pub async fn page(place: &Place, args: &QuestionsArgs) -> anyhow::Result<String> {
    let server = Server::start(place, &args.data_dir, &[], START_TIME_MAX).await?;
    let stored = server.sql("SELECT count(*) FROM spans").await?;
    let sample = sample(&server, args.traces).await?;
    let mut rows = vec![traces_row(&server, &sample).await?];
    for question in questions(&sample) {
        rows.push(row(&server, &question, args.times).await?);
    }
    let memory = process::peak_memory(server.pid())? as f64 / MEBIBYTE;
    let files = server.metrics().await?.labelled("meshlake_table_files", "table=\"spans\"");
    server.stop().await?;
    let columns = ["question", "rows", "median ms", "p95 ms", "asked", "published ms (Jaeger on ClickHouse)"];
    Ok(format!(
        "# Questions about ten million spans\n\n\
         The set of Jaeger's benchmark on ClickHouse (4 cores of 2017, spans of the same shape), and searches for attributes\n\
         that have no column of their own. Asked over HTTP one at a time, JSON included.\n\n\
         {}{} spans in {files} files; CPUs {}; warm; peak RSS {memory:.0} MiB.\n\n{}",
        report::head(),
        stored[0][0],
        place.cpus,
        report::table(&columns, &rows)
    ))
}

async fn sample(server: &Server, traces: usize) -> anyhow::Result<Sample> {
    // Ids are random, so those that begin alike are a fair sample: one in 256 of the roots.
    let roots = "SELECT trace_id FROM spans WHERE parent_span_id IS NULL AND trace_id LIKE '3f%' ORDER BY 1";
    let roots = server.sql(roots).await?;
    ensure!(roots.len() >= traces, "only {} traces to choose from", roots.len());
    let mut random = Random::new(7);
    let chosen: Vec<_> = (0..traces.max(1)).map(|_| random.one_of(&roots)).collect();
    let text = |value: &Value| value.as_str().map(str::to_owned).context("read a sample");
    let trace_ids = chosen.iter().map(|root| text(&root[0])).collect::<Result<Vec<_>, _>>()?;
    let child = format!(
        "SELECT service_name, name, to_char(time, '%Y-%m-%dT%H:%M:%S%.6fZ'), duration_nano, \
         map_keys(attributes)[1], map_values(attributes)[1] \
         FROM spans WHERE trace_id = '{}' AND parent_span_id IS NOT NULL ORDER BY time LIMIT 1",
        trace_ids[0]
    );
    let child = server.sql(&child).await?;
    let child = child.first().context("find a child span")?;
    Ok(Sample {
        trace_ids,
        service: text(&child[0])?,
        operation: text(&child[1])?,
        time: text(&child[2])?,
        duration_nano: child[3].as_i64().context("read a duration")?,
        key: text(&child[4])?,
        value: text(&child[5])?,
    })
}

fn questions(sample: &Sample) -> Vec<Question> {
    let question = |label, published_ms, sql: String| Question { label, published_ms, sql };
    let search = |filter: &str| format!("SELECT DISTINCT trace_id FROM spans WHERE {filter} LIMIT 1000");
    let Sample { trace_ids, service, operation, time, duration_nano, key, value } = sample;
    let around = |seconds: u32| {
        let time = format!("TIMESTAMP '{time}'");
        let interval = format!("INTERVAL '{seconds} seconds'");
        format!("time >= {time} - {interval} AND time <= {time} + {interval}")
    };
    let (low, high) = (duration_nano - DURATION_NANOS, duration_nano + DURATION_NANOS);
    let duration = format!("duration_nano >= {low} AND duration_nano <= {high}");
    let service = format!("service_name = '{service}'");
    let operation = format!("{service} AND name = '{operation}'");
    let all = format!("{operation} AND {duration} AND {} AND attributes['{key}'] = '{value}'", around(30));
    let services = "SELECT DISTINCT service_name FROM spans".to_owned();
    let operations = format!("SELECT DISTINCT name, kind FROM spans WHERE {service}");
    let by_id = format!("SELECT * FROM spans WHERE trace_id = '{}' AND {}", trace_ids[0], around(1));
    let mut questions = vec![
        question("services", Some(3), services),
        question("operations of a service", Some(4), operations),
        question("trace by id and time range, all columns", Some(106), by_id),
        question("search by service", Some(37), search(&service)),
        question("search by service and operation", Some(38), search(&operation)),
        question("search by duration, 1 in 8", Some(43), search(&duration)),
        question("search by time, one minute", Some(47), search(&around(30))),
        question(
            "search by attribute, 1 in 10,000",
            Some(1_769),
            search(&format!("attributes['{key}'] = '{value}'")),
        ),
        question("search by all of these", Some(139), search(&all)),
    ];
    for (label, key, value) in [
        ("20 spans by attribute, 1 in 10,000 has it", key.as_str(), value.as_str()),
        ("20 spans by attribute, 1 in 10 has it", "peer.host.ipv4", "1.1.1.1"),
        ("20 spans by attribute, no span has the value", key, "val_none"),
        ("20 spans by attribute, no span has the key", "attr_none", value),
    ] {
        let sql = format!("SELECT trace_id FROM spans WHERE attributes['{key}'] = '{value}' LIMIT 20");
        questions.push(question(label, None, sql));
    }
    questions
}

async fn traces_row(server: &Server, sample: &Sample) -> anyhow::Result<Vec<String>> {
    let mut times = Vec::new();
    let mut spans = 0;
    for (n, trace_id) in [&sample.trace_ids[0]].into_iter().chain(&sample.trace_ids).enumerate() {
        let begin = Instant::now();
        spans = server.trace(trace_id).await?.len();
        if n > 0 {
            times.push(begin.elapsed());
        }
    }
    Ok(cells("trace by id, `/api/v1/traces/{id}`", spans, times, Some(101)))
}

async fn row(server: &Server, question: &Question, times: usize) -> anyhow::Result<Vec<String>> {
    let mut rows = server.sql(&question.sql).await?;
    let mut taken = Vec::new();
    for _ in 0..times.max(1) {
        let begin = Instant::now();
        rows = server.sql(&question.sql).await?;
        taken.push(begin.elapsed());
    }
    Ok(cells(question.label, rows.len(), taken, question.published_ms))
}

fn cells(label: &str, rows: usize, mut times: Vec<Duration>, published_ms: Option<u32>) -> Vec<String> {
    times.sort_unstable();
    let rank = |ratio: f64| (ratio * times.len() as f64).ceil().max(1.0) as usize - 1;
    let ms = |ratio| times.get(rank(ratio)).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    vec![
        label.to_owned(),
        rows.to_string(),
        format!("{:.1}", ms(0.5)),
        format!("{:.1}", ms(0.95)),
        times.len().to_string(),
        published_ms.map_or_else(|| "-".to_owned(), |ms| ms.to_string()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_nearest_ranks() {
        let times = (1..=10).rev().map(Duration::from_millis).collect();
        // Ranks ceil(0.5 * 10) = 5 and ceil(0.95 * 10) = 10.
        assert_eq!(cells("x", 3, times, Some(7)), ["x", "3", "5.0", "10.0", "10", "7"]);
    }
}
