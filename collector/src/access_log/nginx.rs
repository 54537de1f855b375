//! nginx's `log_format`: `$variable` and `${variable}` between other text.
//!
//! nginx writes a line when the request is over, so its times are those of the end. A whole `log_format` directive may
//! be given, with its name, its `escape=` and its quoted pieces, as it stands in a configuration.
//!
//! Sources: nginx, "Alphabetical index of variables", ngx_http_log_module; ingress-nginx, "Log format". Limits: with
//! `escape=none` nothing is unescaped.

use super::FormatError;
use super::escape::Escape;
use super::field::Field;
use super::language::{push_literal, request_header, response_header};
use super::moment::TimeFormat;
use super::numbers::Unit;
use super::pattern::Token;
use super::reading::Timer;

/// Splits a format, or a directive that defines one, into fields and the text between them.
///
/// # Errors
/// A `$` without a name.
pub(super) fn tokens(format: &str) -> Result<(Vec<Token>, Escape), FormatError> {
    let (format, escape) = match directive(format) {
        Some((format, escape)) => (format, escape),
        None => (format.to_owned(), Escape::Hex),
    };
    let mut tokens = Vec::new();
    let mut rest = format.as_str();
    while let Some(start) = rest.find('$') {
        push_literal(&mut tokens, &rest[..start]);
        let at = format.len() - rest.len() + start;
        let after = &rest[start + 1..];
        let is_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
        let (name, behind) = match after.strip_prefix('{') {
            Some(inside) => inside.split_once('}').ok_or(FormatError::at(at, "a ${ without its }"))?,
            None => after.split_at(after.find(|char| !is_name(char)).unwrap_or(after.len())),
        };
        if name.is_empty() {
            return Err(FormatError::at(at, "a $ without the name of a variable"));
        }
        tokens.push(Token::Field(variable(name)));
        rest = behind;
    }
    push_literal(&mut tokens, rest);
    Ok((tokens, escape))
}

/// The format that a `log_format` directive defines, and how it escapes.
fn directive(text: &str) -> Option<(String, Escape)> {
    let mut rest = text.trim().strip_prefix("log_format")?.trim_start();
    let name_end = rest.find(char::is_whitespace)?;
    rest = rest[name_end..].trim_start();
    let mut escape = Escape::Hex;
    if let Some(after) = rest.strip_prefix("escape=") {
        let end = after.find(char::is_whitespace)?;
        escape = match &after[..end] {
            "none" => Escape::None,
            "json" => Escape::Backslash,
            _ => Escape::Hex,
        };
        rest = after[end..].trim_start();
    }
    let mut format = String::new();
    while let Some(quote) = rest.chars().next().filter(|char| matches!(char, '\'' | '"')) {
        let mut chars = rest[1..].char_indices();
        let end = loop {
            match chars.next()? {
                (at, char) if char == quote => break at,
                (_, '\\') => {
                    let (_, escaped) = chars.next()?;
                    if !matches!(escaped, '\'' | '"' | '\\') {
                        format.push('\\');
                    }
                    format.push(escaped);
                }
                (_, char) => format.push(char),
            }
        };
        rest = rest[1 + end + 1..].trim_start();
    }
    matches!(rest, "" | ";").then_some((format, escape))
}

/// What a variable means; those that are not known are attributes under their own names.
pub(super) fn variable(name: &str) -> Field {
    match name {
        "time_local" | "time_iso8601" => Field::End(TimeFormat::Any),
        "msec" => Field::End(TimeFormat::Number(Unit::Seconds)),
        "request" => Field::RequestLine,
        "request_method" => Field::Method,
        "request_uri" => Field::Path,
        "uri" | "document_uri" => Field::RewrittenPath,
        "server_protocol" => Field::Protocol,
        "scheme" => Field::Scheme,
        "host" | "http_host" => Field::Authority,
        "status" => Field::Status,
        "request_time" => Field::Duration(Unit::Seconds),
        "request_length" => Field::RequestBytes,
        "body_bytes_sent" => Field::ResponseBytes,
        "remote_addr" => Field::Remote,
        "remote_port" => Field::RemotePort,
        "realip_remote_addr" => Field::DirectRemote,
        "server_addr" => Field::Local,
        "server_port" => Field::LocalPort,
        "ssl_protocol" => Field::TlsVersion,
        "ssl_server_name" => Field::ServerName,
        "request_id" | "req_id" => Field::RequestId,
        "proxy_upstream_name" | "proxy_host" => Field::Cluster,
        _ => upstream_variable(name).unwrap_or_else(|| named_header(name)),
    }
}

fn upstream_variable(name: &str) -> Option<Field> {
    Some(match name {
        "upstream_addr" => Field::UpstreamHosts,
        "upstream_status" => Field::UpstreamStatuses,
        "upstream_response_time" => Field::UpstreamDurations(Unit::Seconds),
        "upstream_connect_time" => Field::UpstreamConnectTimes,
        "upstream_header_time" => Field::UpstreamHeaderTimes,
        "upstream_response_length" | "upstream_bytes_received" => Field::UpstreamBytes,
        // Of a stream, which is a connection.
        "session_time" => Field::Timer(Timer::Total, Unit::Seconds),
        "bytes_received" => Field::RequestBytes,
        "ssl_preread_server_name" => Field::ServerName,
        _ => return None,
    })
}

fn named_header(name: &str) -> Field {
    let header = |name: &str| name.replace('_', "-");
    if let Some(name) = name.strip_prefix("http_") {
        return request_header(&header(name));
    }
    if let Some(name) = name.strip_prefix("sent_http_") {
        return response_header(&header(name));
    }
    Field::Attribute(name.into())
}
