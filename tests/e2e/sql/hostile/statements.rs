//! Statements with ill intent: those that have hurt engines like this one, and a grammar that makes more of
//! their parts.

/// What must never be answered.
pub fn known() -> Vec<String> {
    OUTSIDE.iter().map(|statement| (*statement).to_owned()).chain(towers()).collect()
}

/// What no statement may do or reach, and answers without end.
const OUTSIDE: &[&str] = &[
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
    "SELECT array_repeat(array_repeat(1, 1000000), 1000000)",
    "SELECT generate_series(1, 1000000000000)",
    "SELECT range(-9223372036854775808, 9223372036854775807)",
    "SELECT generate_series(now() - INTERVAL '1000 years', now(), INTERVAL '1 nanosecond')",
    "SELECT * FROM generate_series(1, 1000000000000)",
    "SELECT regexp_like('x', '\\p{L}{1000}{1000}')",
];

/// Statements that are as deep, as wide or as long as they may be sent, or beyond.
fn towers() -> Vec<String> {
    vec![
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
        doubling(
            "SELECT name AS x FROM spans",
            "SELECT x || x AS x FROM last",
            "SELECT x FROM last WHERE x = 'a'",
        ),
        doubling(
            "SELECT 1 AS x",
            "SELECT CASE WHEN x > 1 THEN x ELSE x END AS x FROM last",
            "SELECT x FROM last",
        ),
        doubling("SELECT 1 AS x", "SELECT a.x FROM last a JOIN last b ON a.x = b.x", "SELECT x FROM last"),
        format!("SELECT {}1{}", "(SELECT ".repeat(20), ")".repeat(20)),
        format!("SELECT count(*) FROM spans GROUP BY CUBE ({})", ["kind"; 20].join(",")),
        format!("SELECT '{}'", "x".repeat(10 << 20)),
        "SELECT 1 ".to_owned() + &"/*".repeat(20_000),
    ]
}

/// Twenty queries that each read the last one, twice over.
fn doubling(first: &str, step: &str, last: &str) -> String {
    let steps = (1..20).map(|n| format!(", t{n} AS ({})", step.replace("last", &format!("t{}", n - 1))));
    format!("WITH t0 AS ({first}){} {}", steps.collect::<String>(), last.replace("last", "t19"))
}

/// What may be answered, and takes all it can get.
pub fn heavy() -> Vec<String> {
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
        "SELECT replace(a.name, 'a', string_agg(b.name, ',') OVER ()) FROM spans a JOIN spans b ON a.kind = b.kind",
        "SELECT a.*, string_agg(b.name, ',') OVER (ORDER BY a.time) FROM spans a, spans b",
        "SELECT array_agg(a.name) OVER (ORDER BY a.time, b.time) FROM spans a, spans b",
        "SELECT *, count(*) OVER () FROM (SELECT a.* FROM spans a, spans b)",
        "SELECT (SELECT string_agg(name, ',') FROM spans) || name FROM spans",
        "SELECT repeat('x', 60000000) FROM spans",
        "SELECT l, b.name FROM (SELECT string_agg(name, ',') AS l FROM spans) a, spans b, spans c",
    ]
    .map(str::to_owned)
    .into()
}

