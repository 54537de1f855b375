//! What comes in at the gateways: hosts and routes from the outside in.
//!
//! A gateway's row is the call that it received and the one that it made, so that both have the same latency and outcome;
//! what it received and did not pass on it answered or refused itself. Limits: [`ROWS_MAX`] hosts and routes; scanners ask
//! for many hosts, and those of fewest calls are summed up.

use std::collections::BTreeMap;

use crate::detail::Detail;
use crate::entry::Entry;
use crate::measure::Measure;
use crate::{By, Evidence, Figures, Grain, NodeKind, Part, Parts, PartsFrame, Question, Range, Source, Told};

/// Most hosts and routes of an answer, busiest first.
pub const ROWS_MAX: usize = 1_000;

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Gateways {
    pub range: Range,
    /// Sorted by gateway, then busiest first.
    pub rows: Vec<GatewayRow>,
    pub warnings: Vec<String>,
}

/// A host and route of a gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct GatewayRow {
    /// Id of the gateway.
    pub gateway: String,
    /// As the caller asked for it; `None` where it named none, or only spans tell.
    pub host: Option<String>,
    /// Name of the route that matched; `None` where none did, or it has no name.
    pub route: Option<String>,
    /// What came in.
    pub figures: Figures,
    pub evidence: Evidence,
    /// Calls that the gateway did not pass on: refused, or answered by itself.
    pub kept: f64,
    /// Where it passed calls on to, busiest first.
    pub upstreams: Vec<Upstream>,
}

/// A service behind a gateway.
#[derive(Debug, Clone, PartialEq)]
pub struct Upstream {
    /// Id of the node.
    pub service: String,
    pub figures: Figures,
    pub retries: f64,
}

/// The question whose parts an answer is cut from.
pub fn question(range: Range) -> Question {
    let told = Told::HOST.with(Told::ROUTE);
    Question { range, by: By::Service, grain: Grain::Told(told), source: Source::Auto }
}

/// The parts that an answer is cut from, about all gateways or one, by id or by name.
pub fn wanted(gateway: Option<&str>) -> PartsFrame {
    PartsFrame { service: gateway.map(str::to_owned), at_gateways: true, ..PartsFrame::default() }
}

/// Gateway, host, route.
type Key = (usize, Option<String>, Option<String>);

#[derive(Default)]
struct Sums {
    received: Measure,
    passed_on: BTreeMap<usize, Measure>,
}

/// Hosts and routes of all gateways, or of one, by id or by name; `host` keeps rows of that host.
pub fn gateways(parts: &Parts, gateway: Option<&str>, host: Option<&str>) -> Gateways {
    let is_gateway = |node: usize| {
        let node = &parts.nodes[node];
        node.kind == NodeKind::Gateway && gateway.is_none_or(|name| node.is_of(name))
    };
    // A gateway whose proxy tells of its calls is told of by it; its spans know no host.
    let has_rows = |node: usize| {
        let is_received = |part: &&Part| part.target == node && part.entry == Entry::Received;
        parts.parts.iter().filter(is_received).any(|part| part.evidence == Evidence::Requests)
    };
    let mut evidence: BTreeMap<usize, Evidence> = BTreeMap::new();
    for node in (0..parts.nodes.len()).filter(|node| is_gateway(*node)) {
        evidence.insert(node, if has_rows(node) { Evidence::Requests } else { Evidence::Spans });
    }
    let mut sums: BTreeMap<Key, Sums> = BTreeMap::new();
    for part in &parts.parts {
        let detail = Detail::read(&part.detail);
        let key = |node| (node, detail.host.map(str::to_owned), detail.route.map(str::to_owned));
        let is_told = |node: usize| evidence.get(&node) == Some(&part.evidence);
        match (part.entry, part.source) {
            (Entry::Received, _) if is_told(part.target) => {
                sums.entry(key(part.target)).or_default().received.merge(&part.measure);
            }
            (Entry::Edge, Some(source)) if is_told(source) => {
                let passed_on = &mut sums.entry(key(source)).or_default().passed_on;
                passed_on.entry(part.target).or_default().merge(&part.measure);
            }
            _ => {}
        }
    }
    sums.retain(|key, _| host.is_none_or(|host| key.1.as_deref() == Some(host)));
    let mut warnings = parts.warnings.clone();
    warnings.extend(unknown(gateway, host, &evidence, &sums));
    let mut rows: Vec<GatewayRow> =
        sums.into_iter().map(|(key, sums)| row(parts, key, &sums, &evidence)).collect();
    rows.sort_by(|a, b| b.figures.requests.total_cmp(&a.figures.requests));
    if rows.len() > ROWS_MAX {
        let rest: f64 = rows[ROWS_MAX..].iter().map(|row| row.figures.requests).sum();
        let count = rows.len() - ROWS_MAX;
        warnings.push(format!("only the {ROWS_MAX} busiest are told of; {count} more have {rest} calls"));
        rows.truncate(ROWS_MAX);
    }
    rows.sort_by(|a, b| a.gateway.cmp(&b.gateway));
    Gateways { range: parts.range, rows, warnings }
}

