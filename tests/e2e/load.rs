//! A load that is known to the last record: what was sent, and what was answered.
//!
//! A request is one trace: its number makes the trace id, and with it every record. So one row per trace
//! says whether a request is there in whole, in part, or twice, which is for `witness.rs` to find out.
//! Spans and logs, small and large requests, HTTP and gRPC are mixed, so that one record of the log holds
//! several tables and several requests, and the tables have different watermarks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::task::JoinHandle;

use crate::client::{Answer, Client, Transport};
use crate::harness::Addresses;
use crate::long_form::Random;
use crate::payloads::{logs, now_nanos, string, traces};

/// A refused sender comes back after this time; the delays that the answers ask for are meant for real
/// clients, and would leave the server idle for most of a short life.
const REFUSED_DELAY: Duration = Duration::from_millis(5);

/// No fault may keep a sender waiting for longer; a slow machine takes a tenth of it.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    Spans,
    Logs,
}

impl Signal {
    pub const ALL: [Signal; 2] = [Signal::Spans, Signal::Logs];

    pub fn table(self) -> &'static str {
        match self {
            Signal::Spans => "spans",
            Signal::Logs => "logs",
        }
    }

    /// Its name in the ledger.
    pub fn ledger_name(self) -> &'static str {
        match self {
            Signal::Spans => "traces",
            Signal::Logs => "logs",
        }
    }
}

/// What one sender sends, over and over.
#[derive(Debug, Clone, Copy)]
struct Sender {
    transport: Transport,
    signal: Signal,
    records: u64,
}

/// The senders of a load. Five records are what proxies export, a thousand what a collector in front of us
/// batches.
const SENDERS: [Sender; 8] = [
    Sender { transport: Transport::Http, signal: Signal::Spans, records: 5 },
    Sender { transport: Transport::Http, signal: Signal::Spans, records: 5 },
    Sender { transport: Transport::Http, signal: Signal::Logs, records: 5 },
    Sender { transport: Transport::Http, signal: Signal::Spans, records: 1_000 },
    Sender { transport: Transport::Grpc, signal: Signal::Spans, records: 5 },
    Sender { transport: Transport::Grpc, signal: Signal::Spans, records: 5 },
    Sender { transport: Transport::Grpc, signal: Signal::Logs, records: 5 },
    Sender { transport: Transport::Grpc, signal: Signal::Logs, records: 1_000 },
];

/// One request: which load sent it, as what, when in the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    load: u32,
    sequence: u32,
    sender: u8,
}

impl Request {
    /// `load` in bits 40 to 71, `sequence` in bits 8 to 39, `sender` below; bit 72 is always set.
    pub fn trace_id(self) -> u128 {
        1 << 72 | u128::from(self.load) << 40 | u128::from(self.sequence) << 8 | u128::from(self.sender)
    }

    pub fn from_trace_id(hex: &str) -> Result<Request> {
        let id = u128::from_str_radix(hex, 16).with_context(|| format!("trace id {hex}"))?;
        let field = |at: u32, mask: u128| u32::try_from(id >> at & mask).expect("masked to 32 bits");
        let sender = u8::try_from(field(0, 0xff)).expect("masked to 8 bits");
        let request = Request { load: field(40, 0xffff_ffff), sequence: field(8, 0xffff_ffff), sender };
        let was_sent = request.trace_id() == id && usize::from(sender) < SENDERS.len();
        ensure!(was_sent, "trace {hex} was never sent");
        Ok(request)
    }

    fn sender(self) -> Sender {
        SENDERS[usize::from(self.sender)]
    }

    pub fn signal(self) -> Signal {
        self.sender().signal
    }

    pub fn records(self) -> u64 {
        self.sender().records
    }

    /// The time of record `index`: near now, and told by the request and the start of its load.
    fn time_nanos(self, started_nanos: u64, index: u64) -> u64 {
        started_nanos + u64::from(self.sequence) * 1_000 + index
    }

    fn ids(self, index: u64) -> (Vec<u8>, Vec<u8>) {
        (self.trace_id().to_be_bytes().to_vec(), (index + 1).to_be_bytes().to_vec())
    }

