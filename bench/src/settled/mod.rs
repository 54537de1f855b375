//! What calls cost once they are settled, and while they come in: a day of a mesh whose truth is arithmetic.
//!
//! First a day of calls is stored, as spans and as access logs, and settled by `meshlake maintain`; every answer of a
//! fresh server is checked against the mesh. Then, at each rate, spans come in steadily for some minutes while the last
//! fifteen are asked for. Settling runs on threads of its own, whose time the kernel tells apart from the rest.

mod live;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;

use crate::load::{Sending, send};
use crate::payload::mesh::{Mesh, name};
use crate::payload::{Compression, Payloads, Protocol, Shape, Signal, packed_message};
use crate::report::{self, MEBIBYTE};
use crate::server::{Place, Server};
use crate::{process, stored};

const START_TIME_MAX: Duration = Duration::from_secs(300);
const DAY_SECONDS: u64 = 86_400;

/// Ends of cells of ten minutes.
const GRID_SECONDS: u64 = 600;

/// Calls of an operation in a row, over the day: some ten seconds in each ten minutes are each operation's, as those of jobs and
/// of what people do one after the other are. With all of them at once a day of so few calls would be as many cells as calls,
/// of which settling makes nothing smaller.
pub const IN_A_ROW: u64 = 23;

/// Calls of one request, of two records each.
const CALLS_A_REQUEST: u64 = 500;

/// Requests that are made before they are sent.
const PART_REQUESTS: usize = 200;

/// What the server says to a question that is too wide for it; the page says so, too.
const TOO_MANY_CELLS: &str = "the answer needs more than";

const TABLES: [&str; 3] = ["calls_10s", "calls_1m", "calls_10m"];

/// How much of it.
#[derive(Debug, Clone, Args)]
pub struct SettledArgs {
    /// Calls of the day, each of two spans and two access logs.
    #[arg(long, default_value_t = 5_000_000)]
    calls: u64,
    #[arg(long, default_value_t = 200)]
    services: u64,
    #[arg(long, default_value_t = 1_500)]
    operations: u64,
    /// Times that each question is asked, after one for warmth.
    #[arg(long, default_value_t = 5)]
    times: usize,
    /// Spans a second that come in while the last minutes are asked for, one after the other; at 0 nothing is asked.
    #[arg(long, value_delimiter = ',', default_value = "50000")]
    rates: Vec<u64>,
    /// Seconds for which they do. A minute is settled three and a half minutes after its end, once a minute: so the first one or two
    /// are.
    #[arg(long, default_value_t = 330)]
    seconds: u64,
}

/// Calls that are stored, even over some time.
pub struct Stretch {
    pub mesh: Mesh,
    pub calls: u64,
    /// Seconds since the epoch.
    pub from: u64,
    pub seconds: u64,
}

impl Stretch {
    /// A day of so many calls that is over, long enough ago that all of it can be settled.
    ///
    /// # Errors
    /// When the clock stands before 1970.
    pub fn day_before_now(mesh: Mesh, calls: u64) -> anyhow::Result<Stretch> {
        let from = (now_seconds()? / GRID_SECONDS - 3) * GRID_SECONDS - DAY_SECONDS;
        Ok(Stretch { mesh, calls, from, seconds: DAY_SECONDS })
    }

    /// Its range as parameters of a question.
    pub fn range(&self) -> String {
        format!("from={}&to={}", self.from, self.from + self.seconds)
    }

    fn start(&self, number: u64) -> u64 {
        let nanos =
            u128::from(number) * u128::from(self.seconds * 1_000_000_000) / u128::from(self.calls.max(1));
        self.from * 1_000_000_000 + nanos as u64
    }

    /// Calls and errors of each operation.
    pub fn truth(&self) -> Vec<[u64; 2]> {
        let mut truth = vec![[0, 0]; self.mesh.operations as usize];
        for number in 0..self.calls {
            let of = &mut truth[self.mesh.operation(number) as usize];
            of[0] += 1;
            of[1] += u64::from(Mesh::is_error(number));
        }
        truth
    }
}

/// Whether an answer is the day's, of which calls and errors are known by operation.
type Check = fn(&Value, &Stretch, &[[u64; 2]]) -> anyhow::Result<()>;

