//! Golden metrics: rate, errors, latency and saturation by service, operation, version, instance or edge.
//!
//! Rows are cut from a [`Picture`], so that they agree with the graph to the last call. What counts is
//! decided there; this module only arranges. One row per group and bucket in which there were calls: a
//! bucket without calls has no row, because "no calls" and "no data" cannot be told apart by a zero.

use std::collections::BTreeMap;

use meshlake_schema::UnixNanos;

use crate::golden_by::promoted_keys;
use crate::measure::Measure;
use crate::{EdgeCell, Evidence, Figures, GoldenBy, NodeCell, NodeIdentity, Picture};

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    Node {
        node: NodeIdentity,
        /// Operation or instance, where asked for; `None` also where the calls do not name one.
        detail: Option<String>,
    },
    Edge {
        client: NodeIdentity,
        server: NodeIdentity,
    },
    /// A namespace, cluster or value of an attribute; `None` for the calls that tell none.
    Group(Option<String>),
}

/// What is known of an edge beside its figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgeFigures {
    /// Calls as the client side saw them, and as the server side did: two views of the same calls.
    pub client_requests: f64,
    pub server_requests: f64,
    pub retries: f64,
    pub refused: f64,
}

/// One row of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenRow {
    /// Start of the bucket; `None` when the whole range is one.
    pub time: Option<UnixNanos>,
    pub subject: Subject,
    pub figures: Figures,
    pub evidence: Evidence,
    pub edge: Option<EdgeFigures>,
}

/// The rows of a picture, sorted by name, then detail, then time. `service`, if given, keeps rows of that
/// service, by id or by name; of edges, those that begin or end there.
pub fn golden(picture: &Picture, by: GoldenBy, service: Option<&str>) -> Vec<GoldenRow> {
    let wanted = |node: usize| {
        let node = &picture.nodes[node];
        service.is_none_or(|service| node.id == service || node.name == service)
    };
    if by == GoldenBy::Edge {
        let edges = picture.edge_cells.iter().filter(|edge| wanted(edge.source) || wanted(edge.target));
        return edges.map(|edge| edge_row(picture, edge)).collect();
    }
    let cells = picture.node_cells.iter().filter(|cell| wanted(cell.node));
    if matches!(by, GoldenBy::Namespace | GoldenBy::Cluster | GoldenBy::Attribute(_)) {
        return group_rows(picture, by, cells);
    }
    cells
        .map(|cell| GoldenRow {
            time: time(picture, cell.bucket),
            subject: Subject::Node { node: picture.nodes[cell.node].clone(), detail: cell.detail.clone() },
            figures: Figures::of(&cell.measure, cell.evidence, picture.range.bucket_seconds(cell.bucket)),
            evidence: cell.evidence,
            edge: None,
        })
        .collect()
}

/// What to say where nothing in the picture goes by the name or the id that was asked for; an empty answer alone could
/// as well mean that nobody called it.
pub fn unknown_service(picture: &Picture, service: Option<&str>) -> Option<String> {
    let service = service?;
    let is_known = picture.nodes.iter().any(|node| node.is_called(service));
    (!is_known).then(|| format!("no node is called `{service}` in this range"))
}

/// The rows of groups of nodes, sorted by group, then time; what tells none comes first.
fn group_rows<'a>(
    picture: &Picture,
    by: GoldenBy,
    cells: impl Iterator<Item = &'a NodeCell>,
) -> Vec<GoldenRow> {
    let mut groups: BTreeMap<(Option<&str>, u16), (Measure, Evidence)> = BTreeMap::new();
    for cell in cells {
        let namespace = picture.nodes[cell.node].namespace.as_deref();
        let group = if by == GoldenBy::Namespace { namespace } else { cell.detail.as_deref() };
        let held = groups.entry((group, cell.bucket));
        let (measure, evidence) = held.or_insert_with(|| (Measure::default(), cell.evidence));
        measure.merge(&cell.measure);
        *evidence = (*evidence).min(cell.evidence);
    }
    let rows = groups.into_iter().map(|((group, bucket), (measure, evidence))| GoldenRow {
        time: time(picture, bucket),
        subject: Subject::Group(group.map(str::to_owned)),
        figures: Figures::of(&measure, evidence, picture.range.bucket_seconds(bucket)),
        evidence,
        edge: None,
    });
    rows.collect()
}

