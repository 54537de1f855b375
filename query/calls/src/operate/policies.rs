//! What the mesh and its applications were told to do with calls, and did: time-outs, retries, limits, breakers, ejected
//! outliers, injected faults and refusals, by edge and reason.
//!
//! A flag is a fact that one observer tells, so that each side of a call stands alone: a call that its caller's proxy gave
//! up on (`UT`) is one whose caller went away (`DC`) to the callee's, and both are told, `at` saying by whom. Two rows of
//! one edge must not be added. A call with several flags is told under each.

use std::collections::BTreeMap;

use super::reasons::{self, Policy, RETRIED};
use crate::detail::Detail;
use crate::entry::Entry;
use crate::measure::MILLI;
use crate::{
    By, Evidence, Grain, NodeIdentity, NodeKind, Part, Parts, PartsFrame, Question, Range, Source, Told,
};

/// Most rows of an answer, those of most calls first.
pub const ROWS_MAX: usize = 2_000;

/// Who did it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// The caller, or its proxy.
    Client,
    /// The callee, or its proxy.
    Server,
    Gateway,
}

impl At {
    pub const fn name(self) -> &'static str {
        match self {
            At::Client => "client",
            At::Server => "server",
            At::Gateway => "gateway",
        }
    }
}

/// What to tell of.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked<'a> {
    /// A service at either end, by id or by name; the caller; the callee.
    pub service: Option<&'a str>,
    pub client: Option<&'a str>,
    pub server: Option<&'a str>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Policies {
    pub range: Range,
    /// Sorted by callee, caller, policy, reason.
    pub rows: Vec<PolicyRow>,
    pub warnings: Vec<String>,
}

/// Calls of one edge that were ended, held back or tried again for one reason.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyRow {
    /// Ids of nodes; no caller where nothing tells who called.
    pub client: Option<String>,
    pub server: String,
    pub at: At,
    pub policy: Policy,
    /// A flag of a proxy, details of its answer, a type of error, a code, or `retried`.
    pub reason: String,
    pub meaning: &'static str,
    /// Calls, or, where `retried`, tries.
    pub requests: f64,
    /// Of the calls of the edge that the same observer tells of.
    pub share: f64,
    /// A second, over what was observed.
    pub rate: f64,
    pub evidence: Evidence,
}

/// The question whose parts an answer is cut from.
pub fn question(range: Range) -> Question {
    let told = Told::FLAGS.with(Told::CODE).with(Told::REFUSAL);
    Question { range, by: By::Service, grain: Grain::Told(told), source: Source::Auto }
}

/// The parts that an answer is cut from.
pub fn wanted(asked: Asked<'_>) -> PartsFrame {
    let [service, client, server] =
        [asked.service, asked.client, asked.server].map(|name| name.map(str::to_owned));
    PartsFrame { service, client, server, without_latencies: true, ..PartsFrame::default() }
}

/// What ended calls, by edge.
pub fn policies(parts: &Parts, asked: Asked<'_>) -> Policies {
    let wanted = wanted(asked);
    let is_wanted =
        |part: &Part| wanted.wants(part.source.map(|node| &parts.nodes[node]), &parts.nodes[part.target]);
    let mut sums = Sums::default();
    parts.parts.iter().filter(|part| is_wanted(part)).for_each(|part| sums.add(parts, part));
    sums.tell_gateways_once();
    let mut warnings = parts.warnings.clone();
    for name in [asked.service, asked.client, asked.server].into_iter().flatten() {
        if !parts.nodes.iter().any(|node| node.is_of(name)) {
            warnings.push(format!("no node is called `{name}` in this range"));
        }
    }
    let mut rows = sums.rows(parts);
    if rows.len() > ROWS_MAX {
        warnings.push(format!("only the {ROWS_MAX} rows of most calls are told, of {}", rows.len()));
        rows.sort_by(|a, b| b.requests.total_cmp(&a.requests));
        rows.truncate(ROWS_MAX);
    }
    rows.sort_by(|a, b| a.order().cmp(&b.order()));
    Policies { range: parts.range, rows, warnings }
}

