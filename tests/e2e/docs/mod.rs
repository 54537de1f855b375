//! What the documentation says can be typed is typed, into a server that the demo mesh has filled.
//!
//! Each fenced block says behind its fence what it is: `sql` is asked, `sh` is run, `toml` is checked as a
//! configuration, `text` is only read. Addresses become the test server's, `meshlake` and `curl` little scripts
//! in front of the real ones. What `cargo` does takes too long here: such lines must be among those that
//! `.ci/run` runs. Commands, variables, addresses, paths and links within the text are tried as well.

mod markdown;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use hyper::body::Bytes;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::demo;
use crate::harness::{BINARY, Server, request};
use crate::maintain::maintain;
use markdown::Block;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// `$1` of `meshlake sql` is told the test server's address; other commands find `meshlake-data` where they stand.
const MESHLAKE: &str = r#"#!/bin/sh
if [ "$1" = sql ]; then
  shift
  set -- sql --address "$QUERY" "$@"
fi
exec "$BINARY" "$@"
"#;

/// Fails where the real one prints a refusal and ends well, and keeps each answer to be looked at.
const CURL: &str = r#"#!/bin/sh
mkdir -p answers
answer="answers/$(ls answers | wc -l)"
PATH="$REAL_PATH" curl --silent --show-error --fail-with-body "$@" > "$answer"
code=$?
cat "$answer"
exit $code
"#;

/// What a list in an answer is called; one that is empty shows a reader nothing.
const LISTS: [&str; 6] = ["rows", "nodes", "edges", "calls", "services", "spans"];

/// What a path from the root starts with; a text may name a file that is gone, and should not.
const TOP_DIRECTORIES: [&str; 11] = [
    "bench",
    "collector",
    "dashboards",
    "deploy",
    "docs",
    "listen",
    "query",
    "schema",
    "src",
    "store",
    "tests",
];

/// What is sent as long as somebody reads.
const STREAM: &str = "/api/v1/tail";

/// For one answer; a debug build on a busy machine takes seconds.
const TIME_MAX: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn what_the_documentation_says_works() -> Result<()> {
    if Command::new("curl").arg("--version").output().await.is_err() {
        ensure!(std::env::var_os("MESHLAKE_TEST_REQUIRE_TOOLS").is_none(), "curl is not installed");
        eprintln!("SKIPPED: what the documentation says is typed with curl, which is not installed");
        return Ok(());
    }
    let dir = tempfile::tempdir()?;
    let data = dir.path().join("meshlake-data");
    let (server, _) = demo::finished_with_restarts(&data).await?;
    maintain(&data, &[("MESHLAKE_ADMIN__HTTP", &server.addresses.admin)]).await?;
    let desk = Desk::new(dir.path(), &server)?;
    let (mut wrong, mut kinds) = (Vec::new(), BTreeSet::new());
    for path in pages()? {
        let page = std::fs::read_to_string(&path)?;
        let shown = path.strip_prefix(REPOSITORY)?.display();
        for block in markdown::blocks(&page) {
            let tried = desk.try_block(&block).await;
            kinds.insert(block.info.clone());
            wrong.extend(tried.err().map(|error| format!("{shown}:{}: {error:#}", block.line)));
        }
        let text = markdown::text_of(&page);
        for span in markdown::spans(&text) {
            wrong.extend(
                desk.try_span(&span).await.err().map(|error| format!("{shown}: `{span}`: {error:#}")),
            );
        }
        for (port, path) in markdown::addresses(&text) {
            let tried = desk.try_address(port, &path).await;
            wrong.extend(tried.err().map(|error| format!("{shown}: 127.0.0.1:{port}{path}: {error:#}")));
        }
        let links = markdown::links(&text).into_iter();
        let dead = links.filter(|link| !path.with_file_name(link).exists());
        wrong.extend(dead.map(|link| format!("{shown}: {link} is not there")));
    }
    assert!(wrong.is_empty(), "the documentation is wrong:\n{}", wrong.join("\n"));
    assert!(["sh", "sql"].iter().all(|kind| kinds.contains(*kind)), "only {kinds:?} were found");
    Ok(())
}

fn pages() -> Result<Vec<PathBuf>> {
    let root = Path::new(REPOSITORY);
    let mut pages = vec![root.join("README.md")];
    for entry in std::fs::read_dir(root.join("docs"))? {
        let path = entry?.path();
        pages.extend(path.extension().is_some_and(|extension| extension == "md").then_some(path));
    }
    pages.sort();
    Ok(pages)
}