    fn span(self, started_nanos: u64, index: u64) -> Span {
        let (trace_id, span_id) = self.ids(index);
        let start = self.time_nanos(started_nanos, index);
        Span {
            trace_id,
            span_id,
            name: "GET /".to_owned(),
            kind: 2,
            start_time_unix_nano: start,
            end_time_unix_nano: start + 1_000_000,
            attributes: vec![string("test.sender", &self.sender.to_string())],
            ..Span::default()
        }
    }

    fn log_record(self, started_nanos: u64, index: u64) -> LogRecord {
        let (trace_id, span_id) = self.ids(index);
        LogRecord {
            time_unix_nano: self.time_nanos(started_nanos, index),
            trace_id,
            span_id,
            attributes: vec![string("test.sender", &self.sender.to_string())],
            ..LogRecord::default()
        }
    }
}

/// What became of the requests of one load, as far as their senders know. A sender waits for each answer, so
/// of its requests the first ones are acknowledged and at most one more was begun.
#[derive(Debug, Default)]
struct Answers {
    begun: [AtomicU32; SENDERS.len()],
    acked: [AtomicU32; SENDERS.len()],
    /// From now on the server may fail.
    server_may_fail: AtomicBool,
    /// From now on the server may go away; what it refuses before is sent again.
    server_may_die: AtomicBool,
    /// From now on the power may be gone.
    power_may_go: AtomicBool,
    /// From now on it is.
    power_is_gone: AtomicBool,
    /// From now on no request is begun.
    is_enough: AtomicBool,
}

impl Answers {
    /// How many requests of `sender` are acknowledged.
    fn acked(&self, sender: u8) -> u32 {
        self.acked[usize::from(sender)].load(Ordering::Acquire)
    }
}

/// Senders at work.
#[derive(Debug)]
pub struct Load {
    number: u32,
    started_nanos: u64,
    answers: Arc<Answers>,
    senders: Vec<JoinHandle<Result<()>>>,
}

impl Load {
    /// Starts all senders; each pauses for `pace` per record after a request.
    pub fn begin(number: u32, addresses: &Addresses, pace: Duration) -> Load {
        let (started_nanos, answers) = (now_nanos(), Arc::<Answers>::default());
        let senders = (0..SENDERS.len()).map(|sender| {
            let sender = u8::try_from(sender).expect("there are fewer than 256");
            let first = Request { load: number, sequence: 0, sender };
            tokio::spawn(send(first, started_nanos, addresses.clone(), answers.clone(), pace))
        });
        Load { number, started_nanos, senders: senders.collect(), answers }
    }

    pub fn service(&self) -> String {
        service(self.number)
    }

    /// Records of the requests that are acknowledged.
    pub fn records_acked(&self, signal: Signal) -> u64 {
        records(&self.answers.acked, signal)
    }

    /// Records of the requests that were begun.
    pub fn records_begun(&self, signal: Signal) -> u64 {
        records(&self.answers.begun, signal)
    }

    pub fn was_begun(&self, request: Request) -> bool {
        let begun = &self.answers.begun[usize::from(request.sender)];
        request.load == self.number && request.sequence < begun.load(Ordering::Acquire)
    }

    /// The acknowledged requests of `signal`.
    pub fn acked(&self, signal: Signal) -> impl Iterator<Item = Request> {
        let of_signal = (0u8..).zip(SENDERS).filter(move |(_, sender)| sender.signal == signal);
        of_signal.flat_map(move |(sender, _)| {
            let sequences = 0..self.answers.acked(sender);
            sequences.map(move |sequence| Request { load: self.number, sequence, sender })
        })
    }

    /// The time that record `index` of `request` was given.
    pub fn time_nanos(&self, request: Request, index: u64) -> u64 {
        request.time_nanos(self.started_nanos, index)
    }

    /// An acknowledged request of spans; none before the first.
    pub fn acked_trace(&self, random: &mut Random) -> Option<Request> {
        let sender = u8::try_from(random.below(SENDERS.len() as u64)).expect("there are fewer than 256");
        let acked = self.answers.acked(sender);
        if acked == 0 || SENDERS[usize::from(sender)].signal != Signal::Spans {
            return None;
        }
        let sequence = u32::try_from(random.below(u64::from(acked))).expect("below a u32");
        Some(Request { load: self.number, sequence, sender })
    }

