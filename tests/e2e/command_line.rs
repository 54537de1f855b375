//! The commands beside `run` and `demo`: what they print, and how they fail.

use anyhow::{Context as _, Result};
use prost::Message as _;
use tokio::process::Command;

use crate::harness::{BINARY, Server, request};
use crate::payloads::{span, traces};

/// Exit code, standard output and standard error of one command.
async fn meshlake(arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let output = Command::new(BINARY).args(arguments).output().await?;
    Ok((output.status.code(), String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?))
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_prints_csv_or_the_parsers_message() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let address = server.addresses.query.as_str();
    let (code, out, _) = meshlake(&["sql", "--address", address, "SELECT 1 AS one, 'a,b' AS two"]).await?;
    assert_eq!((code, out.as_str()), (Some(0), "one,two\n1,\"a,b\"\n"));
    let (code, out, said) = meshlake(&["sql", "--address", address, "SELEC 1"]).await?;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(said.contains("SELEC"), "{said}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_without_a_server_says_how_to_start_one() -> Result<()> {
    // Port 1 is privileged and unused: nothing answers there.
    let (code, _, said) = meshlake(&["sql", "--address", "127.0.0.1:1", "SELECT 1"]).await?;
    assert_eq!(code, Some(1));
    assert!(said.contains("127.0.0.1:1") && said.contains("meshlake run"), "{said}");
    Ok(())
}

/// One meshlake sends its own traces to another.
#[tokio::test(flavor = "multi_thread")]
async fn our_own_traces_are_exported_over_otlp() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let receiving = Server::start(&dir.path().join("receiving")).await?;
    let endpoint = format!("http://{}", receiving.addresses.otlp_grpc);
    let environment = [("MESHLAKE_TELEMETRY__OTLP_ENDPOINT", endpoint.as_str())];
    let observed = Server::start_with(&["run"], &dir.path().join("observed"), &environment).await?;
    observed.get("/api/v1/ledger").await?;
    assert_eq!(observed.terminate().await?, Some(0), "a stop sends what is queued");
    let spans = receiving
        .sql("SELECT name, kind, url_path, http_response_status_code FROM spans WHERE service_name = 'meshlake'")
        .await?;
    assert_eq!(spans, [[serde_json::json!("GET"), 2.into(), "/api/v1/ledger".into(), 200.into()]]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_prints_what_would_be_used() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("meshlake.toml");
    std::fs::write(&file, "[query]\nrows_max = 7\n")?;
    let file = file.to_str().context("the temporary path is UTF-8")?;
    let (code, out, _) = meshlake(&["check-config", "--config", file]).await?;
    assert_eq!(code, Some(0));
    let printed: toml::Table = out.parse()?;
    assert_eq!(printed["query"]["rows_max"].as_integer(), Some(7));
    assert_eq!(printed["admin"]["http"].as_str(), Some("127.0.0.1:7071"), "defaults are printed too");
    Ok(())
}

/// Beside a server: the counts are what was sent, and the server does not notice.
#[tokio::test(flavor = "multi_thread")]
async fn inspect_shows_a_directory_in_use_as_text_and_as_json() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("data");
    let server = Server::start(&data).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let body = traces("inspected", (0..7).map(span).collect()).encode_to_vec();
    let (status, _) =
        request("POST", &url, &[("content-type", "application/x-protobuf")], body.into()).await?;
    assert_eq!(status, 200);
    let data = data.to_str().context("the temporary path is UTF-8")?;

    let (code, out, said) = meshlake(&["inspect", "--data-dir", data, "--json"]).await?;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let shown: serde_json::Value = serde_json::from_str(&out)?;
    assert!(shown["pid"].is_u64(), "{out}");
    assert_eq!(shown["findings"], serde_json::json!([]), "{out}");
    assert_eq!(shown["wal"]["segments"][0]["rows"]["spans"], 7, "{out}");
    assert_eq!(shown["tables"][0]["table"], "spans", "{out}");

    let (code, out, _) = meshlake(&["inspect", "--data-dir", data]).await?;
    assert_eq!(code, Some(0));
    assert!(out.starts_with(&format!("data directory  {data}, process ")), "{out}");
    for line in ["write-ahead log: 1 records", "tables", "watermarks", "windows"] {
        assert!(out.lines().any(|printed| printed == line), "{line} in\n{out}");
    }
    assert!(out.contains("spans 7"), "{out}");

    assert_eq!(server.number("SELECT count(*) FROM spans").await?, 7);
    assert_eq!(server.terminate().await?, Some(0));
    Ok(())
}

/// What only works on a directory that is there does not make one where its name was misspelt.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_there_is_not_made() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let missing = dir.path().join("missing");
    let shown = missing.to_str().context("the temporary path is UTF-8")?;
    for command in ["inspect", "maintain"] {
        let (code, out, said) = meshlake(&[command, "--data-dir", shown]).await?;
        assert_eq!((code, out.as_str()), (Some(1), ""), "{command}");
        assert_eq!(said, format!("meshlake: there is no data directory {shown}\n"));
        assert!(!missing.exists(), "{command}");
    }
    Ok(())
}
