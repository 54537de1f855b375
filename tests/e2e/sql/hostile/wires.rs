//! The same statements by the other ways in: Postgres's extended and simple protocol, Flight SQL, the shell.
//!
//! They are asked by those clients that people have. A client sees an answer or an error, and its connection
//! goes on; meanwhile exports are acknowledged, the process that answers is the same one at the end, and it
//! leaves no spilled file. Those that reach outside are asked once more with strace looking on, which sees no file opened
//! outside of what may be read.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::process::{Child, Command};

use super::super::tools::{self, program, spilled_files};
use super::statements::{Grammar, heavy, known};
use super::{ENVIRONMENT, RESIDENT_BYTES_MAX, SPANS, ask, check_memory, generated, seed, send};
use crate::harness::{BINARY, Server};
use crate::query_process::processes::{line_of, query_process_of, signal};

/// Statements of the grammar on each wire, unless `MESHLAKE_TEST_STATEMENTS` has another number of them.
const GENERATED: u64 = 10;

/// Each wire is asked one in so many of the statements that take all their time, and others than the next wire.
const HEAVY_EVERY: usize = 8;

/// The shell is a process a statement, so it is asked one in so many.
const SHELL_EVERY: usize = 20;

/// A statement has a time-out of three seconds, and most take none of it.
const STATEMENT_TIME_MAX: Duration = Duration::from_secs(4);

/// The same for a shell, which is a process as well.
const SHELL_TIME_MAX: Duration = Duration::from_secs(60);

/// Of those that are answered, one that has to open a file of spans.
const READS: &str = "SELECT count(*) FROM spans WHERE name <> 'none'";

/// What is read beside the data directory and what is spilled: the system's own files, the program, what it
/// is told of itself. A file that is not there cannot be read.
const READ_BESIDE: [&str; 8] =
    ["/proc/", "/sys/", "/dev/", "/etc/ld.so", "/etc/localtime", "/usr/", "/lib/", BINARY];

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_takes_the_server_down_by_another_wire() -> Result<()> {
    let Some(python) = tools::python(&["psycopg", "adbc_driver_flightsql"])? else { return Ok(()) };
    let Some(strace) = program("strace", "strace")? else { return Ok(()) };
    let dir = tempfile::tempdir()?;
    let (data, temporary) = (dir.path().join("data"), dir.path().join("tmp"));
    std::fs::create_dir(&temporary)?;
    let told = temporary.to_str().context("a path in UTF-8")?;
    // What is in files is read from them, and seen by the tracer.
    let flushes = ("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", "1");
    // Flight SQL plans a statement twice, and beside other load that alone takes a build without optimisation a second.
    let timeout = ("MESHLAKE_QUERY__TIMEOUT_SECONDS", "3");
    let environment = [ENVIRONMENT.as_slice(), &[("TMPDIR", told), flushes, timeout]].concat();
    let server = Server::start_with(&["run"], &data, &environment).await?;
    send(&server, "victim", SPANS).await?;
    let answering = query_process_of(&server)?.context("a process that answers")?;
    let mut grammar = Grammar { state: seed() };
    let (postgres, flight) = (&server.addresses.postgres, &server.addresses.flight_sql);
    let wires = [("postgres", postgres), ("postgres-simple", postgres), ("flight", flight)];
    for (number, (wire, address)) in wires.into_iter().enumerate() {
        let statements = statements(&mut grammar, number);
        let file = dir.path().join("statements.json");
        std::fs::write(&file, serde_json::to_vec(&statements)?)?;
        let script = tools::beside("hostile/ask.py");
        let mut client = Command::new(&python);
        client.arg(script).args([wire, address]).arg(&file);
        let time = STATEMENT_TIME_MAX * u32::try_from(statements.len())?;
        println!("{wire}: {}", while_sending(&server, client, time).await?);
    }
    // Not before: every system call of a process that is traced waits for the tracer, and beside other load so long that
    // no statement would be answered in its time.
    let trace = dir.path().join("trace");
    let tracer = traced(&strace, answering, &trace).await?;
    for statement in known().iter().map(String::as_str).chain([READS]) {
        ask(&server, statement).await?;
    }
    for statement in statements(&mut grammar, 0).iter().step_by(SHELL_EVERY) {
        let mut shell = Command::new(BINARY);
        let server_url = format!("http://{}", server.addresses.query);
        shell.args(["sql", "--server", &server_url, "--format", "csv", "-f", "-"]);
        asked_by_shell(shell, statement).await?;
    }
    let is_same = query_process_of(&server)? == Some(answering);
    ensure!(is_same, "the process that answers has ended in between:\n{}", server.log()?);
    let left = spilled_files(&temporary)?;
    ensure!(left.is_empty(), "left over: {left:?}");
    check_opened(tracer, &trace, &[&data, &temporary]).await?;
    check_memory(&server, RESIDENT_BYTES_MAX)?;
    server.check_for_panics()?;
    ensure!(server.terminate().await? == Some(0), "the stop fails");
    Ok(())
}