impl PolicyRow {
    fn order(&self) -> (&str, Option<&str>, Policy, &str, At) {
        (&self.server, self.client.as_deref(), self.policy, &self.reason, self.at)
    }
}

/// An edge as one observer tells of it: caller, callee, who, by what.
type Side = (Option<usize>, usize, At, Evidence);

#[derive(Default)]
struct Sums {
    /// All calls that a side tells of, in thousandths.
    all: BTreeMap<Side, u64>,
    found: BTreeMap<(Side, String), (Policy, &'static str, u64)>,
}

impl Sums {
    fn add(&mut self, parts: &Parts, part: &Part) {
        let Some(at) = at(part, &parts.nodes) else { return };
        let side = (part.source, part.target, at, part.evidence);
        let calls = part.measure.requests_milli();
        *self.all.entry(side).or_default() += calls;
        let detail = Detail::read(&part.detail);
        let flags = detail.response_flags.unwrap_or_default().split(',');
        let mut has_reason = false;
        for (flag, policy, meaning) in flags.filter_map(reasons::of_flag) {
            has_reason = true;
            self.find(side, flag, policy, meaning, calls);
        }
        if let Some(refusal) = detail.refusal
            && let Some((policy, meaning)) = reasons::of_refusal(refusal)
        {
            has_reason = true;
            self.find(side, refusal, policy, meaning, calls);
        }
        // What a caller was answered is the callee's doing, where the callee can tell.
        let is_own = at == At::Server || !parts.nodes[part.target].kind.reports();
        let by_codes = reasons::of_codes(detail.response_code, detail.grpc_status);
        if let Some((code, policy, meaning)) = by_codes.filter(|_| is_own && !has_reason) {
            self.find(side, code, policy, meaning, calls);
        }
        let retries = (part.measure.retries() * MILLI as f64).round() as u64;
        if retries > 0 {
            let (name, policy, meaning) = RETRIED;
            self.find(side, name, policy, meaning, retries);
        }
    }

    /// A row of a gateway is the call that it received and the one that it made. What is told of those made is taken off
    /// those received, so that only what it did not pass on is told there.
    fn tell_gateways_once(&mut self) {
        let mut made: BTreeMap<(usize, Evidence, String), u64> = BTreeMap::new();
        for ((side, reason), (.., calls)) in &self.found {
            if let (At::Gateway, Some(source)) = (side.2, side.0) {
                *made.entry((source, side.3, reason.clone())).or_default() += calls;
            }
        }
        for ((side, reason), (.., calls)) in &mut self.found {
            if side.2 == At::Gateway
                && let Some(made) = made.get_mut(&(side.1, side.3, reason.clone()))
            {
                let twice = (*calls).min(*made);
                (*calls, *made) = (*calls - twice, *made - twice);
            }
        }
        self.found.retain(|_, (.., calls)| *calls > 0);
    }

    fn find(&mut self, side: Side, reason: &str, policy: Policy, meaning: &'static str, calls: u64) {
        self.found.entry((side, reason.to_owned())).or_insert((policy, meaning, 0)).2 += calls;
    }

