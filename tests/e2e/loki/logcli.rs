//! `logcli`: what people ask a Loki with, and, fed with lines, Loki's own engine. So the same queries over the same lines
//! are asked twice: of us over its client, and of it.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{INFO, UNSAID, program, send};
use crate::harness::Server;
use crate::payloads::now_nanos;
use crate::sql::tools::run;

const SERVICE: &str = "checkout";

/// Lines of kinds that stages meet, good and bad ones.
const LINES: [&str; 15] = [
    r#"{"method":"GET","status":200,"took":"12ms","size":"2KB","user":{"id":7,"name":"ann"},"tags":["a","b"],"ok":true}"#,
    r#"{"method":"POST","status":503,"took":"1.5s","size":"10MB","user":{"id":8,"name":"b\"q"},"err":null,"msg":"h\u00e9"}"#,
    r#"{"method":"PUT","status":"x","took":"soon"}"#,
    r#"{"method":"GET","broken":"#,
    "level=info method=GET path=/a took=3ms q=\"a b\" bare empty= n=1.50",
    "level=error method=POST path=/b?x=1 took=2m err=\"quote \\\" in\" status=500",
    "level=warn bad\"key=1 x=y =z ok=2",
    "level=debug open=\"never closed status=1",
    "10.0.0.1 - - [10/Jun/2021:09:14:29 +0000] \"GET /api HTTP/1.1\" 200 1024",
    "peer [2001:db8::7]:443 connected from 192.168.4.12:80",
    "\u{1b}[31mred\u{1b}[0m alert",
    r#"{"_entry":"the packed line","pod":"p-1","n":3}"#,
    "plain text with error in it",
    "UPPER lower 42",
    "a=1 a=2 level=info",
];

/// Behind the selector. What labels are is shown by what lines are made of them.
const STAGES: [&str; 50] = [
    "",
    r#"|= "GET""#,
    r#"|= "GET" != "POST""#,
    r#"|= "GET" or "POST""#,
    r#"!= "GET" or "POST""#,
    r#"|~ "st(atus|ore)[=\":]+[0-9]""#,
    r#"!~ `(?i)upper|level`"#,
    "|= ``",
    r#"|> "<_>level=info""#,
    r#"|> "level=<_>""#,
    r#"!> "<_>error<_>""#,
    r#"|= ip("192.168.4.0/24")"#,
    r#"|= ip("2001:db8::/32")"#,
    r#"!= ip("10.0.0.1")"#,
    r#"| json | line_format "{{.method}},{{.status}},{{.user_name}},{{.tags}},{{.ok}},{{.msg}},{{.__error__}}""#,
    r#"| json | __error__="""#,
    r#"| json | __error__!="""#,
    r#"| json who="user.name", t="tags[1]", u="user" | line_format "{{.who}}/{{.t}}/{{.u}}""#,
    r#"| json | status >= 500"#,
    r#"| json | status = 200 or method = "PUT" | line_format "{{.method}} {{.__error__}}""#,
    r#"| json | took > 100ms"#,
    r#"| json | size > 1MB | __error__="""#,
    r#"| json | status > 1 and took < 1s"#,
    r#"| logfmt | line_format "{{.level}},{{.method}},{{.path}},{{.q}},{{.err}},{{.a}},{{.n}},{{.__error__}}""#,
    r#"| logfmt --strict | line_format "{{.level}}:{{.__error__}}""#,
    r#"| logfmt --keep-empty | bare="" | level="info" | line_format "{{.bare}}.""#,
    r#"| logfmt l="level", p="path" | line_format "{{.l}} {{.p}}""#,
    r#"| logfmt | took >= 3ms"#,
    r#"| logfmt | level=~"in.*|warn" | n != 2"#,
    r#"| pattern `<ip> - - [<_>] "<verb> <uri> <_>" <status> <size>` | line_format "{{.ip}} {{.verb}} {{.uri}} {{.status}} {{.size}}""#,
    r#"| pattern `level=<level> <rest>` | line_format "{{.level}};{{.rest}}""#,
    r#"| regexp `(?P<verb>GET|POST) (?P<what>/\w+)` | what != "" | line_format "{{.verb}} {{.what}}""#,
    r#"| unpack | line_format "{{.pod}}{{.n}} {{__line__}}""#,
    "| decolorize",
    r#"| logfmt | label_format level="{{.level | ToUpper}}",was=method | line_format "{{.level}} {{.was}} {{.method}}""#,
    r#"| json | drop method, status="200" | line_format "{{.method}}{{.status}}""#,
    r#"| logfmt | keep level | line_format "{{.level}}{{.method}}""#,
    r#"| logfmt | drop __error__ | line_format "{{ if .level }}{{ .level | upper | trunc 2 }}{{ else }}none{{ end }}""#,
    r#"| line_format `{{ __line__ | replace "e" "E" | trim | substr 0 9 }}`"#,
    r#"| line_format `{{ printf "%-6s|%4d" (__line__ | trunc 3) (len __line__) }}`"#,
    r#"| logfmt | line_format `{{ .took | default "-" }} {{ add 1 2 }} {{ mulf 1.5 2 }} {{ round .n 1 }}`"#,
    r#"| json | line_format `{{ range $i, $t := fromJson .user }}{{ $i }}={{ $t }} {{ end }}`"#,
    r#"| line_format `{{ regexReplaceAll "(\\w+)=" __line__ "${1}:" }}`"#,
    r#"| line_format `{{ count "[aeiou]" __line__ }} {{ hasPrefix "level" __line__ }} {{ urlencode (__line__ | trunc 5) }}`"#,
    r#"| line_format `{{ html __line__ }}|{{ js __line__ }}|{{ slice __line__ 0 3 }}`"#,
    r#"| line_format `{{ printf "%e|%g|%.3g|%d|%T" 1234.5 1e6 12345.678 "x" 1 }} {{ bytes "1GB" }} {{ title "it's" }}`"#,
    r#"| line_format `{{ range $i := fromJson "[1,2,3]" }}{{ if eq $i 2.0 }}{{ continue }}{{ end }}{{ $i }}{{ end }}`"#,
    r#"| logfmt | line_format `{{ define "x" }}<{{ .level }}{{ .nope }}>{{ end }}{{ template "x" . }}{{ block "b" .method }}[{{ . }}]{{ end }}`"#,
    r#"| line_format `{{ $x := 1 }}{{ if $y := __line__ }}{{ $x := 2 }}{{ len $y }}{{ end }}{{ $x }}{{ define "n" }}{{ $ }}{{ end }}{{ template "n" }}`"#,
    "| line_format `{{ 0x1F }} {{ 017 }} {{ 1_000 }} {{ 'a' }} {{ fromJson \"[null]\" }}`",
];

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_those_that_loki_makes() -> Result<()> {
    let Some(logcli) = program("logcli")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let first = now_nanos() - 60_000_000_000;
    send(&server, (SERVICE, UNSAID), first, &LINES).await?;
    let mut failures = Vec::new();
    for stages in STAGES {
        let query = format!("{{service_name=\"{SERVICE}\"}} {stages}");
        let (ours, lokis) = (of_server(&logcli, &server, &query).await?, of_loki(&logcli, &query).await?);
        if ours != lokis {
            failures.push(format!("{query}\n  ours  {ours:#?}\n  lokis {lokis:#?}"));
        }
    }
    ensure!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    Ok(())
}