/// Those of the wire of that number.
fn statements(grammar: &mut Grammar, number: usize) -> Vec<String> {
    let heavy = heavy().into_iter().skip(number).step_by(HEAVY_EVERY);
    let generated = (0..generated(GENERATED)).map(|_| grammar.statement()).collect::<Vec<_>>();
    known().into_iter().chain(heavy).chain(generated).collect()
}

/// Runs a client to its end, and sends spans all the while.
async fn while_sending(server: &Server, mut client: Command, time: Duration) -> Result<String> {
    let client = client.stdin(Stdio::null()).kill_on_drop(true).output();
    let mut client = std::pin::pin!(tokio::time::timeout(time, client));
    let output = loop {
        tokio::select! {
            output = &mut client => break output.context("the client hangs")??,
            sent = send(server, "bystander", 1) => sent.context("an export is not acknowledged")?,
        }
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// A statement that fails ends the shell with a status of its own, never by a signal.
async fn asked_by_shell(mut shell: Command, statement: &str) -> Result<()> {
    use tokio::io::AsyncWriteExt as _;
    let pipes = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = pipes.spawn()?;
    let mut stdin = child.stdin.take().context("stdin")?;
    // It may have ended before it has read all of what is too long.
    let _ = stdin.write_all(statement.as_bytes()).await;
    drop(stdin);
    let output =
        tokio::time::timeout(SHELL_TIME_MAX, child.wait_with_output()).await.context("the shell hangs")??;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code().is_some_and(|code| code < 100), "{}: {said}", output.status);
    ensure!(!said.contains("panicked"), "{said}");
    Ok(())
}

/// strace on all threads of a process, writing down what they open.
async fn traced(strace: &Path, pid: u32, to: &Path) -> Result<Child> {
    let calls = "trace=open,openat,openat2,creat,execve";
    let mut tracer = Command::new(strace);
    tracer.args(["-f", "-qq", "-e", calls, "-o"]).arg(to).args(["-p", &pid.to_string()]).kill_on_drop(true);
    let tracer = tracer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let attached = async {
        while line_of(pid, "status", "TracerPid:")? == "0" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(30), attached).await.context("strace attaches")??;
    Ok(tracer)
}

/// Ends the tracer and looks at what was opened: `1234 openat(AT_FDCWD, "/path", O_RDONLY) = 3`.
async fn check_opened(mut tracer: Child, trace: &Path, allowed: &[&PathBuf]) -> Result<()> {
    let pid = tracer.id().context("strace runs")?;
    signal("-INT", pid).await?;
    tokio::time::timeout(Duration::from_secs(30), tracer.wait()).await.context("strace ends")??;
    let log = std::fs::read_to_string(trace)?;
    let opened = log.lines().filter(|line| line.contains('(') && !line.contains(" = -1 "));
    let mut count = 0;
    for line in opened {
        let Some(path) = line.split('"').nth(1) else { continue };
        let is_allowed = allowed.iter().any(|place| Path::new(path).starts_with(place))
            || READ_BESIDE.iter().any(|place| path.starts_with(place));
        ensure!(is_allowed, "opened: {line}");
        count += 1;
    }
    println!("{count} files opened, each where it may be");
    ensure!(count > 0, "strace has seen nothing, not even files of tables");
    Ok(())
}