/// Kinds of expressions, each by the mark that stands for one: what it ends in, and what it is made of.
const KINDS: [(char, &[&str], &[&str]); 3] = [
    (
        't',
        &[
            "s.name",
            "'é'",
            "''",
            "'(a*)*b'",
            "'{\"a\":[1]}'",
            "'2026-11-29T00:00:00Z'",
            "NULL",
            "'9223372036854775807'",
        ],
        &[
            "repeat({t}, {n})",
            "lpad({t}, {n})",
            "rpad({t}, {n}, {t})",
            "concat({t}, {t}, {t})",
            "replace({t}, {t}, {t})",
            "regexp_replace({t}, {t}, {t}, 'g')",
            "substr({t}, {n})",
            "split_part({t}, {t}, {n})",
            "log_pattern({t})",
            "json_get({t}, 'a', 0)",
            "to_hex({n})",
            "{t} || {t}",
            "CAST({n} AS VARCHAR)",
            "reverse({t})",
            "upper({t})",
            "CASE WHEN {b} THEN {t} ELSE {t} END",
            "(SELECT max({t}) FROM spans)",
            "array_to_string([{t}, {t}], {t})",
            "array_to_string(array_repeat({t}, {n}), {t})",
            "string_agg({t}, {t}) OVER ()",
            "string_agg({t}, ',') OVER (ORDER BY {n})",
            "first_value({t}) OVER (ORDER BY {t})",
            "max({t}) OVER (PARTITION BY {n})",
            "encode({t}, 'hex')",
            "CAST(array_agg({t}) OVER (ORDER BY {n}) AS VARCHAR)",
            "(SELECT string_agg({t}, {t}) FROM spans)",
            "array_to_string(array_replace([{t}, {t}], {t}, {t}), {t})",
            "coalesce({t}, {t})",
            "translate({t}, {t}, {t})",
            "to_char(now(), {t})",
        ],
    ),
    (
        'n',
        &["s.kind", "1", "0", "-1", "9223372036854775807", "2147483648", "NULL", "1000000"],
        &[
            "{n} + {n}",
            "{n} * {n}",
            "{n} / {n}",
            "{n} % {n}",
            "-{n}",
            "abs({n})",
            "length({t})",
            "levenshtein({t}, {t})",
            "strpos({t}, {t})",
            "CAST({t} AS BIGINT)",
            "CASE WHEN {b} THEN {n} END",
            "(SELECT count(*) FROM spans WHERE {b})",
            "power({n}, {n})",
            "factorial({n})",
            "row_number() OVER (ORDER BY {t})",
            "sum({n}) OVER (PARTITION BY {t})",
            "array_length([{n}, {n}])",
            "array_length(generate_series({n}, {n}))",
            "bit_length({t})",
            "CAST({n} AS DECIMAL(38, 10))",
            "nullif({n}, {n})",
            "extract(year FROM to_timestamp({n}))",
            "ascii({t})",
            "gcd({n}, {n})",
        ],
    ),
    (
        'b',
        &["TRUE", "FALSE", "NULL", "s.kind > 1", "s.name IS NULL"],
        &[
            "{n} < {n}",
            "{t} = {t}",
            "{t} LIKE {t}",
            "regexp_like({t}, {t})",
            "{b} AND {b}",
            "{b} OR {b}",
            "NOT {b}",
            "{t} IN (SELECT name FROM spans)",
            "EXISTS (SELECT 1 FROM spans WHERE {b})",
            "{n} BETWEEN {n} AND {n}",
            "{t} SIMILAR TO {t}",
            "starts_with({t}, {t})",
            "{t} ILIKE {t}",
            "{n} IN ({n}, {n}, {n})",
            "{t} ~ {t}",
        ],
    ),
];

/// Makes statements of parts that cost, in ways that nobody would think of.
pub struct Grammar {
    pub state: u64,
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

    pub fn statement(&mut self) -> String {
        let (kind, from) = (self.one_of(&["t", "n", "b"]), self.from());
        let select = self.expression(kind.chars().next().unwrap_or('t'), 4);
        let before = self.one_of(&["", "", "", "EXPLAIN ", "EXPLAIN ANALYZE ", "WITH w AS (SELECT 1 AS x) "]);
        let filter =
            if self.below(2) == 0 { String::new() } else { format!(" WHERE {}", self.expression('b', 3)) };
        let rest = self.one_of(&[
            "",
            " LIMIT 5",
            " ORDER BY 1 LIMIT 3",
            " ORDER BY random()",
            " OFFSET 1000000000000",
        ]);
        let all = if self.below(8) == 0 { "DISTINCT " } else { "" };
        let aggregate = self.one_of(&["{}", "{}", "count(DISTINCT {})", "array_agg({})", "max({})"]);
        format!("{before}SELECT {all}{} FROM {from}{filter}{rest}", aggregate.replace("{}", &select))
    }

    fn from(&mut self) -> String {
        self.one_of(&[
            "spans s",
            "spans s",
            "spans s",
            "spans s CROSS JOIN spans b",
            "spans s JOIN spans b ON s.name = b.name",
            "spans s LEFT JOIN spans b ON s.kind < b.kind",
            "(SELECT unnest(map_keys(attributes)) AS name, kind FROM spans) s",
            "(SELECT operation AS name, CAST(requests AS BIGINT) AS kind FROM golden('operation')) s",
            "trace_tree('0af7651916cd43dd8448eb211c80319c') s",
            "(VALUES (1, 'a'), (NULL, '\u{202e}')) AS s(kind, name)",
            "information_schema.columns s",
            "nothing s",
        ])
    }

    /// An expression of the kind of `mark`, at most so deep.
    fn expression(&mut self, mark: char, depth: u64) -> String {
        let kind = KINDS.into_iter().find(|(known, ..)| *known == mark);
        let (_, leaves, calls) = kind.expect("each mark is of a kind");
        let part = self.one_of(if depth == 0 { leaves } else { calls });
        if depth == 0 {
            return part;
        }
        let (mut out, mut rest) = (String::new(), part.as_str());
        while let Some((before, behind)) = rest.split_once('{') {
            let deeper = self.below(depth);
            out.push_str(before);
            out.push_str(&self.expression(behind.chars().next().unwrap_or('t'), deeper));
            rest = behind.split_once('}').map_or("", |(_, rest)| rest);
        }
        out + rest
    }
}
