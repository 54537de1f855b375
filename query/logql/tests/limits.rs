//! Texts that are too large, too deep or meant to be dear: each gets its answer soon, and within the stack of a small thread.

use std::thread;

use meshlake_logql::{Error, parse};

/// Of a thread of tokio's, by default.
const STACK_BYTES: usize = 2 << 20;

/// What a thread with a small stack is told, printed and dropped there too.
fn answer(query: String) -> Result<String, Error> {
    let ask = move || parse(&query).map(|tree| tree.to_string());
    let thread = thread::Builder::new().stack_size(STACK_BYTES).spawn(ask).expect("a thread");
    thread.join().expect("no panic and no overflow")
}

fn refusal(query: String) -> String {
    let answer = answer(query).map(|tree| tree.chars().take(100).collect::<String>());
    answer.expect_err("this is refused").to_string()
}

#[test]
fn a_text_may_have_32_kib() {
    let padded = |bytes: usize| format!("{{a=\"b\"}}{}", " ".repeat(bytes - 7));
    assert_eq!(answer(padded(32 << 10)).as_deref(), Ok("{a=\"b\"}"));
    assert!(refusal(padded((32 << 10) + 1)).ends_with("a query of 32769 bytes is longer than 32768"));
    for mega in ["{".repeat(1 << 20), format!("{{a=\"{}\"}}", "x".repeat(1 << 20)), "ä".repeat(1 << 19)] {
        assert!(refusal(mega).contains("is longer than"));
    }
}

/// A chain is as deep a tree as it is long.
#[test]
fn a_query_may_have_1000_tokens() {
    // Each link has two tokens, the last number one.
    let sum = |links: usize| format!("{}1", "1 + ".repeat(links));
    assert!(answer(sum(499)).is_ok());
    assert!(refusal(sum(500)).ends_with("a query has at most 1000 tokens"));
    // Five of the selector, four of `| x = 1`, four of each link.
    let filter = |links: usize| format!("{{a=\"b\"}} | x = 1{}", " or x = 1".repeat(links));
    assert!(answer(filter(247)).is_ok());
    assert!(refusal(filter(248)).ends_with("a query has at most 1000 tokens"));
    assert!(answer(format!("{{a=\"b\"}}{}", " |= `x`".repeat(497))).is_ok());
}

#[test]
fn a_query_may_be_64_levels_deep() {
    let nested = |levels: usize| format!("{}1{}", "(".repeat(levels), ")".repeat(levels));
    // The expression itself is a level.
    assert!(answer(nested(63)).is_ok());
    assert!(refusal(nested(64)).ends_with("a query is nested at most 64 levels deep"));
    let openings = [
        "(",
        "sum(",
        "sum by (a) (",
        "1 ^ ",
        "rate(",
        "rate((",
        "{a=\"b\"} | (",
        "label_replace(",
        "topk(1, ",
    ];
    for opening in openings {
        let told = refusal(opening.repeat(140));
        assert!(told.contains("levels deep") || told.contains("unexpected"), "{opening}: {told}");
    }
    let conditions =
        |levels: usize| format!("{{a=\"b\"}} | {}x = 1{}", "(".repeat(levels), ")".repeat(levels));
    assert!(answer(conditions(63)).is_ok());
    assert!(refusal(conditions(64)).contains("levels deep"));
}

/// A letter thirty times needs the largest size, of which 64 MiB are eight, each with as much for what it remembers; the ninth is tried
/// in the smallest, 64 KiB and as much again, first.
#[test]
fn the_expressions_of_a_query_may_take_64_mib() {
    let of = |count: usize| format!("{{a=\"b\"}}{}", " |~ `\\pL{30}`".repeat(count));
    assert!(answer(of(8)).is_ok());
    let told = "the regular expressions of the query take too much: 131072 bytes more than the 67108864 in use are not granted";
    assert!(refusal(of(9)).ends_with(told));
}

#[test]
fn expressions_that_explode_are_refused_or_harmless() {
    let matches = |pattern: &str| answer(format!("{{a=\"b\"}} |~ \"{pattern}\""));
    assert!(matches("((((a{50}){50}){50}){50}){50}").is_err_and(|error| error.to_string().contains("size")));
    assert!(matches("(a*)*b").is_ok(), "linear in the text, whatever it is");
    assert!(matches(&"(".repeat(5_000)).is_err());
}

/// What texts are made of: words and signs of the language.
const PIECES: [&str; 60] = [
    "{a=\"b\"}",
    "{",
    "}",
    "(",
    ")",
    "[5m]",
    "[",
    "]",
    "a",
    "b",
    "=",
    "!=",
    "=~",
    "!~",
    ">",
    ">=",
    "|=",
    "|~",
    "|>",
    "|",
    ",",
    "\"x\"",
    "`<_>y`",
    "\"(?P<n>.)\"",
    "5",
    "-",
    "1.5",
    "10s",
    "20MB",
    "json",
    "logfmt",
    "--strict",
    "pattern",
    "regexp",
    "unpack",
    "line_format",
    "label_format",
    "drop",
    "keep",
    "unwrap",
    "duration(a)",
    "rate",
    "sum",
    "count_over_time",
    "avg_over_time",
    "by",
    "without",
    "(a)",
    "topk(1,",
    "or",
    "and",
    "unless",
    "+",
    "*",
    "^",
    "bool",
    "on",
    "group_left",
    "ip(\"1.1.1.1\")",
    "offset",
];

/// Every text of pieces is read or refused, and what is read is written and read again.
#[test]
fn no_text_panics_and_what_is_read_reads_back() {
    let mut state = 7_u64;
    let mut below = |end: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % end
    };
    let mut read = 0;
    for _ in 0..60_000 {
        let pieces: Vec<&str> = (0..below(5)).map(|_| PIECES[below(PIECES.len())]).collect();
        let starts = ["{a=\"b\"} ", "rate({a=\"b\"} ", ""];
        let text = format!("{}{}", starts[below(3)], pieces.join(" "));
        if let Ok(tree) = parse(&text) {
            read += 1;
            let printed = tree.to_string();
            assert_eq!(parse(&printed).as_ref(), Ok(&tree), "{text} is {printed}");
        }
    }
    assert!(read > 100, "{read} of them are queries");
}
