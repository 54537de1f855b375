//! How long golden metrics and the graph take on a stored load of [`Signal::Tracegen`](crate::payload::Signal::Tracegen)
//! of which nothing is settled, each answer checked.
//!
//! The load was merged by `meshlake maintain`, which settles it too; so it is asked for in a copy without tables of cells, by a
//! server that does no maintenance. That there are none is looked at before and after.
//!
//! Every span there stands for one call: a root is received from outside, a child is made to somebody unknown. So the
//! right answer is a count of rows, which is asked for in SQL. Beside wall time the server's CPU time is told, which a
//! busy machine changes less. DuckDB, if a Python that has it is named, is asked in the same run on the same files: for the
//! counts by service without pairing anything, and for the parents of spans by a self-join.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;

use crate::report;
use crate::server::{Place, Server};
use crate::stored;

const START_TIME_MAX: Duration = Duration::from_secs(300);

/// What is asked, and how often.
#[derive(Debug, Clone, Args)]
pub struct CallsArgs {
    /// Directory that `size --signal tracegen` has left.
    #[arg(long)]
    data_dir: PathBuf,
    /// Spans in the range that is asked for, at least: the range ends on a whole second.
    #[arg(long, default_value_t = 3_000_000)]
    spans: u64,
    /// Times that each question is asked, after one for warmth.
    #[arg(long, default_value_t = 5)]
    times: usize,
    /// A Python interpreter with the module `duckdb`.
    #[arg(long)]
    duckdb: Option<PathBuf>,
}

/// The first time a question counts minutes that are over, which those behind it find kept; see the CPU of both. DuckDB keeps nothing.
const COLUMNS: [&str; 8] =
    ["question", "rows", "median ms", "fastest ms", "CPU ms", "the first time, ms", "its CPU ms", "asked"];

/// The seconds that are asked for, and what is in them.
struct Asked {
    from: i64,
    to: i64,
    spans: u64,
    /// Spans of kind server.
    received: u64,
}

/// Starts a server on the directory, asks it everything, and writes the page.
///
/// # Errors
/// When the server cannot be started, or answers wrongly.
pub async fn page(place: &Place, args: &CallsArgs) -> anyhow::Result<String> {
    let settings = [("MESHLAKE_MAINTAIN__ENABLED", "false".to_owned())];
    let copy = place.fresh_directory()?;
    copy_without_cells(&args.data_dir, copy.path())?;
    let server = Server::start(place, copy.path(), &settings, START_TIME_MAX).await?;
    nothing_is_settled(&server).await?;
    let asked = asked(&server, args.spans).await?;
    let range = format!("from={}&to={}", asked.from, asked.to);
    let golden = |by: &str| format!("/api/v1/golden?by={by}&source=spans&{range}");
    let graph = format!("/api/v1/graph?source=spans&{range}");
    let questions = [
        ("golden by service", golden("service"), "rows"),
        ("golden by operation", golden("operation"), "rows"),
        ("graph", graph, "edges"),
    ];
    let mut rows = Vec::new();
    for (label, path, list) in &questions {
        rows.push(question(&server, &asked, (label, path, list), args.times).await?);
    }
    nothing_is_settled(&server).await?;
    let memory = report::peak_memory(&server)?;
    server.stop().await?;
    if let Some(python) = &args.duckdb {
        rows.extend(duckdb(python, args, &asked)?);
    }
    Ok(format!(
        "# Golden metrics and the graph, folded live\n\n\
         Nothing is settled, before and after: every call is found and counted when it is asked for. CPU is that of the collector\n\
         and of the process that answers. Asked over HTTP one at a time, JSON\n\
         included, warm; every answer is checked against counts of rows.\n\n\
         {}{} spans in the range; CPUs {}; {memory}.\n\n{}",
        report::head(),
        asked.spans,
        place.cpus,
        report::table(&COLUMNS, &rows)
    ))
}