/// Where a reader would sit: an empty directory beside a server's data, and the commands.
struct Desk<'a> {
    server: &'a Server,
    directory: PathBuf,
    /// The address for each port that is a default.
    addresses: BTreeMap<u16, &'a str>,
    /// What CI runs, where `cargo` is concerned.
    ci: String,
}

impl<'a> Desk<'a> {
    fn new(directory: &Path, server: &'a Server) -> Result<Desk<'a>> {
        let commands = directory.join("commands");
        std::fs::create_dir(&commands)?;
        for (name, script) in [("meshlake", MESHLAKE), ("curl", CURL)] {
            let path = commands.join(name);
            std::fs::write(&path, script)?;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
        }
        let ci =
            [".ci/run", ".ci/demo.py"].map(|file| std::fs::read_to_string(Path::new(REPOSITORY).join(file)));
        let defaults: toml::Table =
            std::fs::read_to_string(Path::new(REPOSITORY).join("deploy/meshlake.toml"))?.parse()?;
        let port = |section: &str, key: &str| -> Result<u16> {
            let address = defaults[section][key].as_str().context("an address is text")?;
            Ok(address.rsplit(':').next().unwrap_or_default().parse()?)
        };
        let addresses = BTreeMap::from([
            (port("collector", "otlp_grpc")?, server.addresses.otlp_grpc.as_str()),
            (port("collector", "otlp_http")?, server.addresses.otlp_http.as_str()),
            (port("query", "http")?, server.addresses.query.as_str()),
            (port("query", "flight_sql")?, server.addresses.flight_sql.as_str()),
            (port("admin", "http")?, server.addresses.admin.as_str()),
        ]);
        let [run, demo] = ci;
        Ok(Desk { server, directory: directory.to_owned(), addresses, ci: run? + &demo? })
    }

    async fn try_block(&self, block: &Block) -> Result<()> {
        match block.info.as_str() {
            "text" => Ok(()),
            "sql" => {
                let rows = self.server.sql(&block.text).await?;
                ensure!(!rows.is_empty(), "no rows");
                Ok(())
            }
            "sh" => {
                let (cargo, rest): (Vec<_>, Vec<_>) =
                    block.text.lines().partition(|line| line.trim_start().starts_with("cargo "));
                cargo.iter().try_for_each(|line| self.check_cargo(line.trim()))?;
                self.shell(&rest.join("\n")).await
            }
            "toml" => {
                std::fs::write(self.directory.join("block.toml"), &block.text)?;
                succeeded(&self.meshlake(&["check-config", "--config", "block.toml"]).output().await?)
            }
            "" => bail!("say behind the fence what this is: sql, sh, toml, or text for what is only read"),
            other => bail!("nobody knows how to try {other}"),
        }
    }

    async fn shell(&self, script: &str) -> Result<()> {
        let answers = self.directory.join("answers");
        if answers.exists() {
            std::fs::remove_dir_all(&answers)?;
        }
        let mut script = script.to_owned();
        for (port, address) in &self.addresses {
            script = script.replace(&format!("127.0.0.1:{port}"), address);
        }
        let real = std::env::var("PATH")?;
        let output = Command::new("sh")
            .args(["-e", "-c", &script])
            .current_dir(&self.directory)
            .env("PATH", format!("{}/commands:{real}", self.directory.display()))
            .env("REAL_PATH", &real)
            .env("BINARY", BINARY)
            .env("QUERY", &self.server.addresses.query)
            .output()
            .await?;
        succeeded(&output)?;
        for answer in std::fs::read_dir(&answers).into_iter().flatten() {
            check_answer(&std::fs::read(answer?.path())?)?;
        }
        Ok(())
    }

    /// A command, a variable or a path in the text; anything else is not looked at.
    async fn try_span(&self, span: &str) -> Result<()> {
        let words: Vec<&str> = span.split_whitespace().collect();
        match words.as_slice() {
            ["cargo", ..] => self.check_cargo(span),
            ["meshlake", command, flags @ ..] => {
                let output = self.meshlake(&[command, "--help"]).output().await?;
                succeeded(&output)?;
                let help = String::from_utf8_lossy(&output.stdout);
                let unknown = flags.iter().find(|flag| flag.starts_with("--") && !help.contains(*flag));
                ensure!(unknown.is_none(), "there is no {unknown:?}");
                Ok(())
            }
            ["GET", path] => {
                let (path, query) = path.split_once('?').unwrap_or((path, ""));
                let told = query.split('&').filter(|pair| {
                    let value = pair.split_once('=').map_or("", |(_, value)| value);
                    !value.is_empty() && !value.contains('|')
                });
                let query: Vec<&str> = told.collect();
                let trace = self.server.sql("SELECT trace_id FROM traces LIMIT 1").await?;
                let asked = format!("{path}?{}", query.join("&"));
                let asked = asked.replace("{trace_id}", trace[0][0].as_str().context("an id is text")?);
                if path == STREAM {
                    return self.begins(path).await;
                }
                let answer = tokio::time::timeout(TIME_MAX, self.server.get(&asked));
                answer.await.context("it is not answered in time")?.map(drop)
            }
            [variable] if variable.starts_with("MESHLAKE_") && variable.contains("__") => {
                let Some((name, value)) = variable.split_once('=') else { return Ok(()) };
                succeeded(&self.meshlake(&["check-config"]).env(name, value).output().await?)
            }
            [path, ..] if is_of_the_tree(path) => {
                ensure!(Path::new(REPOSITORY).join(path).exists(), "there is no such file");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// An answer that has no end begins well.
    async fn begins(&self, path: &str) -> Result<()> {
        let mut socket = TcpStream::connect(&self.server.addresses.query).await?;
        socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: meshlake\r\n\r\n").as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(TIME_MAX, socket.read_u8());
            head.push(byte.await.context("it is not answered in time")??);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        ensure!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/event-stream"), "{head}");
        Ok(())
    }

    fn meshlake(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.args(arguments).current_dir(&self.directory);
        command
    }

    /// `cargo run ... -- command` needs the part before in CI, and a command of meshlake behind.
    fn check_cargo(&self, line: &str) -> Result<()> {
        let (cargo, _) = line.split_once(" -- ").unwrap_or((line, ""));
        let code = self.ci.lines().filter(|line| !line.trim_start().starts_with('#'));
        ensure!(code.into_iter().any(|run| run.contains(cargo)), "CI does not run {cargo}");
        Ok(())
    }

    async fn try_address(&self, port: u16, path: &str) -> Result<()> {
        let address = self.addresses.get(&port).context("no default has this port")?;
        if path.is_empty() {
            return Ok(());
        }
        let (status, _) = request("GET", &format!("http://{address}{path}"), &[], Bytes::new()).await?;
        // What takes only POST says so.
        ensure!(status == 200 || status == 405, "GET gives {status}");
        Ok(())
    }
}

/// Whether this is a path that starts at the root of the repository, and no pattern.
fn is_of_the_tree(text: &str) -> bool {
    let parts = text.split_once('/').filter(|_| !text.contains(['*', '<', '{']));
    parts.is_some_and(|(first, _)| TOP_DIRECTORIES.contains(&first))
}

fn succeeded(output: &Output) -> Result<()> {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    ensure!(output.status.success(), "{}: {out}{err}", output.status);
    Ok(())
}

/// JSON has something in each of its lists, CSV has rows.
fn check_answer(answer: &[u8]) -> Result<()> {
    let Ok(json) = serde_json::from_slice::<Value>(answer) else {
        let lines = String::from_utf8_lossy(answer).lines().count();
        ensure!(lines > 1, "the answer has {lines} lines");
        return Ok(());
    };
    ensure!(json.get("partialSuccess").is_none(), "not all was taken: {json}");
    for list in LISTS.iter().filter_map(|list| json.get(list)?.as_array()) {
        ensure!(!list.is_empty(), "the answer shows nothing: {json}");
    }
    Ok(())
}

#[test]
fn an_answer_that_shows_nothing_is_found() {
    let fails = |answer: &str| check_answer(answer.as_bytes()).is_err();
    assert!(fails(r#"{"rows": []}"#));
    assert!(!fails(r#"{"rows": [[1]], "warnings": []}"#));
    assert!(fails("name,calls\n"));
    assert!(!fails("name,calls\na,1\n"));
    assert!(!fails("{}"));
    assert!(fails(r#"{"partialSuccess": {"rejectedSpans": 1}}"#));
}
