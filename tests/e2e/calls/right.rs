//! What the answers to a case must be.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

type Edge = [String; 2];

/// Names are `namespace/name`, or a name that stands for it in every namespace, or an id.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Right {
    /// Calls that a node received.
    nodes: Vec<(String, f64)>,
    nodes_kind: Vec<(String, String)>,
    /// A kind, and how many nodes there are of it.
    n_nodes_of_kind: Option<(String, usize)>,
    /// A service, and what it received; other kinds of node may have its name.
    node_sum_for_service: Option<(String, f64)>,
    client_errors: Vec<(String, f64)>,
    /// Calls of an edge.
    edges: Vec<(Edge, f64)>,
    edge_exists: Vec<Edge>,
    edge_exists_any: bool,
    edge_errors: Vec<(Edge, f64)>,
    retries: Vec<(Edge, f64)>,
    refused: Vec<(Edge, f64)>,
    /// Calls of all edges.
    edge_total: Option<f64>,
    /// The same under a grouping.
    edge_total_by: Vec<(String, f64)>,
    edge_errors_by: Vec<(String, f64)>,
    /// Calls of all edges from, or into, a node.
    out_sum: Vec<(String, f64)>,
    in_sum: Vec<(String, f64)>,
    has_in_edge: Vec<String>,
    /// Two nodes, of which the second is reached from the first.
    path: Option<Edge>,
    no_self_loop: Option<String>,
    /// A node that has no other edges out than those of `edges`.
    only_edges_of: Option<String>,
}

/// The answers to a case.
pub struct Answers {
    /// By grouping: service, version, workload.
    pub graphs: Vec<(&'static str, Value)>,
    pub golden: Value,
}

impl Answers {
    fn graph(&self, by: &str) -> &Value {
        let graph = self.graphs.iter().find(|(grouping, _)| *grouping == by);
        graph.map_or(&Value::Null, |(_, graph)| graph)
    }

    fn edges(&self, by: &str) -> impl Iterator<Item = &Value> {
        self.graph(by)["edges"].as_array().into_iter().flatten()
    }

    fn nodes(&self) -> impl Iterator<Item = &Value> {
        self.graph("service")["nodes"].as_array().into_iter().flatten()
    }

    fn is(&self, id: &Value, name: &str) -> bool {
        self.nodes().any(|node| node["id"] == *id && is_called(node, name))
    }

    fn between<'a>(&'a self, [source, target]: &'a Edge) -> impl Iterator<Item = &'a Value> {
        self.edges("service")
            .filter(|edge| self.is(&edge["source"], source) && self.is(&edge["target"], target))
    }
}

fn is_called(node: &Value, name: &str) -> bool {
    let full = match node["namespace"].as_str() {
        Some(namespace) => format!("{namespace}/{}", node["name"].as_str().unwrap_or_default()),
        None => node["name"].as_str().unwrap_or_default().to_owned(),
    };
    full == name || node["name"] == name || node["id"] == name
}

fn sum<'a>(of: impl Iterator<Item = &'a Value>, figure: &str) -> f64 {
    of.filter_map(|it| it[figure].as_f64()).fold(0.0, |sum, it| sum + it)
}

impl Right {
    /// What is wrong with the answers, one a line.
    pub fn complaints(&self, answers: &Answers) -> Vec<String> {
        let mut found = Vec::new();
        self.check_nodes(answers, &mut found);
        self.check_edges(answers, &mut found);
        self.check_sums(answers, &mut found);
        self.check_shape(answers, &mut found);
        found
    }

    fn check_nodes(&self, answers: &Answers, found: &mut Vec<String>) {
        for (name, want) in &self.nodes {
            let got = sum(answers.nodes().filter(|node| is_called(node, name)), "requests");
            differ(&format!("calls at {name}"), got, *want, found);
        }
        for (name, want) in &self.nodes_kind {
            let mut called = answers.nodes().filter(|node| is_called(node, name));
            if !called.any(|node| node["kind"] == *want) {
                found.push(format!("no node called {name} is a {want}"));
            }
        }
        if let Some((kind, want)) = &self.n_nodes_of_kind {
            let got = answers.nodes().filter(|node| node["kind"] == *kind).count();
            differ(&format!("nodes of kind {kind}"), got as f64, *want as f64, found);
        }
        if let Some((name, want)) = &self.node_sum_for_service {
            let service = |node: &&Value| is_called(node, name) && node["kind"] == "service";
            differ(
                &format!("calls at service {name}"),
                sum(answers.nodes().filter(service), "requests"),
                *want,
                found,
            );
        }
        for (name, want) in &self.client_errors {
            let rows = answers.golden["rows"].as_array().into_iter().flatten();
            let got = sum(rows.filter(|row| row["service"] == *name), "client_errors");
            differ(&format!("client errors at {name}"), got, *want, found);
        }
    }

