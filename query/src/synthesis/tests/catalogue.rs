//! Names, labels and examples, without samples.

use meshlake_promql::Comparison;

use super::*;

fn wanted(matchers: &[Matcher]) -> Wanted<'_> {
    Wanted { matchers, from: 0, to: 4_000_000, limit: 1_000 }
}

#[tokio::test]
async fn names_and_labels_are_told_without_samples() {
    let rows = served([3_601]);
    let told = asked(&rows, 3_700, |counted| {
        let names = counted.label_values("__name__", &wanted(&[])).expect("names").found;
        let of = [Matcher::equal("__name__", "istio_requests_total")];
        let services = counted.label_values("destination_service_name", &wanted(&of)).expect("values").found;
        let not = [Matcher::new("reporter", Comparison::NotEqual, "destination").expect("no expression")];
        let none = counted.series(&wanted(&not)).expect("series").found.len();
        let labels = counted.label_names(&wanted(&of)).expect("labels").found.len();
        let cut = counted.series(&Wanted { limit: 3, ..wanted(&[]) }).expect("series");
        let bounds = counted.label_values("le", &wanted(&[])).expect("bounds").found.len();
        let about = counted.metadata(Some("istio_request_bytes")).expect("metadata");
        (names.len(), services, none, labels, (cut.found.len(), cut.is_cut), bounds, about[0].kind)
    });
    let (names, services, others, labels, cut, bounds, kind) = told.await;
    assert_eq!(names, METRICS.len(), "all, so that Kiali misses none");
    assert_eq!(services.into_iter().collect::<Vec<_>>(), ["cart"]);
    // Of the service graph, and of both services: neither has a reporter.
    assert!(others > 0);
    // The 25 and the name; Envoy's 20 bounds, and Tempo's of the service graph and of spans.
    assert_eq!((labels, cut, kind), (26, (3, true), "histogram"));
    assert_eq!(bounds, 20 + 8 + 14 - ["+Inf"].len() + 1);
    let nothing = asked(&[], 3_700, |counted| {
        (
            counted.label_values("__name__", &wanted(&[])).expect("names"),
            counted.metadata(None).expect("none"),
        )
    });
    assert_eq!(nothing.await, (Found::default(), Vec::new()));
}

/// The trace of the failed query, at the series that counts it.
#[tokio::test]
async fn examples_are_calls_whose_traces_are_stored() {
    let engine = engine_of(SnapshotBuilder::new().hot(Table::Spans, 1, &[query_span()]), 3_660);
    let query = engine.begin("default").await.expect("a place is free");
    let counted = Counted::new(query, Arc::new(Chunks::default()), Handle::current());
    let found = tokio::task::spawn_blocking(move || {
        let of = [Matcher::equal("__name__", "traces_service_graph_request_client_seconds_bucket")];
        counted.exemplars(&wanted(&of)).expect("examples").found
    });
    let found = found.await.expect("it ends");
    let told = found.iter().flat_map(|(labels, of)| of.iter().map(move |e| (labels.get("server"), e)));
    let told: Vec<String> = told.map(|(to, e)| format!("{to} {} {} {}", e.labels, e.value, e.time)).collect();
    assert_eq!(told, ["db {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 0.02 3605000"]);
}