/// Measures all of it and writes the page.
///
/// # Errors
/// When a server cannot be started, or answers wrongly.
pub async fn page(place: &Place, args: &SettledArgs) -> anyhow::Result<String> {
    let mesh =
        Mesh { services: args.services, operations: args.operations, namespaces: 1, in_a_row: IN_A_ROW };
    let directory = place.fresh_directory()?;
    let day = Stretch::day_before_now(mesh, args.calls)?;
    let begin = Instant::now();
    fill(place, directory.path(), &day).await?;
    known(&format!("The day is stored after {:.0} s.", begin.elapsed().as_secs_f64()));
    let settling = maintain(place, directory.path())?;
    known(&settling);
    let cells = cells(directory.path(), args.calls * 4)?;
    known(&cells);
    let answers = answers(place, directory.path(), &day, args.times).await?;
    drop(directory);
    let mut rows = Vec::new();
    for rate in args.rates.iter().filter(|rate| **rate > 0) {
        rows.push(live::live(place, args, *rate).await?);
        known(&rows[rows.len() - 1].join(" | "));
    }
    let columns = [
        "spans/s",
        "spans",
        "last 15 min: median ms",
        "slowest ms",
        "asked",
        "CPU s per M spans: taking in",
        "settling",
        "%",
        "peak RSS MiB",
    ];
    Ok(format!(
        "# Calls that are settled\n\n{}{} services, {} operations; CPUs {}. Every answer is checked against the mesh.\n\n\
         ## A day of {} spans and as many access logs\n\n{settling}\n\n{cells}\n{answers}\n\
         ## While spans come in\n\n{}",
        report::head(),
        args.services,
        args.operations,
        place.cpus,
        args.calls * 2,
        report::table(&columns, &rows)
    ))
}

/// Tells people what is known already: a run takes minutes, and may be ended.
fn known(text: &str) {
    eprintln!("{text}");
}

/// Seconds since the epoch.
///
/// # Errors
/// The clock stands before it.
pub fn now_seconds() -> anyhow::Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?.as_secs())
}

fn shape(signal: Signal) -> Shape {
    Shape {
        signal,
        requests: 0,
        records_per_request: 2 * CALLS_A_REQUEST as usize,
        protocol: Protocol::Grpc,
        compression: Compression::None,
        seed: 0,
        now: 0,
    }
}

/// Sends spans and access logs of the calls to a server that ends then.
///
/// # Errors
/// When it cannot be started, refuses some, or does not stop.
pub async fn fill(place: &Place, directory: &Path, day: &Stretch) -> anyhow::Result<()> {
    let settings = [("MESHLAKE_MAINTAIN__ENABLED", "false".to_owned())];
    let server = Server::start(place, directory, &settings, START_TIME_MAX).await?;
    let address = server.address(Protocol::Grpc).to_owned();
    let sending = Sending { address, connections: 4, in_flight: 8 };
    for signal in [Signal::Traces, Signal::Logs] {
        let mut next = 0;
        while next < day.calls {
            let mut bodies = Vec::new();
            while bodies.len() < PART_REQUESTS && next < day.calls {
                let end = (next + CALLS_A_REQUEST).min(day.calls);
                let calls: Vec<(u64, u64)> = (next..end).map(|number| (number, day.start(number))).collect();
                bodies.push(packed_message(&message(day.mesh, signal, &calls))?);
                next = end;
            }
            let outcome = send(&sending, &shape(signal), Payloads { bodies, message_bytes: 0 }).await?;
            let wrong = outcome.first_error.unwrap_or_default();
            ensure!(outcome.errors == 0 && outcome.rejected == 0, "the server refused some: {wrong}");
        }
    }
    server.stop().await
}

fn message(mesh: Mesh, signal: Signal, calls: &[(u64, u64)]) -> Vec<u8> {
    use prost::Message as _;
    match signal {
        Signal::Logs => mesh.access_logs(calls).encode_to_vec(),
        _ => mesh.spans(calls).encode_to_vec(),
    }
}

/// Merges and settles all of it, and says what that took.
///
/// # Errors
/// When it fails.
pub fn maintain(place: &Place, directory: &Path) -> anyhow::Result<String> {
    let (begin, before) = (Instant::now(), process::cpu_time_of_children()?);
    let status = Command::new("taskset")
        .args(["--cpu-list", &place.cpus])
        .arg(&place.binary)
        .args(["maintain", "--data-dir"])
        .arg(directory)
        .status();
    ensure!(status.context("run meshlake maintain")?.success(), "meshlake maintain failed");
    let (elapsed, cpu) = (begin.elapsed(), process::cpu_time_of_children()?.saturating_sub(before));
    Ok(format!(
        "`meshlake maintain` merges and settles it in {:.1} s, {:.1} s of CPU.",
        elapsed.as_secs_f64(),
        cpu.as_secs_f64()
    ))
}

/// Cells and bytes of each table, by 1,000 stored rows.
fn cells(directory: &Path, rows: u64) -> anyhow::Result<String> {
    let thousands = rows as f64 / 1_000.0;
    let mut lines = Vec::new();
    for name in TABLES {
        let table = stored::table(&directory.join("tables").join(name))?;
        lines.push(vec![
            name.to_owned(),
            table.rows.to_string(),
            format!("{:.2}", table.rows as f64 / thousands),
            format!("{:.1}", table.bytes as f64 / MEBIBYTE),
            format!("{:.0}", table.bytes as f64 / thousands),
        ]);
    }
    let columns = ["table", "cells", "per 1,000 rows", "MiB", "bytes per 1,000 rows"];
    Ok(report::table(&columns, &lines))
}