    /// Says that the server may go away or fail from now on; senders go on until it does.
    pub fn expect_a_fault(&self) {
        self.answers.server_may_fail.store(true, Ordering::Release);
    }

    /// Says that the power goes now; senders go on until the server fails. An acknowledgement that comes from here on
    /// proves nothing: a machine without power could not have sent it. It may also be false, and not by the server's
    /// fault: once in some 600 cuts ext4, whose journal was just ended by `FS_IOC_SHUTDOWN`, reported success to an
    /// fdatasync that ran, having written the data and left its extents marked as unwritten.
    pub fn expect_power_cut(&self) {
        self.answers.power_may_go.store(true, Ordering::Release);
        self.expect_a_fault();
    }

    /// Says that the power is gone: nothing that is sent from now on may be acknowledged.
    pub fn power_is_gone(&self) {
        self.answers.power_is_gone.store(true, Ordering::Release);
    }

    /// Says that the server goes away by itself at some time; senders go on until it does.
    pub fn expect_death(&self) {
        self.answers.server_may_die.store(true, Ordering::Release);
    }

    /// Lets every sender end its request and no more.
    pub fn stop(&self) {
        self.answers.is_enough.store(true, Ordering::Release);
    }

    /// Waits until every sender has ended.
    ///
    /// # Errors
    /// A sender's: an answer that no server may give, or a server that went away by itself.
    pub async fn ended(&mut self) -> Result<()> {
        for sender in std::mem::take(&mut self.senders) {
            let ended = tokio::time::timeout(ANSWER_TIMEOUT, sender).await;
            ended.context("a request was not answered in time")?.context("a sender panicked")??;
        }
        Ok(())
    }
}

/// Records of so many requests of each sender.
fn records(requests: &[AtomicU32; SENDERS.len()], signal: Signal) -> u64 {
    let senders = SENDERS.iter().zip(requests).filter(|(sender, _)| sender.signal == signal);
    senders.map(|(sender, requests)| sender.records * u64::from(requests.load(Ordering::Acquire))).sum()
}

fn service(load: u32) -> String {
    format!("load-{load}")
}

async fn send(
    first: Request,
    started_nanos: u64,
    addresses: Addresses,
    answers: Arc<Answers>,
    pace: Duration,
) -> Result<()> {
    let may_fail = || answers.server_may_fail.load(Ordering::Acquire);
    let may_be_gone = || may_fail() || answers.server_may_die.load(Ordering::Acquire);
    let mut client = match Client::connect(first.sender().transport, &addresses).await {
        Err(_) if may_be_gone() => return Ok(()),
        client => client?,
    };
    let (begun, acked) =
        (&answers.begun[usize::from(first.sender)], &answers.acked[usize::from(first.sender)]);
    let mut request = first;
    while !answers.is_enough.load(Ordering::Acquire) {
        begun.store(request.sequence + 1, Ordering::Release);
        let was_gone = answers.power_is_gone.load(Ordering::Acquire);
        match export(&mut client, request, started_nanos).await? {
            Answer::Acked if was_gone => bail!("{request:?} was acknowledged without power"),
            Answer::Acked if answers.power_may_go.load(Ordering::Acquire) => return Ok(()),
            Answer::Acked => {
                request.sequence += 1;
                acked.store(request.sequence, Ordering::Release);
                let pause = pace * u32::try_from(request.records()).expect("at most a thousand");
                if !pause.is_zero() {
                    tokio::time::sleep(pause).await;
                }
            }
            Answer::Gone(_) if may_be_gone() => return Ok(()),
            Answer::Refused if may_fail() => return Ok(()),
            Answer::Refused => tokio::time::sleep(REFUSED_DELAY).await,
            Answer::Gone(error) => return Err(error.context("the server went away by itself")),
        }
    }
    Ok(())
}

/// # Errors
/// As [`Client::export_spans`].
async fn export(client: &mut Client, request: Request, started_nanos: u64) -> Result<Answer> {
    let (service, indices) = (service(request.load), 0..request.records());
    match request.signal() {
        Signal::Spans => {
            let spans = indices.map(|index| request.span(started_nanos, index)).collect();
            client.export_spans(traces(&service, spans)).await
        }
        Signal::Logs => {
            let records = indices.map(|index| request.log_record(started_nanos, index)).collect();
            client.export_logs(logs(&service, records)).await
        }
    }
}
