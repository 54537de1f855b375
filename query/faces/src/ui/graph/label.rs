//! What an edge says of itself, by choice.

use std::collections::BTreeMap;

use meshlake_query::graph::GraphEdge;

use super::super::format;

/// Shares of calls that came by mutual TLS, by the ids of the services at both ends.
pub type Protection = BTreeMap<(String, String), f64>;

/// The figure that an edge is labelled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    Rate,
    Errors,
    P50,
    P95,
    P99,
    Retries,
    Bytes,
    MutualTls,
}

impl Label {
    pub const ALL: [Label; 8] = [
        Label::Rate,
        Label::Errors,
        Label::P50,
        Label::P95,
        Label::P99,
        Label::Retries,
        Label::Bytes,
        Label::MutualTls,
    ];

    /// As it stands in the address.
    pub const fn name(self) -> &'static str {
        match self {
            Label::Rate => "rate",
            Label::Errors => "errors",
            Label::P50 => "p50",
            Label::P95 => "p95",
            Label::P99 => "p99",
            Label::Retries => "retries",
            Label::Bytes => "bytes",
            Label::MutualTls => "mtls",
        }
    }

    /// The one of that name; the rate of calls where there is none.
    pub fn named(name: Option<&str>) -> Label {
        Label::ALL.into_iter().find(|label| Some(label.name()) == name).unwrap_or(Label::Rate)
    }

    /// Two lines. `protected` is the share of calls that came by mutual TLS, where a proxy told.
    pub fn of(self, edge: &GraphEdge, protected: Option<f64>) -> [String; 2] {
        let figures = &edge.figures;
        let (rate, errors) = (format::rate(figures.rate), format::percent(figures.error_ratio));
        let first = match self {
            Label::Rate => return [rate, format!("{errors} · {}", format::duration(figures.p99_ms))],
            Label::Errors => errors,
            Label::P50 => format::duration(figures.p50_ms),
            Label::P95 => format::duration(figures.p95_ms),
            Label::P99 => format::duration(figures.p99_ms),
            Label::Retries => format::count(edge.retries),
            Label::Bytes => {
                let both = figures.bytes_in.map(|bytes| bytes + figures.bytes_out.unwrap_or(0.0));
                format::bytes(both)
            }
            Label::MutualTls => {
                protected.map_or("–".to_owned(), |share| format!("mTLS {}", format::percent(share)))
            }
        };
        [first, rate]
    }
}
