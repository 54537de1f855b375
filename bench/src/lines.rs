//! Access logs as lines: what an import of a file costs, and what syslog takes, until every row is in files.
//!
//! Lines are nginx's `combined`, 150 to 220 bytes, or Istio's text, 340 to 370, of the hour before now: paths, addresses and agents
//! repeat as they do behind a load balancer. GoAccess reads the same file in the same run where it is installed: the program that people
//! have for this today, which keeps nothing.

use std::fmt::Write as _;
use std::io::{BufWriter, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use meshlake_schema::UnixNanos;

use crate::measure::settle;
use crate::process;
use crate::random::Random;
use crate::report;
use crate::server::{Place, Server};

pub const MILLION: f64 = 1e6;
const NANOS_PER_SECOND: i64 = 1_000_000_000;
const HOUR_NANOS: i64 = 3600 * NANOS_PER_SECOND;
const START_TIME_MAX: Duration = Duration::from_secs(30);
const FLUSH_AGE: Duration = Duration::from_secs(1);

/// Lines that are sent over and over, so that making them costs the sender nothing.
const LINES_OF_A_ROUND: usize = 100_000;

/// How many lines.
#[derive(Debug, Clone, Args)]
pub struct LinesArgs {
    #[arg(long, default_value_t = 10_000_000)]
    pub lines: usize,
}

/// In which format lines are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LineKind {
    #[value(name = "nginx_combined")]
    NginxCombined,
    #[value(name = "istio_text")]
    IstioText,
}

impl LineKind {
    /// The name of the known format.
    pub const fn name(self) -> &'static str {
        match self {
            LineKind::NginxCombined => "nginx_combined",
            LineKind::IstioText => "istio_text",
        }
    }
}

/// Imports a file and writes the page.
///
/// # Errors
/// The import fails, or not every line became a row.
pub fn import_page(place: &Place, args: &LinesArgs) -> anyhow::Result<String> {
    let directory = place.fresh_directory()?;
    let file = directory.path().join("access.log");
    let file_bytes = write_file(&file, args.lines, LineKind::NginxCombined)?;
    let data = directory.path().join("data");
    let mut rows = Vec::new();
    let import =
        [place.binary.as_os_str(), "import".as_ref(), file.as_os_str(), "--data-dir".as_ref(), data.as_ref()];
    let (elapsed, cpu, told) = timed(place, &import)?;
    let parsed = format!("parsed         {}\n", with_commas(args.lines));
    ensure!(told.contains(&parsed), "not every line was parsed:\n{told}");
    rows.push(row("meshlake import", args.lines, elapsed, cpu, process::bytes_below(&data.join("tables"))?));
    let goaccess =
        ["goaccess".as_ref(), file.as_os_str(), "--log-format=COMBINED".as_ref(), "--output=json".as_ref()];
    if Command::new("goaccess").arg("--version").stdout(Stdio::null()).status().is_ok() {
        let (elapsed, cpu, _) = timed(place, &goaccess)?;
        rows.push(row("goaccess", args.lines, elapsed, cpu, 0));
    }
    let title = "# An import of an access log\n\nFrom the start of the process to its end: every row is in files then, and the golden metrics \
                 are printed.\n\n";
    let load = format!("Load: {} lines, {:.0} MB.\n\n", with_commas(args.lines), file_bytes as f64 / MILLION);
    let columns = ["program", "s", "lines/s", "CPU s per million", "bytes a line in tables"];
    Ok(format!("{title}{}{load}{}", report::head(), report::table(&columns, &rows)))
}

