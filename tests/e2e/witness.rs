//! Knows what was sent to a data directory, and says whether what is stored is what may be stored.
//!
//! An acknowledged request must be there once. One that was never answered may be there once. A refused one
//! is not, and is sent again as it is. What is found after a crash is settled: from then on the tables have
//! to say the same for ever, which two sums per load show without reading each request again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::harness::{Addresses, Server};
use crate::load::{Load, Request, Signal};

/// Times are summed modulo this prime, so that the sums of a table stay far below 2^63.
const TIME_MODULUS: u64 = 1_000_003;

/// Knows what was sent to one data directory, and what was found in it since.
#[derive(Debug, Default)]
pub struct Witness {
    loads: u32,
    /// The last load, until it has been looked for.
    last: Option<Load>,
    /// What is stored, by table and service.
    settled: BTreeMap<(Signal, String), Total>,
    /// Requests acknowledged so far.
    pub requests_acked: u64,
}

impl Witness {
    /// A witness of a copy of the data directory, which from now on has a history of its own.
    pub fn of_copy(&self) -> Witness {
        assert!(self.last.is_none(), "the last load has been checked");
        Witness { loads: self.loads, settled: self.settled.clone(), ..Witness::default() }
    }

    /// Records that are known to be stored.
    pub fn records_settled(&self, signal: Signal) -> u64 {
        let settled = self.settled.iter().filter(|((of, _), _)| *of == signal);
        settled.map(|(_, total)| total.records).sum()
    }

    /// Starts the next load, whose senders pause for `pace` per record; end it with [`Witness::end`].
    pub fn begin(&mut self, addresses: &Addresses, pace: Duration) -> Load {
        assert!(self.last.is_none(), "the last load has been checked");
        self.loads += 1;
        Load::begin(self.loads, addresses, pace)
    }

    /// Waits until every sender has ended.
    ///
    /// # Errors
    /// A sender's: an answer that no server may give, or a server that went away by itself.
    pub async fn end(&mut self, mut load: Load) -> Result<()> {
        load.ended().await?;
        self.requests_acked +=
            Signal::ALL.map(|signal| load.acked(signal).count() as u64).iter().sum::<u64>();
        self.last = Some(load);
        Ok(())
    }

    /// Compares what `server`, to which nothing is sent now, has stored with what it was sent.
    ///
    /// # Errors
    /// Names what is lost, doubled, in part or not accounted for.
    pub async fn check(&mut self, server: &Server) -> Result<()> {
        server.check_for_panics()?;
        if let Some(load) = &self.last {
            for signal in Signal::ALL {
                let total = stored_of(server, load, signal).await?;
                if total.records > 0 {
                    self.settled.insert((signal, load.service()), total);
                }
            }
            self.last = None;
        }
        for signal in Signal::ALL {
            self.check_settled(server, signal).await?;
        }
        self.check_ledger(server).await
    }

    async fn check_settled(&self, server: &Server, signal: Signal) -> Result<()> {
        let sql = format!(
            "SELECT service_name, count(*), sum(time_unix_nano % {TIME_MODULUS}) FROM {} GROUP BY service_name",
            signal.table()
        );
        let mut stored = BTreeMap::new();
        for row in server.sql(&sql).await? {
            let service = row[0].as_str().context("a service name")?.to_owned();
            stored.insert((signal, service), Total { records: number(&row[1])?, times: number(&row[2])? });
        }
        let mut want = self.settled.clone();
        want.retain(|(of, _), _| *of == signal);
        ensure!(
            stored == want,
            "{} changed after they were settled:\n{stored:?}\nwant\n{want:?}",
            signal.table()
        );
        Ok(())
    }

    async fn check_ledger(&self, server: &Server) -> Result<()> {
        let ledger = balanced_ledger(server).await?;
        for signal in Signal::ALL {
            let want = self.records_settled(signal);
            let of_signal = |row: &&Value| row["signal"] == signal.ledger_name();
            for (column, want) in [("durable", want), ("in_flight", 0)] {
                let rows = ledger.iter().filter(of_signal);
                let have: u64 = rows.filter_map(|row| row[column].as_u64()).sum();
                ensure!(have == want, "{column} {} by the ledger {have}, stored {want}", signal.table());
            }
        }
        Ok(())
    }
}

/// Records and the sum of their times, which tell with near certainty whether two sets of records are one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Total {
    records: u64,
    times: u64,
}

impl Total {
    fn add(&mut self, load: &Load, request: Request) {
        let times = (0..request.records()).map(|index| load.time_nanos(request, index));
        self.records += request.records();
        self.times += times.map(|time| time % TIME_MODULUS).sum::<u64>();
    }
}

/// The rows of the ledger, each checked to balance.
pub async fn balanced_ledger(server: &Server) -> Result<Vec<Value>> {
    let ledger = server.get("/api/v1/ledger").await?;
    let rows = ledger["rows"].as_array().context("rows are an array")?;
    for row in rows {
        let rejected = row["rejected"].as_object().context("rejected is an object")?.values();
        let rejected = rejected.map(number).sum::<Result<u64>>()?;
        let of = |column: &str| number(&row[column]);
        let (received, accepted) = (of("received")?, of("accepted")?);
        ensure!(received == accepted + rejected, "received = accepted + rejected does not hold: {row}");
        ensure!(accepted == of("durable")? + of("in_flight")?, "accepted = durable + in flight: {row}");
    }
    Ok(rows.clone())
}

/// Checks each request of `load` by itself; what there is of it in the table of `signal`.
async fn stored_of(server: &Server, load: &Load, signal: Signal) -> Result<Total> {
    let sql = format!(
        "SELECT trace_id, count(*), count(DISTINCT span_id) FROM {} WHERE service_name = '{}' GROUP BY trace_id",
        signal.table(),
        load.service()
    );
    let (mut total, mut wrong, mut stored) = (Total::default(), Vec::new(), BTreeSet::new());
    for row in server.sql(&sql).await? {
        let request = Request::from_trace_id(row[0].as_str().context("a trace id")?)?;
        ensure!(load.was_begun(request) && request.signal() == signal, "{request:?} was never sent");
        let (records, distinct) = (number(&row[1])?, number(&row[2])?);
        if (records, distinct) != (request.records(), request.records()) {
            wrong.push((request, records, distinct));
        }
        stored.insert(request);
        total.add(load, request);
    }
    ensure!(wrong.is_empty(), "not stored once and whole (request, records, distinct): {wrong:?}");
    let lost: Vec<_> = load.acked(signal).filter(|request| !stored.contains(request)).collect();
    ensure!(lost.is_empty(), "{} acknowledged requests are lost: {lost:?}", lost.len());
    Ok(total)
}

/// A count of an answer, which is a number or, above 2^53, a text.
fn number(value: &Value) -> Result<u64> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
    number.with_context(|| format!("{value} is no count"))
}
