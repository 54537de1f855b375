//! The last minutes asked for while spans come in steadily, and what settling takes beside taking them in.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use tokio::task::JoinSet;

use super::{CALLS_A_REQUEST, START_TIME_MAX, SettledArgs, list, message, ms, shape, sums};
use crate::client::{Answer, Connection};
use crate::payload::mesh::Mesh;
use crate::payload::{Protocol, Signal, packed_message};
use crate::process;
use crate::report::MEBIBYTE;
use crate::server::{Place, Server};

const TICK: Duration = Duration::from_millis(100);

/// The last of the time in which spans come in; questions are asked then.
const ASKED_SECONDS: u64 = 60;
const ASKED_EVERY: Duration = Duration::from_secs(5);

/// Calls that were sent, and those that were acknowledged.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    acknowledged: AtomicU64,
}

/// Spans at a steady rate, and the last minutes asked for in the end.
pub(super) async fn live(place: &Place, args: &SettledArgs, rate: u64) -> anyhow::Result<Vec<String>> {
    let directory = place.fresh_directory()?;
    let server = Arc::new(Server::start(place, directory.path(), &[], START_TIME_MAX).await?);
    let mesh = Mesh { services: args.services, operations: args.operations, in_a_row: 1 };
    let counts = Arc::new(Counts::default());
    let connection = Connection::open(server.address(Protocol::Grpc), &shape(Signal::Traces)).await?;
    let quiet = args.seconds.saturating_sub(ASKED_SECONDS);
    let sending = tokio::spawn(steady(connection, mesh, rate, args.seconds, Arc::clone(&counts)));
    tokio::time::sleep(Duration::from_secs(quiet)).await;
    let settling = || process::cpu_time_of_threads(server.pid(), "settle");
    let taking_in = process::cpu_time(server.pid())?.saturating_sub(settling()?);
    let taken_in = 2 * counts.acknowledged.load(Ordering::Relaxed);
    let taken = asked(&server, &counts, args.seconds - quiet).await?;
    sending.await.context("join the sender")??;
    let settled = "SELECT CAST(coalesce(sum(requests_milli), 0) / 500 AS BIGINT) FROM calls_1m \
                   WHERE entry = 'received' AND evidence = 'spans'";
    let settled = server
        .sql(settled)
        .await?
        .first()
        .and_then(|row| row[0].as_u64())
        .context("count what is settled")?;
    let a_million = |cpu: Duration, spans: u64| cpu.as_secs_f64() * 1e6 / (spans.max(1)) as f64;
    let (own, settling) = (a_million(taking_in, taken_in), a_million(settling()?, settled));
    let row = vec![
        rate.to_string(),
        (2 * counts.acknowledged.load(Ordering::Relaxed)).to_string(),
        ms(taken[taken.len() / 2]),
        ms(taken[taken.len() - 1]),
        taken.len().to_string(),
        format!("{own:.2}"),
        if settled > 0 { format!("{settling:.2}") } else { "-".to_owned() },
        if settled > 0 { format!("{:.0}", 100.0 * settling / own) } else { "-".to_owned() },
        format!("{:.0}", process::peak_memory(server.pid())? as f64 / MEBIBYTE),
    ];
    Arc::into_inner(server).context("somebody still asks the server")?.stop().await?;
    Ok(row)
}

/// Sends spans of calls that begin now, in ten requests a second or more, whatever the server takes for them.
async fn steady(
    connection: Connection,
    mesh: Mesh,
    rate: u64,
    seconds: u64,
    counts: Arc<Counts>,
) -> anyhow::Result<()> {
    let mut ticks = tokio::time::interval(TICK);
    let mut requests: JoinSet<(u64, Answer)> = JoinSet::new();
    let begin = Instant::now();
    let mut sent = 0;
    while begin.elapsed().as_secs() < seconds {
        ticks.tick().await;
        let due = (begin.elapsed().as_secs_f64() * rate as f64 / 2.0) as u64;
        while sent < due {
            let end = (sent + CALLS_A_REQUEST).min(due);
            let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos())?;
            let calls: Vec<(u64, u64)> = (sent..end).map(|number| (number, now)).collect();
            let body = packed_message(&message(mesh, Signal::Traces, &calls))?;
            counts.sent.fetch_add(end - sent, Ordering::Relaxed);
            let (mut connection, calls) = (connection.shared(), end - sent);
            requests.spawn(async move { (calls, connection.call(body).await) });
            sent = end;
        }
        while let Some(answered) = requests.try_join_next() {
            count(answered.context("join a request")?, &counts)?;
        }
    }
    while let Some(answered) = requests.join_next().await {
        count(answered.context("join a request")?, &counts)?;
    }
    Ok(())
}

fn count((calls, answer): (u64, Answer), counts: &Counts) -> anyhow::Result<()> {
    ensure!(answer == Answer::Accepted { rejected: 0 }, "the server does not keep up: {answer:?}");
    counts.acknowledged.fetch_add(calls, Ordering::Relaxed);
    Ok(())
}

/// Asks for the last fifteen minutes again and again; how long each answer took, ascending.
async fn asked(server: &Server, counts: &Counts, seconds: u64) -> anyhow::Result<Vec<Duration>> {
    let (begin, mut taken) = (Instant::now(), Vec::new());
    while taken.is_empty() || begin.elapsed().as_secs() + 2 * ASKED_EVERY.as_secs() < seconds {
        tokio::time::sleep(ASKED_EVERY).await;
        let at_least = counts.acknowledged.load(Ordering::Relaxed) as f64;
        let asked = Instant::now();
        let answer = server.json("/api/v1/golden").await?;
        taken.push(asked.elapsed());
        let at_most = counts.sent.load(Ordering::Relaxed) as f64;
        let told = sums(list(&answer, "rows")?.iter())[0];
        ensure!((at_least..=at_most).contains(&told), "{told} calls, of {at_least} to {at_most}");
    }
    taken.sort_unstable();
    Ok(taken)
}
