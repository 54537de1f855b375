//! What the proxies make of a call: time-outs, retries, the circuit breaker, the rate limit, callers that leave.
//!
//! The cases follow what Envoy 1.40 was seen to log. A retried call is one entry at the caller (with the
//! attempt count) and one for each attempt at the callee, all but the last of which end with the caller
//! gone. A call cut by a time-out or by an impatient caller ends the same way at the callee, whose
//! application notices nothing and finishes its work.

use super::chances::{self, Policy};
use super::services::Served;
use super::{AppSpan, Attempt, Call, Callee, Flag, Model, Operation, ProxyReport};
use crate::demo::mesh::InstanceId;

const VIA_UPSTREAM: &str = "via_upstream";
const CALLER_LEFT: &str = "downstream_remote_disconnect";
/// What Envoy says to a caller instead of an answer, in bytes of the body.
const TIMEOUT_BODY: u64 = "upstream request timeout".len() as u64;
const OVERFLOW_BODY: u64 =
    "upstream connect error or disconnect/reset before headers. reset reason: overflow".len() as u64;
const NO_CONNECTION_BODY: u64 =
    "upstream connect error or disconnect/reset before headers. reset reason: connection failure".len()
        as u64;
const RATE_LIMIT_BODY: u64 = "local_rate_limited".len() as u64;

/// When and why a call ends before it is answered.
struct Cut {
    at: u64,
    flag: Flag,
}

impl Model {
    /// A call to a service of the mesh, by an application through its sidecar or by the gateway.
    pub(super) fn call(
        &mut self,
        caller: InstanceId,
        callee: Callee,
        operation: Operation,
        start: u64,
    ) -> Call {
        let Callee::Service { name, subset } = callee else {
            return self.call_outside(caller, callee, operation, start);
        };
        let policy = chances::policy_towards(name);
        let by_gateway = self.mesh.instance(caller).is_gateway();
        let sent = if by_gateway { start } else { start + self.delay(chances::TO_OWN_PROXY) };
        let sent = sent.next_multiple_of(1_000);
        let (outbound, attempts) = if self.meets_dead(name) {
            (self.no_connection(sent, &operation), Vec::new())
        } else if self.random.happens(policy.overflow) {
            (self.refusal(sent, &operation), Vec::new())
        } else {
            let attempts = self.attempts(caller, name, subset, &operation, sent, policy);
            self.outcome(by_gateway, attempts, sent, policy)
        };
        let client_span = (!by_gateway).then(|| self.client_span(start, &outbound));
        Call {
            caller,
            callee,
            operation,
            caller_port: self.port(),
            client_span,
            outbound: Some(outbound),
            attempts,
        }
    }

    /// The span of the application whose proxy saw this.
    pub(super) fn client_span(&mut self, start: u64, outbound: &ProxyReport) -> AppSpan {
        let end = outbound.end() + self.delay(chances::TO_OWN_PROXY);
        self.span(start, end, outbound.status, outbound.status.is_none_or(|status| status >= 400))
    }

    fn refusal(&mut self, start: u64, operation: &Operation) -> ProxyReport {
        ProxyReport {
            start,
            duration: self.delay(chances::REFUSAL),
            status: Some(503),
            flag: Some(Flag::Overflow),
            details: "upstream_reset_before_response_started{overflow}",
            attempts: 1,
            upstream_first_sent: None,
            upstream_last_received: None,
            request_bytes: operation.request_bytes,
            response_bytes: OVERFLOW_BODY,
        }
    }

    /// Nobody listens where the pod was: the caller's kernel hears so at once.
    fn no_connection(&mut self, start: u64, operation: &Operation) -> ProxyReport {
        ProxyReport {
            flag: Some(Flag::NoConnection),
            details: "upstream_reset_before_response_started{connection_failure}",
            duration: self.delay(chances::TO_OTHER_POD),
            response_bytes: NO_CONNECTION_BODY,
            ..self.refusal(start, operation)
        }
    }

    /// Tries until an attempt is answered by something else than 503, or until none is left.
    fn attempts(
        &mut self,
        caller: InstanceId,
        name: &str,
        subset: Option<&str>,
        operation: &Operation,
        sent: u64,
        policy: Policy,
    ) -> Vec<Attempt> {
        let mut attempts: Vec<Attempt> = Vec::new();
        let mut arrives = (sent + self.delay(chances::TO_OTHER_POD)).next_multiple_of(1_000);
        loop {
            let unavailable = if attempts.is_empty() { policy.unavailable.0 } else { policy.unavailable.1 };
            let server = self.pod_of(name, subset);
            let by_gateway = self.mesh.instance(caller).is_gateway();
            let attempt = if by_gateway && self.random.happens(chances::RATE_LIMITED) {
                self.rate_limited(server, operation, arrives)
            } else {
                let unavailable = self.random.happens(unavailable);
                self.attempt(server, operation, arrives, unavailable)
            };
            let inbound = attempt.inbound.expect("a pod of a service has a proxy");
            attempts.push(attempt);
            if inbound.status != Some(503) || attempts.len() >= policy.attempts_max as usize {
                return attempts;
            }
            self.give_up_on(attempts.last_mut());
            let wait = self.delay(chances::RETRY_BACK_OFF) + self.delay(chances::TO_OTHER_POD);
            arrives = (inbound.end() + wait).next_multiple_of(1_000);
        }
    }

