//! The page of the mesh: how it is drawn, compared, and walked through in time.

use meshlake_fixture::{Cell, Row, SnapshotBuilder, row};
use meshlake_schema::Table;

use super::{HOSTILE, SECOND, ask, get, mesh, of_web, pages, span, text};

/// 70 services of seven namespaces in a chain: by namespace unless one asks for all.
#[tokio::test]
async fn a_large_mesh_is_drawn_by_namespace() {
    let call = |at: i64| {
        let space = |service: i64| format!("space{}", service / 10);
        row(
            1_000 * SECOND + at,
            [
                ("duration_nano", 10_000_000.into()),
                ("observer", text("client")),
                ("layer", text("l7")),
                ("counted", true.into()),
                ("outcome", text("ok")),
                ("source_service", text(&format!("s{at}"))),
                ("source_namespace", text(&space(at))),
                ("destination_service", text(&format!("s{}", at + 1))),
                ("destination_namespace", text(&space(at + 1))),
            ],
        )
    };
    let calls: Vec<Row> = (0..69).map(call).collect();
    let pages = pages(SnapshotBuilder::new().hot(Table::Requests, 1, &calls));
    let boxes = async |path: &str| get(&pages, path).await.1.matches("<text class=\"name\"").count();
    assert_eq!(boxes("/").await, 7);
    assert_eq!(boxes("/?collapse=none").await, 70);
    // Its ten, and one on either side.
    assert_eq!(boxes("/?namespace=space3").await, 12);
    // Ten of space3, ten of space5, and the five that are closed.
    assert_eq!(boxes("/?open=space3&open=space5").await, 25);
    let (_, body) = get(&pages, "/?open=space3").await;
    assert!(
        body.contains("href=\"/?range=15m&amp;open=space3&amp;open=space0\""),
        "opens beside what is open: {body}"
    );
    assert!(body.contains("<a class=\"chip\" href=\"/?range=15m\""), "and closes");
    assert!(body.contains(" → space4"), "edges of what is open lead to what is closed");
}

/// A drawing is a file that needs nothing else, and whose names are text in it as well.
#[tokio::test]
async fn the_drawing_is_a_file() {
    let (status, headers, svg) = ask(&pages(mesh(HOSTILE)), "/graph.svg?collapse=none", &[]).await;
    assert_eq!((status, &headers["content-type"]), (200, &"image/svg+xml".parse().expect("a header")));
    assert_eq!(headers["content-security-policy"], "default-src 'none'; style-src 'unsafe-inline'");
    assert!(
        svg.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg ") && svg.ends_with("</svg>"),
        "{svg}"
    );
    assert_eq!(svg.matches("<style>").count(), 1, "its own style");
    for raw in ["<script", "<img", "href=", "url(/", "\u{202e}"] {
        assert!(!svg.contains(raw), "{raw} is in {svg}");
    }
    assert!(svg.contains("&lt;script&gt;"), "the name is shown");
}

