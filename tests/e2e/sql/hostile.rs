//! Statements with ill intent: each is refused or answered within its bounds, and the server does not notice.
//!
//! First those that are known to have hurt engines like this one, then some hundreds that a grammar makes of the same
//! parts. Whatever they are, the answer is a status that says whose fault it was, within the time-out; the process
//! lives, has not panicked, and has not grown beyond its memory.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;

use crate::harness::{Server, request};
use crate::payloads::{span, traces};

/// Rows for joins to multiply.
const SPANS: u64 = 1_000;

const ENVIRONMENT: [(&str, &str); 2] =
    [("MESHLAKE_QUERY__TIMEOUT_SECONDS", "2"), ("MESHLAKE_QUERY__MEMORY_BYTES_MAX", "134217728")];

/// A time-out and what it takes a build without optimisation under load to notice it.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(30);

/// A full pool, an answer, a capped value or two, and the process itself.
const RESIDENT_BYTES_MAX: u64 = 1 << 30;

const GENERATED: u64 = 500;

/// Where the data directory has its tables; no statement here says it.
const TABLES_DIRECTORY: &str = "data/tables";

/// 200: answered. 400, 413: refused. 503, 504: it would have taken too much.
const STATUSES: [u16; 5] = [200, 400, 413, 503, 504];

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_takes_the_server_down() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let server = Server::start_with(&["run"], &dir.path().join("data"), &ENVIRONMENT).await?;
    let url = format!("http://{}/v1/traces", server.addresses.otlp_http);
    let body = traces("victim", (0..SPANS).map(span).collect()).encode_to_vec();
    let (status, _) =
        request("POST", &url, &[("content-type", "application/x-protobuf")], body.into()).await?;
    ensure!(status == 200, "{status}");

    for sql in known() {
        let status = ask(&server, &sql).await?;
        ensure!(status != 200, "{}: answered", start_of(&sql));
    }
    for sql in heavy() {
        ask(&server, &sql).await?;
    }
    let seed = std::env::var("MESHLAKE_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    println!("MESHLAKE_TEST_SEED={seed}");
    let mut grammar = Grammar { state: seed };
    let mut counts = std::collections::BTreeMap::<u16, u64>::new();
    for _ in 0..GENERATED {
        *counts.entry(ask(&server, &grammar.statement()).await?).or_default() += 1;
    }
    println!("statements of the grammar by status: {counts:?}");
    ensure!(counts.contains_key(&200) && counts.contains_key(&400), "it makes both kinds: {counts:?}");
    ensure!(
        server.number("SELECT count(*) FROM spans").await? == i64::try_from(SPANS)?,
        "rows are as they were"
    );
    let resident = resident_bytes_max(server.pid()?)?;
    println!("most memory: {resident} bytes");
    ensure!(resident < RESIDENT_BYTES_MAX, "{resident} bytes of memory");
    server.check_for_panics()?;
    ensure!(server.terminate().await? == Some(0), "the stop fails");
    Ok(())
}

async fn ask(server: &Server, sql: &str) -> Result<u16> {
    let url = format!("http://{}/api/v1/sql?format=csv", server.addresses.query);
    let asked = request("POST", &url, &[("content-type", "text/plain")], sql.to_owned().into());
    let answer = tokio::time::timeout(ANSWER_TIME_MAX, asked).await;
    match answer.with_context(|| format!("{}: no answer", start_of(sql)))? {
        Ok((status, body)) => {
            let said = String::from_utf8_lossy(&body[..body.len().min(500)]).into_owned();
            ensure!(STATUSES.contains(&status), "{}: {status} {said}", start_of(sql));
            ensure!(!said.contains(TABLES_DIRECTORY), "a path is told: {said}");
            Ok(status)
        }
        // An answer that outgrew a cap or its time after it had begun breaks off.
        Err(_) => server.check_ready().await.map(|()| 504),
    }
}

fn start_of(sql: &str) -> String {
    sql.chars().take(200).collect()
}

fn resident_bytes_max(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>()? * 1024)
}

