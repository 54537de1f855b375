//! W3C's extended log format, which IIS and others write: a file says itself which fields its lines have.
//!
//! ```text
//! #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port c-ip sc-status time-taken
//! 2026-11-23 07:07:07 10.0.0.1 GET /svc/ok - 80 10.0.0.9 200 15
//! ```
//! Times are UTC and those of the end; `time-taken` is seconds with a fraction, or IIS's whole milliseconds. Fields stand
//! between spaces, or as CloudFront writes them between tabs.
//!
//! Sources: W3C, "Extended Log File Format"; Microsoft, "W3C Extended Log File Format" of IIS; AWS, "Standard log file
//! format" of CloudFront. Limits: a `+` that stands for a space stays what it is, because one that was sent looks the same.

use super::escape::Escape;
use super::field::Field;
use super::language::request_header;
use super::moment::TimeFormat;
use super::pattern::{Pattern, Token};

/// How a line begins that says something of the lines, and is none.
pub(super) const DIRECTIVE: &str = "#";

/// The fields that IIS writes by default.
pub(super) const IIS_FIELDS: &str = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip \
                                     cs(User-Agent) cs(Referer) sc-status sc-substatus sc-win32-status time-taken";

/// What a `#Fields` line says, for lines of either separator; `None` for any other line.
pub(super) fn patterns(line: &str) -> Option<Box<[Pattern]>> {
    let names: Vec<_> = line.strip_prefix("#Fields:")?.split_ascii_whitespace().collect();
    [" ", "\t"].into_iter().map(|separator| pattern(&names, separator)).collect()
}

fn pattern(names: &[&str], separator: &str) -> Option<Pattern> {
    let mut tokens = Vec::new();
    for name in names {
        if !tokens.is_empty() {
            tokens.push(Token::Literal(separator.to_owned()));
        }
        tokens.push(Token::Field(field(name)));
    }
    Pattern::new(tokens, Escape::Backslash).ok()
}

fn field(name: &str) -> Field {
    match name {
        "date" | "time" => Field::End(TimeFormat::Any),
        "time-taken" => Field::TimeTaken,
        "c-ip" => Field::Remote,
        "c-port" => Field::RemotePort,
        "s-ip" => Field::Local,
        "s-port" => Field::LocalPort,
        "cs-method" => Field::Method,
        "cs-uri" | "cs-uri-stem" => Field::Url,
        "cs-uri-query" => Field::Query,
        "cs-version" | "cs-protocol-version" => Field::Protocol,
        "cs-protocol" => Field::Scheme,
        "ssl-protocol" => Field::TlsVersion,
        "x-forwarded-for" => Field::ForwardedFor,
        "x-edge-request-id" => Field::RequestId,
        "cs-host" => Field::Authority,
        "cs-bytes" => Field::RequestBytes,
        "sc-bytes" => Field::ResponseBytes,
        "sc-status" => Field::Status,
        _ => match name.strip_prefix("cs(").and_then(|name| name.strip_suffix(')')) {
            Some(header) => request_header(&header.to_ascii_lowercase()),
            None => Field::Attribute(name.into()),
        },
    }
}