/// What to say where calls that were asked about do not tell the attribute that they are grouped by.
pub fn untold(picture: &Picture, by: GoldenBy, service: Option<&str>) -> Option<String> {
    let GoldenBy::Attribute(key) = by else { return None };
    let rows = golden(picture, by, service);
    let calls =
        |rows: &mut dyn Iterator<Item = &GoldenRow>| rows.map(|row| row.figures.requests).sum::<f64>();
    let untold = calls(&mut rows.iter().filter(|row| row.subject == Subject::Group(None)));
    let all = calls(&mut rows.iter());
    if untold == 0.0 {
        return None;
    }
    let key = key.text();
    let by_proxies =
        picture.node_cells.iter().any(|cell| cell.detail.is_none() && cell.evidence == Evidence::Requests);
    let advice = if by_proxies {
        "; rows of proxies tell what their log carries, `source=spans` counts what applications tell"
            .to_owned()
    } else if untold == all {
        format!(
            "; it is no attribute of a resource here, and attributes of spans that can be grouped by are {}",
            promoted_keys()
        )
    } else {
        String::new()
    };
    Some(format!("{untold} of {all} calls tell no `{key}`{advice}"))
}

fn edge_row(picture: &Picture, edge: &EdgeCell) -> GoldenRow {
    GoldenRow {
        time: time(picture, edge.bucket),
        subject: Subject::Edge {
            client: picture.nodes[edge.source].clone(),
            server: picture.nodes[edge.target].clone(),
        },
        figures: Figures::of(&edge.measure, edge.evidence, picture.range.bucket_seconds(edge.bucket)),
        evidence: edge.evidence,
        edge: Some(EdgeFigures {
            client_requests: edge.measure.made(),
            server_requests: edge.measure.received(),
            retries: edge.measure.retries(),
            refused: edge.refused,
        }),
    }
}

