//! Kiali's graph, drawn from the answers to its own questions, is ours.
//!
//! Kiali asks per namespace and takes each series of an edge once, from the first answer that has it: calls that nobody
//! served, then what destinations in the namespace report, then what sources there do. Source: kiali,
//! `graph/telemetry/istio/istio.go`, `buildNamespaceTrafficMap` and `populateTrafficMap`.

use std::collections::{BTreeMap, BTreeSet};

use meshlake_calls::{By, Frame, Grain, Question, Range, Source as Evidence};

use super::*;
use crate::calls::load_from;

const GROUPED_BY: &str = "source_cluster,source_workload_namespace,source_workload,source_canonical_service,\
    source_canonical_revision,destination_cluster,destination_service_namespace,destination_service,\
    destination_service_name,destination_workload_namespace,destination_workload,destination_canonical_service,\
    destination_canonical_revision,request_protocol,response_code,grpc_response_status,response_flags";

const NAMESPACES: [&str; 3] = ["shop", "bank", "unknown"];

/// Without these Kiali leaves a series out.
const NEEDED: [&str; 14] = [
    "source_workload_namespace",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "destination_service_namespace",
    "destination_service",
    "destination_service_name",
    "destination_workload_namespace",
    "destination_workload",
    "destination_canonical_service",
    "destination_canonical_revision",
    "request_protocol",
    "response_code",
    "response_flags",
];

/// Calls of a minute by the ends of an edge.
type Edges = BTreeMap<(String, String), f64>;

fn questions(namespace: &str) -> [String; 3] {
    let of = |selector: String| {
        format!("round(sum(rate(istio_requests_total{{{selector}}} [60s])) by ({GROUPED_BY}) > 0,0.001)")
    };
    [
        of(format!(
            "reporter=\"source\",source_workload_namespace!=\"{namespace}\",\
             destination_workload_namespace=\"unknown\",destination_workload=\"unknown\",\
             destination_service=~\"^.+\\\\.{namespace}\\\\..+$\""
        )),
        of(format!("reporter=\"destination\",destination_workload_namespace=\"{namespace}\"")),
        of(format!("reporter=\"source\",source_workload_namespace=\"{namespace}\"")),
    ]
}

/// The edges that Kiali draws.
fn drawn(counted: &Counted, now: i64) -> Edges {
    let (mut edges, mut seen) = (Edges::new(), BTreeSet::new());
    for namespace in NAMESPACES {
        for text in questions(namespace) {
            let AnswerValue::Vector(_, rows) = evaluated(counted, &text, When::Instant(now * 1_000)).value
            else {
                panic!("Kiali takes vectors only")
            };
            for (labels, point) in rows {
                assert!(NEEDED.iter().all(|name| !labels.get(name).is_empty()), "{labels} lacks a label");
                let [code, status] = ["response_code", "grpc_response_status"].map(|name| labels.get(name));
                let code = match (code, labels.get("request_protocol")) {
                    ("0", _) => "-",
                    (_, "grpc") => status,
                    (code, _) => code,
                };
                let ends = NEEDED[..11].iter().map(|name| labels.get(name)).collect::<Vec<_>>().join(" ");
                if seen.insert(format!("{ends} {code} {}", labels.get("response_flags"))) {
                    let edge = (
                        labels.get("source_canonical_service").to_owned(),
                        labels.get("destination_service_name").to_owned(),
                    );
                    *edges.entry(edge).or_default() += (float(&point) * 60.0).round();
                }
            }
        }
    }
    edges
}

/// A call from one service to another, as one of their proxies saw it.
fn of_ends(observer: &str, id: &str, from: (&str, &str), to: (&str, &str)) -> Row {
    let workload = |name: &str| Cell::from(format!("{name}-v1").as_str());
    let row = with(
        call(3_610, observer),
        [
            ("request_id", id.into()),
            ("source_namespace", from.0.into()),
            ("source_service", from.1.into()),
            ("source_workload", workload(from.1)),
            ("destination_namespace", to.0.into()),
            ("destination_service", to.1.into()),
            ("destination_workload", workload(to.1)),
        ],
    );
    let is_outside = to.0.is_empty();
    row.into_iter().filter(|(name, _)| !is_outside || *name != "destination_workload").collect()
}

/// web calls cart, seen by both, with an error among them and one that never arrived; cart calls the bank's gRPC, seen by
/// both; the bank calls a service without a proxy and a host outside; somebody unknown calls web.
fn mesh() -> Vec<Row> {
    let (web, cart, pay) = (("shop", "web"), ("shop", "cart"), ("bank", "pay"));
    let mut rows = Vec::new();
    for (id, code, outcome) in [("1", 200, "ok"), ("2", 200, "ok"), ("3", 500, "error")] {
        let said = [("response_code", code.into()), ("outcome", outcome.into())];
        rows.extend(["client", "server"].map(|side| with(of_ends(side, id, web, cart), said.clone())));
    }
    let refused = [
        ("response_code", 503.into()),
        ("outcome", "error".into()),
        ("attempts", 0.into()),
        ("response_flags", (meshlake_schema::ResponseFlags::from_short_names("UO").0.cast_signed()).into()),
        ("response_flags_text", "UO".into()),
    ];
    rows.push(with(of_ends("client", "4", web, cart), refused));
    for id in ["5", "6"] {
        let said = [("grpc_status", 14.into()), ("outcome", "error".into())];
        rows.extend(["client", "server"].map(|side| with(of_ends(side, id, cart, pay), said.clone())));
    }
    rows.push(of_ends("client", "7", pay, ("bank", "legacy")));
    rows.push(of_ends("client", "8", pay, ("", "api.example")));
    let mut unknown = of_ends("server", "9", ("", ""), web);
    unknown.retain(|name, _| !name.starts_with("source_"));
    rows.push(unknown);
    rows
}

#[tokio::test]
async fn kialis_graph_is_ours() {
    let query = engine(&mesh(), 3_660).begin("default").await.expect("a place is free");
    let at = |second: i64| UnixNanos(second * SECOND);
    let range = Range::new(at(3_600), at(3_660), None).expect("a minute");
    let question = Question { range, by: By::Service, grain: Grain::Node, source: Evidence::Auto };
    let picture = load_from(&query, question, Frame::whole()).await.expect("a few cells");
    let name = |node: usize| match picture.nodes[node].kind {
        meshlake_calls::NodeKind::Client => UNKNOWN.to_owned(),
        _ => picture.nodes[node].name.clone(),
    };
    let ours: Edges = picture
        .edge_cells
        .iter()
        .map(|edge| ((name(edge.source), name(edge.target)), edge.measure.requests()))
        .collect();
    let counted = Counted::new(query, Arc::new(Chunks::default()), Handle::current());
    let kialis = tokio::task::spawn_blocking(move || drawn(&counted, 3_660)).await.expect("a graph");
    let edge = |from: &str, to: &str, calls: f64| ((from.to_owned(), to.to_owned()), calls);
    let want = [
        edge("cart", "pay", 2.0),
        edge("pay", "api.example", 1.0),
        edge("pay", "legacy", 1.0),
        edge(UNKNOWN, "web", 1.0),
        edge("web", "cart", 4.0),
    ];
    assert_eq!(ours, Edges::from(want));
    assert_eq!(kialis, ours);
}

const UNKNOWN: &str = "unknown";
