//! Texts that are too large, too deep or meant to be dear: each gets its answer soon, and within the stack of a small thread.

use std::thread;

use meshlake_traceql::{Error, parse};

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
    let padded = |bytes: usize| format!("{{ }}{}", " ".repeat(bytes - 3));
    assert_eq!(answer(padded(32 << 10)).as_deref(), Ok("{ }"));
    assert_eq!(refusal(padded((32 << 10) + 1)), "1:1: a query of 32769 bytes is longer than 32768");
    for mega in ["{".repeat(1 << 20), format!("{{ .a = \"{}\" }}", "x".repeat(1 << 20)), "ä".repeat(1 << 19)]
    {
        assert!(refusal(mega).starts_with("1:1: a query of 10"));
    }
}

/// A chain is as deep a tree as it is long: each link `.a ||` has two tokens.
#[test]
fn a_query_may_have_2000_tokens() {
    let chain = |links: usize| format!("{{ {}.a }}", ".a || ".repeat(links));
    let deepest = answer(chain(998)).expect("998 links are 1,996 tokens, with the last .a and braces 1,999");
    assert!(deepest.starts_with(&format!("{{ {}", "(".repeat(998))));
    assert!(refusal(chain(999)).ends_with("a query has at most 2000 tokens"));
    let spansets = |links: usize| format!("{}{{}}", "{} >> ".repeat(links));
    assert!(answer(spansets(666)).is_ok(), "666 links of 3 tokens and 2 more");
    assert!(refusal(spansets(667)).ends_with("a query has at most 2000 tokens"));
}

#[test]
fn a_query_may_be_64_levels_deep() {
    let nested = |levels: usize| format!("{{ {}.a{} }}", "(".repeat(levels), ")".repeat(levels));
    // The item and the condition in its braces are a level each.
    assert!(answer(nested(62)).is_ok());
    assert!(refusal(nested(63)).ends_with("a query is nested at most 64 levels deep"));
    for opening in ["(", "{ (", "{ !", "{ -", "({ .a } | ", "{ .a ^ ", "{ .a } | ("] {
        let told = refusal(opening.repeat(250));
        assert!(told.contains("levels deep") || told.contains("unexpected"), "{opening}: {told}");
    }
    assert!(refusal("(".repeat(10_000)).contains("2000 tokens"));
    assert!(refusal(format!("{{ .a = {}1 }}", "-".repeat(1_900))).contains("levels deep"));
}

#[test]
fn expressions_that_explode_are_refused_or_harmless() {
    let matches = |pattern: &str| answer(format!("{{ .a =~ \"{pattern}\" }}"));
    assert!(matches("((((a{50}){50}){50}){50}){50}").is_err_and(|error| error.to_string().contains("size")));
    assert!(matches("(a*)*b").is_ok(), "linear in the text, whatever it is");
    assert!(matches(&"(".repeat(5_000)).is_err());
    assert!(matches(&"a?".repeat(5_000)).is_ok());
}

/// A letter thirty times needs the largest size, of which 64 MiB are eight, each with as much for what it remembers; the ninth is tried
/// in the smallest, 64 KiB and as much again, first.
#[test]
fn the_expressions_of_a_query_may_take_64_mib() {
    let of = |count: usize| format!("{{ .a{} }}", r#" || .a =~ "\\pL{30}""#.repeat(count));
    assert!(answer(of(8)).is_ok());
    let told = "1:175: the regular expressions of the query take too much: 131072 bytes more than the 67108864 in use are not granted";
    assert_eq!(refusal(of(9)), told);
}

/// Every byte string that is text is read or refused, and what is read is written and read again.
#[test]
fn no_text_panics_and_what_is_read_reads_back() {
    const PIECES: [&str; 48] = [
        "{",
        "}",
        "(",
        ")",
        ".a",
        "span.b",
        "resource.\"c d\"",
        "name",
        "status",
        "duration",
        "kind",
        "ok",
        "error",
        "1",
        "-1",
        "2.5",
        "1s",
        "\"x\"",
        "true",
        "nil",
        "=",
        "!=",
        "<",
        ">",
        "<=",
        ">=",
        "=~",
        "!~",
        "&&",
        "||",
        "!",
        "+",
        "-",
        "*",
        "/",
        "^",
        ">>",
        "<<",
        "~",
        "&>>",
        "!>>",
        "|",
        "count()",
        "avg(duration)",
        "by(name)",
        "rate()",
        "| rate() by (name)",
        "with (a = 1)",
    ];
    let mut state = 42_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut read = 0;
    for _ in 0..200_000 {
        let length = 1 + below(9);
        let text: Vec<&str> = (0..length).map(|_| PIECES[below(PIECES.len())]).collect();
        let text = text.join(if below(2) == 0 { " " } else { "" });
        let Ok(tree) = parse(&text) else { continue };
        read += 1;
        let again = parse(&tree.to_string()).unwrap_or_else(|error| panic!("{text}: {tree}: {error}"));
        assert_eq!(again, tree, "{text}");
    }
    assert!(read > 50, "{read} of them were queries");
}