/// Copies a data directory that no server uses, but for its tables of cells. Files of tables never change, so they are linked.
fn copy_without_cells(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let path = entry.with_context(|| format!("list {}", from.display()))?.path();
        let Some(name) = path.file_name() else { continue };
        let (target, is_of_cells) = (to.join(name), name.to_string_lossy().starts_with("calls_"));
        let is_of_tables = path.components().any(|part| part.as_os_str() == "tables");
        if path.is_dir() && !(is_of_tables && is_of_cells) {
            fs::create_dir(&target).with_context(|| format!("make {}", target.display()))?;
            copy_without_cells(&path, &target)?;
        } else if path.is_file() && is_of_tables {
            fs::hard_link(&path, &target).with_context(|| format!("link {}", path.display()))?;
        } else if path.is_file() {
            fs::copy(&path, &target).with_context(|| format!("copy {}", path.display()))?;
        }
    }
    Ok(())
}

async fn nothing_is_settled(server: &Server) -> anyhow::Result<()> {
    for table in ["calls_10s", "calls_1m", "calls_10m"] {
        let cells = server.sql(&format!("SELECT count(*) FROM {table}")).await?;
        ensure!(number(&cells[0][0])? == 0, "some of what is asked for is settled, in {table}");
    }
    Ok(())
}

/// A range from the first span on with at least `wanted` spans.
async fn asked(server: &Server, wanted: u64) -> anyhow::Result<Asked> {
    let seconds =
        "SELECT CAST(min(time) AS BIGINT) / 1000000, CAST(max(time) AS BIGINT) / 1000000 FROM spans";
    let bounds = server.sql(seconds).await?;
    // Range ends lie on ten seconds.
    let from = number(&bounds[0][0])? / 10 * 10;
    let (mut low, mut high) = (from / 10, number(&bounds[0][1])? / 10 + 1);
    while high - low > 1 {
        let middle = i64::midpoint(low, high);
        if counts(server, from, middle * 10).await?.0 < wanted { low = middle } else { high = middle }
    }
    let (spans, received) = counts(server, from, high * 10).await?;
    Ok(Asked { from, to: high * 10, spans, received })
}

async fn counts(server: &Server, from: i64, to: i64) -> anyhow::Result<(u64, u64)> {
    let counts = format!(
        "SELECT count(*), count(*) FILTER (WHERE kind = 2) FROM spans \
         WHERE time >= to_timestamp({from}) AND time < to_timestamp({to})"
    );
    let counts = server.sql(&counts).await?;
    Ok((number(&counts[0][0])?.unsigned_abs(), number(&counts[0][1])?.unsigned_abs()))
}

fn number(value: &Value) -> anyhow::Result<i64> {
    value.as_i64().with_context(|| format!("read {value} as an integer"))
}

async fn question(
    server: &Server,
    asked: &Asked,
    (label, path, list): (&str, &str, &str),
    times: usize,
) -> anyhow::Result<Vec<String>> {
    let (begin, cpu) = (Instant::now(), server.cpu_time()?);
    let first = server.json(path).await?;
    let (first_taken, first_cpu) = (begin.elapsed(), server.cpu_time()? - cpu);
    let mut rows = check(&first, list, asked).with_context(|| format!("check {label}"))?;
    let (mut taken, cpu) = (Vec::new(), server.cpu_time()?);
    for _ in 0..times.max(1) {
        let begin = Instant::now();
        let answer = server.json(path).await?;
        taken.push(begin.elapsed());
        rows = check(&answer, list, asked).with_context(|| format!("check {label}"))?;
    }
    let cpu = (server.cpu_time()? - cpu) / taken.len() as u32;
    taken.sort_unstable();
    let ms = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e3);
    Ok(vec![
        label.to_owned(),
        rows.to_string(),
        ms(taken[taken.len() / 2]),
        ms(taken[0]),
        ms(cpu),
        ms(first_taken),
        ms(first_cpu),
        taken.len().to_string(),
    ])
}

/// The rows of a right answer: every span is on one edge, and every received one at its node.
fn check(answer: &Value, list: &str, asked: &Asked) -> anyhow::Result<usize> {
    let rows = answer[list].as_array().with_context(|| format!("find {list}"))?;
    let sum = |rows: &[&Value]| rows.iter().filter_map(|row| row["requests"].as_f64()).sum::<f64>();
    let of_services =
        |row: &&Value| row["service"].as_str().is_some_and(|service| service.starts_with("tracegen-"));
    let own: Vec<&Value> = rows.iter().filter(of_services).collect();
    let all: Vec<&Value> = rows.iter().collect();
    ensure!(sum(&all) == asked.spans as f64, "{} calls of {} spans", sum(&all), asked.spans);
    let is_golden = list == "rows";
    ensure!(!is_golden || sum(&own) == asked.received as f64, "{} received of {}", sum(&own), asked.received);
    Ok(rows.len())
}