async fn of_server(logcli: &Path, server: &Server, query: &str) -> Result<Vec<String>> {
    let address = format!("--addr=http://{}/loki", server.addresses.query);
    let arguments = ["--quiet", "--output=raw", &address, "query", "--limit=100", "--since=10m", query];
    Ok(sorted(&run(logcli, arguments.to_vec()).await?))
}

/// What Loki's engine makes of the lines themselves.
async fn of_loki(logcli: &Path, query: &str) -> Result<Vec<String>> {
    let mut child = Command::new(logcli)
        .args(["--quiet", "--output=raw", "--stdin", "query", "--limit=100", query])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("a pipe")?;
    stdin.write_all((LINES.join("\n") + "\n").as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{query}: {told}");
    Ok(sorted(&String::from_utf8(output.stdout)?))
}

/// Lines of one instant have no order that both have; empty ones are not read from a pipe.
fn sorted(text: &str) -> Vec<String> {
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_series_and_numbers_are_answered() -> Result<()> {
    let Some(logcli) = program("logcli")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let server = Server::start(&dir.path().join("data")).await?;
    let now = now_nanos();
    send(&server, (SERVICE, INFO), now - 60_000_000_000, &["a=1", "a=2", "a=3"]).await?;
    let address = format!("--addr=http://{}/loki", server.addresses.query);
    let ask = async |arguments: &[&str]| run(&logcli, [&["--quiet", &address], arguments].concat()).await;

    let names = ask(&["labels", "--since=10m"]).await?;
    ensure!(names.split_whitespace().eq(["job", "level", "service_name", "source"]), "{names}");
    let values = ask(&["labels", "--since=10m", "service_name"]).await?;
    ensure!(values.trim() == SERVICE, "{values}");
    let series = ask(&["series", "--since=10m", "{level=\"info\"}"]).await?;
    ensure!(series.contains("service_name=\"checkout\""), "{series}");
    let query = "sum by (service_name) (sum_over_time({level=\"info\"} | logfmt | unwrap a [10m]))";
    let numbers: Value = serde_json::from_str(&ask(&["instant-query", query]).await?)?;
    ensure!(numbers[0]["metric"]["service_name"] == SERVICE && numbers[0]["value"][1] == "6", "{numbers}");
    let stats = ask(&["stats", "--since=10m", "{level=\"info\"}"]).await?;
    ensure!(stats.contains("entries: 3"), "{stats}");
    // Three lines of three bytes each.
    let volumes: Value = serde_json::from_str(&ask(&["volume", "--since=10m", "{level=\"info\"}"]).await?)?;
    ensure!(volumes[0]["metric"]["level"] == "info" && volumes[0]["value"][1] == "9", "{volumes}");
    let error = ask(&["query", "{level=\"info\"} |="]).await.expect_err("it is no query");
    ensure!(format!("{error:#}").contains("parse error at line 1, col 18"), "{error:#}");
    Ok(())
}