/// What must never be answered.
fn known() -> Vec<String> {
    let outside = [
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM 's3://other/x.parquet'",
        "SELECT * FROM 'http://169.254.169.254/latest/meta-data'",
        "SELECT * FROM read_parquet('/etc/passwd')",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "COPY (SELECT 1) TO '/tmp/meshlake-hostile.csv'",
        "INSERT INTO spans SELECT * FROM spans",
        "DELETE FROM spans",
        "UPDATE spans SET name = 'x'",
        "TRUNCATE TABLE spans",
        "CREATE VIEW v AS SELECT 1",
        "CREATE FUNCTION f(INT) RETURNS INT RETURN $1",
        "DROP TABLE spans",
        "EXPLAIN ANALYZE INSERT INTO spans SELECT * FROM spans",
        "EXPLAIN COPY spans TO '/tmp/meshlake-hostile.csv'",
        "PREPARE p AS COPY spans TO '/tmp/meshlake-hostile.csv'",
        "DECLARE c CURSOR FOR COPY spans TO '/tmp/meshlake-hostile.csv'",
        "SELECT 1; DROP TABLE spans",
        "SET datafusion.runtime.memory_limit = '1T'",
        "SET datafusion.runtime.temp_directory = '/tmp'",
        "RESET datafusion.runtime.memory_limit",
        "SET statement_timeout = 0",
        "SHOW ALL",
        "SELECT * FROM information_schema.df_settings",
        "BEGIN",
        "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT * FROM t",
        "SELECT repeat('x', 2000000000)",
        "SELECT lpad('x', 2147483647)",
        "SELECT array_repeat(1, 1000000000000)",
        "SELECT * FROM generate_series(1, 1000000000000)",
        "SELECT regexp_like('x', '\\p{L}{1000}{1000}')",
    ];
    let towers = [
        format!("SELECT 1{}", "+1".repeat(2_000)),
        format!("SELECT 1{}", "+1".repeat(30_000)),
        format!("SELECT 1 WHERE {}", vec!["1 = 0"; 10_000].join(" OR ")),
        format!("SELECT name FROM spans WHERE kind IN ({})", vec!["1"; 30_000].join(",")),
        format!("SELECT {}1{}", "(".repeat(30_000), ")".repeat(30_000)),
        format!("SELECT {}1", "- ".repeat(30_000)),
        format!("SELECT {}", vec!["1"; 30_000].join(",")),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(3_000)),
        format!(
            "WITH {} SELECT 1",
            (0..3_000).map(|n| format!("t{n} AS (SELECT 1)")).collect::<Vec<_>>().join(",")
        ),
        format!("SELECT {} 1 {}", "CASE WHEN TRUE THEN ".repeat(3_000), "END ".repeat(3_000)),
        format!("SELECT a{} FROM spans", "[1]".repeat(5_000)),
        format!("SELECT * FROM {}", vec!["spans"; 60].join(" CROSS JOIN ")),
        format!("SELECT '{}'", "x".repeat(10 << 20)),
        "SELECT 1 ".to_owned() + &"/*".repeat(20_000),
    ];
    outside.map(str::to_owned).into_iter().chain(towers).collect()
}

/// What may be answered, and takes all it can get.
fn heavy() -> Vec<String> {
    [
        "SELECT count(*) FROM spans a, spans b, spans c, spans d",
        "SELECT count(*) FROM spans a, spans b, spans c WHERE a.name || b.name || c.name = 'none'",
        "SELECT count(*) FROM spans a JOIN spans b ON a.name = b.name JOIN spans c ON b.name = c.name WHERE a.span_id || b.span_id || c.span_id = 'none'",
        "SELECT a.*, b.* FROM spans a, spans b ORDER BY random()",
        "SELECT count(DISTINCT a.span_id || b.span_id) FROM spans a, spans b",
        "SELECT string_agg(a.span_id, b.span_id) FROM spans a, spans b",
        "SELECT array_agg(a.attributes) FROM spans a, spans b",
        "SELECT a.span_id, row_number() OVER (PARTITION BY b.name ORDER BY random()) FROM spans a, spans b",
        "SELECT unnest(l) FROM (SELECT array_agg(span_id) AS l FROM spans) x, spans, spans c",
        "SELECT max(repeat(name, 8000)) FROM spans",
        "SELECT repeat(name, 60000) FROM spans",
        "SELECT count(*) FROM spans WHERE regexp_like(repeat('a', 30000), '(a*)*b')",
        "SELECT count(*) FROM spans WHERE regexp_like(repeat('x', 30000), '(x+x+)+y')",
        "SELECT levenshtein(repeat('a', 60000), repeat('b', 60000)) FROM spans",
        "SELECT approx_percentile_cont(a.duration_nano, 0.5), approx_distinct(b.span_id) FROM spans a, spans b, spans c",
    ]
    .map(str::to_owned)
    .into()
}

