//! How long the answers for operators take on a day that is settled, each answer checked against the mesh.
//!
//! The day is that of `settled`: calls whose truth is arithmetic, as spans and as access logs, settled by
//! `meshlake maintain`. A fresh server is asked about its first service, which has most operations and so most cells.
//! `exemplars` is left out: it is read from rows, and takes as long as counting them anew.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use serde_json::Value;

use crate::payload::mesh::{INSTANCES, Mesh, name, pod, version};
use crate::report;
use crate::server::{Place, Server};
use crate::settled::{IN_A_ROW, Stretch, fill, list, maintain, ms, sums};
use crate::stored;

const START_TIME_MAX: Duration = Duration::from_secs(300);

/// What is asked, and how often.
#[derive(Debug, Clone, Args)]
pub struct OperateArgs {
    /// Calls of the day, each of two spans and two access logs.
    #[arg(long, default_value_t = 5_000_000)]
    calls: u64,
    #[arg(long, default_value_t = 200)]
    services: u64,
    #[arg(long, default_value_t = 1_500)]
    operations: u64,
    /// Times that each question is asked, after one for warmth.
    #[arg(long, default_value_t = 9)]
    times: usize,
}

/// What the mesh sent to the service that is asked about.
struct Truth {
    /// Calls and errors of each instance.
    by_instance: [[f64; 2]; INSTANCES as usize],
    /// Its edges: who calls, and who is called.
    edges: BTreeSet<[u64; 2]>,
}

impl Truth {
    fn of(day: &Stretch) -> Truth {
        let mut truth = Truth { by_instance: [[0.0; 2]; INSTANCES as usize], edges: BTreeSet::new() };
        let mesh = day.mesh;
        for (operation, [calls, errors]) in (0..).zip(day.truth()) {
            let [caller, callee] = mesh.ends(operation);
            if caller == 0 || callee == 0 {
                truth.edges.insert([caller, callee]);
            }
            if callee == 0 {
                let of = &mut truth.by_instance[mesh.instance(operation) as usize];
                *of = [of[0] + calls as f64, of[1] + errors as f64];
            }
        }
        truth
    }

    fn all(&self) -> [f64; 2] {
        self.by_instance.iter().fold([0.0; 2], |all, of| [all[0] + of[0], all[1] + of[1]])
    }
}

/// A question, the list that its answer is told in, and whether the answer is right.
type Question = (&'static str, &'static str, fn(&Value, &Truth) -> anyhow::Result<()>);

const QUESTIONS: [Question; 7] = [
    ("versions", "versions", check_versions),
    ("balance", "instances", check_balance),
    ("policies", "rows", check_policies),
    ("gateways", "rows", check_gateways),
    ("saturation", "instances", check_saturation),
    ("rollouts", "instances", check_rollouts),
    ("dark", "edges", check_dark),
];

/// Stores and settles the day, asks everything, and writes the page.
///
/// # Errors
/// When a server cannot be started, or answers wrongly.
pub async fn page(place: &Place, args: &OperateArgs) -> anyhow::Result<String> {
    let mesh =
        Mesh { services: args.services, operations: args.operations, namespaces: 1, in_a_row: IN_A_ROW };
    let directory = place.fresh_directory()?;
    let day = Stretch::day_before_now(mesh, args.calls)?;
    fill(place, directory.path(), &day).await?;
    let settling = maintain(place, directory.path())?;
    let cells = stored::table(&directory.path().join("tables").join("calls_1m"))?.rows;
    let settings = [("MESHLAKE_MAINTAIN__ENABLED", "false".to_owned())];
    let server = Server::start(place, directory.path(), &settings, START_TIME_MAX).await?;
    let truth = Truth::of(&day);
    let mut table = Vec::new();
    for question in QUESTIONS {
        table.push(asked(&server, question, &day, &truth, args.times).await?);
    }
    let memory = report::peak_memory(&server)?;
    server.stop().await?;
    Ok(format!(
        "# Answers for operators, of settled cells\n\n\
         Asked over HTTP one at a time, JSON included, warm, of one service over 24 hours; each answer is checked against\n\
         the mesh.\n\n\
         {}{} services, {} operations, {} spans and as many access logs; {cells} cells of a minute; CPUs {}.\n\
         {settling}\n{memory}.\n\n{}",
        report::head(),
        args.services,
        args.operations,
        args.calls * 2,
        place.cpus,
        report::table(&["question", "rows", "median ms", "fastest ms", "CPU ms", "asked"], &table)
    ))
}

