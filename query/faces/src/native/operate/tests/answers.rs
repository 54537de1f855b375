//! Balance, policies, gateways and saturation.

use meshlake_fixture::{Row, SnapshotBuilder, row};
use meshlake_schema::Table;
use serde_json::{Value, json};

use super::{AT, RANGE, SECOND, get_json, served};

/// A call with these cells beside, or instead of, those of [`served`].
fn with(millis: i64, cells: &[(&'static str, meshlake_fixture::Cell)]) -> Row {
    let mut row = served("v1", millis, "ok");
    row.extend(cells.iter().map(|(name, cell)| (*name, cell.clone())));
    row
}

fn requests(rows: &[Row]) -> SnapshotBuilder {
    SnapshotBuilder::new().hot(Table::Requests, 1, rows)
}

fn keyed(row: &Value, keys: &[&str]) -> Vec<Value> {
    keys.iter().map(|key| row[*key].clone()).collect()
}

#[tokio::test]
async fn instances_are_told_against_equal_shares() {
    let of = |instance: &'static str, count| {
        (0..count).map(move |_| with(10, &[("destination_instance", instance.into())]))
    };
    let rows: Vec<Row> = of("cart-0", 90).chain(of("cart-1", 30)).collect();
    let (status, answer) = get_json(requests(&rows), &format!("/api/v1/balance?service=cart&{RANGE}")).await;
    assert_eq!(status, 200, "{answer}");
    // 90 and 30 instead of 60 each: 30^2 / 60 twice, one degree of freedom.
    let told = keyed(&answer, &["service", "verdict", "dispersion", "coefficient_of_variation"]);
    assert_eq!(told, [json!("shop/cart"), json!("uneven"), json!(30.0), json!(0.5)]);
    let instance = keyed(&answer["instances"][0], &["instance", "version", "relative", "odd", "requests"]);
    assert_eq!(instance, [json!("cart-0"), json!("v1"), json!(1.5), json!(["busy"]), json!(90)]);
}

#[tokio::test]
async fn refusals_are_told_under_their_policy() {
    let denied = [
        ("response_code", 403.into()),
        ("outcome", "client_error".into()),
        ("response_code_details", "rbac_access_denied_matched_policy[none]".into()),
    ];
    let rows = [with(10, &[]), with(1, &denied)];
    let path = format!("/api/v1/policies?service=cart&{RANGE}");
    let (status, answer) = get_json(requests(&rows), &path).await;
    let want = json!([{
        "client": "shop/web", "server": "shop/cart", "at": "server", "policy": "authorization",
        "reason": "rbac_access_denied_matched_policy[none]",
        "meaning": "A rule of role-based access control denied the call.",
        "requests": 1, "share": 0.5, "rate": 1.0 / 20.0, "counted_from": "requests",
    }]);
    assert_eq!((status, &answer["rows"], &answer["warnings"]), (200, &want, &json!([])), "{answer}");
}

#[tokio::test]
async fn gateways_are_told_from_the_outside_in() {
    let at_gateway = [
        ("observer", "gateway".into()),
        ("source_service", "ingress".into()),
        ("authority", "shop.example".into()),
        ("route", "cart".into()),
    ];
    let (status, answer) =
        get_json(requests(&[with(10, &at_gateway)]), &format!("/api/v1/gateways?{RANGE}")).await;
    assert_eq!(status, 200, "{answer}");
    let told = keyed(&answer["rows"][0], &["gateway", "host", "route", "requests", "kept"]);
    assert_eq!(told, [json!("shop/ingress"), json!("shop.example"), json!("cart"), json!(1), json!(0)]);
    let upstream = keyed(&answer["rows"][0]["upstreams"][0], &["service", "requests", "p50_ms"]);
    assert_eq!(upstream, [json!("shop/cart"), json!(1), json!(10)]);
}

/// A call of 2 s in the 20 s since there is data, and two points of a gauge of the instance; one of another service, one
/// that tells nothing of means.
#[tokio::test]
async fn a_service_is_as_full_as_its_calls_and_metrics_say() {
    let point = |service: &'static str, metric: &'static str, second: i64, value: f64| {
        row(
            second * SECOND,
            [
                ("metric_name", metric.into()),
                ("metric_type", "gauge".into()),
                ("series_id", 7.into()),
                ("service_name", service.into()),
                ("service_instance_id", "cart-0".into()),
                ("value", value.into()),
            ],
        )
    };
    let points = [
        point("cart", "process.cpu.utilization", AT, 0.25),
        point("cart", "process.cpu.utilization", AT + 10, 0.75),
        point("cart", "cart.items", AT, 9.0),
    ];
    let rows = [with(2_000, &[("destination_instance", "cart-0".into())])];
    let snapshot = requests(&rows).hot(Table::MetricPoints, 2, &points);
    let (status, answer) = get_json(snapshot, &format!("/api/v1/saturation?service=cart&{RANGE}")).await;
    assert_eq!(status, 200, "{answer}");
    let instance = keyed(&answer["instances"][0], &["instance", "concurrency", "requests"]);
    assert_eq!(instance, [json!("cart-0"), json!(0.1), json!(1)]);
    assert_eq!(answer["received"]["counted_from"], "requests");
    let metrics = answer["metrics"].as_array().map(Vec::len);
    let told = keyed(&answer["metrics"][0], &["metric", "points", "last", "mean", "max", "rate"]);
    let want =
        [json!("process.cpu.utilization"), json!(2), json!(0.75), json!(0.5), json!(0.75), json!(null)];
    assert_eq!((metrics, told.as_slice()), (Some(1), want.as_slice()));
}

#[tokio::test]
async fn what_is_not_there_is_said() {
    for (path, status, want) in [
        ("balance", 400, "name a service"),
        ("saturation", 400, "name a service"),
        ("balance?service=nobody", 200, "no node is called `nobody` in this range"),
        ("saturation?service=nobody", 200, "no node is called `nobody` in this range"),
        ("policies?server=nobody", 200, "no node is called `nobody` in this range"),
        ("gateways?gateway=nobody", 200, "no gateway is called `nobody` in this range"),
        ("gateways?by=host", 200, "`by` means nothing here"),
    ] {
        let joined = if path.contains('?') { '&' } else { '?' };
        let rows = [served("v1", 10, "ok")];
        let (got, answer) = get_json(requests(&rows), &format!("/api/v1/{path}{joined}{RANGE}")).await;
        assert_eq!(got, status, "{path}: {answer}");
        assert!(answer.to_string().contains(want), "{path}: {answer}");
    }
}
