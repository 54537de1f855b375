//! Lines of access logs: any proxy's, in any format, to rows of `requests`.
//!
//! ```text
//!  a format's text --envoy, nginx, apache, ...--> fields and the text between them --pattern-->  a matcher
//!  a line --matcher--> texts of fields --field--> facts --settle--> RequestFacts --judge--> a row
//! ```
//! A format is compiled once, from the proxy's own language or by its name; a language says what its operators mean, and
//! nothing else is a proxy's business. A line that its format cannot read is a row all the same: kept as it came, not
//! counted as a call, with the first field that failed.
//!
//! It stands below the decoders because lines come by themselves and as bodies of OTLP log records.

pub mod rows;
pub mod origin;
mod envelope;
pub(crate) mod syslog;
mod known;
mod envoy_formats;
mod ztunnel;
mod haproxy_formats;
mod nginx_formats;
mod caddy;
mod traefik;
mod linkerd;
mod kong;
mod cloud;
mod w3c;
mod looks;
mod envoy_json;
mod mapping;
mod envoy;
mod nginx;
mod apache;
mod haproxy;
mod template;
mod language;
mod pairs;
mod json;
mod pattern;
mod field;
mod settle;
mod lists;
mod request_line;
mod termination;
mod words;
mod peers;
mod reading;
mod addresses;
mod escape;
mod header_time;
mod moment;
mod numbers;

use std::sync::Arc;

use thiserror::Error;

use crate::normalize::requests::facts::{Layer, Observer};
use crate::normalize::requests::proxy::ProxyKind;
use crate::row_attributes::RowAttributes;
use escape::Escape;
use haproxy::Compiled;
use json::{Member, Object};
use pairs::Pairs;
use pattern::{Flaw, LINE, Pattern};
use reading::Reading;

/// A compiled format of lines.
#[derive(Debug, Clone)]
pub struct LineFormat {
    name: &'static str,
    program: Program,
    layer: Layer,
    matcher: Arc<Matcher>,
}

/// A language in which a proxy's configuration describes its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Envoy's format strings, of text.
    Envoy,
    /// Envoy's `json_format`.
    EnvoyJson,
    /// nginx's `log_format`.
    Nginx,
    /// Apache's `LogFormat`; varnishncsa's is the same.
    Apache,
    /// HAProxy's `log-format`, of text or JSON.
    Haproxy,
    /// Fields in braces, for proxies without a language.
    Fields,
}

/// The program that writes a format, as far as rows depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Program {
    /// Stands for the service where nobody names it; empty where the program stands beside one.
    pub service: &'static str,
    pub kind: ProxyKind,
    /// Where it stands in every call that it logs, if that is always the same.
    pub observer: Option<Observer>,
}

impl Program {
    /// Whether it is the same. Names are written once each, and to compare their texts for every line takes longer than to
    /// cut a field.
    fn is(self, other: Program) -> bool {
        std::ptr::eq(self.service, other.service)
            && self.kind == other.kind
            && self.observer == other.observer
    }
}

#[derive(Debug)]
enum Matcher {
    /// The ways in which it is written, tried in their order.
    Text(Box<[Pattern]>),
    Json(Object),
    Pairs(Pairs),
}

/// Why a text is no format.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what}, at byte {position} of the format")]
pub struct FormatError {
    pub position: usize,
    pub what: String,
}

impl FormatError {
    fn at(position: usize, what: impl Into<String>) -> FormatError {
        FormatError { position, what: what.into() }
    }
}

impl Language {
    pub const ALL: [Language; 6] = [
        Language::Envoy,
        Language::EnvoyJson,
        Language::Nginx,
        Language::Apache,
        Language::Haproxy,
        Language::Fields,
    ];

    /// The name in configuration, and in `source_format` of lines in a format of one's own.
    pub const fn name(self) -> &'static str {
        match self {
            Language::Envoy => "envoy",
            Language::EnvoyJson => "envoy_json",
            Language::Nginx => "nginx",
            Language::Apache => "apache",
            Language::Haproxy => "haproxy",
            Language::Fields => "fields",
        }
    }

    pub fn named(name: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.name() == name)
    }

    /// The language that a format looks like; `None` for what looks like none.
    pub fn of(format: &str) -> Option<Language> {
        looks::language_of(format)
    }

    const fn program(self) -> Program {
        let service = match self {
            Language::EnvoyJson => Language::Envoy.name(),
            Language::Fields => "",
            _ => self.name(),
        };
        Program { service, kind: ProxyKind::Plain, observer: None }
    }

    fn matcher(self, text: &str) -> Result<Matcher, FormatError> {
        let text = without_end(text);
        match self {
            Language::EnvoyJson => return envoy_json::compile(text).map(Matcher::Json),
            Language::Haproxy => {
                if let Compiled::Members(fields) = haproxy::compile(text)? {
                    let member = |field| Member::Field { field, is_required: false };
                    let members = fields.into_iter().map(|(name, field)| (name, member(field)));
                    return Ok(Matcher::Json(Object::new(members)));
                }
            }
            _ => {}
        }
        Ok(Matcher::Text([self.pattern(text)?].into()))
    }

    fn pattern(self, text: &str) -> Result<Pattern, FormatError> {
        let (tokens, escape) = match self {
            Language::Envoy | Language::EnvoyJson => (envoy::tokens(text)?, Escape::None),
            Language::Nginx => nginx::tokens(text)?,
            Language::Apache => (apache::tokens(text)?, Escape::Backslash),
            Language::Fields => (template::tokens(text)?, Escape::Backslash),
            Language::Haproxy => match haproxy::compile(text)? {
                Compiled::Text(tokens) => (tokens, Escape::Hash),
                Compiled::Members(_) => (Vec::new(), Escape::Hash),
            },
        };
        Pattern::new(tokens, escape).map_err(|flaw| match flaw {
            Flaw::Empty => FormatError::at(0, "no field at all"),
            Flaw::Touching(at, name) => {
                let what =
                    format!("nothing between field {}, {name}, and the next, to tell them apart", at + 1);
                FormatError::at(text.len(), what)
            }
        })
    }
}