fn unknown(
    gateway: Option<&str>,
    host: Option<&str>,
    evidence: &BTreeMap<usize, Evidence>,
    sums: &BTreeMap<Key, Sums>,
) -> Option<String> {
    match (gateway, host) {
        (Some(name), _) if evidence.is_empty() => {
            Some(format!("no gateway is called `{name}` in this range"))
        }
        (_, Some(host)) if sums.is_empty() => {
            Some(format!("no gateway was asked for `{host}` in this range"))
        }
        (None, None) if evidence.is_empty() => Some("no gateway is known in this range".to_owned()),
        _ => None,
    }
}

fn row(parts: &Parts, key: Key, sums: &Sums, evidence: &BTreeMap<usize, Evidence>) -> GatewayRow {
    let (node, host, route) = key;
    let evidence = evidence[&node];
    let seconds = parts.range.bucket_seconds(0);
    let mut upstreams: Vec<Upstream> = sums
        .passed_on
        .iter()
        .map(|(target, measure)| Upstream {
            service: parts.nodes[*target].id.clone(),
            figures: Figures::of(measure, evidence, seconds),
            retries: measure.retries(),
        })
        .collect();
    upstreams.sort_by(|a, b| b.figures.requests.total_cmp(&a.figures.requests));
    let passed_on: f64 = upstreams.iter().map(|upstream| upstream.figures.requests).sum();
    GatewayRow {
        gateway: parts.nodes[node].id.clone(),
        host,
        route,
        figures: Figures::of(&sums.received, evidence, seconds),
        evidence,
        kept: (sums.received.requests() - passed_on).max(0.0),
        upstreams,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Fold;
    use crate::fixture::{self, Request, SERVED};

    const IN: Request = Request {
        observer: "gateway",
        source: ("istio-system", "ingress"),
        destination: ("shop", "cart"),
        authority: "shop.example",
        ..SERVED
    };

    fn asked(requests: &[Request], gateway: Option<&str>, host: Option<&str>) -> Gateways {
        let mut fold = Fold::new(question(fixture::range()));
        fold.add_requests(&fixture::requests(requests));
        gateways(&fold.finish_parts().expect("a few cells"), gateway, host)
    }

    /// Gateway, host, route, what came in, what was kept, what was passed on to whom.
    fn told(answer: &Gateways) -> Vec<String> {
        let row = |row: &GatewayRow| {
            let upstreams: Vec<String> =
                row.upstreams.iter().map(|to| format!("{} {}", to.service, to.figures.requests)).collect();
            let text = |text: &Option<String>| text.clone().unwrap_or("-".to_owned());
            let (host, route) = (text(&row.host), text(&row.route));
            format!(
                "{} {host} {route} {} {} [{}]",
                row.gateway,
                row.figures.requests,
                row.kept,
                upstreams.join(", ")
            )
        };
        answer.rows.iter().map(row).collect()
    }

    #[test]
    fn hosts_and_routes_are_told_from_the_outside_in() {
        let refused = Request { flags: "RL", code: 429, outcome: "client_error", attempts: 0, ..IN };
        let rows = [
            Request { route: "cart", ..IN },
            Request { route: "cart", ..IN },
            Request { route: "pay", destination: ("shop", "pay"), ..IN },
            Request { route: "cart", ..refused },
            Request {
                authority: "scan.example",
                destination: ("", ""),
                flags: "NR",
                code: 404,
                attempts: 0,
                ..IN
            },
        ];
        let answer = asked(&rows, None, None);
        let want = [
            "istio-system/ingress shop.example cart 3 1 [shop/cart 2]",
            "istio-system/ingress scan.example - 1 1 []",
            "istio-system/ingress shop.example pay 1 0 [shop/pay 1]",
        ];
        assert_eq!(told(&answer), want);
        assert_eq!(told(&asked(&rows, Some("ingress"), Some("scan.example"))), [want[1]]);
    }

    #[test]
    fn what_is_not_there_is_said() {
        for (rows, gateway, host, want) in [
            (&[IN][..], Some("egress"), None, "no gateway is called `egress` in this range"),
            (&[IN][..], None, Some("x.example"), "no gateway was asked for `x.example` in this range"),
            (&[SERVED][..], None, None, "no gateway is known in this range"),
        ] {
            let answer = asked(rows, gateway, host);
            assert_eq!((answer.rows.len(), answer.warnings.as_slice()), (0, [want.to_owned()].as_slice()));
        }
    }
}
