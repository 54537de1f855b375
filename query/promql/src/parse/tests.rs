//! What is refused, in whose words; and that nothing else happens, whatever the text.

use std::fmt::Write;

use super::limits::{DEPTH_MAX, TEXT_BYTES_MAX, TOKENS_MAX};
use super::{parse, parse_selector};

fn refused(query: &str) -> String {
    match parse(query) {
        Ok(tree) => panic!("{query} is {tree}"),
        Err(error) => error.to_string(),
    }
}

fn check(query: &str, want: &str) {
    let (place, text) = want.split_once(' ').unwrap();
    assert_eq!(refused(query), format!("{place}: parse error: {text}"), "{query}");
}

/// Texts as Prometheus 3 answers them, from its documentation and its answers to these queries.
#[test]
fn mistakes_are_told_in_prometheus_words() {
    assert_eq!(refused(""), "unknown position: parse error: no expression found in input");
    check("# just a comment", "1:1 no expression found in input");
    check("1+", "1:3 unexpected end of input");
    check(".", "1:1 unexpected character: '.'");
    check("2.5.", "1:1 bad number or duration syntax: \"2.5.\"");
    check("1e400", "1:1 error parsing number: strconv.ParseFloat: parsing \"1e400\": value out of range");
    check("5_m", "1:1 unknown unit \"_m\" in duration \"5_m\"");
    check("foo[9999999999999999999999h]", "1:5 not a valid duration string: \"9999999999999999999999h\"");
    check("0deadbeef", "1:1 bad number or duration syntax: \"0de\"");
    check("(1)1", "1:4 unexpected number \"1\"");
    check("1 /", "1:4 unexpected end of input");
    check("*1", "1:1 unexpected <op:*>");
    check("(1))", "1:5 unexpected right parenthesis ')'");
    check("((1)", "1:5 unclosed left parenthesis");
    check("1 and 1", "1:1 set operator \"and\" not allowed in binary scalar expression");
    check("1 == 1", "1:3 comparisons between scalars must use BOOL modifier");
    check("foo + bool bar", "1:5 bool modifier can only be used on comparison operators");
    check("foo + on(a) 1", "1:1 vector matching only allowed between instant vectors");
    check("foo and on(a) group_left(b) bar", "1:1 no grouping allowed for \"and\" operation");
    check("a > on(b) group_left(b) c", "1:3 label \"b\" must not occur in ON and GROUP clause at once");
    check(
        "-\"a\"",
        "1:1 unary expression only allowed on expressions of type scalar or instant vector, got \"string\"",
    );
    check("a[5m] + b", "1:1 binary expression must contain only scalar and instant vector types");
}

