//! Integers in every form that ProtoJSON gives them, and what is said of those that do not fit.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;

use super::{span, value};

#[test]
fn integers_of_64_bits_are_exact_as_text_and_as_number() {
    for (json, want) in [
        ("1544712660000000001", 1_544_712_660_000_000_001),
        ("1544712660000000001.0", 1_544_712_660_000_000_001),
        ("1.544712660000000001e18", 1_544_712_660_000_000_001),
        ("15447126600000000010E-1", 1_544_712_660_000_000_001),
        ("18446744073709551615", u64::MAX),
        ("1.8446744073709551615e+19", u64::MAX),
        ("0", 0),
        ("-0.0", 0),
        ("1e3", 1000),
        ("2.0", 2),
    ] {
        for json in [json.to_owned(), format!("\"{json}\"")] {
            let span = span(&format!(r#"{{"startTimeUnixNano": {json} }}"#));
            assert_eq!(span.map(|span| span.start_time_unix_nano), Ok(want), "{json}");
        }
    }
    for (json, want) in [
        ("-9223372036854775808", i64::MIN),
        ("-9.223372036854775808e18", i64::MIN),
        ("9223372036854775807.000", i64::MAX),
        ("9007199254740993", 9_007_199_254_740_993),
        ("-1.5e1", -15),
    ] {
        for json in [json.to_owned(), format!("\"{json}\"")] {
            let read = value(&format!(r#"{{"intValue":{json}}}"#));
            assert_eq!(read, Ok(Some(Any::IntValue(want))), "{json}");
        }
    }
    let span = span(r#"{"kind":2.0,"flags":"1e2","droppedLinksCount":0.3e1,"droppedEventsCount":"\u0031"}"#);
    let span = span.expect("integers of 32 bits likewise");
    assert_eq!((span.kind, span.flags), (2, 100));
    assert_eq!((span.dropped_links_count, span.dropped_events_count), (3, 1));
}

/// Python's `json.dumps` of a double: `float(1795901115163074600)` is 1795901115163074560. In quotes, or with other
/// digits than the double's own, a decimal is what it says.
#[test]
fn a_number_that_was_printed_from_a_double_is_that_double() {
    for (json, want) in [
        ("1.7959011151630746e+18", 1_795_901_115_163_074_560),
        ("1795901115163074600.0", 1_795_901_115_163_074_560),
        (r#""1.7959011151630746e+18""#, 1_795_901_115_163_074_600),
        ("1795901115163074600", 1_795_901_115_163_074_600),
        ("1.795901115163074601e18", 1_795_901_115_163_074_601),
        ("9007199254740991.0", 9_007_199_254_740_991),
    ] {
        let span = span(&format!(r#"{{"startTimeUnixNano":{json}}}"#));
        assert_eq!(span.map(|span| span.start_time_unix_nano), Ok(want), "{json}");
    }
}

#[test]
fn an_error_shows_what_was_sent_and_says_what_is_true_of_it() {
    let cases = [
        ("startTimeUnixNano", "1.50", "1.50 has a fraction where an unsigned 64-bit integer is wanted"),
        ("startTimeUnixNano", "1e-1", "1e-1 has a fraction where an unsigned 64-bit integer is wanted"),
        ("startTimeUnixNano", "1e30", "1e30 is out of the range of an unsigned 64-bit integer"),
        ("startTimeUnixNano", "-1", "-1 is out of the range of an unsigned 64-bit integer"),
        (
            "startTimeUnixNano",
            "18446744073709551616",
            "18446744073709551616 is out of the range of an unsigned 64-bit integer",
        ),
        (
            "startTimeUnixNano",
            r#""1.8446744073709551616e19""#,
            r#""1.8446744073709551616e19" is out of the range of an unsigned 64-bit integer"#,
        ),
        (
            "startTimeUnixNano",
            r#""+1""#,
            r#""+1" is not an unsigned 64-bit integer in the form of ProtoJSON"#,
        ),
        ("startTimeUnixNano", "true", "true is not an unsigned 64-bit integer"),
        ("flags", "4294967296", "4294967296 is out of the range of an unsigned 32-bit integer"),
        ("kind", "2147483648", "2147483648 is out of the range of a signed 32-bit integer"),
        (
            "kind",
            "2.5",
            "2.5 has a fraction where an enum number without quotes (names are not allowed) is wanted",
        ),
        ("traceId", r#""abc""#, r#""abc" is not hex digits, two for each byte"#),
    ];
    for (field, json, want) in cases {
        let error = span(&format!(r#"{{"{field}":{json}}}"#)).expect_err(json).to_string();
        assert!(error.starts_with(&format!("{field}: {want} at line 1 column")), "{error}");
    }
    let double = |json: &str| value(&format!(r#"{{"doubleValue":{json}}}"#)).expect_err(json).to_string();
    assert!(double("1e999").starts_with("doubleValue: 1e999 is out of the range of a 64-bit double"));
    assert!(double(r#""-1e999""#).starts_with(r#"doubleValue: "-1e999" is out of the range"#));
    assert!(span(r#"{"name":1.0}"#).expect_err("no text").to_string().starts_with("invalid type: a number,"));
}

#[test]
fn integers_out_of_range_or_with_a_fraction_are_refused() {
    let cases = [
        ("startTimeUnixNano", "-1"),
        ("startTimeUnixNano", r#""-1""#),
        ("startTimeUnixNano", "18446744073709551616"),
        ("startTimeUnixNano", r#""18446744073709551616""#),
        ("startTimeUnixNano", "1.5"),
        ("startTimeUnixNano", r#""1.5""#),
        ("startTimeUnixNano", r#""""#),
        ("startTimeUnixNano", r#""+1""#),
        ("startTimeUnixNano", "1e30"),
        ("droppedAttributesCount", "4294967296"),
        ("droppedAttributesCount", "-1"),
        ("flags", "4294967296"),
        ("name", "1"),
        ("name", "{}"),
        ("attributes", "{}"),
        ("attributes", "\"x\""),
        ("status", "[]"),
        ("status", "1"),
        ("kind", "[1]"),
    ];
    for (field, bad) in cases {
        let error = span(&format!(r#"{{"{field}":{bad}}}"#)).expect_err(bad).to_string();
        assert!(error.contains(field) && error.contains("column"), "{field} {bad}: {error}");
    }
    assert!(value(r#"{"intValue":"9223372036854775808"}"#).is_err());
    assert!(value(r#"{"boolValue":"true"}"#).is_err());
}

#[test]
fn a_number_beyond_64_bits_is_the_double_that_it_is() {
    let cases = [
        // JSON.stringify of 2 ** 63, -(2 ** 63) - 2048, 1e20, 2 ** 64 and 1e300.
        ("9223372036854775808", 9_223_372_036_854_775_808.0),
        ("-9223372036854777856", -9_223_372_036_854_777_856.0),
        ("100000000000000000000", 1e20),
        ("18446744073709551616", 18_446_744_073_709_551_616.0),
        ("1e+300", 1e300),
        ("-1e300", -1e300),
    ];
    for (json, want) in cases {
        assert_eq!(value(&format!(r#"{{"intValue":{json}}}"#)), Ok(Some(Any::DoubleValue(want))), "{json}");
        let bad = value(&format!(r#"{{"intValue":"{json}"}}"#));
        assert!(bad.is_err_and(|error| error.to_string().contains("intValue")), "as text: {json}");
    }
    for (json, want) in [("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)] {
        assert_eq!(value(&format!(r#"{{"intValue":{json}}}"#)), Ok(Some(Any::IntValue(want))));
    }
    for bad in ["1.5", "1e-1", "true", "1e999", "[]", "{}"] {
        assert!(value(&format!(r#"{{"intValue":{bad}}}"#)).is_err(), "{bad}");
    }
}
