//! Services of very many parts, of hardly any calls, and of none: every answer is bounded and says what it cannot tell.

use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_schema::Table;

use super::{SECOND, get, of_web, pages, text};

/// A call that cart's proxy saw.
fn served(at: i64, version: &str, instance: &str) -> Row {
    row(
        1_000 * SECOND + at * 1_000_000,
        [
            ("duration_nano", 10_000_000.into()),
            ("observer", text("server")),
            ("layer", text("l7")),
            ("counted", true.into()),
            ("outcome", text("ok")),
            ("source_service", text("web")),
            ("source_namespace", text("shop")),
            ("destination_service", text("cart")),
            ("destination_namespace", text("shop")),
            ("destination_version", text(version)),
            ("destination_instance", text(instance)),
        ],
    )
}

/// One call each to 1,001 instances of 201 versions: v0 has five calls as all others but the last four, which have four.
#[tokio::test]
async fn many_versions_and_instances_are_bounded_and_not_judged() {
    let calls: Vec<Row> =
        (0..1_001).map(|at| served(at, &format!("v{}", at % 201), &format!("pod-{at}"))).collect();
    let pages = pages(SnapshotBuilder::new().hot(Table::Requests, 1, &calls));
    let (status, body) = get(&pages, "/service?name=shop%2Fcart").await;
    assert_eq!(status, 200);
    let rows = |section: &str| {
        let part = body.split(&format!("<h2 id=\"{section}\">")).nth(1).unwrap_or_default();
        let table = part.split("</table>").next().unwrap_or_default();
        (table.matches("<tr").count() - 1, table.matches("not enough to tell").count())
    };
    assert_eq!(rows("versions"), (200, 199), "the busiest is what the others are compared with");
    assert!(body.contains("only the 200 busiest subsets are told of; 1 more have 4 calls"), "{body}");
    assert_eq!(rows("instances").0, 100);
    assert!(body.contains("900 more are not listed"), "of a thousand, which are told of: {body}");
    let (_, answer) = get(&pages, "/api/v1/versions?service=cart&from=1000&to=1020").await;
    assert_eq!(answer.matches("\"verdict\":\"not_enough\"").count() % 199, 0, "{answer}");
    assert!(!answer.contains("\"worse\"") && !answer.contains("\"better\""));
    let (_, answer) = get(&pages, "/api/v1/balance?service=cart&from=1000&to=1020").await;
    assert!(answer.contains("\"verdict\":\"not_enough\""), "{}", &answer[..400]);
    let (_, body) = get(&pages, "/").await;
    assert!(!body.contains("the busiest version"), "nothing is called worse of five calls");
}

#[tokio::test]
async fn one_call_each_and_a_version_of_nothing_are_not_enough() {
    let calls = [served(0, "v1", "a"), served(1, "v2", "b")];
    let pages = pages(SnapshotBuilder::new().hot(Table::Requests, 1, &calls));
    let (_, body) = get(&pages, "/service?name=shop%2Fcart").await;
    assert!(body.contains("not enough to tell"), "{body}");
    let (_, body) = get(&pages, "/service?name=shop%2Fcart&baseline=v9").await;
    assert!(body.contains("no version is called `v9` in this range"), "{body}");
}

#[tokio::test]
async fn no_traffic_is_said_by_every_answer() {
    let pages = of_web();
    for question in ["versions", "balance", "saturation", "rollouts"] {
        let address = format!("/api/v1/{question}?service=nobody&from=1000&to=1020");
        let (status, answer) = get(&pages, &address).await;
        assert_eq!(status, 200, "{address}: {answer}");
        assert!(answer.contains("no node is called `nobody`"), "{address}: {answer}");
    }
}

/// 201 services that received a call.
#[tokio::test]
async fn a_list_of_nodes_is_bounded_and_says_so() {
    let calls = (0..201).map(|at| {
        let mut call = served(at, "v1", "pod");
        call.insert("destination_service", text(&format!("s{at}")));
        call
    });
    let pages = pages(SnapshotBuilder::new().hot(Table::Requests, 1, &calls.collect::<Vec<Row>>()));
    let (_, body) = get(&pages, "/").await;
    let golden = body.split("<h2 id=\"golden\">").nth(1).unwrap_or_default();
    assert_eq!(golden.matches("<tr").count(), 201, "a head and 200 rows");
    assert!(golden.contains("1 more are not listed"), "{golden}");
}

/// Services s0 to s129 of one namespace, each of which calls the next: 129 edges, of which that of s7 has two calls and that of
/// s128 fails.
#[tokio::test]
async fn of_a_mesh_without_namespaces_the_most_telling_edges_are_drawn() {
    let call = |at: i64| {
        let mut call = served(at, "v1", "pod");
        call.insert("source_service", text(&format!("s{at}")));
        call.insert("destination_service", text(&format!("s{}", at + 1)));
        if at == 128 {
            call.insert("outcome", text("error"));
        }
        call
    };
    let calls: Vec<Row> = (0..129).map(call).chain([call(7)]).collect();
    let pages = pages(SnapshotBuilder::new().hot(Table::Requests, 1, &calls));
    let drawn = async |query: &str| {
        let (_, body) = get(&pages, &format!("/?{query}")).await;
        let is_said = body.contains("All edges together would be a tangle");
        let golden = body.split("<h2 id=\"golden\">").nth(1).unwrap_or_default().matches("<tr").count() - 1;
        (body.matches("<g class=\"edge").count(), is_said, golden, body)
    };
    let (edges, is_said, golden, body) = drawn("").await;
    assert_eq!((edges, is_said, golden), (100, true, 129), "the table has all that received calls");
    assert!(body.contains("29 less busy edges are not drawn"), "{body}");
    let (edges, is_said, _, body) = drawn("edges=2").await;
    assert_eq!((edges, is_said), (2, true));
    for edge in ["shop/s128 → shop/s129", "shop/s7 → shop/s8"] {
        assert!(body.contains(edge), "{edge} is the one that fails or the busiest: {body}");
    }
    assert!(body.contains("/?range=15m&amp;edges=4\""), "twice as many: {body}");
    assert_eq!(drawn("collapse=none").await.0, 129);
    assert!(!drawn("edges=129").await.1, "nothing is left out");
    let (edges, is_said, ..) = drawn("focus=s7&depth=5").await;
    assert_eq!((edges, is_said), (10, false));
}