    fn check_edges(&self, answers: &Answers, found: &mut Vec<String>) {
        let figures = [
            ("requests", &self.edges),
            ("errors", &self.edge_errors),
            ("retries", &self.retries),
            ("refused", &self.refused),
        ];
        for (figure, expected) in figures {
            for (edge, want) in expected {
                if answers.between(edge).next().is_none() {
                    found.push(format!("there is no edge {} -> {}", edge[0], edge[1]));
                }
                let got = sum(answers.between(edge), figure);
                differ(&format!("{figure} of {} -> {}", edge[0], edge[1]), got, *want, found);
            }
        }
        for edge in &self.edge_exists {
            if sum(answers.between(edge), "requests") == 0.0 {
                found.push(format!("there is no call {} -> {}", edge[0], edge[1]));
            }
        }
        if self.edge_exists_any && answers.edges("service").next().is_none() {
            found.push("there is no edge".to_owned());
        }
    }

    fn check_sums(&self, answers: &Answers, found: &mut Vec<String>) {
        if let Some(want) = self.edge_total {
            differ("calls of all edges", sum(answers.edges("service"), "requests"), want, found);
        }
        for (figure, expected) in [("requests", &self.edge_total_by), ("errors", &self.edge_errors_by)] {
            for (by, want) in expected {
                differ(
                    &format!("{figure} of all edges by {by}"),
                    sum(answers.edges(by), figure),
                    *want,
                    found,
                );
            }
        }
        for (end, expected) in [("source", &self.out_sum), ("target", &self.in_sum)] {
            for (name, want) in expected {
                let edges = answers.edges("service").filter(|edge| answers.is(&edge[end], name));
                differ(&format!("calls of edges with {end} {name}"), sum(edges, "requests"), *want, found);
            }
        }
    }

    fn check_shape(&self, answers: &Answers, found: &mut Vec<String>) {
        let edges = || answers.edges("service");
        for name in &self.has_in_edge {
            if !edges().any(|edge| answers.is(&edge["target"], name)) {
                found.push(format!("no edge ends at {name}"));
            }
        }
        if let Some([from, to]) = &self.path {
            let mut reached: BTreeSet<&str> = BTreeSet::new();
            let starts = answers.nodes().filter(|node| is_called(node, from));
            let mut pending: Vec<&str> = starts.filter_map(|node| node["id"].as_str()).collect();
            while let Some(id) = pending.pop() {
                if reached.insert(id) {
                    let next = edges().filter(|edge| edge["source"] == id);
                    pending.extend(next.filter_map(|edge| edge["target"].as_str()));
                }
            }
            if !answers.nodes().any(|node| is_called(node, to) && reached.iter().any(|id| node["id"] == *id))
            {
                found.push(format!("no path leads from {from} to {to}"));
            }
        }
        if let Some(name) = &self.no_self_loop
            && edges().any(|edge| edge["source"] == edge["target"] && answers.is(&edge["source"], name))
        {
            found.push(format!("{name} calls itself"));
        }
        if let Some(name) = &self.only_edges_of {
            let known =
                |edge: &Value| self.edges.iter().any(|([_, target], _)| answers.is(&edge["target"], target));
            let mut out = edges().filter(|edge| answers.is(&edge["source"], name));
            if let Some(edge) = out.find(|edge| !known(edge)) {
                found.push(format!("{name} has an edge to {}", edge["target"]));
            }
        }
    }
}

fn differ(what: &str, got: f64, want: f64, found: &mut Vec<String>) {
    if got != want {
        found.push(format!("{what}: {got}, want {want}"));
    }
}