async fn asked(
    server: &Server,
    (label, rows, check): Question,
    day: &Stretch,
    truth: &Truth,
    times: usize,
) -> anyhow::Result<Vec<String>> {
    let path = format!("/api/v1/{label}?service=mesh/{}&{}", name(0), day.range());
    let answer = server.json(&path).await?;
    let told = list(&answer, rows)?.len();
    check(&answer, truth).with_context(|| format!("check {label}"))?;
    let (mut taken, cpu) = (Vec::new(), server.cpu_time()?);
    for _ in 0..times.max(1) {
        let begin = Instant::now();
        let answer = server.json(&path).await?;
        taken.push(begin.elapsed());
        check(&answer, truth).with_context(|| format!("check {label}"))?;
    }
    let cpu = (server.cpu_time()? - cpu) / taken.len() as u32;
    taken.sort_unstable();
    Ok(vec![
        label.to_owned(),
        told.to_string(),
        ms(taken[taken.len() / 2]),
        ms(taken[0]),
        ms(cpu),
        taken.len().to_string(),
    ])
}

/// Calls and errors of the row that has this text under that key.
fn told(rows: &[Value], key: &str, text: &str) -> [f64; 2] {
    sums(rows.iter().filter(|row| row[key] == text))
}

fn is_same(what: &str, told: [f64; 2], want: [f64; 2]) -> anyhow::Result<()> {
    ensure!(told == want, "{what} received {told:?} calls and errors, the mesh sent {want:?}");
    Ok(())
}

fn check_versions(answer: &Value, truth: &Truth) -> anyhow::Result<()> {
    let rows = list(answer, "versions")?;
    for wanted in ["v1", "v2"] {
        let instances = (0..).zip(&truth.by_instance).filter(|(instance, _)| version(*instance) == wanted);
        let want = instances.fold([0.0; 2], |sum, (_, of)| [sum[0] + of[0], sum[1] + of[1]]);
        is_same(wanted, told(rows, "version", wanted), want)?;
    }
    Ok(())
}

fn check_instances(rows: &[Value], truth: &Truth) -> anyhow::Result<()> {
    for (instance, want) in (0..).zip(truth.by_instance) {
        let pod = pod(0, instance);
        is_same(&pod, told(rows, "instance", &pod), want)?;
    }
    is_same("all instances", sums(rows.iter()), truth.all())
}

fn check_balance(answer: &Value, truth: &Truth) -> anyhow::Result<()> {
    check_instances(list(answer, "instances")?, truth)
}

fn check_saturation(answer: &Value, truth: &Truth) -> anyhow::Result<()> {
    is_same("the service", sums([&answer["received"]].into_iter()), truth.all())?;
    check_instances(list(answer, "instances")?, truth)
}

/// Each failure is a time-out of its caller's.
fn check_policies(answer: &Value, truth: &Truth) -> anyhow::Result<()> {
    let to_it = format!("mesh/{}", name(0));
    let is_meant = |row: &&Value| row["reason"] == "UT" && row["server"] == to_it.as_str();
    let told = sums(list(answer, "rows")?.iter().filter(is_meant))[0];
    ensure!(told == truth.all()[1], "{told} time-outs, the mesh had {}", truth.all()[1]);
    Ok(())
}

/// The mesh has none.
fn check_gateways(answer: &Value, _: &Truth) -> anyhow::Result<()> {
    ensure!(list(answer, "rows")?.is_empty(), "{answer} has gateways");
    Ok(())
}

