//! Says where an answer differs from the truth, in words that help.

use std::collections::{BTreeMap, BTreeSet};

use crate::excuse::Excuses;
use crate::harness::{Answer, QUANTILES, Told};
use crate::oracle::figures::{ANY, Figures, Label, Truth};

/// The bucket of OTel's exponential histogram of scale 5 that a duration of nanoseconds lies in, (2^(n/32), 2^((n+1)/32)]:
/// a quantile is in that of the nearest rank, which is within 1.09 % of it. Source: OpenTelemetry data model,
/// "ExponentialHistogram".
fn bucket(nanos: f64) -> i64 {
    (nanos.log2() * 32.0).ceil() as i64 - 1
}

/// Every difference that nothing excuses, one a line; none means that the answer is right.
pub fn differences(truth: &Truth, answer: &Answer, excuses: &Excuses) -> Vec<String> {
    let nodes = truth.nodes.iter().map(|(label, figures)| (named(label), figures));
    let edges = truth.edges.iter().map(|(edge, figures)| (ends(edge), figures));
    let by_spans = |figures: &Figures| figures.is_by_spans || figures.is_contested;
    let excused_nodes: BTreeSet<String> = excuses.nodes.iter().map(named).collect();
    let excused_edges: BTreeSet<String> = excuses.edges.iter().map(ends).collect();
    // A node of which only its calls told may be gone with them.
    let callers: BTreeSet<String> = excuses.callers.iter().map(named).collect();
    let is_nobody = |name: &str| name.starts_with("external ");
    let mut found = compared("node", nodes.collect(), &answer.nodes, |name, figures| match figures {
        Some(figures) if excused_nodes.contains(name) => by_spans(figures),
        Some(figures) => callers.contains(name) && figures.requests == 0,
        None => (!callers.is_empty() && is_nobody(name)) || excused_nodes.contains(name),
    });
    found.extend(compared("edge", edges.collect(), &answer.edges, |name, figures| match figures {
        Some(figures) => excused_edges.contains(name) && by_spans(figures),
        None => {
            let ends = name.split_once(" -> ");
            ends.is_some_and(|(source, target)| callers.contains(source) && is_nobody(target))
                || excused_edges.contains(name)
        }
    }));
    found.extend(incompleteness(truth, answer, excuses));
    found
}

/// Where both ends told of every call, completeness is 1; where one is known to lack something, it is less.
fn incompleteness(truth: &Truth, answer: &Answer, excuses: &Excuses) -> Vec<String> {
    let mut found = Vec::new();
    for (name, told) in &answer.edges {
        let edge = truth.edges.iter().find(|(edge, _)| ends(edge) == *name);
        let Some((edge, figures)) = edge else { continue };
        let is_whole = figures.is_two_sided() && !excuses.edges.contains(edge);
        if is_whole && told.completeness != Some(1.0) {
            found.push(format!("edge {name}: completeness {:?}, want 1", told.completeness));
        }
        if figures.is_by_spans && excuses.incomplete.contains(edge) && told.completeness.unwrap_or(1.0) >= 1.0
        {
            found.push(format!("edge {name}: completeness {:?}, want less than 1", told.completeness));
        }
    }
    found
}

fn ends((source, target): &(Label, Label)) -> String {
    format!("{} -> {}", named(source), named(target))
}

/// Where an answer does not balance: a node received what its edges in brought, with each try, without what
/// was refused on the way. Batches of messages without a queue have more edges than deliveries.
pub fn imbalances(truth: &Truth, answer: &Answer) -> Vec<String> {
    let mut found = Vec::new();
    for (name, told) in &answer.nodes {
        let is_batched = truth.batched.iter().any(|label| named(label) == *name);
        let is_single = answer.nodes.iter().filter(|(other, _)| other == name).count() == 1;
        let edges = answer.edges.iter().filter(|(ends, _)| ends.ends_with(&format!("-> {name}")));
        let brought: f64 = edges.map(|(_, edge)| edge.requests + edge.retries - edge.refused).sum();
        if brought != told.requests && !is_batched && is_single {
            found.push(format!("node {name}: {} calls, its edges in bring {brought}", told.requests));
        }
    }
    found
}