/// Sends lines by syslog over one TCP connection and writes the page.
///
/// # Errors
/// The server cannot be started, or not every line became a row.
pub async fn syslog_page(place: &Place, args: &LinesArgs) -> anyhow::Result<String> {
    let directory = place.fresh_directory()?;
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let settings = [
        ("MESHLAKE_STORE__FLUSH_AGE_MAX_SECONDS", FLUSH_AGE.as_secs().to_string()),
        ("MESHLAKE_COLLECTOR__SYSLOG", address.to_string()),
        ("MESHLAKE_COLLECTOR__SYSLOG_APPS", "[{ app = \"nginx\", format = \"nginx_combined\" }]".to_owned()),
    ];
    let server = Server::start(place, directory.path(), &settings, START_TIME_MAX).await?;
    let mut round = String::new();
    let mut lines = Lines::new(LINES_OF_A_ROUND)?;
    for _ in 0..LINES_OF_A_ROUND {
        round.push_str("<190>1 - vm nginx - - - ");
        lines.push(&mut round);
    }
    let rounds = args.lines.div_ceil(LINES_OF_A_ROUND);
    let before = process::cpu_time(server.pid())?;
    let began = Instant::now();
    tokio::task::spawn_blocking(move || send(address, round.as_bytes(), rounds)).await??;
    let (elapsed, cpu) = (began.elapsed(), process::cpu_time(server.pid())?.saturating_sub(before));
    settle(&server, FLUSH_AGE).await?;
    let cpu_settled = process::cpu_time(server.pid())?.saturating_sub(before);
    let peak = process::peak_memory(server.pid())? as f64 / report::MEBIBYTE;
    let counted = server.sql("SELECT count(*) FROM requests WHERE counted").await?;
    let counted = counted.first().and_then(|row| row[0].as_u64()).context("read the count of rows")?;
    let sent = rounds * LINES_OF_A_ROUND;
    ensure!(counted == sent as u64, "{counted} of {sent} lines became rows");
    server.stop().await?;
    let columns = ["lines/s durable", "CPU s per million when durable", "with the flush", "peak RSS MiB"];
    let per_million = |cpu: Duration| format!("{:.2}", cpu.as_secs_f64() * MILLION / sent as f64);
    let speed = format!("{:.0}", sent as f64 / elapsed.as_secs_f64());
    let row = vec![speed, per_million(cpu), per_million(cpu_settled), format!("{peak:.0}")];
    let title =
        "# Syslog over TCP\n\nOne connection, messages ended by line feeds, until the last is durable.\n\n";
    let load = format!("Load: {} lines.\n\n", with_commas(sent));
    Ok(format!("{title}{}{load}{}", report::head(), report::table(&columns, &[row])))
}

