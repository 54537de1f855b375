//! Apache's `LogFormat`: `%directive` and `%{argument}directive` between other text; Varnish's varnishncsa has the same.
//!
//! Apache's times are those of the start. A whole `LogFormat "..." name` or `CustomLog file "..."` line may be given, or what
//! stands in its quotes, where quotes are escaped.
//!
//! Sources: Apache httpd, mod_log_config, "Custom Log Formats", mod_logio; varnishncsa(1). Limits: modifiers of status
//! (`%!200,304i`) and of redirects (`%>s`, `%<s`) are passed over.

use super::FormatError;
use super::field::Field;
use super::language::{push_literal, request_header, response_header};
use super::moment::TimeFormat;
use super::numbers::Unit;
use super::pattern::Token;

/// Splits a format, or a directive that defines one, into fields and the text between them.
///
/// # Errors
/// A `%` without a directive, or a conversion of time that is not known.
pub(super) fn tokens(format: &str) -> Result<Vec<Token>, FormatError> {
    let format = defined_by_directive(format).unwrap_or_else(|| format.replace("\\\"", "\""));
    let format = &*format;
    let mut tokens = Vec::new();
    let mut rest = format;
    while let Some(start) = rest.find('%') {
        push_literal(&mut tokens, &rest[..start]);
        let at = format.len() - rest.len() + start;
        let mut directive = rest[start + 1..]
            .trim_start_matches(|char: char| char.is_ascii_digit() || matches!(char, '<' | '>' | '!' | ','));
        let mut argument = "";
        if let Some(inside) = directive.strip_prefix('{') {
            (argument, directive) =
                inside.split_once('}').ok_or(FormatError::at(at, "a %{ without its }"))?;
        }
        directive = directive.trim_start_matches(['<', '>']);
        let letter = directive.chars().next().ok_or(FormatError::at(at, "a % without a directive"))?;
        rest = &directive[letter.len_utf8()..];
        match letter {
            '%' => push_literal(&mut tokens, "%"),
            // `%^FB` and the like have two more letters.
            '^' => {
                let name = rest.get(..2).ok_or(FormatError::at(at, "a %^ without its directive"))?;
                rest = &rest[2..];
                tokens.push(Token::Field(Field::Attribute(format!("{name}.{argument}").into())));
            }
            't' if argument.is_empty() => {
                push_literal(&mut tokens, "[");
                tokens.push(Token::Field(Field::Start(TimeFormat::Common)));
                push_literal(&mut tokens, "]");
            }
            _ => tokens.push(Token::Field(field(letter, argument, at)?)),
        }
    }
    push_literal(&mut tokens, rest);
    Ok(tokens)
}

/// The format that a `LogFormat` or `CustomLog` line defines.
fn defined_by_directive(text: &str) -> Option<String> {
    let text = text.trim();
    let quoted = match text.strip_prefix("LogFormat") {
        Some(rest) => rest.trim_start().strip_prefix('"')?,
        None => text.strip_prefix("CustomLog")?.split_once('"')?.1,
    };
    let mut format = String::new();
    let mut chars = quoted.chars();
    loop {
        match chars.next()? {
            '"' => return Some(format),
            '\\' => match chars.next()? {
                'n' => format.push('\n'),
                't' => format.push('\t'),
                escaped => format.push(escaped),
            },
            char => format.push(char),
        }
    }
}

fn field(letter: char, argument: &str, at: usize) -> Result<Field, FormatError> {
    let named = |name: &str| Field::Attribute(name.into());
    Ok(match letter {
        'a' | 'h' if argument == "c" => Field::DirectRemote,
        'a' | 'h' => Field::Remote,
        'A' => Field::Local,
        'b' | 'B' => Field::ResponseBytes,
        'D' => Field::Duration(Unit::Micros),
        'T' => Field::Duration(duration_unit(argument)),
        'f' => named("filename"),
        'H' => Field::Protocol,
        'i' => request_header(&argument.to_ascii_lowercase()),
        'I' => Field::RequestBytes,
        'k' => named("keepalive_requests"),
        'l' => Field::Skip,
        'L' => named("log_id"),
        'm' => Field::Method,
        'O' => Field::ResponseBytes,
        'p' if matches!(argument, "" | "canonical" | "local") => Field::LocalPort,
        'p' => Field::RemotePort,
        'q' => Field::Query,
        'r' => Field::RequestLine,
        's' => Field::Status,
        't' => return time(argument, at),
        'u' => Field::RemoteUser,
        'U' => Field::Path,
        'v' | 'V' => Field::VirtualHost,
        'X' => Field::ConnectionStatus,
        'o' => response_header(&argument.to_ascii_lowercase()),
        'e' if argument == "UNIQUE_ID" => Field::RequestId,
        // Environment, notes, cookies, variables of TLS, records of Varnish.
        _ => Field::Attribute(
            if argument.is_empty() { letter.to_string() } else { argument.to_owned() }.into(),
        ),
    })
}

fn duration_unit(argument: &str) -> Unit {
    match argument {
        "ms" => Unit::Millis,
        "us" => Unit::Micros,
        _ => Unit::Seconds,
    }
}

/// `%{format}t`, where `begin:` and `end:` say which time it is.
fn time(argument: &str, at: usize) -> Result<Field, FormatError> {
    let (is_end, pattern) = match argument.split_once(':') {
        Some(("begin", pattern)) => (false, pattern),
        Some(("end", pattern)) => (true, pattern),
        _ => (false, argument),
    };
    let format = match pattern {
        "sec" => TimeFormat::Number(Unit::Seconds),
        "msec" => TimeFormat::Number(Unit::Millis),
        "usec" => TimeFormat::Number(Unit::Micros),
        "msec_frac" | "usec_frac" => TimeFormat::Fraction,
        _ => TimeFormat::strftime(pattern).map_err(|conversion| {
            FormatError::at(at, format!("a time with %{conversion}, which is not known"))
        })?,
    };
    Ok(if is_end { Field::End(format) } else { Field::Start(format) })
}