    /// The proxy resets an attempt whose 503 it will not use; the callee's proxy logs that as DC.
    fn give_up_on(&mut self, attempt: Option<&mut Attempt>) {
        if let Some(inbound) = attempt.and_then(|attempt| attempt.inbound.as_mut()) {
            inbound.flag = Some(Flag::CallerGone);
            inbound.response_bytes = 0;
        }
    }

    fn attempt(
        &mut self,
        server: InstanceId,
        operation: &Operation,
        arrives: u64,
        unavailable: bool,
    ) -> Attempt {
        let received = arrives + self.delay(chances::TO_OWN_PROXY);
        let served = if unavailable { self.overloaded() } else { self.serve(server, operation, received) };
        let Served { duration, status, response_bytes, calls } = served;
        let span = self.span(received, received + duration, Some(status), status >= 500);
        let inbound = ProxyReport {
            start: arrives,
            duration: span.end() + self.delay(chances::TO_OWN_PROXY) - arrives,
            status: Some(status),
            flag: None,
            details: VIA_UPSTREAM,
            attempts: 1,
            upstream_first_sent: Some(received - arrives),
            upstream_last_received: Some(span.end() - arrives),
            request_bytes: operation.request_bytes,
            response_bytes,
        };
        Attempt { server, port: self.port(), inbound: Some(inbound), server_span: Some(span), calls }
    }

    fn overloaded(&mut self) -> Served {
        Served {
            duration: self.time(chances::OVERLOADED),
            status: 503,
            response_bytes: 19,
            calls: Vec::new(),
        }
    }

    fn rate_limited(&mut self, server: InstanceId, operation: &Operation, arrives: u64) -> Attempt {
        let inbound = ProxyReport {
            start: arrives,
            duration: self.delay(chances::REFUSAL),
            status: Some(429),
            flag: Some(Flag::RateLimited),
            details: "local_rate_limited",
            attempts: 0,
            upstream_first_sent: None,
            upstream_last_received: None,
            request_bytes: operation.request_bytes,
            response_bytes: RATE_LIMIT_BODY,
        };
        Attempt { server, port: self.port(), inbound: Some(inbound), server_span: None, calls: Vec::new() }
    }

    /// What the caller's proxy saw of these attempts, with the attempts as they really ended.
    fn outcome(
        &mut self,
        by_gateway: bool,
        mut attempts: Vec<Attempt>,
        sent: u64,
        policy: Policy,
    ) -> (ProxyReport, Vec<Attempt>) {
        let last = attempts.last().expect("every call that is not refused is tried");
        let inbound = last.inbound.expect("a pod of a service has a proxy");
        let reached_application = last.server_span.is_some();
        let first_arrival = attempts[0].inbound.map_or(sent, |first| first.start);
        let answered = inbound.end() + self.delay(chances::TO_OTHER_POD);
        let retries_failed = policy.attempts_max > 1 && inbound.status == Some(503);
        let outbound = ProxyReport {
            start: sent,
            duration: answered - sent,
            flag: retries_failed.then_some(Flag::RetriesExhausted),
            details: VIA_UPSTREAM,
            attempts: u32::try_from(attempts.len()).expect("attempts are bounded by attempts_max"),
            upstream_first_sent: Some((first_arrival - sent) / 2),
            upstream_last_received: Some(answered - sent),
            ..inbound
        };
        let gives_up = by_gateway && reached_application && self.random.happens(chances::GIVES_UP);
        let cut = if gives_up { Some(self.impatience(&outbound)) } else { timeout(policy, &outbound) };
        let outbound = match cut {
            Some(cut) => {
                let noticed = cut.at + self.delay(chances::TO_OTHER_POD);
                let last = attempts.last_mut().and_then(|attempt| attempt.inbound.as_mut());
                cut_inbound(last.expect("seen above"), noticed);
                cut_outbound(outbound, &cut)
            }
            None => outbound,
        };
        (outbound, attempts)
    }

    fn impatience(&mut self, outbound: &ProxyReport) -> Cut {
        let range = chances::GIVES_UP_LAST - chances::GIVES_UP_FIRST;
        let part = chances::GIVES_UP_FIRST + range * self.random.fraction();
        Cut { at: outbound.start + (outbound.duration as f64 * part) as u64, flag: Flag::CallerGone }
    }
}

fn timeout(policy: Policy, outbound: &ProxyReport) -> Option<Cut> {
    let limit = policy.timeout.filter(|limit| outbound.duration > *limit)?;
    Some(Cut { at: outbound.start + limit, flag: Flag::TimedOut })
}

fn cut_outbound(outbound: ProxyReport, cut: &Cut) -> ProxyReport {
    let timed_out = cut.flag == Flag::TimedOut;
    ProxyReport {
        duration: cut.at - outbound.start,
        status: timed_out.then_some(504),
        flag: Some(cut.flag),
        details: if timed_out { "upstream_response_timeout" } else { CALLER_LEFT },
        upstream_last_received: None,
        response_bytes: if timed_out { TIMEOUT_BODY } else { 0 },
        ..outbound
    }
}

/// Ends the callee's view when it learns that the caller is gone, unless its answer was out already.
fn cut_inbound(inbound: &mut ProxyReport, noticed: u64) {
    if noticed < inbound.start || noticed >= inbound.end() {
        return;
    }
    inbound.duration = noticed - inbound.start;
    inbound.status = None;
    inbound.flag = Some(Flag::CallerGone);
    inbound.details = CALLER_LEFT;
    inbound.upstream_last_received = None;
    inbound.response_bytes = 0;
}