#[test]
fn mistakes_in_selectors_calls_and_groups_are_told_in_prometheus_words() {
    check("foo{a=\"b\"", "1:10 unexpected end of input inside braces");
    check("foo{a}", "1:6 unexpected \"}\" in label matching, expected label matching operator");
    check("foo{a=1}", "1:7 unexpected character inside braces: '1'");
    check("foo{a=b}", "1:7 unexpected identifier \"b\" in label matching, expected string");
    check(
        "foo{a=\"b\" c=\"d\"}",
        "1:11 unexpected identifier \"c\" in label matching, expected \",\" or \"}\"",
    );
    check("{}", "1:1 vector selector must contain at least one non-empty matcher");
    check("{x=~\".*\"}", "1:1 vector selector must contain at least one non-empty matcher");
    check("foo{__name__=\"bar\"}", "1:1 metric name must not be set twice: \"foo\" or \"bar\"");
    check("foo[5m", "1:7 unclosed left bracket");
    check("foo[<5m]", "1:5 unexpected character in duration expression: '<'");
    check("foo[", "1:5 unexpected end of input in duration expression");
    check(
        "foo[]",
        "1:5 unexpected \"]\" in subquery or range selector, expected number, duration, step(), or range()",
    );
    check("foo[5m:1m", "1:10 unclosed left bracket");
    check("foo[0m]", "1:5 duration must be greater than 0");
    check("foo[5mx]", "1:5 bad number or duration syntax: \"5mx\"");
    check("foo[x]", "1:5 unexpected character in duration expression: 'x'");
    check(
        "foo offset",
        "1:11 unexpected end of input in offset, expected number, duration, step(), or range()",
    );
    check("foo offset 1m offset 2m", "1:1 offset may not be set multiple times");
    check("foo @ end() @ 5", "1:1 @ <timestamp> may not be set multiple times");
    check("foo @", "1:6 unexpected end of input in @, expected timestamp");
    check("foo[5m][5m]", "1:8 ranges only allowed for vector selectors");
    check("foo offset 5m [5m]", "1:15 no offset modifiers allowed before range");
    check("rate(foo)", "1:6 expected type range vector in call to function \"rate\", got instant vector");
    check("rate(foo[5m], 1)", "1:1 expected 1 argument(s) in call to \"rate\", got 2");
    check("round(foo, 1, 2)", "1:1 expected at most 2 argument(s) in call to \"round\", got 3");
    check("label_join()", "1:1 expected at least 3 argument(s) in call to \"label_join\", got 0");
    check("floor(foo,)", "1:10 trailing commas not allowed in function call args");
    check("clamp(foo, 1, * 2)", "1:13 trailing commas not allowed in function call args");
    check(
        "clamp(foo, 1, and)",
        "1:15 expected type scalar in call to function \"clamp\", got instant vector",
    );
    check("nonexistent(foo)", "1:1 unknown function with name \"nonexistent\"");
    check("sum()", "1:1 no arguments for aggregate expression provided");
    check("topk(foo)", "1:1 wrong number of arguments for aggregate expression provided, expected 2, got 1");
    check("sum(1)", "1:5 expected type instant vector in aggregation expression, got scalar");
    check("topk(\"a\", foo)", "1:6 expected type scalar in aggregation parameter, got string");
    check("sum by foo (bar)", "1:8 unexpected identifier \"foo\" in grouping opts, expected \"(\"");
    check(
        "sum by (foo bar) (x)",
        "1:13 unexpected identifier \"bar\" in grouping opts, expected \",\" or \")\"",
    );
    check("sum(foo bar)", "1:9 unexpected identifier \"bar\" in aggregation");
    check("(foo + bar)[5m]", "1:12 ranges only allowed for vector selectors");
    check("rate(foo[5m])[5m]", "1:14 ranges only allowed for vector selectors");
    check("\"abc", "1:1 unterminated quoted string");
    check("\"\\q\"", "1:1 unknown escape sequence U+0071 'q'");
    check("foo\n  + on", "2:7 unexpected end of input in grouping opts, expected \"(\"");
    check("foo + on(a) group_left", "1:23 unexpected end of input in grouping opts, expected \"(\"");
    check("foo + on(a) group_left on(b) c", "1:24 unexpected <on> in grouping opts, expected \"(\"");
    check("foo @ Inf", "1:1 timestamp out of bounds for @ modifier: +Inf");
}

#[test]
fn what_newer_prometheus_reads_is_read() {
    for query in [
        "foo[26m+4m]",
        "foo offset + -(5m * 2)",
        "rate(foo[5m] smoothed)",
        "foo </ 5 and foo >/ 5",
        "a + fill(0) b",
        "a / on(x) group_left fill_left(1) fill_right(2) b",
        "fill + fill",
        "{\"my.metric\", \"my.label\"=\"v\"}",
        "sum by (\"my.label\") (x)",
        "max_of(step(), 5)",
        "foo @ -1.5",
        "Sum(foo) BY (a) OR bar",
        "0x1F + 1_000 + 0755 + 1e-3",
        "überall{x=\"y\"}",
        "info(a, {b=\"\"})",
    ] {
        parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    }
}

#[test]
fn numbers_are_read_as_go_reads_them() {
    let check = |query: &str, want: &str| assert_eq!(parse(query).unwrap().to_string(), want);
    check("0x1F", "31");
    check("0755", "493");
    check("0789", "789");
    check("1_000.5", "1000.5");
    check("-Inf", "-Inf");
    check("1h30m", "1h30m");
    check("1e10", "10000000000");
}

