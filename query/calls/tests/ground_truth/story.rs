//! What really happened: calls, told as a tree of who called whom while serving what.
//!
//! A story is what the oracle counts and what telemetry is made from. It holds everything by value, so that a
//! part of it can be left out to see whether the rest still fails.

use crate::mesh::{Mesh, Nanos};

#[derive(Debug, Clone)]
pub struct Story {
    pub seed: u64,
    pub mesh: Mesh,
    pub traces: Vec<Trace>,
}

/// Everything that one event from outside set off.
#[derive(Debug, Clone)]
pub struct Trace {
    pub number: u64,
    /// How many traces it stands for, if it is kept at all.
    pub weight: u32,
    pub is_kept: bool,
    pub root: Root,
}

#[derive(Debug, Clone)]
pub enum Root {
    /// Somebody outside calls.
    Entry(Call),
    /// A service does something by itself.
    Job { at: Place, start: Nanos, duration: Nanos, calls: Vec<Call> },
    /// A service takes messages that other traces have sent.
    Batch(Batch),
}

#[derive(Debug, Clone)]
pub struct Batch {
    pub queue: usize,
    /// The numbers of the calls that sent them.
    pub messages: Vec<u64>,
    pub taken: Taken,
    /// What the consumer did: one try for all, or one for each message.
    pub tries: Vec<Try>,
}

/// How a consumer's SDK records a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// One process span with a link to each message.
    Together,
    /// One process span for each, inside a CONSUMER receive span, or a CLIENT one as the conventions have it
    /// since 1.24.
    OneByOne { by_client: bool },
}

/// An instance of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub service: usize,
    pub instance: usize,
}

/// What is called, by its number in the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Service(usize),
    Store(usize),
    Host(usize),
    Queue(usize),
}

/// What became of a call, and how one can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Ok,
    NotFound,
    Failed,
    /// By gRPC status: UNAVAILABLE and RESOURCE_EXHAUSTED.
    GrpcUnavailable,
    GrpcExhausted,
    /// The callee's span says ERROR and nothing else tells.
    Threw,
    /// The caller stopped waiting: it has a time-out, the callee a caller that is gone.
    TimedOut,
}

/// Why the caller's proxy let a call not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    NoHealthyUpstream,
    ConnectionFailed,
    RateLimited,
}

impl Refusal {
    /// Envoy's flag for it.
    pub fn flag(self) -> &'static str {
        match self {
            Refusal::NoHealthyUpstream => "UH",
            Refusal::ConnectionFailed => "UF",
            Refusal::RateLimited => "RL",
        }
    }
}

/// How the caller's SDK records a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Made {
    /// INTERNAL spans above the made one.
    pub internals: u8,
    /// An SDK's operation around the request.
    pub operation: bool,
    /// The name look-up and the connecting inside the request.
    pub connecting: bool,
    pub spelling: Spelling,
    /// A message sent by a CLIENT span.
    pub by_client: bool,
    /// A message created by a span of its own before it is sent.
    pub created: bool,
}

/// How an SDK writes the far end of a call: SDKs of all ages are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Spelling {
    #[default]
    ServerAddress,
    NetPeerName,
    UrlFull,
    HttpUrl,
    PeerService,
    PeerAddress,
    Nothing,
}

impl Spelling {
    pub const ALL: [Spelling; 7] = [
        Spelling::ServerAddress,
        Spelling::NetPeerName,
        Spelling::UrlFull,
        Spelling::HttpUrl,
        Spelling::PeerService,
        Spelling::PeerAddress,
        Spelling::Nothing,
    ];

    /// Whether the made span by itself says which service it called.
    pub fn names_callee(self) -> bool {
        !matches!(self, Spelling::PeerAddress | Spelling::Nothing)
    }
}

/// How tries after the first are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// One made span stands for all of them.
    Hidden,
    /// One made span each, inside the operation's.
    UnderOperation,
    /// One made span each, side by side, the later ones with a resend count.
    Resent,
    /// One made span each, inside the operation's, and none because another failed: each is a call.
    Separate,
}

/// What a request may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upgrade {
    /// A web socket: status 101.
    Socket,
    /// A tunnel: the method CONNECT.
    Tunnel,
}

#[derive(Debug, Clone)]
pub struct Call {
    pub number: u64,
    /// `None`: somebody outside.
    pub caller: Option<Place>,
    pub target: Target,
    pub is_grpc: bool,
    pub start: Nanos,
    pub duration: Nanos,
    pub verdict: Verdict,
    pub upgrade: Option<Upgrade>,
    pub refusal: Option<Refusal>,
    pub made: Made,
    pub tried: Tried,
    /// Both halves have one span id.
    pub shares_id: bool,
    /// What arrived, in order: more than one where it was tried again. Of a queue: what it delivered.
    pub tries: Vec<Try>,
    /// What arrived at other services of the same made span.
    pub mirrors: Vec<Try>,
}

/// A call as it was received.
#[derive(Debug, Clone)]
pub struct Try {
    pub number: u64,
    pub at: Place,
    pub start: Nanos,
    pub duration: Nanos,
    pub verdict: Verdict,
    pub received: Received,
    pub calls: Vec<Call>,
}

/// How a receiver's SDK records a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Received {
    /// Further received spans inside the first.
    pub frames: u8,
    /// An INTERNAL span between the frames.
    pub internal_between: bool,
    /// A message: taken by a receive span with the process span inside.
    pub receive: bool,
    /// A message that a queue delivered by HTTP, with nothing of the message on the span.
    pub pushed: bool,
    /// A SERVER span of a message, a CONSUMER span of a call.
    pub is_other_kind: bool,
    /// A message: settled after it was processed.
    pub settled: bool,
}

impl Story {
    /// The call that sent a message.
    pub fn sent(&self, number: u64) -> &Call {
        let mut calls = self.traces.iter().flat_map(Trace::calls);
        calls.find(|call| call.number == number).expect("what was taken was sent")
    }

    /// The trace in which a call was made.
    pub fn trace_of(&self, number: u64) -> &Trace {
        let has_it = |trace: &&Trace| trace.calls().iter().any(|call| call.number == number);
        self.traces.iter().find(has_it).expect("what was taken was sent")
    }
}

impl Trace {
    /// Every call of the trace, callers before what they set off.
    pub fn calls(&self) -> Vec<&Call> {
        let mut pending: Vec<&Call> = match &self.root {
            Root::Entry(call) => vec![call],
            Root::Job { calls, .. } => calls.iter().rev().collect(),
            Root::Batch(batch) => batch.tries.iter().flat_map(|tried| &tried.calls).rev().collect(),
        };
        let mut calls = Vec::new();
        while let Some(call) = pending.pop() {
            calls.push(call);
            let inside: Vec<&Call> = call.receptions().flat_map(|tried| &tried.calls).collect();
            pending.extend(inside.into_iter().rev());
        }
        calls
    }
}

impl Call {
    pub fn receptions(&self) -> impl Iterator<Item = &Try> {
        self.tries.iter().chain(&self.mirrors)
    }
}
