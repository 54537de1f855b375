//! Spans in, a search's page out.

use crate::ui::tests::{TRACE, get, of_web};

/// One trace of 40 ms: three spans of web and cart, two of them failed.
#[tokio::test]
async fn traces_are_found_by_fields_and_by_traceql() {
    let pages = of_web();
    let found = async |query: &str| {
        let (status, body) = get(&pages, &format!("/traces?{query}")).await;
        assert_eq!(status, 200, "{query}: {body}");
        body.contains(&format!("/trace/{TRACE}"))
    };
    for query in [
        "",
        "service=shop%2Fcart",
        "operation=GET+/cart&status=error",
        "attributes=customer.tier%3Dgold",
        "min=40ms&max=40ms",
        "q=%7B+kind+%3D+client+%7D+%7C+count()+%3D+1",
    ] {
        assert!(found(query).await, "{query}");
    }
    for query in
        ["service=shop%2Fpay", "attributes=customer.tier%3Dtin", "min=41ms", "q=%7B+kind+%3D+producer+%7D"]
    {
        assert!(!found(query).await, "{query}");
    }
}

#[tokio::test]
async fn a_found_trace_is_told_and_counted() {
    let (_, body) = get(&of_web(), "/traces").await;
    for want in ["web: GET /cart", ">40 ms<", "cart, web", "min=20ms&amp;max=50ms", "view=calls", "1 failed"]
    {
        assert!(body.contains(want), "{want}: {body}");
    }
}

#[tokio::test]
async fn a_mistake_is_shown_where_it_is() {
    let (status, body) = get(&of_web(), "/traces?q=%7B+name+%3D+%7D").await;
    assert_eq!(status, 400);
    let caret = body.split("class=\"mistake\"").nth(1).expect("a mistake");
    assert!(caret.contains("{ name = }\n         ^"), "{caret}");
    let (status, body) = get(&of_web(), "/traces?q=%7B%7D+%7C+rate()").await;
    assert_eq!((status, body.contains("The question could not be answered.")), (400, true), "{body}");
}
