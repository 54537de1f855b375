//! Random queries, and every function over every kind of series, asked of a real Prometheus and of us over the same samples.
//!
//! Both are sent the same messages of remote write, and then the same queries of a grammar, at instants and over ranges. What
//! Prometheus answers is the truth: label sets, values to 1e-9, order where a query gives one, kinds of errors, and
//! warnings and infos without their places. What differs by decision (docs/promql.md, "What differs") the grammar
//! does not make, or a rule of `answers` does not compare. `MESHLAKE_ORACLE_QUERIES` asks for more than CI does, and
//! `MESHLAKE_ORACLE_SEED` for others.

mod walk;
mod grammar;
mod answers;
mod question;
mod samples;
mod histograms;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures::StreamExt as _;
use serde_json::Value;

use self::answers::difference;
use self::grammar::Grammar;
use self::question::Question;
use super::base;
use super::peers::Peer;
use crate::harness::{HttpClient, Server, http_client, request_with};
use crate::payloads::now_nanos;

/// What CI asks, half of it at instants.
const QUERIES: usize = 800;

/// Any number; another finds others.
const SEED: u64 = 16;

/// Questions in flight. More would wait for each other.
const AT_ONCE: usize = 4;

/// What fails is told, but no more than a person reads.
const TOLD_MAX: usize = 10;

/// So much of what is asked has to have an answer that is not empty: a grammar of errors would prove nothing.
const ANSWERED_MIN: f64 = 0.5;

/// Far more than all queries take.
const TIME_MAX: Duration = Duration::from_secs(600);

/// What Prometheus has behind flags and we always.
const FEATURES: &str = "--enable-feature=promql-experimental-functions,promql-duration-expr,\
                        promql-extended-range-selectors,promql-binop-fill-modifiers";

#[tokio::test(flavor = "multi_thread")]
async fn random_queries_have_the_answers_of_a_real_prometheus() -> Result<()> {
    let Some(prometheus) = super::program("prometheus")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let peer = Peer::start_with(
        &prometheus,
        dir.path(),
        "scrape_configs: []\n",
        &["--web.enable-remote-write-receiver", FEATURES],
    )
    .await?;
    let server = Server::start(&dir.path().join("data")).await?;
    // Two hours ago, on a minute: Prometheus takes samples of any time first, we of the last day.
    let begin = i64::try_from(now_nanos() / 60_000_000_000)? * 60_000 - 2 * 3_600_000;
    let client = http_client();
    for body in samples::bodies(begin)? {
        for base in [&peer.base, &format!("http://{}", server.addresses.otlp_http)] {
            write(&client, base, &body).await?;
        }
    }
    let (seed, queries) =
        (number("MESHLAKE_ORACLE_SEED", SEED)?, number("MESHLAKE_ORACLE_QUERIES", QUERIES as u64)?);
    let mut grammar = Grammar::new(seed, begin);
    let random = (0..queries).map(|_| grammar.question());
    let questions: Vec<Question> = random.chain(walk::questions(begin)).collect();
    let asking = futures::stream::iter(questions)
        .map(|question| {
            let (client, ours, theirs) = (client.clone(), base(&server), peer.base.clone());
            async move {
                let [ours, theirs] =
                    [ask(&client, &ours, &question).await?, ask(&client, &theirs, &question).await?];
                let is_answered = theirs["data"]["result"].as_array().is_none_or(|rows| !rows.is_empty());
                anyhow::Ok((
                    theirs["status"] == "success" && is_answered,
                    difference(&question, &ours, &theirs),
                ))
            }
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>();
    let asked = tokio::time::timeout(TIME_MAX, asking).await.context("the queries take too long")?;
    let asked = asked.into_iter().collect::<Result<Vec<_>>>()?;
    let answered = asked.iter().filter(|(is_answered, _)| *is_answered).count();
    let different: Vec<&String> = asked.iter().filter_map(|(_, difference)| difference.as_ref()).collect();
    let told = different.iter().take(TOLD_MAX).map(|text| text.as_str()).collect::<Vec<_>>().join("\n\n");
    eprintln!(
        "oracle: {} queries of seed {seed}, {answered} answered, {} differ",
        asked.len(),
        different.len()
    );
    ensure!(
        different.is_empty(),
        "{} of {} queries of seed {seed} differ:\n{told}",
        different.len(),
        asked.len()
    );
    ensure!(
        answered as f64 >= ANSWERED_MIN * asked.len() as f64,
        "only {answered} of {} are answered",
        asked.len()
    );
    Ok(())
}

fn number(name: &str, default: u64) -> Result<u64> {
    match std::env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text}")),
        Err(_) => Ok(default),
    }
}

async fn write(client: &HttpClient, base: &str, body: &[u8]) -> Result<()> {
    let headers = [
        ("content-type", "application/x-protobuf"),
        ("content-encoding", "snappy"),
        ("x-prometheus-remote-write-version", "0.1.0"),
    ];
    let url = format!("{base}/api/v1/write");
    let (status, answer) = request_with(client, "POST", &url, &headers, body.to_vec().into()).await?;
    ensure!((200..300).contains(&status), "{url}: {status} {}", String::from_utf8_lossy(&answer));
    Ok(())
}

/// The whole answer, of an error as well.
async fn ask(client: &HttpClient, base: &str, question: &Question) -> Result<Value> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("query", &question.query);
    for (name, value) in question.times() {
        form.append_pair(name, &value);
    }
    let url = format!("{base}/api/v1/{}", question.path());
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let (_, body) = request_with(client, "POST", &url, &headers, form.finish().into()).await?;
    serde_json::from_slice(&body)
        .with_context(|| format!("{}: {}", question.query, String::from_utf8_lossy(&body)))
}