fn time(picture: &Picture, bucket: u16) -> Option<UnixNanos> {
    picture.range.step().map(|_| picture.range.bucket_start(bucket))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};

    use crate::cells::DETAILS_MAX;
    use crate::fixture::{self, CALL, CLIENT, FROM_SECOND, Request, SECONDS, SERVED, SERVER, SPAN, Span};
    use crate::{AttributeKey, Fold, Range, Source};

    use super::*;

    fn rows(requests: &[Request], by: GoldenBy, step_seconds: u64) -> Vec<GoldenRow> {
        let at = |second: i64| UnixNanos(second * 1_000_000_000);
        let step = Some(Duration::from_secs(step_seconds));
        let range = Range::new(at(FROM_SECOND), at(FROM_SECOND + SECONDS), step).expect("not empty");
        let mut fold = Fold::new(by.question(range, Source::Auto));
        fold.add_requests(&fixture::requests(requests));
        golden(&fold.finish().expect("a few cells"), by, None)
    }

    #[test]
    fn buckets_add_up_to_the_range() {
        // A call in each of the first 30 seconds, every third one failed.
        let calls: Vec<Request> = (0..30)
            .map(|i| Request {
                second: FROM_SECOND + i,
                outcome: if i % 3 == 0 { "error" } else { "ok" },
                ..SERVED
            })
            .collect();
        let rows = rows(&calls, GoldenBy::Service, 20);
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                (row.time.map(UnixNanos::seconds), row.figures.requests, row.figures.errors, row.figures.rate)
            })
            .collect();
        assert_eq!(told, [(Some(1_000), 20.0, 7.0, 1.0), (Some(1_020), 10.0, 3.0, 0.5)]);
    }

    #[test]
    fn percentiles_are_nearest_rank_within_the_sketchs_error() {
        // 1 to 100 ms: the nearest ranks of 50, 90, 95 and 99 % are 50, 90, 95 and 99 ms.
        let calls: Vec<Request> = (1..=100).map(|millis| Request { millis, ..SERVED }).collect();
        let rows = rows(&calls, GoldenBy::Service, 60);
        let figures = &rows[0].figures;
        let got = [figures.p50_ms, figures.p90_ms, figures.p95_ms, figures.p99_ms];
        for (got, exact) in got.into_iter().zip([50.0, 90.0, 95.0, 99.0]) {
            let got = got.expect("calls were timed");
            assert!((got - exact).abs() / exact <= 0.0109, "{got} for {exact}");
        }
        assert_eq!(figures.max_ms, Some(100.0));
        // 5,050 ms of calls in 60 s.
        assert_eq!(figures.concurrency, 5.05 / 60.0);
    }

    /// The groups of these rows, as `name requests/errors`, and what is said of those that tell none.
    fn groups(requests: &[Request], spans: &[Span], by: GoldenBy) -> (Vec<String>, Option<String>) {
        let question = by.question(fixture::range(), Source::Auto);
        let picture = fixture::picture_of(requests, spans, question.source, question.by, question.grain);
        let rows = golden(&picture, by, None).into_iter().map(|row| {
            let Subject::Group(group) = row.subject else { panic!("{:?} is no group", row.subject) };
            let Figures { requests, errors, .. } = row.figures;
            format!("{} {requests}/{errors}", group.as_deref().unwrap_or("-"))
        });
        (rows.collect(), untold(&picture, by, None))
    }

    fn attribute(key: &str) -> GoldenBy {
        GoldenBy::Attribute(AttributeKey::new(key).expect("a short key"))
    }

    /// Three calls to services of two namespaces, seen by the callees' proxies, and a query to a database by a span.
    #[test]
    fn groups_are_of_the_callee_and_add_up_to_all_calls() {
        let west = Request { clusters: ("east", "west"), ..SERVED };
        let bank = Request { destination: ("bank", "c"), clusters: ("east", ""), outcome: "error", ..SERVED };
        let query = Span { kind: CLIENT, db_system: "mysql", server_address: "db", ..SPAN };
        let told = |by| groups(&[west, west, bank], &[query], by).0;
        assert_eq!(told(GoldenBy::Namespace), ["- 1/0", "bank 1/1", "default 2/0"]);
        assert_eq!(told(GoldenBy::Cluster), ["- 2/1", "west 2/0"]);
        assert_eq!(told(attribute("service.name")), ["- 1/0", "b 2/0", "c 1/1"]);
        assert_eq!(told(attribute("http.response.status_code")), ["- 1/0", "200 3/1"]);
    }

    #[test]
    fn a_gateway_is_in_its_own_cluster() {
        let through = Request { observer: "gateway", clusters: ("edge", "west"), ..CALL };
        assert_eq!(groups(&[through], &[], GoldenBy::Cluster).0, ["edge 1/0", "west 1/0"]);
    }

    /// The caller's environment is not its callee's, but the statement that it sends is what the callee was asked.
    #[test]
    fn resources_tell_of_who_made_the_span_and_attributes_of_the_call() {
        let prod = r#"{"deployment.environment.name":"prod","k8s.cluster.name":"west"}"#;
        let page = Span { kind: SERVER, resource: prod, method: "GET", ..SPAN };
        let query = Span {
            id: 2,
            parent: 1,
            kind: CLIENT,
            db_system: "mysql",
            server_address: "db",
            method: "",
            ..page
        };
        let told = |by| groups(&[], &[page, query], by).0;
        assert_eq!(told(attribute("deployment.environment.name")), ["- 1/0", "prod 1/0"]);
        assert_eq!(told(GoldenBy::Cluster), ["- 1/0", "west 1/0"]);
        assert_eq!(told(attribute("db.system.name")), ["- 1/0", "mysql 1/0"]);
    }

    #[test]
    fn calls_that_tell_no_value_are_said() {
        let told = |requests: &[Request], spans: &[Span], key| groups(requests, spans, attribute(key)).1;
        let resource = r#"{"tier":"gold"}"#;
        let gold = Span { resource, ..SPAN };
        let plain = Span { id: 2, trace: 2, ..SPAN };
        assert_eq!(told(&[], &[gold], "tier"), None);
        assert_eq!(told(&[], &[gold, plain], "tier").as_deref(), Some("1 of 2 calls tell no `tier`"));
        let of_proxy = told(&[SERVED], &[], "tier").expect("a proxy knows no tier");
        assert!(of_proxy.starts_with("1 of 1 calls tell no `tier`; rows of proxies tell"), "{of_proxy}");
        let unknown = told(&[], &[plain], "http.method").expect("it is no column");
        assert!(unknown.contains("can be grouped by are http.request.method, http.response"), "{unknown}");
    }

    /// One value more than are told apart: the last by name, for all are equally busy.
    #[test]
    fn values_beyond_the_bound_are_one_group_and_said() {
        let spans: Vec<Span> = (0..=DETAILS_MAX)
            .map(|at| Span { id: 1 + at as u64, name: "op", url: "", peer_service: "", ..SPAN })
            .collect();
        let batch = fixture::spans(&spans);
        let values: Vec<String> = (0..=DETAILS_MAX).map(|at| format!(r#"{{"tier":"t{at:05}"}}"#)).collect();
        let schema = batch.schema();
        let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
            let is_resource = field.name() == "resource";
            let values = || Arc::new(StringArray::from_iter_values(&values)) as ArrayRef;
            (field.name().clone(), if is_resource { values() } else { Arc::clone(column) }, true)
        });
        let batch = RecordBatch::try_from_iter_with_nullable(columns.collect::<Vec<_>>()).expect("as long");
        let by = attribute("tier");
        let mut fold = Fold::new(by.question(fixture::range(), Source::Auto));
        fold.add_spans(&batch);
        let picture = fold.finish().expect("a few cells");
        let rows = golden(&picture, by, None);
        assert_eq!(rows.len(), DETAILS_MAX + 1);
        assert_eq!(rows[0].subject, Subject::Group(Some("(other)".to_owned())));
        assert_eq!(rows[0].figures.requests, 1.0);
        let said = "only the busiest operations, instances or values are told apart, 2000 at most; the rest is `(other)`";
        assert_eq!(picture.warnings, [said]);
    }
}
