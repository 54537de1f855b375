//! The request line of HTTP, whole or in parts: method, path and protocol.
//!
//! Proxies log what a client sent, be it no HTTP at all: a TLS hello on a clear port, a scanner's garbage. Whatever
//! does not read as a request line is kept as the attribute `request_line`, and the row has neither method nor path.
//!
//! Sources: RFC 9112, 3 (request line); RFC 9110, 9.1 (a method is a token).

use std::borrow::Cow;

use super::reading::Reading;
use crate::address::{Address, is_ip};

/// Bytes of a method; the longest registered has 17 (`UPDATEREDIRECTREF`). Longer tokens are something else.
const METHOD_BYTES_MAX: usize = 32;

/// Takes in `GET /path HTTP/1.1`; without a protocol it is HTTP/0.9.
pub(super) fn set_line<'a>(line: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    let Some((method_end, path_end)) = split(&line) else {
        to.attributes.push_text("", "request_line", &line);
        return true;
    };
    let protocol = line[path_end..].trim_start();
    to.seen.protocol = protocol_name(protocol).unwrap_or_default();
    to.names_protocol = !protocol.is_empty();
    let (method, path): (Cow<'a, str>, Cow<'a, str>) = match line {
        Cow::Borrowed(line) => (line[..method_end].into(), line[method_end + 1..path_end].into()),
        Cow::Owned(line) => {
            (line[..method_end].to_owned().into(), line[method_end + 1..path_end].to_owned().into())
        }
    };
    // What is connected to is no path (RFC 9112, 3.2.3).
    let is_authority = method == "CONNECT" && !path.starts_with('/');
    if !is_missing(&method) {
        to.seen.method = method;
    }
    if is_missing(&path) {
        return true;
    }
    if !is_authority {
        // Nothing tells better what was asked for.
        let before = std::mem::take(&mut to.seen.path);
        let fits = set_url(path, to);
        if !before.is_empty() && before != to.seen.path {
            set_rewritten(&before, to);
        }
        return fits;
    }
    if to.seen.authority.is_empty() {
        to.seen.authority = path;
    }
    true
}

fn is_missing(text: &str) -> bool {
    matches!(text, "" | "-")
}

/// Where the method and the path of a request line end.
fn split(line: &str) -> Option<(usize, usize)> {
    let method_end = memchr::memchr(b' ', line.as_bytes())?;
    if !is_method(&line[..method_end]) {
        return None;
    }
    let path_end = match memchr::memrchr(b' ', line.as_bytes())? {
        last if last > method_end && protocol_name(&line[last + 1..]).is_some() => last,
        _ if line[method_end + 1..].starts_with(['/', 'h', '*']) => line.len(),
        _ => return None,
    };
    Some((method_end, path_end))
}

fn is_method(text: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= METHOD_BYTES_MAX && text.bytes().all(is_token)
}

pub(super) fn set_method<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    let fits = is_method(&text);
    to.seen.method = text;
    fits
}

pub(super) fn set_path<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    if to.seen.path.is_empty() {
        to.seen.path = text;
        return true;
    }
    // A path that came before is the one from before a rewrite.
    to.seen.path == text || set_rewritten(&text, to)
}

/// The path as it was asked for: one that came before is what it was rewritten to.
pub(super) fn set_original<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    let before = std::mem::replace(&mut to.seen.path, text);
    if !before.is_empty() && before != to.seen.path {
        set_rewritten(&before, to);
    }
    true
}

pub(super) fn set_rewritten(text: &str, to: &mut Reading<'_>) -> bool {
    to.attributes.push_text("", "rewritten_path", text);
    true
}

pub(super) fn set_query(text: &str, to: &mut Reading<'_>) -> bool {
    let query = text.strip_prefix('?').unwrap_or(text);
    if !query.is_empty() {
        to.query = format!("?{query}").into();
    }
    true
}

/// Takes in a path, or a URL: its scheme and authority are facts of their own where no other field says them.
pub(super) fn set_url<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    let behind = |scheme| Some((scheme, text.strip_prefix(scheme)?.strip_prefix("://")?));
    let Some((scheme, rest)) = behind("http").or_else(|| behind("https")) else {
        return set_path(text, to);
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if to.seen.scheme.is_empty() {
        to.seen.scheme = scheme.into();
    }
    if to.seen.authority.is_empty() {
        to.seen.authority = authority.to_owned().into();
    }
    set_path(if path.is_empty() { "/".into() } else { path.to_owned().into() }, to)
}

/// A host's name, which has neither colons but before a port nor slashes: times and paths are none.
pub(super) fn set_virtual_host<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    let is_host = |host: &str| is_ip(host) || !host.contains([':', '/', '"']);
    let fits = is_host(&Address::parse(&text).host);
    to.seen.authority = text;
    fits
}

/// A protocol with a column, or any name in capitals, as protocols have.
pub(super) fn set_protocol(text: &str, to: &mut Reading<'_>) -> bool {
    to.names_protocol = true;
    match protocol_name(text) {
        Some(name) if !name.is_empty() => to.seen.protocol = name,
        _ => to.attributes.push_text("", "protocol", text),
    }
    protocol_name(text).is_some()
        || text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || b"/.-".contains(&byte))
}

/// The name in the column `protocol`; empty for a version of HTTP that has none, `None` for what is no HTTP.
fn protocol_name(text: &str) -> Option<&'static str> {
    Some(match text {
        "HTTP/1.1" | "http/1.1" => "HTTP/1.1",
        "HTTP/2" | "HTTP/2.0" | "h2" | "http/2" => "HTTP/2",
        "HTTP/1.0" | "http/1.0" => "HTTP/1.0",
        "HTTP/3" | "HTTP/3.0" | "h3" | "http/3" => "HTTP/3",
        _ if text.starts_with("HTTP/") && text.len() <= "HTTP/1.1".len() => "",
        _ => return None,
    })
}
