//! Who calls whom, by name alone: the graph as tracing systems show it.

use std::collections::BTreeMap;

use meshlake_calls::graph::graph;
use meshlake_calls::shown::Wanted;
use meshlake_calls::{By, Frame, Grain, Question, Range, Source};
use meshlake_engine::Engine;

use crate::calls::{LoadError, load};

/// Calls of one node to another, as often as edges have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    pub parent: String,
    pub child: String,
    /// Whole numbers, as their readers have them: the weights of sampled spans are rounded, of each pair once.
    pub calls: u64,
    pub errors: u64,
}

/// The edges of the graph by service, sorted, those between nodes of the same names added up: their readers know neither
/// namespaces nor kinds. Databases, queues and hosts outside are nodes like any other.
///
/// # Errors
/// As [`load`].
pub async fn dependencies(engine: &Engine, tenant: &str, range: Range) -> Result<Vec<Dependency>, LoadError> {
    let question = Question { range, by: By::Service, grain: Grain::Node, source: Source::default() };
    let picture = load(engine, tenant, question, Frame::whole()).await?;
    let graph = graph(&picture, &Wanted::default());
    let mut calls: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
    for edge in &graph.edges {
        let name = |node: usize| graph.nodes[node].identity.name.as_str();
        let (requests, errors) = calls.entry((name(edge.source), name(edge.target))).or_default();
        *requests += edge.figures.requests;
        *errors += edge.figures.errors;
    }
    let dependency = |((parent, child), (calls, errors)): ((&str, &str), (f64, f64))| Dependency {
        parent: parent.to_owned(),
        child: child.to_owned(),
        calls: calls.round() as u64,
        errors: errors.round() as u64,
    };
    Ok(calls.into_iter().map(dependency).collect())
}