/// The same four edges, once with a call each and once with one that is twenty times as busy and fails.
#[tokio::test]
async fn boxes_stay_where_they_are_when_rates_change() {
    let call = |(from, to): (&str, &str), at: i64, outcome: &str| {
        let cells = [
            ("duration_nano", Cell::from(10_000_000)),
            ("observer", text("client")),
            ("layer", text("l7")),
            ("counted", true.into()),
            ("outcome", text(outcome)),
            ("source_service", text(from)),
            ("destination_service", text(to)),
        ];
        row(1_000 * SECOND + at, cells)
    };
    let edges = [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")];
    let places = async |busy: Option<(&'static str, &'static str)>| {
        let rows = edges.into_iter().flat_map(|edge| {
            let (count, outcome) = if Some(edge) == busy { (20, "error") } else { (1, "ok") };
            (0..count).map(move |at| call(edge, at, outcome))
        });
        let pages = pages(SnapshotBuilder::new().hot(Table::Requests, 1, &rows.collect::<Vec<_>>()));
        let (_, body) = get(&pages, "/").await;
        let boxes = body.split("<a class=\"node").skip(1).map(|node| {
            let place = node.split_once("<rect ").map(|(_, rest)| rest).unwrap_or_default();
            place.split(" width").next().unwrap_or_default().to_owned()
        });
        boxes.collect::<Vec<String>>()
    };
    let at_rest = places(None).await;
    assert!(at_rest.len() == 4 && at_rest.iter().all(|place| place.starts_with("x=\"")), "{at_rest:?}");
    for edge in edges {
        assert_eq!(places(Some(edge)).await, at_rest, "{edge:?}");
    }
}

/// Calls of web to cart in the minute before the range, of web to pay in it: one edge went and one came.
#[tokio::test]
async fn two_ranges_are_compared() {
    let call = |second: i64, to: &str, at: i64| {
        let cells = [
            ("duration_nano", Cell::from(10_000_000)),
            ("observer", text("client")),
            ("layer", text("l7")),
            ("counted", true.into()),
            ("outcome", text("ok")),
            ("source_service", text("web")),
            ("destination_service", text(to)),
        ];
        row(second * SECOND + at, cells)
    };
    let calls: Vec<Row> = (0..20).flat_map(|at| [call(900, "cart", at), call(960, "pay", at)]).collect();
    let pages = pages(SnapshotBuilder::new().hot(Table::Requests, 1, &calls));
    let range = "from=960&to=1020";
    for query in ["compare=60s", "than=900"] {
        let (_, body) = get(&pages, &format!("/?{range}&{query}")).await;
        for want in [
            "<span class=\"change appeared\">appeared</span>",
            "<span class=\"change vanished\">vanished</span>",
            "web → cart",
            "Compared with",
        ] {
            assert!(body.contains(want), "{query}: {want} is not in {body}");
        }
    }
    let (_, body) = get(&pages, &format!("/?{range}")).await;
    assert!(!body.contains("web → cart") && !body.contains("change appeared"), "{body}");
}

/// Calls that failed in one of the minutes of an hour: its bar says so and leads to it.
#[tokio::test]
async fn the_timeline_leads_through_time() {
    let (_, body) = get(&of_web(), "/").await;
    // The second 1,000 is in the minute from 960 to 1,020.
    let link =
        "<a class=\"bar bad\" href=\"/?from=1970-01-01T00%3A16%3A00Z&amp;to=1970-01-01T00%3A17%3A00Z\"";
    assert!(body.contains(link), "{body}");
    assert!(body.contains("rel=\"prev\""), "one can step back");
}

/// A service with spans of its own work only.
#[tokio::test]
async fn services_without_calls_are_named() {
    let alone = span("lonely", "00f067aa0ba902c1", "", 1, 0, 5, 0);
    let pages = pages(mesh("web").hot(Table::Spans, 2, &[alone]));
    let (_, body) = get(&pages, "/").await;
    assert!(body.contains("<span class=\"chip\">shop/lonely</span>"), "{body}");
    assert!(!body.contains("<span class=\"chip\">shop/cart"), "it has calls");
}

/// Four of ten spans were refused in the range, and others before it.
#[tokio::test]
async fn rejected_records_are_wrong() {
    let counted = |second: i64, event: &str, reason: Option<&str>, records: i64| {
        let cells = [
            ("signal", text("traces")),
            ("source", text("otlp_grpc")),
            ("event", text(event)),
            ("records", records.into()),
        ];
        let mut row = row(second * SECOND, cells);
        row.extend(reason.map(|reason| ("reason", text(reason))));
        row
    };
    let ledger = [
        counted(10, "received", None, 500),
        counted(10, "rejected", Some("too_old"), 500),
        counted(1_000, "received", None, 10),
        counted(1_000, "accepted", None, 6),
        counted(1_000, "rejected", Some("bad_id"), 4),
    ];
    let pages = pages(mesh("web").hot(Table::Ledger, 2, &ledger));
    let (_, body) = get(&pages, "/").await;
    let wrong = body.split("class=\"troubles\"").nth(1).and_then(|rest| rest.split("</ol>").next());
    let wrong = wrong.unwrap_or_default();
    assert!(wrong.contains("traces · otlp_grpc") && wrong.contains("40 % · 4 records · bad_id"), "{wrong}");
    assert!(wrong.contains("#received") && !wrong.contains("too_old"), "{wrong}");
    // Of the last hour, 510 records, worst first; and the account adds up.
    let (_, body) = get(&pages, "/operate").await;
    let alerts = body.split("class=\"troubles\"").nth(1).and_then(|rest| rest.split("</ol>").next());
    let alerts: Vec<&str> = alerts.unwrap_or_default().split("<li").skip(1).collect();
    assert_eq!(alerts.len(), 2, "{body}");
    for (alert, want) in alerts.iter().zip(["too_old · 98 % · 500 records", "bad_id · 0.78 % · 4 records"])
    {
        assert!(alert.contains(want), "{alert}");
    }
}

/// One call as both proxies logged it: 30 ms at web's, 20 ms at cart's.
#[tokio::test]
async fn both_sides_of_an_edge_tell_how_long_its_calls_took() {
    let seen = |observer: &str, millis: i64| {
        let cells = [
            ("duration_nano", Cell::from(millis * 1_000_000)),
            ("observer", text(observer)),
            ("layer", text("l7")),
            ("counted", true.into()),
            ("outcome", text("ok")),
            ("request_id", text("3f2504e0-4f89-41d3-9a0c-0305e82c3301")),
            ("source_service", text("web")),
            ("source_namespace", text("shop")),
            ("destination_service", text("cart")),
            ("destination_namespace", text("shop")),
        ];
        row(1_000 * SECOND, cells)
    };
    let rows = [seen("client", 30), seen("server", 20)];
    let pages = pages(SnapshotBuilder::new().hot(Table::Requests, 1, &rows));
    for client in ["web", "shop%2Fweb"] {
        let (_, body) = get(&pages, &format!("/edge?client={client}&server=shop%2Fcart")).await;
        let way = body.split("<h2 id=\"way\">").nth(1).and_then(|rest| rest.split("</section>").next());
        let way = way.unwrap_or_default();
        for want in ["shop/web", "30 ms", "20 ms", "10 ms"] {
            assert!(way.contains(want), "{want} is not told by {way}");
        }
    }
}