fn send(address: std::net::SocketAddr, round: &[u8], rounds: usize) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address)?;
    for _ in 0..rounds {
        stream.write_all(round)?;
    }
    stream.shutdown(Shutdown::Write)?;
    // The server ends the connection when all of it is durable.
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Runs a command on the CPUs of `place`: how long it took, its CPU time, and what it printed.
fn timed(place: &Place, command: &[&std::ffi::OsStr]) -> anyhow::Result<(Duration, Duration, String)> {
    let (began, before) = (Instant::now(), process::cpu_time_of_children()?);
    let output = Command::new("taskset").args(["--cpu-list", &place.cpus]).args(command).output();
    let output = output.context("run taskset")?;
    let (elapsed, cpu) = (began.elapsed(), process::cpu_time_of_children()?.saturating_sub(before));
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    Ok((elapsed, cpu, String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn row(program: &str, lines: usize, elapsed: Duration, cpu: Duration, table_bytes: u64) -> Vec<String> {
    let per_line = |what: f64| what / lines as f64;
    vec![
        program.to_owned(),
        format!("{:.1}", elapsed.as_secs_f64()),
        format!("{:.0}", lines as f64 / elapsed.as_secs_f64()),
        format!("{:.2}", per_line(cpu.as_secs_f64() * MILLION)),
        if table_bytes == 0 { "-".to_owned() } else { format!("{:.1}", per_line(table_bytes as f64)) },
    ]
}

/// Writes a file of `count` lines; how many bytes it has.
///
/// # Errors
/// It cannot be written.
pub fn write_file(path: &Path, count: usize, kind: LineKind) -> anyhow::Result<u64> {
    let file = std::fs::File::create(path)?;
    write_lines(&file, &mut Lines { kind, ..Lines::new(count)? }, count)
}

/// Writes the next `count` lines; how many bytes they have.
///
/// # Errors
/// They cannot be written.
pub fn write_lines(file: &std::fs::File, lines: &mut Lines, count: usize) -> anyhow::Result<u64> {
    let (mut file, mut line, mut bytes) = (BufWriter::new(file), String::new(), 0);
    for _ in 0..count {
        line.clear();
        lines.push(&mut line);
        bytes += line.len() as u64;
        file.write_all(line.as_bytes())?;
    }
    file.flush()?;
    Ok(bytes)
}

/// Lines of the last hour, in the order of their times.
pub struct Lines {
    random: Random,
    start: i64,
    step: i64,
    made: i64,
    second: i64,
    time: String,
    is_numbered: bool,
    kind: LineKind,
}

impl Lines {
    /// So many lines, whose count of bytes is their number, from 0 on.
    ///
    /// # Errors
    /// When the clock stands before 1970.
    pub fn numbered(count: usize) -> anyhow::Result<Lines> {
        Ok(Lines { is_numbered: true, ..Lines::new(count)? })
    }

    fn new(count: usize) -> anyhow::Result<Lines> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock stands before 1970")?;
        let start = i64::try_from(now.as_nanos())? - HOUR_NANOS;
        let step = HOUR_NANOS / i64::try_from(count.max(1))?;
        Ok(Lines {
            random: Random::new(42),
            start,
            step,
            made: 0,
            second: -1,
            time: String::new(),
            is_numbered: false,
            kind: LineKind::NginxCombined,
        })
    }

    fn push(&mut self, out: &mut String) {
        const METHODS: [&str; 4] = ["GET", "GET", "GET", "POST"];
        const STATUSES: [u16; 8] = [200, 200, 200, 200, 200, 304, 404, 502];
        let nanos = self.start + self.made * self.step;
        self.made += 1;
        if nanos / NANOS_PER_SECOND != self.second {
            self.second = nanos / NANOS_PER_SECOND;
            self.time = match self.kind {
                LineKind::NginxCombined => common_log_time(self.second),
                LineKind::IstioText => {
                    UnixNanos(self.second * NANOS_PER_SECOND).to_rfc3339()[..19].to_owned()
                }
            };
        }
        let number = self.random.bits();
        let pick = |shift: u32, below: u64| (number >> shift) % below;
        let bytes = if self.is_numbered { self.made.unsigned_abs() - 1 } else { pick(4, 20_000) };
        let (method, status) = (METHODS[pick(18, 4) as usize], STATUSES[pick(44, 8) as usize]);
        let path = format_args!("/api/v1/{}/items/{}?page={}", pick(20, 12), pick(24, 50_000), pick(40, 20));
        let time = &self.time;
        let _ = match self.kind {
            LineKind::NginxCombined => writeln!(
                out,
                "10.{}.{}.{} - - [{time}] \"{method} {path} HTTP/1.1\" {status} {bytes} \"https://shop.example/{}\" \
                 \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.{} (KHTML, like Gecko)\"",
                pick(0, 4),
                pick(2, 250),
                pick(10, 250),
                pick(48, 40),
                pick(54, 30),
            ),
            LineKind::IstioText => writeln!(
                out,
                "[{time}.{:03}Z] \"{method} {path} HTTP/1.1\" {status} - via_upstream - \"-\" 0 {bytes} {millis} {millis} \"-\" \
                 \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.{}\" \"{number:08x}-0000-4000-8000-{:012x}\" \
                 \"svc-{callee}:8080\" \"10.8.0.{callee}:8080\" outbound|8080||svc-{callee}.shop.svc.cluster.local \
                 10.9.0.7:{} 10.96.0.{callee}:8080 10.9.0.7:{} - default",
                nanos / 1_000_000 % 1_000,
                pick(54, 30),
                self.made,
                32_768 + pick(8, 28_000),
                32_768 + pick(12, 28_000),
                number = number >> 32,
                millis = 1 + pick(30, 900),
                callee = pick(36, 40),
            ),
        };
    }
}

/// `23/Nov/2026:07:07:07 +0000`.
fn common_log_time(second: i64) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let iso = UnixNanos(second * NANOS_PER_SECOND).to_rfc3339();
    let month = iso[5..7].parse::<usize>().map_or("Jan", |month| MONTHS[month - 1]);
    format!("{}/{month}/{}:{} +0000", &iso[8..10], &iso[..4], &iso[11..19])
}

pub fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let grouped = digits.as_bytes().rchunks(3).rev().map(|group| String::from_utf8_lossy(group).into_owned());
    grouped.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use meshlake_collector::access_log::LineFormat;

    use super::*;

    #[test]
    fn times_are_written_as_nginx_does() {
        // date -u -d @1795417627
        assert_eq!(common_log_time(1_795_417_627), "23/Nov/2026:07:07:07 +0000");
    }

    #[test]
    fn lines_are_in_the_format_that_is_said() {
        for kind in [LineKind::NginxCombined, LineKind::IstioText] {
            let mut lines = Lines { kind, ..Lines::new(3).expect("it is past 1970") };
            let mut text = String::new();
            (0..3).for_each(|_| lines.push(&mut text));
            let read: Vec<_> = text.lines().map(str::as_bytes).collect();
            let format = LineFormat::detect(&read).map(|format| format.name());
            assert_eq!((read.len(), format), (3, Some(kind.name())), "{text}");
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, want) in [(0, "0"), (999, "999"), (1_000, "1,000"), (10_000_000, "10,000,000")] {
            assert_eq!(with_commas(number), want);
        }
    }
}
