//! `GET /api/v1/status`: who sends, and which configuration is in use, of a real server.

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use serde_json::json;

use crate::harness::{Server, request};
use crate::payloads::{span, traces};

const SENT: [(&str, &str); 2] = [("content-type", "application/x-protobuf"), ("user-agent", "shop/1.2")];

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_finds_itself_and_the_configuration() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let environment = [("MESHLAKE_QUERY__ROWS_MAX", "777")];
    let server = Server::start_with(&["run"], &dir.path().join("data"), &environment).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let good = traces("shop", vec![span(1)]).encode_to_vec();
    assert_eq!(request("POST", &url, &SENT, good.clone().into()).await?.0, 200);
    assert_eq!(request("POST", &url, &SENT, vec![0xff].into()).await?.0, 400);
    let others = [SENT[0], ("x-scope-orgid", "other")];
    assert_eq!(request("POST", &url, &others, good.into()).await?.0, 200);

    let status = server.get("/api/v1/status").await?;
    let senders = status["senders"].as_array().context("a list")?;
    assert_eq!(senders.len(), 1, "those of other tenants are not told: {senders:?}");
    let told = ["peer", "signal", "source", "agent", "exports", "refused"].map(|key| senders[0][key].clone());
    assert_eq!(
        told,
        [
            json!("127.0.0.1"),
            json!("traces"),
            json!("otlp_http_protobuf"),
            json!("shop/1.2"),
            json!(2),
            json!(1)
        ]
    );
    let tables = status["tables"].as_array().context("a list")?;
    let spans = tables.iter().find(|table| table["table"] == "spans").context("spans")?;
    assert_eq!(spans["buffered_rows"].as_u64().zip(spans["file_rows"].as_u64()).map(|(a, b)| a + b), Some(2));
    let refused = json!({"receiver": "otlp_http", "signal": "traces", "status": "undecodable", "count": 1});
    assert!(
        status["exports"].as_array().is_some_and(|exports| exports.contains(&refused)),
        "{}",
        status["exports"]
    );
    let configuration: toml::Table = status["configuration"].as_str().context("text")?.parse()?;
    assert_eq!(configuration["query"]["rows_max"].as_integer(), Some(777));
    Ok(())
}

/// Ports are the system's choice here, so that no default can stand for one.
#[tokio::test(flavor = "multi_thread")]
async fn pages_tell_where_this_server_listens_and_what_it_keeps() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let environment = [("MESHLAKE_MAINTAIN__SPANS_DAYS", "3"), ("MESHLAKE_MAINTAIN__REQUESTS_DAYS", "0")];
    let server = Server::start_with(&["run"], &dir.path().join("data"), &environment).await?;
    let page = async |path: &str| {
        let url = format!("http://{}{path}", server.addresses.query);
        let (status, body) = request("GET", &url, &[], Vec::new().into()).await?;
        ensure!(status == 200, "{path} answers {status}");
        Ok(String::from_utf8(body.to_vec())?)
    };
    let start = page("/start").await?;
    let addresses = &server.addresses;
    for want in [
        format!("psql postgres://{}/default", addresses.postgres),
        format!("grpc://{}", addresses.flight_sql),
        format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://{}", addresses.otlp_grpc),
        format!("http://{}/api/v1/write", addresses.otlp_http),
        format!("http://{}/tempo", addresses.query),
    ] {
        ensure!(start.contains(&want), "{want} is not on {start}");
    }
    let operate = page("/operate").await?;
    let kept = |table: &str| {
        let row = operate.split(&format!("<th scope=\"row\" class=\"text\">{table}</th>")).nth(1);
        row.and_then(|rest| rest.split("</tr>").next()).unwrap_or_default().to_owned()
    };
    for (table, want) in [("spans", ">3 days<"), ("requests", ">ever<"), ("calls_10s", ">6 hours<")] {
        ensure!(kept(table).contains(want), "{table}: {}", kept(table));
    }
    ensure!(operate.contains("Nothing to warn of"), "{operate}");
    server.check_for_panics()
}