#[test]
fn size_is_bounded() {
    let spaces = |n: usize| " ".repeat(n - 1) + "1";
    assert!(parse(&spaces(TEXT_BYTES_MAX)).is_ok());
    assert!(refused(&spaces(TEXT_BYTES_MAX + 1)).contains("is longer than 10240"));
    // A chain of n operands has 2n - 1 tokens and an end.
    let chain = |n: usize| vec!["a"; n].join("+");
    assert!(parse(&chain(TOKENS_MAX / 2)).is_ok());
    assert!(refused(&chain(TOKENS_MAX / 2 + 1)).contains("more than 500 tokens"));
    assert!(refused(&"a or ".repeat(1_000)).contains("more than 500 tokens"));
    assert!(refused(&"x".repeat(1 << 20)).contains("is longer than"));
}

#[test]
fn depth_is_bounded() {
    let nested = |open: &str, close: &str, n: usize| open.repeat(n) + "1" + &close.repeat(n);
    assert!(parse(&nested("(", ")", DEPTH_MAX)).is_ok());
    for query in [
        nested("(", ")", DEPTH_MAX + 1),
        nested("-", "", DEPTH_MAX + 1),
        nested("a^", "", DEPTH_MAX + 1),
        nested("abs(", ")", DEPTH_MAX + 1),
        nested("sum(", ")", DEPTH_MAX + 1),
        format!("a[{}5m{}]", "(".repeat(DEPTH_MAX + 1), ")".repeat(DEPTH_MAX + 1)),
        format!("a offset {}5m{}", "(".repeat(DEPTH_MAX + 1), ")".repeat(DEPTH_MAX + 1)),
    ] {
        assert!(refused(&query).contains("deeper than 50 levels"), "{query}");
    }
}

#[test]
fn selectors_alone_are_read() {
    let matchers = parse_selector("up{job=~\"a|b\", \"x.y\"!=\"\"}").unwrap();
    let texts: Vec<String> = matchers.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["job=~\"a|b\"", "\"x.y\"!=\"\"", "__name__=\"up\""]);
    for no_selector in ["up[5m]", "sum(up)", "1", "up offset 5m", ""] {
        assert!(parse_selector(no_selector).is_err(), "{no_selector}");
    }
}

/// Words that queries are made of, and some that they are not.
const WORDS: [&str; 62] = [
    "foo",
    "sum",
    "rate",
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "fill",
    "bool",
    "offset",
    "@",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "=",
    "==",
    "!=",
    "=~",
    "!~",
    "<",
    "</",
    ">/",
    "+",
    "-",
    "*",
    "/",
    "%",
    "^",
    "and",
    "or",
    "unless",
    "atan2",
    "5m",
    "1",
    "1e3",
    "0x",
    "1.5.",
    "\"a\"",
    "'b",
    "`c`",
    "\\",
    "#",
    "\n",
    "step",
    "range",
    "min_of",
    "start",
    "end",
    "anchored",
    "inf",
    "NaN",
    "ä",
    "\u{1F600}",
    "\0",
    "topk",
    "label_replace",
];

/// A generator of 64 random bits; Marsaglia's xorshift, so that a seed is a text.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }
}

#[test]
fn no_text_panics_and_what_is_read_is_written_and_read_again() {
    for seed in 1..=20_000_u64 {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut query = String::new();
        for _ in 0..1 + random.below(12) {
            let space = if random.below(3) == 0 { "" } else { " " };
            write!(query, "{}{space}", WORDS[random.below(WORDS.len())]).unwrap();
        }
        if let Ok(tree) = parse(&query) {
            let text = tree.to_string();
            let again =
                parse(&text).unwrap_or_else(|error| panic!("seed {seed}: {query:?} is {text:?}: {error}"));
            assert_eq!(again.to_string(), text, "seed {seed}: {query:?}");
        }
    }
}