    fn rows(self, parts: &Parts) -> Vec<PolicyRow> {
        let calls = |milli: u64| milli as f64 / MILLI as f64;
        let seconds = parts.range.bucket_seconds(0);
        // Spans tell what proxies tell already.
        let is_told = |(side, reason): &(Side, String)| {
            let by_rows = ((side.0, side.1, side.2, Evidence::Requests), reason.clone());
            side.3 == Evidence::Spans && self.found.contains_key(&by_rows)
        };
        let rows = self.found.iter().filter(|(key, _)| !is_told(key));
        let row =
            |((side, reason), (policy, meaning, milli)): (&(Side, String), &(Policy, &'static str, u64))| {
                PolicyRow {
                    client: side.0.map(|node| parts.nodes[node].id.clone()),
                    server: parts.nodes[side.1].id.clone(),
                    at: side.2,
                    policy: *policy,
                    reason: reason.clone(),
                    meaning,
                    requests: calls(*milli),
                    share: calls(*milli) / calls(self.all[side]),
                    rate: calls(*milli) / seconds,
                    evidence: side.3,
                }
            };
        rows.map(row).collect()
    }
}

/// Whose word a part is; none of what counts no calls, and of edges that only the callee told of, which it tells at its node.
fn at(part: &Part, nodes: &[NodeIdentity]) -> Option<At> {
    let is_gateway = |node: usize| nodes[node].kind == NodeKind::Gateway;
    let is_callees = Detail::read(&part.detail).observer.is_callees();
    match part.entry {
        Entry::Edge | Entry::Messages | Entry::Connections if is_callees => None,
        Entry::Edge | Entry::Refused | Entry::Messages | Entry::Connections => {
            Some(if part.source.is_some_and(is_gateway) { At::Gateway } else { At::Client })
        }
        Entry::Received | Entry::ReceivedMessages | Entry::ReceivedConnections => {
            Some(if is_gateway(part.target) { At::Gateway } else { At::Server })
        }
        Entry::Carrying | Entry::CarryingTraced | Entry::Alias => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fold;
    use crate::fixture::{self, CALL, CLIENT, Request, SERVED, SERVER, SPAN, Span};

    fn asked(requests: &[Request], spans: &[Span], asked: Asked<'_>) -> Policies {
        let mut fold = Fold::new(question(fixture::range()));
        fold.add_requests(&fixture::requests(requests));
        fold.add_spans(&fixture::spans(spans));
        policies(&fold.finish_parts().expect("a few cells"), asked)
    }

    /// Each row, as `client -> server at policy reason calls`.
    fn told(answer: &Policies) -> Vec<String> {
        let row = |row: &PolicyRow| {
            let client = row.client.as_deref().unwrap_or("-");
            let (at, policy) = (row.at.name(), row.policy.name());
            format!("{client} -> {} {at} {policy} {} {}", row.server, row.reason, row.requests)
        };
        answer.rows.iter().map(row).collect()
    }

    #[test]
    fn every_refusal_is_told_under_its_policy_by_who_refused() {
        let rows = [
            Request { flags: "UO", outcome: "error", code: 503, attempts: 0, ..CALL },
            Request { request_id: "1", flags: "UT", outcome: "error", code: 504, ..CALL },
            Request { request_id: "1", flags: "DC", outcome: "aborted", code: 0, ..SERVED },
            Request { request_id: "2", code: 403, outcome: "client_error", ..CALL },
            Request {
                request_id: "2",
                code: 403,
                outcome: "client_error",
                details: "rbac_access_denied_matched_policy[none]",
                ..SERVED
            },
            Request { request_id: "3", attempts: 3, flags: "URX,UF", outcome: "error", ..CALL },
        ];
        let answer = asked(&rows, &[], Asked::default());
        let mut want = vec![
            "default/a -> default/b client timeout UT 1",
            "default/a -> default/b client retry URX 1",
            "default/a -> default/b client circuit_breaker UO 1",
            "default/a -> default/b client connection UF 1",
            "default/a -> default/b server authorization rbac_access_denied_matched_policy[none] 1",
            "default/a -> default/b server caller DC 1",
        ];
        let mut have = told(&answer);
        have.sort_unstable();
        want.sort_unstable();
        assert_eq!(have, want);
        let breaker = answer.rows.iter().find(|row| row.reason == "UO").expect("told above");
        assert_eq!((breaker.share, breaker.rate), (1.0 / 4.0, 1.0 / 60.0));
    }

    #[test]
    fn retries_are_counted_by_tries() {
        let rows = [Request { attempts: 3, ..CALL }, Request { attempts: 2, ..CALL }];
        assert_eq!(
            told(&asked(&rows, &[], Asked::default())),
            ["default/a -> default/b client retry retried 3"]
        );
    }

    /// The breaker of an application, in a SERVER span; a limit that answers 429; a deadline on the caller's side, of an end
    /// that cannot tell itself.
    #[test]
    fn applications_refuse_too() {
        let open = "io.github.resilience4j.circuitbreaker.CallNotPermittedException";
        // As the Java agent tells it: the status is the type of the error, an event has the exception.
        let limited = "com.alibaba.csp.sentinel.slots.block.flow.FlowException";
        let full = "io.github.resilience4j.bulkhead.BulkheadFullException";
        let received = Span { kind: SERVER, service: ("x", "b"), ..SPAN };
        let spans = [
            Span { trace: 1, kind: SERVER, service: ("x", "b"), error_type: open, outcome: "error", ..SPAN },
            Span { trace: 2, kind: SERVER, service: ("x", "b"), http_status: 429, ..SPAN },
            Span {
                trace: 3,
                kind: CLIENT,
                service: ("x", "b"),
                server_address: "api.example",
                grpc_status: 4,
                ..SPAN
            },
            Span { trace: 4, kind: SERVER, service: ("x", "b"), error_type: "java.lang.Error", ..SPAN },
            Span { trace: 5, error_type: "500", exception_type: limited, outcome: "error", ..received },
            Span {
                trace: 6,
                error_type: "500",
                exception_type: "java.lang.Error",
                outcome: "error",
                ..received
            },
            // Wrapped by the application.
            Span {
                trace: 7,
                error_type: "500",
                exception_type: "java.lang.RuntimeException",
                exception_cause: full,
                outcome: "error",
                ..received
            },
        ];
        let answer = asked(&[], &spans, Asked::default());
        let want = [
            "x/b -> api.example client timeout grpc_4 1".to_owned(),
            "client@x/b -> x/b server rate_limit http_429 1".to_owned(),
            format!("client@x/b -> x/b server circuit_breaker {full} 1"),
            format!("client@x/b -> x/b server circuit_breaker {open} 1"),
            format!("client@x/b -> x/b server rate_limit {limited} 1"),
        ];
        let mut have = told(&answer);
        have.sort_by_key(|row| want.iter().position(|want| want == row));
        assert_eq!(have, want);
    }

    #[test]
    fn what_proxies_tell_is_not_told_again_by_spans() {
        let row = Request { code: 429, ..SERVED };
        let caller = Span { kind: CLIENT, ..SPAN };
        let span =
            Span { id: 2, parent: 1, kind: SERVER, service: ("default", "b"), http_status: 429, ..SPAN };
        let answer = asked(&[row, row], &[caller, span], Asked::default());
        assert_eq!(told(&answer), ["default/a -> default/b server rate_limit http_429 2"]);
    }

    /// A gateway's limit refuses a call to cart and one that no route leads anywhere; a third times out at cart.
    #[test]
    fn what_a_gateway_did_is_told_once() {
        let at_gateway = Request {
            observer: "gateway",
            source: ("istio-system", "ingress"),
            destination: ("shop", "cart"),
            outcome: "error",
            ..SERVED
        };
        let rows = [
            Request { flags: "RL", code: 429, attempts: 0, ..at_gateway },
            Request { flags: "NR", code: 404, attempts: 0, destination: ("", ""), ..at_gateway },
            Request { flags: "UT", code: 504, ..at_gateway },
        ];
        let want = [
            "client@istio-system/ingress -> istio-system/ingress gateway routing NR 1",
            "istio-system/ingress -> shop/cart gateway timeout UT 1",
            "istio-system/ingress -> shop/cart gateway rate_limit RL 1",
        ];
        assert_eq!(told(&asked(&rows, &[], Asked::default())), want);
    }

    #[test]
    fn rows_are_of_the_ends_that_were_asked_for() {
        let limited = |source, destination| Request {
            source: ("x", source),
            destination: ("x", destination),
            flags: "RL",
            ..SERVED
        };
        let rows = [limited("a", "b"), limited("b", "c")];
        let count = |service, client, server| asked(&rows, &[], Asked { service, client, server }).rows.len();
        assert_eq!(count(None, None, None), 2);
        assert_eq!([count(Some("b"), None, None), count(Some("x/a"), None, None)], [2, 1]);
        assert_eq!([count(None, Some("b"), None), count(None, Some("a"), Some("b"))], [1, 1]);
        let answer = asked(&rows, &[], Asked { server: Some("d"), ..Asked::default() });
        assert_eq!(
            (answer.rows.len(), answer.warnings),
            (0, vec!["no node is called `d` in this range".to_owned()])
        );
    }
}