/// Nothing came or went in the day.
fn check_rollouts(answer: &Value, truth: &Truth) -> anyhow::Result<()> {
    ensure!(list(answer, "rollouts")?.is_empty(), "there was no rollout: {}", answer["rollouts"]);
    let calls =
        |instance: &str| told(list(answer, "instances").map_or(&[], Vec::as_slice), "instance", instance)[0];
    for (instance, want) in (0..).zip(truth.by_instance) {
        let pod = pod(0, instance);
        ensure!(calls(&pod) == want[0], "{pod} received {}, the mesh sent {}", calls(&pod), want[0]);
    }
    Ok(())
}

/// Every call is in plaintext.
fn check_dark(answer: &Value, truth: &Truth) -> anyhow::Result<()> {
    let edges = list(answer, "edges")?;
    ensure!(
        edges.len() == truth.edges.len(),
        "{} edges are dark, the mesh has {:?}",
        edges.len(),
        truth.edges
    );
    let to_it = format!("mesh/{}", name(0));
    let received = edges.iter().filter(|edge| edge["target"]["id"] == to_it.as_str());
    let dark = received.filter_map(|edge| edge["dark"].as_array()).flatten();
    let plain = sums(dark.filter(|dark| dark["kind"] == "plaintext"))[0];
    ensure!(plain == truth.all()[0], "{plain} calls in plaintext, the mesh sent {}", truth.all()[0]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 97 calls of six operations among three services. svc-0 serves operations 0 and 3 on its first two instances: calls 0, 6,
    /// ... 96, which are 17, and 3, 9, ... 93, which are 16; call 0 fails. It is called by both others and calls both.
    fn truth() -> Truth {
        Truth::of(&Stretch {
            mesh: Mesh { services: 3, operations: 6, namespaces: 1, in_a_row: 1 },
            calls: 97,
            from: 0,
            seconds: 97,
        })
    }

    #[test]
    fn the_truth_is_arithmetic() {
        assert_eq!(truth().by_instance, [[17.0, 1.0], [16.0, 0.0], [0.0, 0.0], [0.0, 0.0]]);
        assert_eq!((truth().all(), truth().edges.len()), ([33.0, 1.0], 4));
    }

    #[test]
    fn a_wrong_answer_is_found_out() {
        let row =
            |key: &str, text: String, calls: u64| json!({key: text, "requests": calls, "errors": calls / 17});
        let versions = |calls: u64| json!({"versions": [{"version": "v1", "requests": calls, "errors": 1}]});
        assert!(check_versions(&versions(33), &truth()).is_ok());
        assert!(check_versions(&versions(32), &truth()).is_err());
        let instances = |second: u64| {
            let rows = [row("instance", pod(0, 0), 17), row("instance", pod(0, 1), second)];
            json!({"instances": rows, "rollouts": [], "received": {"requests": 33, "errors": 1}})
        };
        for check in [check_balance, check_saturation, check_rollouts] {
            assert!(check(&instances(16), &truth()).is_ok());
            assert!(check(&instances(15), &truth()).is_err());
        }
        let timed_out =
            |count: u64| json!({"rows": [{"reason": "UT", "server": "mesh/svc-00000", "requests": count}]});
        assert!(check_policies(&timed_out(1), &truth()).is_ok());
        assert!(check_policies(&timed_out(2), &truth()).is_err());
        assert!(check_gateways(&json!({"rows": [{}]}), &truth()).is_err());
        let edge = |source: &str, target: &str, calls: u64| json!({"source": {"id": source}, "target": {"id": target}, "dark": [{"kind": "plaintext", "requests": calls}]});
        let [a, b, c] = ["mesh/svc-00000", "mesh/svc-00001", "mesh/svc-00002"];
        let edges =
            |calls| json!({"edges": [edge(b, a, 17), edge(c, a, calls), edge(a, b, 16), edge(a, c, 16)]});
        assert!(check_dark(&edges(16), &truth()).is_ok());
        assert!(check_dark(&edges(17), &truth()).is_err());
    }
}