/// The same for what each version, or each instance, of a service received.
pub fn parts_differ(truth: &Truth, grouping: &str, got: &BTreeMap<(String, String), f64>) -> Vec<String> {
    let mut wanted: BTreeMap<(String, String), f64> = BTreeMap::new();
    // Only who reports its calls has parts: the rest have one without a name.
    let is_compared = |figures: &Figures| {
        !figures.parts.is_empty()
            && figures
                .parts
                .keys()
                .all(|(version, instance)| (if grouping == "version" { version } else { instance }) != ANY)
    };
    for (label, figures) in truth.nodes.iter().filter(|(_, figures)| is_compared(figures)) {
        for ((version, instance), requests) in &figures.parts {
            let part = if grouping == "version" { version } else { instance };
            *wanted.entry((named(label), part.clone())).or_default() += *requests as f64;
        }
    }
    let reports = |label: &str| wanted.keys().any(|(known, _)| known == label);
    let got: BTreeMap<_, _> = got.iter().filter(|((label, _), _)| reports(label)).collect();
    if got.len() == wanted.len() && got.iter().all(|(part, requests)| wanted.get(*part) == Some(requests)) {
        return Vec::new();
    }
    vec![format!("by {grouping}: {got:?}, want {wanted:?}")]
}

pub fn named(label: &Label) -> String {
    format!("{} {}", label.kind, label.name)
}

/// Several may have one name, two ports of one host: those are compared in the order of their figures.
fn compared(
    what: &str,
    want: Vec<(String, &Figures)>,
    got: &[(String, Told)],
    is_excused: impl Fn(&str, Option<&Figures>) -> bool,
) -> Vec<String> {
    let mut wanted: BTreeMap<String, Vec<&Figures>> = BTreeMap::new();
    want.into_iter().for_each(|(name, figures)| wanted.entry(name).or_default().push(figures));
    let mut gotten: BTreeMap<&str, Vec<&Told>> = BTreeMap::new();
    got.iter().for_each(|(name, told)| gotten.entry(name).or_default().push(told));
    let mut found = Vec::new();
    for (name, told) in &gotten {
        if !wanted.contains_key(*name) && !is_excused(name, None) {
            found.push(format!("{what} {name} is too much: {}", shown(told)));
        }
    }
    for (name, mut figures) in wanted {
        if figures.iter().any(|figures| is_excused(&name, Some(figures))) {
            continue;
        }
        let Some(told) = gotten.get_mut(name.as_str()) else {
            found.push(format!("{what} {name} is missing: {} calls", figures[0].requests));
            continue;
        };
        if told.len() != figures.len() {
            found.push(format!("{what} {name}: {} of them, want {}", told.len(), figures.len()));
            continue;
        }
        figures.sort_by_key(|figures| (figures.requests, figures.errors, figures.quantile(1.0)));
        told.sort_by(|a, b| ordered(a).partial_cmp(&ordered(b)).expect("counts are numbers"));
        for (figures, told) in figures.iter().zip(told.iter()) {
            let is_edge = what == "edge";
            found.extend(figures_differ(figures, told, is_edge).map(|it| format!("{what} {name}: {it}")));
        }
    }
    found
}

fn ordered(told: &Told) -> (f64, f64, f64) {
    (told.requests, told.errors, told.quantiles.last().copied().flatten().unwrap_or(0.0))
}

fn figures_differ<'a>(
    figures: &'a Figures,
    told: &'a Told,
    is_edge: bool,
) -> impl Iterator<Item = String> + 'a {
    let edge = |count: i64| if is_edge { count } else { 0 };
    let counts = [
        ("requests", figures.requests, told.requests),
        ("errors", figures.errors, told.errors),
        ("client errors", figures.client_errors, told.client_errors),
        ("aborted", figures.aborted, told.aborted),
        ("retries", edge(figures.retries), told.retries),
        ("refused", edge(figures.refused), told.refused),
    ];
    let counts = counts.into_iter().filter(|(_, want, got)| *want as f64 != *got);
    let counts = counts.map(|(what, want, got)| format!("{what} {got}, want {want}"));
    counts.chain(quantiles_differ(figures, told))
}

fn quantiles_differ(figures: &Figures, told: &Told) -> Vec<String> {
    let is_known = !figures.is_untimed && figures.requests as f64 == told.requests && figures.requests > 0;
    if !is_known {
        return Vec::new();
    }
    let shares = QUANTILES.into_iter().chain([1.0]).zip(&told.quantiles);
    let wrong = shares.filter_map(|(share, got)| {
        let want = figures.quantile(share);
        let is_right = match (want, *got) {
            (Some(want), Some(got)) if share == 1.0 => got == want as f64 / 1e6,
            (Some(want), Some(got)) => bucket(got * 1e6) == bucket(want as f64),
            (want, got) => want.is_none() && got.is_none(),
        };
        (!is_right).then(|| format!("quantile {share}: {got:?} ms, want {want:?} ns"))
    });
    wrong.collect()
}

fn shown(told: &[&Told]) -> String {
    told.iter().map(|told| format!("{}/{}", told.requests, told.errors)).collect::<Vec<_>>().join(", ")
}
