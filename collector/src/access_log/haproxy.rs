//! HAProxy's `log-format`: `%alias`, `%{flags}alias`, `%(name)alias` and `%[sample]` between other text.
//!
//! Times are those of the start, timers are milliseconds and -1 where a stage was not reached. With `%{+json}o` lines are
//! JSON with the names as keys; with `%{+Q}o` texts stand in quotes.
//!
//! Source: HAProxy, "Configuration Manual", 8.2.6 (custom log format), 8.6 (non-printable characters). Limits: `+E`, `+X`
//! and CBOR are not undone; a sample other than a header is an attribute under its own text.

use super::FormatError;
use super::field::Field;
use super::language::{push_literal, request_header, response_header};
use super::moment::TimeFormat;
use super::numbers::Unit;
use super::pattern::Token;
use super::reading::Timer;

/// A format's text, as it says how lines are.
pub(super) enum Compiled {
    Text(Vec<Token>),
    /// JSON: names and what their values mean.
    Members(Vec<(String, Field)>),
}

/// Captured headers are left out, with their braces, where none are captured.
const OPTIONAL: [&str; 2] = ["hr", "hs"];

/// What `+Q` puts in quotes besides samples: texts and addresses, not numbers, times and states.
const QUOTED: [&str; 25] = [
    "r", "f", "ft", "b", "s", "CC", "CS", "hr", "hs", "hrl", "hsl", "HM", "HP", "HPO", "HQ", "HU", "HV",
    "ID", "ci", "fi", "si", "bi", "H", "sslc", "sslv",
];

/// Splits a format, or a directive that defines one, into fields and the text between them.
///
/// # Errors
/// A `%` without an alias, or brackets without their end.
pub(super) fn compile(format: &str) -> Result<Compiled, FormatError> {
    let format = format.trim().strip_prefix("log-format").map_or(format, str::trim_start);
    let quoted = |quote: char| format.strip_prefix(quote).and_then(|format| format.strip_suffix(quote));
    let format = quoted('"').or_else(|| quoted('\'')).unwrap_or(format);
    let (mut tokens, mut members) = (Vec::new(), Vec::new());
    let (mut all_quoted, mut is_json) = (false, false);
    let mut rest = format;
    while let Some(start) = rest.find(['%', '\\']) {
        push_literal(&mut tokens, &rest[..start]);
        let at = format.len() - rest.len() + start;
        let marked = &rest[start..];
        if let Some(escaped) = marked.strip_prefix('\\') {
            let end = escaped.chars().next().map_or(0, char::len_utf8);
            push_literal(&mut tokens, &escaped[..end]);
            rest = &escaped[end..];
            continue;
        }
        let (alias, after) = alias(&marked[1..]).ok_or(FormatError::at(at, "a % without an alias"))?;
        rest = after;
        let quoted =
            if alias.flags.contains("+Q") { true } else { all_quoted && !alias.flags.contains("-Q") };
        match alias.text {
            "%" => push_literal(&mut tokens, "%"),
            "o" => {
                all_quoted = alias.flags.contains("+Q");
                is_json |= alias.flags.contains("json");
                // Nothing is written for it, nor for the space behind it.
                rest = rest.strip_prefix(' ').unwrap_or(rest);
            }
            text => {
                let field = named(alias.name).unwrap_or_else(|| field(text));
                members
                    .push((if alias.name.is_empty() { text } else { alias.name }.to_owned(), field.clone()));
                push_field(&mut tokens, text, field, quoted);
            }
        }
    }
    push_literal(&mut tokens, rest);
    Ok(if is_json { Compiled::Members(members) } else { Compiled::Text(tokens) })
}

fn push_field(tokens: &mut Vec<Token>, alias: &str, field: Field, quoted: bool) {
    if OPTIONAL.contains(&alias) && !quoted {
        return tokens.push(Token::Optional(field));
    }
    let is_quoted = quoted && (alias.starts_with('[') || QUOTED.contains(&alias));
    let quote = if is_quoted { "\"" } else { "" };
    push_literal(tokens, quote);
    tokens.push(Token::Field(field));
    push_literal(tokens, quote);
}

/// One `%...` of a format.
struct Alias<'a> {
    flags: &'a str,
    name: &'a str,
    /// The alias, or the sample in its brackets.
    text: &'a str,
}

