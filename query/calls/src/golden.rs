//! Golden metrics: rate, errors, latency and saturation by service, operation, version, instance or edge.
//!
//! Rows are cut from a [`Picture`], so that they agree with the graph to the last call. What counts is
//! decided there; this module only arranges. One row per group and bucket in which there were calls: a
//! bucket without calls has no row, because "no calls" and "no data" cannot be told apart by a zero.

use meshlake_schema::UnixNanos;

use crate::{By, EdgeCell, Evidence, Figures, Grain, NodeIdentity, Picture, Question, Range, Source};

/// How rows are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GoldenBy {
    #[default]
    Service,
    Operation,
    Edge,
    Version,
    Instance,
}

impl GoldenBy {
    pub const ALL: [GoldenBy; 5] =
        [GoldenBy::Service, GoldenBy::Operation, GoldenBy::Edge, GoldenBy::Version, GoldenBy::Instance];

    pub const fn name(self) -> &'static str {
        match self {
            GoldenBy::Service => "service",
            GoldenBy::Operation => "operation",
            GoldenBy::Edge => "edge",
            GoldenBy::Version => "version",
            GoldenBy::Instance => "instance",
        }
    }

    /// The question whose picture the rows are cut from.
    pub fn question(self, range: Range, source: Source) -> Question {
        let by = if self == GoldenBy::Version { By::Version } else { By::Service };
        let grain = match self {
            GoldenBy::Operation => Grain::Operation,
            GoldenBy::Instance => Grain::Instance,
            GoldenBy::Service | GoldenBy::Edge | GoldenBy::Version => Grain::Node,
        };
        Question { range, by, grain, source }
    }
}

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
    let is_known = picture.nodes.iter().any(|node| node.id == service || node.name == service);
    (!is_known).then(|| format!("no node is called `{service}` in this range"))
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
    use std::time::Duration;

    use crate::Fold;
    use crate::fixture::{self, FROM_SECOND, Request, SECONDS, SERVED};

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
}
