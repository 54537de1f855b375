//! Formats in no proxy's language: `{field}` and `{field:unit}` between other text.
//!
//! Fields are named as the columns of `requests` are, or as the table here says; any other name is an attribute's, and
//! `{_}` is left out. Load balancers whose formats are described field by field are known formats in this language, and
//! whoever has lines of a proxy that is not known here can write it.
//!
//! Text may be escaped by backslashes, so that a quote behind one does not end a field.

use super::FormatError;
use super::field::Field;
use super::language::push_literal;
use super::moment::TimeFormat;
use super::numbers::Unit;
use super::pattern::Token;
use super::reading::Timer;

/// Splits a format into fields and the text between them.
///
/// # Errors
/// A brace without its other one, or a unit that is not known.
pub(super) fn tokens(format: &str) -> Result<Vec<Token>, FormatError> {
    let mut tokens = Vec::new();
    let mut rest = format;
    while let Some(start) = rest.find('{') {
        push_literal(&mut tokens, &rest[..start]);
        let at = format.len() - rest.len() + start;
        let (name, after) =
            rest[start + 1..].split_once('}').ok_or(FormatError::at(at, "a { without its }"))?;
        let (name, argument) = name.split_once(':').unwrap_or((name, ""));
        tokens.push(Token::Field(field(name, argument, at)?));
        rest = after;
    }
    push_literal(&mut tokens, rest);
    Ok(tokens)
}

fn field(name: &str, argument: &str, at: usize) -> Result<Field, FormatError> {
    Ok(match name {
        "start" => Field::Start(time_format(argument, at)?),
        "end" => Field::End(time_format(argument, at)?),
        "duration" => Field::Duration(unit(argument, at)?),
        "upstream_duration" => Field::UpstreamDuration(unit(argument, at)?),
        "request_time" => Field::Timer(Timer::Request, unit(argument, at)?),
        "queue_time" => Field::Timer(Timer::Queue, unit(argument, at)?),
        "connect_time" => Field::Timer(Timer::Connect, unit(argument, at)?),
        "response_time" => Field::Timer(Timer::Response, unit(argument, at)?),
        "data_time" => Field::Timer(Timer::Data, unit(argument, at)?),
        _ => named(name).unwrap_or_else(|| Field::Attribute(name.into())),
    })
}

/// A field without a unit by its name.
fn named(name: &str) -> Option<Field> {
    Some(match name {
        "_" => Field::Skip,
        "request_line" => Field::RequestLine,
        "method" => Field::Method,
        "path" => Field::Path,
        "query" => Field::Query,
        "url" => Field::Url,
        "protocol" => Field::Protocol,
        "scheme" => Field::Scheme,
        "authority" => Field::Authority,
        "route" => Field::Route,
        "status" | "response_code" => Field::Status,
        "grpc_status" => Field::GrpcStatus,
        "response_flags" => Field::Flags,
        "response_code_details" => Field::Details,
        "request_bytes" => Field::RequestBytes,
        "response_bytes" => Field::ResponseBytes,
        "attempts" => Field::Attempts,
        "retries" => Field::Retries,
        "remote" | "downstream_remote_address" => Field::Remote,
        "local" | "downstream_local_address" => Field::Local,
        "upstream_host" => Field::UpstreamHost,
        "upstream_cluster" => Field::Cluster,
        "requested_server_name" => Field::ServerName,
        "forwarded_for" => Field::ForwardedFor,
        "request_id" => Field::RequestId,
        "traceparent" => Field::Traceparent,
        "trace_id" => Field::TraceId,
        "span_id" => Field::SpanId,
        "remote_user" => Field::RemoteUser,
        "tls_version" => Field::TlsVersion,
        "user_agent" => Field::UserAgent,
        "source_principal" => Field::CallerPrincipal,
        _ => return None,
    })
}

fn unit(name: &str, at: usize) -> Result<Unit, FormatError> {
    Ok(match name {
        "" | "s" => Unit::Seconds,
        "ms" => Unit::Millis,
        "us" => Unit::Micros,
        "ns" => Unit::Nanos,
        _ => return Err(FormatError::at(at, format!("the unit {name}, which is none of s, ms, us, ns"))),
    })
}

fn time_format(argument: &str, at: usize) -> Result<TimeFormat, FormatError> {
    match argument {
        "" => Ok(TimeFormat::Any),
        pattern if pattern.contains('%') => TimeFormat::strftime(pattern).map_err(|conversion| {
            FormatError::at(at, format!("a time with %{conversion}, which is not known"))
        }),
        name => unit(name, at).map(TimeFormat::Number),
    }
}