/// Asks a fresh server for the day, and checks what it says.
async fn answers(place: &Place, directory: &Path, day: &Stretch, times: usize) -> anyhow::Result<String> {
    let settings = [("MESHLAKE_MAINTAIN__ENABLED", "false".to_owned())];
    let server = Server::start(place, directory, &settings, START_TIME_MAX).await?;
    let truth = day.truth();
    let range = day.range();
    let one = name(0);
    let questions = [
        ("golden by service, 24 h", format!("/api/v1/golden?{range}")),
        (
            "one service's operations by minute, 24 h",
            format!("/api/v1/golden?by=operation&service={one}&step=1m&{range}"),
        ),
        ("graph, 24 h", format!("/api/v1/graph?{range}")),
        ("graph around one service, 24 h", format!("/api/v1/graph?focus={one}&{range}")),
    ];
    let checks: [Check; 4] = [check_services, check_operations, check_edges, check_around];
    let mut rows = Vec::new();
    for ((label, path), check) in questions.iter().zip(checks) {
        let begin = Instant::now();
        let first = match server.json(path).await {
            Err(refusal) if format!("{refusal:#}").contains(TOO_MANY_CELLS) => {
                let refused = [*label, "refused: too many cells", "-", "-", "-", "1"];
                rows.push(refused.map(str::to_owned).to_vec());
                continue;
            }
            first => first?,
        };
        let cold = begin.elapsed();
        check(&first, day, &truth).with_context(|| format!("check {label}"))?;
        let (mut taken, cpu) = (Vec::new(), server.cpu_time()?);
        for _ in 0..times.max(1) {
            let begin = Instant::now();
            let answer = server.json(path).await?;
            taken.push(begin.elapsed());
            check(&answer, day, &truth).with_context(|| format!("check {label}"))?;
        }
        let cpu = (server.cpu_time()? - cpu) / taken.len() as u32;
        taken.sort_unstable();
        let row = [
            (*label).to_owned(),
            ms(cold),
            ms(taken[taken.len() / 2]),
            ms(taken[0]),
            ms(cpu),
            taken.len().to_string(),
        ];
        known(&row.join(" | "));
        rows.push(row.to_vec());
    }
    server.stop().await?;
    let columns =
        ["question", "the first time, after those above, ms", "median ms", "fastest ms", "CPU ms", "asked"];
    Ok(report::table(&columns, &rows))
}

pub fn ms(time: Duration) -> String {
    format!("{:.0}", time.as_secs_f64() * 1e3)
}

/// The list of this name in an answer.
///
/// # Errors
/// When it has none.
pub fn list<'a>(answer: &'a Value, name: &str) -> anyhow::Result<&'a Vec<Value>> {
    answer[name].as_array().with_context(|| format!("find {name} in {answer}"))
}

/// Calls and errors of the rows that are meant.
pub fn sums<'a>(rows: impl Iterator<Item = &'a Value>) -> [f64; 2] {
    rows.fold([0.0, 0.0], |[calls, errors], row| {
        let number = |field: &str| row[field].as_f64().unwrap_or(0.0);
        [calls + number("requests"), errors + number("errors")]
    })
}

/// What the mesh says of the operations that are meant.
fn sent(day: &Stretch, truth: &[[u64; 2]], is_meant: impl Fn([u64; 2]) -> bool) -> [f64; 2] {
    let meant = (0..).zip(truth).filter(|(operation, _)| is_meant(day.mesh.ends(*operation)));
    meant.fold([0.0, 0.0], |sums, (_, of)| [sums[0] + of[0] as f64, sums[1] + of[1] as f64])
}

fn check_services(answer: &Value, day: &Stretch, truth: &[[u64; 2]]) -> anyhow::Result<()> {
    let rows = list(answer, "rows")?;
    for service in 0..day.mesh.services {
        let told = sums(rows.iter().filter(|row| row["service"] == name(service).as_str()));
        let want = sent(day, truth, |[_, callee]| callee == service);
        ensure!(told == want, "{} received {told:?}, the mesh sent {want:?}", name(service));
    }
    let (all, want) = (sums(rows.iter()), sent(day, truth, |_| true));
    ensure!(all == want, "all received {all:?}, the mesh sent {want:?}");
    Ok(())
}