/// Asked in a process of its own, which prints a line of label, rows, median and fastest milliseconds for each.
const DUCKDB: &str = r#"
import sys, time, duckdb
start, end, times, threads, *files = sys.argv[1:]
duckdb.sql(f"SET threads = {threads}; SET enable_progress_bar = false")
spans = f"(SELECT * FROM read_parquet({files}) WHERE time >= to_timestamp({start}) AND time < to_timestamp({end}))"
for label, sql in [
    ("DuckDB: count by service, nothing paired", f"SELECT service_name, count(*), avg(duration_nano) FROM {spans} GROUP BY 1"),
    ("DuckDB: parents of spans by self-join", f"SELECT p.service_name, c.service_name, count(*) FROM {spans} c JOIN {spans} p "
        "ON c.trace_id = p.trace_id AND c.parent_span_id = p.span_id GROUP BY 1, 2"),
]:
    taken = []
    for _ in range(int(times) + 1):
        begin, cpu = time.time(), time.process_time()
        rows = len(duckdb.sql(sql).fetchall())
        taken.append((time.time() - begin, time.process_time() - cpu))
    walls, cpus = sorted(t[0] for t in taken[1:]), [t[1] for t in taken[1:]]
    ms = lambda seconds: f"{seconds * 1e3:.0f}"
    print(label, rows, ms(walls[len(walls) // 2]), ms(walls[0]), ms(sum(cpus) / len(cpus)), "-", "-", len(walls), sep="\t")
"#;

fn duckdb(python: &PathBuf, args: &CallsArgs, asked: &Asked) -> anyhow::Result<Vec<Vec<String>>> {
    let table = args.data_dir.join("tables").join("spans");
    let files = stored::live_files(&table.join("_delta_log"))?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let numbers = [asked.from.to_string(), asked.to.to_string(), args.times.to_string(), threads.to_string()];
    let answer = Command::new(python)
        .args(["-c", DUCKDB])
        .args(numbers)
        .args(files.iter().map(|file| table.join(file)))
        .output()
        .with_context(|| format!("run {}", python.display()))?;
    let told = String::from_utf8_lossy(&answer.stderr);
    ensure!(answer.status.success(), "DuckDB ended with {}: {told}", answer.status);
    let lines = String::from_utf8(answer.stdout).context("read what DuckDB says")?;
    Ok(lines.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_copy_has_all_but_cells() {
        let (from, to) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
        for path in ["wal/1", "tables/spans/_delta_log/0.json", "tables/calls_1m/a.parquet", "calls_x"] {
            let path = from.path().join(path);
            fs::create_dir_all(path.parent().expect("it has one")).expect("directories");
            fs::write(path, "x").expect("a file");
        }
        copy_without_cells(from.path(), to.path()).expect("copied");
        let has = |path: &str| to.path().join(path).exists();
        assert!(has("wal/1") && has("tables/spans/_delta_log/0.json") && has("calls_x"));
        assert!(!has("tables/calls_1m"));
    }

    #[test]
    fn a_wrong_answer_is_found_out() {
        let asked = Asked { from: 0, to: 10, spans: 10, received: 1 };
        let golden = |own: u64, other: u64| json!({"rows": [{"service": "tracegen-00", "requests": own}, {"service": "x", "requests": other}]});
        assert_eq!(check(&golden(1, 9), "rows", &asked).ok(), Some(2));
        assert!(check(&golden(1, 8), "rows", &asked).is_err(), "a call is missing");
        assert!(check(&golden(2, 8), "rows", &asked).is_err(), "a call is another service's");
        assert_eq!(check(&json!({"edges": [{"requests": 10}]}), "edges", &asked).ok(), Some(1));
        assert!(check(&json!({}), "edges", &asked).is_err());
    }
}
