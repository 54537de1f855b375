//! What users of Tempo and of its clients have reported or been told, as far as it is about what a query means.

use std::collections::BTreeMap;

use crate::data::{Keyed, Made, One, Plain};
use crate::{answered, pipeline};

fn keyed(pairs: &[(&str, &str)]) -> Keyed {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), Plain::Text((*value).to_owned()))).collect()
}

/// A span with that number as its id, below another.
fn span(number: usize, parent: usize, service: &str, attributes: &[(&str, &str)]) -> One {
    One {
        id: format!("{number:016x}"),
        parent: (parent > 0).then(|| format!("{parent:016x}")),
        name: "n".to_owned(),
        kind: 3,
        status: 0,
        message: String::new(),
        start: number as i64,
        duration: 10,
        service: Some(service.to_owned()),
        scope: String::new(),
        attributes: keyed(attributes),
        resource: keyed(&[("service.name", service)]),
        instrumentation: BTreeMap::new(),
        events: Vec::new(),
        links: Vec::new(),
    }
}

fn check(spans: &[One], query: &str, want: &[usize]) {
    let trace = Made { id: "00fbb99bfc59174ccefa0338d4886914".to_owned(), spans: spans.to_vec() };
    let groups = answered(&pipeline(query), &trace);
    let numbers = |at: usize| usize::from_str_radix(&trace.spans[at].id, 16).expect("a number");
    let mut found: Vec<usize> = groups.into_iter().flat_map(|group| group.0).map(numbers).collect();
    found.sort_unstable();
    assert_eq!(found, want, "{query}");
}

/// grafana/tempo#3316: the parent's condition names a status, and nothing is found.
#[test]
fn a_failed_parent_has_its_children() {
    let failed = One { status: 2, ..span(2, 1, "A", &[]) };
    let spans =
        [span(1, 0, "A", &[]), failed, span(3, 2, "A", &[("db.system", "redis")]), span(4, 2, "B", &[])];
    check(
        &spans,
        "{ resource.service.name = \"A\" && kind = client && status = error } >> { resource.service.name = \"A\" && kind = client }",
        &[3],
    );
    check(&spans, "{ status = error } > { resource.service.name = \"B\" }", &[4]);
    check(&spans, "{ status = error } < { }", &[1]);
}

/// grafana/tempo#2618 and #5007: `!=` wants the attribute to be there, in a filter by itself as behind an operator.
#[test]
fn what_is_unequal_is_there() {
    let spans =
        [span(1, 0, "A", &[]), span(2, 1, "A", &[("foo", "bar")]), span(3, 1, "A", &[("foo", "baz")])];
    check(&spans, "{ span.foo != \"bar\" }", &[3]);
    check(&spans, "{ } >> { span.foo != \"bar\" }", &[3]);
    check(&spans, "{ span.foo != \"bar\" || span.foo = nil }", &[1, 3]);
}

/// grafana/tempo#3989 and #2188.
#[test]
fn nil_asks_from_both_sides() {
    let spans = [span(1, 0, "A", &[]), span(2, 1, "A", &[("accept", "x")])];
    for query in ["{ span.accept != nil }", "{ nil != span.accept }"] {
        check(&spans, query, &[2]);
    }
    for query in
        ["{ span.accept = nil }", "{ nil = span.accept }", "{ } | select(.accept) | { !(.accept != nil) }"]
    {
        check(&spans, query, &[1]);
    }
    for query in ["{ } | avg(.dne) != 0", "{ } | max(.dne) < 1"] {
        check(&spans, query, &[]);
    }
}

/// grafana/tempo#4967: an id is shown without the zeros in front of it, and not found by what is shown.
#[test]
fn an_id_is_found_without_its_zeros() {
    let spans = [span(1, 0, "A", &[])];
    check(&spans, "{ trace:id = \"fbb99bfc59174ccefa0338d4886914\" }", &[1]);
    check(&spans, "{ trace:id = \"00FBB99BFC59174CCEFA0338D4886914\" }", &[1]);
    check(&spans, "{ trace:id != \"fbb99bfc59174ccefa0338d4886914\" }", &[]);
    check(&spans, "{ span:id = \"1\" }", &[1]);
}

/// The ways to ask for roots that #4333 names, and what a trace whose root has not come yet answers.
#[test]
fn roots_are_spans_without_parents() {
    let spans = [span(1, 0, "A", &[]), span(2, 1, "B", &[]), span(3, 9, "C", &[])];
    check(&spans, "{ nestedSetParent < 0 }", &[1]);
    check(&spans, "{ span:parentID = nil }", &[1]);
    check(&spans, "{ } !> { }", &[1, 3]);
    check(&spans, "{ nestedSetParent = 0 }", &[3]);
    let late = [span(2, 1, "B", &[]), span(3, 1, "C", &[]), span(4, 3, "D", &[])];
    check(&late, "{ rootName != nil }", &[]);
    check(&late, "{ resource.service.name = \"B\" } ~ { }", &[3]);
    check(&late, "{ resource.service.name = \"C\" } > { }", &[4]);
}

/// Kiali's searches: unscoped names, of resources and spans, and texts where Envoy sends texts.
#[test]
fn kiali_finds_its_spans() {
    let envoy = |number, code| {
        span(
            number,
            0,
            "app.ns",
            &[("http.status_code", code), ("istio.cluster_id", "k"), ("node_id", "sidecar~x")],
        )
    };
    let spans = [envoy(1, "200"), envoy(2, "503"), span(3, 1, "other.ns", &[])];
    check(
        &spans,
        "{ .service.name = \"app.ns\" && .http.status_code != \"200\" } && { } | select(status, .service_name)",
        &[1, 2, 3],
    );
    check(&spans, "{ .service.name = \"app.ns\" && .http.status_code != \"200\" }", &[2]);
    check(&spans, "{ .service.name = \"app.ns\" && .istio.cluster_id = \"k\" } | select(name)", &[1, 2]);
    check(
        &spans,
        "{ .service.name = \"app.ns\" && .node_id =~ \".*\" } && { .http.status_code = \"418\" }",
        &[],
    );
}