fn check_operations(answer: &Value, day: &Stretch, truth: &[[u64; 2]]) -> anyhow::Result<()> {
    let rows = list(answer, "rows")?;
    let (told, want) = (sums(rows.iter()), sent(day, truth, |[_, callee]| callee == 0));
    ensure!(told == want, "{} received {told:?} by operation, the mesh sent {want:?}", name(0));
    let called = day.mesh.operations_of(day.calls);
    let of_service = (0..called).filter(|operation| day.mesh.ends(*operation)[1] == 0).count();
    let names: std::collections::BTreeSet<_> = rows.iter().map(|row| row["operation"].as_str()).collect();
    ensure!(names.len() == of_service, "{} has operations {names:?}", name(0));
    Ok(())
}

fn check_edges(answer: &Value, day: &Stretch, truth: &[[u64; 2]]) -> anyhow::Result<()> {
    let edges = list(answer, "edges")?;
    let (all, want) = (sums(edges.iter()), sent(day, truth, |_| true));
    ensure!(all == want, "edges have {all:?}, the mesh sent {want:?}");
    for operation in 0..day.mesh.operations_of(day.calls) {
        let [source, target] = day.mesh.ends(operation).map(|end| format!("mesh/{}", name(end)));
        let of_edge = edges
            .iter()
            .filter(|edge| edge["source"] == source.as_str() && edge["target"] == target.as_str());
        let (told, want) = (sums(of_edge), truth[operation as usize].map(|number| number as f64));
        ensure!(told == want, "{source} -> {target} has {told:?}, the mesh sent {want:?}");
    }
    Ok(())
}

/// The graph around the first service has its edges, and says of all others how many calls they have.
fn check_around(answer: &Value, day: &Stretch, truth: &[[u64; 2]]) -> anyhow::Result<()> {
    let around = format!("mesh/{}", name(0));
    let edges = list(answer, "edges")?;
    let is_own = |edge: &&Value| edge["source"] == around.as_str() || edge["target"] == around.as_str();
    let want = sent(day, truth, |ends| ends.contains(&0));
    let told = sums(edges.iter().filter(is_own));
    ensure!(told == want, "edges of {around} have {told:?}, the mesh sent {want:?}");
    let all = sums(edges.iter())[0] + answer["hidden"]["requests"].as_f64().unwrap_or(0.0);
    let want = sent(day, truth, |_| true)[0];
    ensure!(all == want, "edges shown and hidden have {all} calls, the mesh sent {want}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Six calls of three operations among two services: each operation twice, the very first call failed.
    #[test]
    fn a_wrong_answer_is_found_out() {
        let day = Stretch {
            mesh: Mesh { services: 2, operations: 2, namespaces: 1, in_a_row: 1 },
            calls: 6,
            from: 0,
            seconds: DAY_SECONDS,
        };
        let truth = day.truth();
        assert_eq!(truth, [[3, 1], [3, 0]]);
        let golden = |calls: u64, errors: u64| {
            json!({"rows": [{"service": name(0), "requests": calls, "errors": errors, "operation": "GET /x"},
                            {"service": name(1), "requests": 3, "errors": 0}]})
        };
        assert!(check_services(&golden(3, 1), &day, &truth).is_ok());
        assert!(check_services(&golden(2, 1), &day, &truth).is_err(), "a call is missing");
        assert!(check_services(&golden(3, 0), &day, &truth).is_err(), "an error is missing");
        let edge = |source: u64, target: u64, errors: u64| json!({"source": format!("mesh/{}", name(source)), "target": format!("mesh/{}", name(target)), "requests": 3, "errors": errors});
        assert!(check_edges(&json!({"edges": [edge(1, 0, 1), edge(0, 1, 0)]}), &day, &truth).is_ok());
        assert!(check_edges(&json!({"edges": [edge(1, 0, 0), edge(0, 1, 1)]}), &day, &truth).is_err());
        assert!(check_edges(&json!({}), &day, &truth).is_err());
        let around = |hidden: u64| json!({"edges": [edge(1, 0, 1)], "hidden": {"requests": hidden}});
        let truth_of_one = [[3, 1], [0, 0]];
        assert!(check_around(&around(0), &day, &truth_of_one).is_ok());
        assert!(check_around(&around(1), &day, &truth_of_one).is_err(), "of others there are none");
        assert!(check_around(&json!({"edges": []}), &day, &truth_of_one).is_err(), "its own are missing");
        let one = json!({"rows": [{"operation": "GET /x", "requests": 3, "errors": 1}]});
        assert!(check_operations(&one, &day, &truth).is_ok());
        assert!(check_operations(&golden(3, 1), &day, &truth).is_err(), "of another service, too");
    }

    #[test]
    fn calls_are_spread_over_the_day() {
        let day = Stretch {
            mesh: Mesh { services: 2, operations: 2, namespaces: 1, in_a_row: 1 },
            calls: 86_400,
            from: 1_000,
            seconds: DAY_SECONDS,
        };
        assert_eq!(
            [0, 1, 86_399].map(|number| day.start(number)),
            [1_000, 1_001, 87_399].map(|s: u64| s * 1_000_000_000)
        );
    }
}
