//! What a node or an edge says of itself when it is pointed at, and sums of those that are drawn as one.

use meshlake_query::Figures;
use meshlake_query::graph::{GraphEdge, GraphNode};

use super::super::format;
use super::super::words::Words;

/// A node in words.
pub fn node_words(node: &GraphNode, words: &Words) -> String {
    let (identity, figures) = (&node.identity, &node.figures);
    format!(
        "{} ({})\n{} {}, {} {}\np50 {} · p90 {} · p99 {}",
        identity.id,
        words.kind(identity.kind),
        format::count(figures.requests),
        words.calls,
        format::count(figures.errors),
        words.errors,
        format::duration(figures.p50_ms),
        format::duration(figures.p90_ms),
        format::duration(figures.p99_ms),
    )
}

/// An edge in words: its figures, what they were counted from, and how far both ends agree.
pub fn edge_words(edge: &GraphEdge, protected: Option<f64>, words: &Words) -> String {
    let figures = &edge.figures;
    let mut text = format!(
        "{} · {} {}, {} {}, {} {}, {} {}\np50 {} · p90 {} · p99 {}\n{} {}",
        edge.protocol.name(),
        format::count(figures.requests),
        words.calls,
        format::count(figures.errors),
        words.errors,
        format::count(edge.retries),
        words.retries,
        format::count(edge.refused),
        words.refused,
        format::duration(figures.p50_ms),
        format::duration(figures.p90_ms),
        format::duration(figures.p99_ms),
        words.counted_from,
        edge.evidence.name(),
    );
    if let Some(completeness) = edge.completeness {
        text.push_str(&format!(", {} {}", words.both_ends_agree, format::percent(completeness)));
    }
    if let Some(protected) = protected {
        text.push_str(&format!("\nmTLS {}", format::percent(protected)));
    }
    text
}

/// Sums of calls, which add up as latencies do not.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sum {
    pub requests: f64,
    pub errors: f64,
    pub rate: f64,
}

impl Sum {
    pub fn of<'a>(figures: impl Iterator<Item = &'a Figures>) -> Sum {
        figures.fold(Sum::default(), |sum, figures| Sum {
            requests: sum.requests + figures.requests,
            errors: sum.errors + figures.errors,
            rate: sum.rate + figures.rate,
        })
    }

    pub fn error_ratio(&self) -> f64 {
        if self.requests > 0.0 { self.errors / self.requests } else { 0.0 }
    }

    pub fn words(&self, words: &Words) -> String {
        let (requests, errors) = (format::count(self.requests), format::count(self.errors));
        format!("{requests} {}, {errors} {}", words.calls, words.errors)
    }
}
