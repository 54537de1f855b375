//! What one visit to the mesh was, exactly: a tree of calls with every number that anyone observed of it.
//!
//! The tree is the truth; access logs, spans and the truth's sums are translations of it, so they cannot
//! disagree by accident. Each call keeps what its observers saw apart (the caller's span, the caller's
//! proxy, the callee's proxy, the callee's span), because in a real mesh they see different things: a
//! timed-out call is a 504 for the caller's proxy, a vanished caller for the callee's proxy, and a slow
//! success for the callee.
//!
//! All times are nanoseconds from the start of the visit. Starts that a proxy reports are whole
//! microseconds, as Envoy's are.

use crate::demo::mesh::InstanceId;

/// One request from outside and all that it caused.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    pub trace_id: u128,
    /// X-Request-Id: given by the gateway, passed on by every application.
    pub request_id: String,
    /// IP address of the outside caller.
    pub client_address: String,
    pub user_agent: &'static str,
    /// The gateway's call to the page.
    pub entry: Call,
}

/// One call by a caller's application (or the gateway), whatever became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub caller: InstanceId,
    pub callee: Callee,
    pub operation: Operation,
    /// The caller application's port towards its own sidecar; the outside caller's port at the gateway.
    pub caller_port: u16,
    /// The caller application's CLIENT or PRODUCER span; `None` at the gateway.
    pub client_span: Option<AppSpan>,
    /// What the caller's proxy saw; `None` for the database and the queue, whose long-lived connections
    /// have no access log entry before they close.
    pub outbound: Option<ProxyReport>,
    /// What reached a pod of the callee: several when the proxy tried again, none when it was refused
    /// before. For a queue: the delivery to its consumer.
    pub attempts: Vec<Attempt>,
}

/// Where a call goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Callee {
    /// A service of the mesh; the subset is the version that the route chose, where a route chooses.
    Service {
        name: &'static str,
        subset: Option<&'static str>,
    },
    Database,
    Queue,
    External,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    pub method: &'static str,
    pub route: &'static str,
    pub path: String,
    pub request_bytes: u64,
}

/// One try of a call, as it arrived at a pod.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    pub server: InstanceId,
    /// The caller's port: with the caller's IP address the key that joins both proxies' entries.
    pub port: u16,
    /// What the callee's proxy saw; `None` for deliveries of the queue.
    pub inbound: Option<ProxyReport>,
    /// The callee application's SERVER or CONSUMER span; `None` when its proxy refused.
    pub server_span: Option<AppSpan>,
    /// What the callee called in turn, in order.
    pub calls: Vec<Call>,
}

/// A span of an application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AppSpan {
    pub id: u64,
    pub start: u64,
    pub duration: u64,
    /// HTTP status; `None` for the database and the queue.
    pub status: Option<u16>,
    /// Whether the application set the status ERROR.
    pub failed: bool,
}

/// One access log entry's worth of knowledge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyReport {
    pub start: u64,
    pub duration: u64,
    /// `None` when no response was sent.
    pub status: Option<u16>,
    pub flag: Option<Flag>,
    /// Envoy's response code details.
    pub details: &'static str,
    /// How often the upstream was tried.
    pub attempts: u32,
    /// From `start` to the first byte sent upstream; `None` when nothing was.
    pub upstream_first_sent: Option<u64>,
    /// From `start` to the last byte received from upstream; `None` when the response was not complete.
    pub upstream_last_received: Option<u64>,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

/// Envoy's response flags, as far as the mesh meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flag {
    /// DC: whoever called is gone.
    CallerGone,
    /// UT: the route's time-out passed.
    TimedOut,
    /// UO: the circuit breaker was open.
    Overflow,
    /// RL: over the rate limit.
    RateLimited,
    /// URX: the last allowed attempt failed too.
    RetriesExhausted,
    /// UF: nobody listened where the pod had been.
    NoConnection,
}

/// What became of a call, for one observer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Ok,
    ClientError,
    Error,
    Aborted,
}

impl ProxyReport {
    /// When the proxy was done with it.
    pub fn end(&self) -> u64 {
        self.start + self.duration
    }

    pub fn fate(&self) -> Fate {
        match self.flag {
            Some(Flag::CallerGone) => Fate::Aborted,
            Some(Flag::RateLimited) => Fate::ClientError,
            Some(Flag::TimedOut | Flag::Overflow | Flag::RetriesExhausted | Flag::NoConnection) => {
                Fate::Error
            }
            None => self.status.map_or(Fate::Aborted, fate_of_status),
        }
    }
}

impl AppSpan {
    pub fn end(&self) -> u64 {
        self.start + self.duration
    }

    pub fn fate(&self) -> Fate {
        match self.status {
            Some(status) => fate_of_status(status),
            None if self.failed => Fate::Error,
            None => Fate::Ok,
        }
    }
}

impl Visit {
    /// When the last of all observers was done.
    pub fn end(&self) -> u64 {
        self.entry.end()
    }
}

impl Call {
    fn end(&self) -> u64 {
        let own = [self.client_span.map(|s| s.end()), self.outbound.map(|o| o.end())];
        own.into_iter().flatten().chain(self.attempts.iter().map(Attempt::end)).max().unwrap_or_default()
    }
}

impl Attempt {
    fn end(&self) -> u64 {
        let own = [self.server_span.map(|s| s.end()), self.inbound.map(|o| o.end())];
        own.into_iter().flatten().chain(self.calls.iter().map(Call::end)).max().unwrap_or_default()
    }
}

fn fate_of_status(status: u16) -> Fate {
    match status {
        500.. => Fate::Error,
        400..=499 => Fate::ClientError,
        _ => Fate::Ok,
    }
}