/// Reads what follows a `%`, and gives what follows that.
fn alias(text: &str) -> Option<(Alias<'_>, &str)> {
    let (mut flags, mut name, mut rest) = ("", "", text);
    if let Some(inside) = rest.strip_prefix('(') {
        (name, rest) = inside.split_once(')')?;
        // The name may say of which type the value is to be.
        name = name.split(':').next().unwrap_or(name);
    }
    if let Some(inside) = rest.strip_prefix('{') {
        (flags, rest) = inside.split_once('}')?;
    }
    let end = match rest.as_bytes().first()? {
        b'[' => rest.find(']')? + 1,
        b'%' => 1,
        _ => rest.find(|char: char| !char.is_ascii_alphanumeric()).unwrap_or(rest.len()),
    };
    let (text, after) = rest.split_at(end);
    (!text.is_empty()).then_some((Alias { flags, name, text }, after))
}

/// Whether `name` is one of its aliases that no other language has: those of one letter are Apache's, too.
pub(super) fn is_own_alias(name: &str) -> bool {
    name.len() > 1 && field(name) != Field::Attribute(name.into())
}

/// Facts that have an alias of HAProxy's only as a sample, by the name that an operator gives them.
fn named(name: &str) -> Option<Field> {
    match request_header(name) {
        Field::Attribute(_) => None,
        field => Some(field),
    }
}

/// What an alias means.
pub(super) fn field(alias: &str) -> Field {
    let millis = |timer| Field::Timer(timer, Unit::Millis);
    match alias {
        "ci" => Field::Remote,
        "cp" => Field::RemotePort,
        "fi" => Field::Local,
        "fp" => Field::LocalPort,
        "si" => Field::UpstreamHost,
        "bi" => Field::UpstreamLocal,
        "f" | "ft" => Field::Frontend,
        "b" => Field::Cluster,
        "s" => Field::Server,
        "t" | "tr" | "trg" | "trl" | "T" | "Tl" => Field::Start(TimeFormat::Any),
        "ms" => Field::Start(TimeFormat::Fraction),
        "Ts" => Field::Start(TimeFormat::Number(Unit::Seconds)),
        "TR" => millis(Timer::Request),
        "Tw" => millis(Timer::Queue),
        "Tc" => millis(Timer::Connect),
        "Tr" => millis(Timer::Response),
        "Td" => millis(Timer::Data),
        "Ta" => millis(Timer::Active),
        "Tt" => millis(Timer::Total),
        "ST" => Field::Status,
        "B" => Field::ResponseBytes,
        "U" => Field::RequestBytes,
        "ts" | "tsc" => Field::TerminationState,
        "rc" => Field::Retries,
        "r" => Field::RequestLine,
        "HM" => Field::Method,
        "HU" => Field::Url,
        "HP" | "HPO" => Field::Path,
        "HQ" => Field::Query,
        "HV" => Field::Protocol,
        "ID" => Field::RequestId,
        "sslv" => Field::TlsVersion,
        _ => other(alias),
    }
}

/// Counters and the like, by the names that the manual gives them, and samples.
fn other(alias: &str) -> Field {
    let name = match alias {
        "ac" => "actconn",
        "fc" => "feconn",
        "bc" => "beconn",
        "sc" => "srv_conn",
        "sq" => "srv_queue",
        "bq" => "backend_queue",
        "CC" => "captured_request_cookie",
        "CS" => "captured_response_cookie",
        "hr" | "hrl" => "captured_request_headers",
        "hs" | "hsl" => "captured_response_headers",
        "rt" => "request_counter",
        "H" => "hostname",
        "sslc" => "tls_cipher_suite",
        _ => {
            let sample = alias.trim_start_matches('[').trim_end_matches(']');
            return sample_header(sample).unwrap_or_else(|| Field::Attribute(sample.into()));
        }
    };
    Field::Attribute(name.into())
}

/// `req.hdr(name)`, `res.hdr(name)`, `ssl_fc_sni` and the samples like them.
fn sample_header(sample: &str) -> Option<Field> {
    let (fetch, argument) = match sample.split_once('(') {
        Some((fetch, rest)) => {
            (fetch, rest.split([')', ',']).next().unwrap_or_default().to_ascii_lowercase())
        }
        None => (sample, String::new()),
    };
    Some(match fetch {
        "req.hdr" | "req.fhdr" | "hdr" => request_header(&argument),
        "res.hdr" | "res.fhdr" => response_header(&argument),
        "ssl_fc_sni" => Field::ServerName,
        "capture.req.uri" | "url" => Field::Url,
        "capture.req.method" | "method" => Field::Method,
        "capture.req.ver" => Field::Protocol,
        "path" => Field::Path,
        "src" => Field::Remote,
        "src_port" => Field::RemotePort,
        "dst" => Field::Local,
        "dst_port" => Field::LocalPort,
        _ => return None,
    })
}
