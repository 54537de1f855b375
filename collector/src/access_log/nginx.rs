//! nginx's `log_format`: `$variable` and `${variable}` between other text.
//!
//! nginx writes a line when the request is over, so its times are those of the end. A whole `log_format` directive may
//! be given, with its name, its `escape=` and its quoted pieces, as it stands in a configuration, or the pieces alone. A
//! format with variables that only a connection has is one of the stream module.
//!
//! Sources: nginx, "Alphabetical index of variables", ngx_http_log_module, ngx_stream_core_module; ingress-nginx, "Log
//! format". Limits: with `escape=none` nothing is unescaped.

use super::FormatError;
use super::escape::Escape;
use super::field::Field;
use super::language::{push_literal, request_header, response_header};
use super::moment::TimeFormat;
use super::numbers::Unit;
use super::pattern::Token;
use super::peers::PeerFact;
use super::reading::{PeerEnd, Timer};

/// Splits a format, or a directive that defines one, into fields and the text between them.
///
/// # Errors
/// A `$` without a name.
pub(super) fn tokens(format: &str) -> Result<(Vec<Token>, Escape), FormatError> {
    let (format, escape) = directive(format).or_else(|| pieces(format)).unwrap_or_else(|| {
        // Whether its quotes are escaped for JSON is said elsewhere; what is escaped otherwise reads the same.
        (format.to_owned(), if format.starts_with('{') { Escape::Backslash } else { Escape::Hex })
    });
    let mut variables = Vec::new();
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
        variables.push(name);
        tokens.push(Token::Field(variable(name)));
        rest = behind;
    }
    push_literal(&mut tokens, rest);
    settle_meanings(&mut tokens, &variables);
    Ok((tokens, escape))
}

/// What a variable means where the one is missing that would say it better, or beside variables of connections.
fn settle_meanings(tokens: &mut [Token], variables: &[&str]) {
    let has = |name: &&str| variables.contains(name);
    let is_of_connections = CONNECTION_VARIABLES.iter().any(has);
    let has_path = PATH_VARIABLES.iter().any(has);
    let fields = tokens.iter_mut().filter_map(|token| match token {
        Token::Field(field) => Some(field),
        _ => None,
    });
    for (field, name) in fields.zip(variables) {
        match field {
            // Of ingress-nginx, whose name for an upstream holds both with hyphens between.
            Field::Cluster if *name == "proxy_upstream_name" && has(&"service_name") => {
                *field = Field::Attribute((*name).into());
            }
            Field::Status if is_of_connections => *field = Field::SessionStatus,
            Field::RewrittenPath if !has_path => *field = Field::Path,
            Field::Attribute(_) if *name == "bytes_sent" && !has(&"body_bytes_sent") => {
                *field = Field::ResponseBytes;
            }
            _ => {}
        }
    }
}

/// Variables that only the stream module has.
const CONNECTION_VARIABLES: [&str; 3] = ["protocol", "session_time", "bytes_received"];

/// Variables that tell the path as it was asked for.
const PATH_VARIABLES: [&str; 2] = ["request", "request_uri"];

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
    Some((quoted_pieces(rest)?, escape))
}

/// A format in quoted pieces without the directive around them; no text that is a format begins with such a quote.
fn pieces(text: &str) -> Option<(String, Escape)> {
    let text = text.trim();
    text.starts_with('\'').then(|| quoted_pieces(text))?.map(|format| {
        let escape = if format.starts_with('{') { Escape::Backslash } else { Escape::Hex };
        (format, escape)
    })
}

/// What quoted pieces say together; `None` where anything else stands between them.
fn quoted_pieces(text: &str) -> Option<String> {
    let mut format = String::new();
    let mut rest = text;
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
    matches!(rest, "" | ";").then_some(format)
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
        "args" | "query_string" | "is_args" => Field::Query,
        "server_protocol" => Field::Protocol,
        "scheme" => Field::Scheme,
        "host" | "http_host" => Field::Authority,
        "status" => Field::Status,
        "request_time" => Field::Duration(Unit::Seconds),
        "request_length" => Field::RequestBytes,
        "body_bytes_sent" => Field::ResponseBytes,
        "remote_addr" => Field::Remote,
        "remote_port" => Field::RemotePort,
        "remote_user" => Field::RemoteUser,
        "proxy_add_x_forwarded_for" => Field::ForwardedFor,
        "realip_remote_addr" => Field::DirectRemote,
        "realip_remote_port" => Field::DirectRemotePort,
        "server_addr" => Field::Local,
        "server_port" => Field::LocalPort,
        "ssl_protocol" => Field::TlsVersion,
        "ssl_server_name" => Field::ServerName,
        "request_id" | "req_id" => Field::RequestId,
        "proxy_upstream_name" | "proxy_host" | "service_name" => Field::Cluster,
        "namespace" => Field::Peer(PeerEnd::Upstream, PeerFact::Namespace),
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
        "protocol" => Field::Transport,
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