/// A format without what ends its lines, be it written as an escape as configurations have it.
fn without_end(format: &str) -> &str {
    let mut kept = format.trim();
    while let Some(rest) = kept.strip_suffix("\\n") {
        kept = rest.trim_end();
    }
    kept
}

impl LineFormat {
    fn new(name: &'static str, program: Program, matcher: Matcher) -> LineFormat {
        let is_of_requests = match &matcher {
            Matcher::Text(patterns) => patterns.iter().any(Pattern::is_of_requests),
            Matcher::Json(object) => object.is_of_requests(),
            Matcher::Pairs(_) => false,
        };
        let layer = if is_of_requests { Layer::L7 } else { Layer::L4 };
        LineFormat { name, program, layer, matcher: Arc::new(matcher) }
    }

    /// A known format by its name; see [`names`](Self::names).
    pub fn named(name: &str) -> Option<LineFormat> {
        known::all().iter().find(|format| format.name == name).cloned()
    }

    /// The names of known formats, the more particular ones first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        known::all().iter().map(|format| format.name)
    }

    /// Compiles a format in a proxy's own language, as it stands in that proxy's configuration.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn compile(language: Language, text: &str) -> Result<LineFormat, FormatError> {
        Ok(LineFormat::new(language.name(), language.program(), language.matcher(text)?))
    }

    /// The known format that reads most of the first lines of a log; `None` where none reads any. Of two that read as
    /// many it is the more particular one.
    pub fn detect(lines: &[&[u8]]) -> Option<LineFormat> {
        let texts = lines.iter().filter_map(|line| str::from_utf8(line).ok());
        if let Some(format) = texts.into_iter().find_map(|line| known::w3c(line.trim_end())) {
            return Some(format);
        }
        let reads = |format: &LineFormat, line: &[u8]| {
            let line = String::from_utf8_lossy(line);
            let mut reading = Reading::new(format.name, RowAttributes::default());
            format.read(line.trim_end(), &mut reading).is_ok()
        };
        let read_by = |format: &LineFormat| lines.iter().filter(|line| reads(format, line)).count();
        let counted = known::all().iter().map(|format| (read_by(format), format));
        let best = counted.rev().max_by_key(|(count, _)| *count)?;
        (best.0 > 0).then(|| best.1.clone())
    }

    /// Whether it is the very same format, not only one of its name.
    fn is(&self, other: &LineFormat) -> bool {
        Arc::ptr_eq(&self.matcher, &other.matcher)
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Reads a line into `to`.
    ///
    /// # Errors
    /// The name of the first field that the line does not have, or of one that cannot be what it should.
    fn read<'a>(&self, line: &'a str, to: &mut Reading<'a>) -> Result<(), &'static str> {
        match &*self.matcher {
            Matcher::Text(patterns) => read_any_way(patterns, line, to),
            Matcher::Json(object) if line.starts_with('{') => object.read(line, to),
            Matcher::Json(_) => Err(LINE),
            Matcher::Pairs(pairs) => pairs.read(line, to),
        }
    }

    /// Reads of a line what comes before the first field that fails.
    fn read_beginning<'a>(&self, line: &'a str, to: &mut Reading<'a>) {
        let _ = match &*self.matcher {
            Matcher::Text(patterns) => patterns.first().map_or(Ok(()), |first| first.read(line, to)),
            Matcher::Json(_) | Matcher::Pairs(_) => self.read(line, to),
        };
    }
}

/// Reads a line the first way that fits; what fails of the first way is what fails of all.
fn read_any_way<'a>(patterns: &[Pattern], line: &'a str, to: &mut Reading<'a>) -> Result<(), &'static str> {
    let mut flaw = Ok(());
    for pattern in patterns {
        match pattern.read(line, to) {
            Ok(()) => return Ok(()),
            Err(field) => flaw = flaw.and(Err(field)),
        }
        to.clear();
    }
    for pattern in patterns {
        if pattern.read_longer(line, to) {
            return Ok(());
        }
        to.clear();
    }
    flaw
}