/// What an expression ends in.
const LEAVES: [&str; 20] = [
    "s.name",
    "s.kind",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "NULL",
    "''",
    "'é'",
    "1e308",
    "s.attributes",
    "now()",
    "random()",
    "INTERVAL '1000 years'",
    "s.time",
    "TRUE",
    "ARRAY[1]",
    "'(a*)*b'",
    "$1",
    "?",
];

/// What an expression is made of; braces are expressions.
const CALLS: [&str; 40] = [
    "repeat({}, {})",
    "lpad({}, {})",
    "rpad({}, {}, {})",
    "concat({}, {}, {})",
    "replace({}, {}, {})",
    "regexp_replace({}, {}, {}, 'g')",
    "regexp_like({}, {})",
    "substr({}, {})",
    "split_part({}, {}, {})",
    "array_concat({}, {})",
    "array_to_string({}, {})",
    "string_to_array({}, {})",
    "make_array({}, {})",
    "time_bucket({}, {})",
    "log_pattern({})",
    "json_get({}, {})",
    "levenshtein({}, {})",
    "to_hex({})",
    "date_trunc({}, {})",
    "to_timestamp({})",
    "power({}, {})",
    "factorial({})",
    "{} || {}",
    "{} + {}",
    "{} / {}",
    "{} % {}",
    "CAST({} AS DECIMAL(38, 38))",
    "CAST({} AS TIMESTAMP)",
    "CASE WHEN {} THEN {} END",
    "{} IN (SELECT name FROM spans)",
    "(SELECT {} LIMIT 1)",
    "{} LIKE {}",
    "{} BETWEEN {} AND {}",
    "({})[{}]",
    "map([{}], [{}])",
    "struct({}, {})",
    "arrow_cast({}, 'Utf8')",
    "encode({}, 'hex')",
    "chr({})",
    "reverse({})",
];

/// Makes statements of parts that cost, in ways that nobody would think of.
struct Grammar {
    state: u64,
}

impl Grammar {
    /// Source: SplitMix64, Steele, Lea, Flood 2014.
    fn below(&mut self, bound: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn one_of(&mut self, parts: &[&str]) -> String {
        let part = self.below(parts.len() as u64);
        parts[usize::try_from(part).expect("a small number")].to_owned()
    }

    fn statement(&mut self) -> String {
        let (select, from) = (self.expression(4), self.from());
        let before = self.one_of(&["", "", "", "EXPLAIN ", "EXPLAIN ANALYZE ", "WITH w AS (SELECT 1 AS x) "]);
        let filter =
            if self.below(2) == 0 { String::new() } else { format!(" WHERE {}", self.expression(3)) };
        let rest = self.one_of(&[
            "",
            " LIMIT 5",
            " ORDER BY 1 LIMIT 3",
            " GROUP BY ALL",
            " ORDER BY random()",
            " OFFSET 1000000000000",
        ]);
        let all = if self.below(8) == 0 { "DISTINCT " } else { "" };
        let aggregate = self.one_of(&[
            "{}",
            "{}",
            "count(DISTINCT {})",
            "array_agg({})",
            "max({})",
            "sum({}) OVER (ORDER BY 1)",
        ]);
        format!("{before}SELECT {all}{} FROM {from}{filter}{rest}", aggregate.replace("{}", &select))
    }

    fn from(&mut self) -> String {
        self.one_of(&[
            "spans s",
            "spans s",
            "spans s",
            "logs s",
            "spans s CROSS JOIN spans b",
            "spans s JOIN spans b ON s.name = b.name",
            "spans s LEFT JOIN spans b ON s.kind < b.kind",
            "(SELECT unnest(map_keys(attributes)) AS name, kind FROM spans) s",
            "golden('edge') s",
            "trace_tree('0af7651916cd43dd8448eb211c80319c') s",
            "(VALUES (1, 'a'), (NULL, '\u{202e}')) AS s(kind, name)",
            "information_schema.columns s",
            "nothing s",
        ])
    }

    fn expression(&mut self, depth: u64) -> String {
        if depth == 0 {
            return self.one_of(&LEAVES);
        }
        let call = self.one_of(&CALLS);
        let mut out = String::new();
        for (place, part) in call.split("{}").enumerate() {
            if place > 0 {
                let deeper = self.below(depth);
                out.push_str(&self.expression(deeper));
            }
            out.push_str(part);
        }
        out
    }
}
