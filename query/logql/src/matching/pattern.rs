//! Patterns of lines: text with `<name>` for what is kept and `<_>` for what is skipped.
//!
//! Two languages of Loki share the notation. A parser's pattern (`| pattern`) begins at the start of a line, and where a
//! text between two names is missing the last name takes the rest. A filter's pattern (`|>`) has only `<_>`, each of at least
//! one character; where it begins with a text, anything may stand before that, and where it ends with one, the line ends there.
//!
//! Source: "Log queries", Pattern and Pattern match filter.

use super::names::is_name;

/// Equal to another of the same text.
#[derive(Debug, Clone, PartialEq)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Literal(String),
    Name(String),
    Skipped,
}

impl Pattern {
    /// Of the parser: with at least one name, each once, and with text between any two.
    ///
    /// # Errors
    /// Text that says what is wrong.
    pub fn of_parser(text: String) -> Result<Pattern, String> {
        let parts = parts(&text);
        let names: Vec<&str> = names(&parts).collect();
        if names.is_empty() {
            return Err("at least one capture is required".to_owned());
        }
        let repeated = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name));
        if let Some((_, name)) = repeated {
            return Err(format!("duplicate capture name ({name})"));
        }
        check_neighbours(&parts)?;
        Ok(Pattern { text, parts })
    }

    /// Of the filter: without names.
    ///
    /// # Errors
    /// Text that says what is wrong.
    pub fn of_filter(text: String) -> Result<Pattern, String> {
        let parts = parts(&text);
        if names(&parts).next().is_some() {
            return Err("named captures are not allowed".to_owned());
        }
        check_neighbours(&parts)?;
        Ok(Pattern { text, parts })
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// The texts that all lines have that it matches; none of empty lines.
    pub fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(literal) => Some(literal.as_str()),
            _ => None,
        })
    }

    /// Gives names and what they take of `line`, until a text is missing.
    pub fn cut<'l>(&self, line: &'l str, mut found: impl FnMut(&str, &'l str)) {
        let mut rest = line;
        let mut parts = self.parts.iter().peekable();
        if let Some(Part::Literal(literal)) = parts.peek() {
            let Some(behind) = rest.strip_prefix(literal.as_str()) else { return };
            rest = behind;
            parts.next();
        }
        while let Some(part) = parts.next() {
            let end = match parts.next() {
                Some(Part::Literal(literal)) => {
                    rest.find(literal.as_str()).map(|at| (at, at + literal.len()))
                }
                _ => Some((rest.len(), rest.len())),
            };
            let (taken, behind) = end.unwrap_or((rest.len(), rest.len()));
            if let Part::Name(name) = part {
                found(name, &rest[..taken]);
            }
            if end.is_none() {
                return;
            }
            rest = &rest[behind..];
        }
    }

    /// Whether `line` is of the pattern, as Loki has it: each text is looked for once, behind the one before. An empty line is only
    /// of the empty pattern.
    pub fn is_match(&self, line: &str) -> bool {
        if line.is_empty() || self.parts.is_empty() {
            return line.is_empty() && self.parts.is_empty();
        }
        let mut rest = line;
        for (place, part) in self.parts.iter().enumerate() {
            let Part::Literal(literal) = part else { continue };
            let Some(at) = rest.find(literal.as_str()) else { return false };
            // A skipped part before it takes at least one character.
            if place > 0 && at == 0 {
                return false;
            }
            rest = &rest[at + literal.len()..];
        }
        let ends_open = !matches!(self.parts.last(), Some(Part::Literal(_)));
        ends_open != rest.is_empty()
    }
}

fn names(parts: &[Part]) -> impl Iterator<Item = &str> {
    parts.iter().filter_map(|part| if let Part::Name(name) = part { Some(name.as_str()) } else { None })
}

fn check_neighbours(parts: &[Part]) -> Result<(), String> {
    let is_open = |part: &Part| !matches!(part, Part::Literal(_));
    let neighbours = parts.windows(2).any(|pair| is_open(&pair[0]) && is_open(&pair[1]));
    if neighbours { Err("found consecutive capture, without literals between".to_owned()) } else { Ok(()) }
}

/// What is in angle brackets and no name is text like any other.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let name = rest.strip_prefix('<').and_then(|inside| inside.split_once('>')).map(|(name, _)| name);
        if let Some(name) = name.filter(|name| is_name(name)) {
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(if name == "_" { Part::Skipped } else { Part::Name(name.to_owned()) });
            rest = &rest[name.len() + 2..];
        } else {
            literal.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_takes_what_stands_between_texts() {
        let check = |pattern: &str, line: &str, want: &[(&str, &str)]| {
            let pattern = Pattern::of_parser(pattern.to_owned()).expect(pattern);
            let mut found = Vec::new();
            pattern.cut(line, |name, value| found.push((name.to_owned(), value.to_owned())));
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, want, "{} of {line}", pattern.text());
        };
        let line = r#"0.191.12.2 - - [10/Jun/2021:09:14:29 +0000] "GET /api/x HTTP/1.1" 200 1024"#;
        let pattern = r#"<ip> - - <_> "<method> <uri> <_>" <status> <size>"#;
        let want =
            [("ip", "0.191.12.2"), ("method", "GET"), ("uri", "/api/x"), ("status", "200"), ("size", "1024")];
        check(pattern, line, &want);
        check("<a> <b>", "one", &[("a", "one")]);
        check("x<a>", "y1", &[]);
        check("<_>=<a>;", "k=v;w", &[("a", "v")]);
        check("<a> <1>", "b <1>", &[("a", "b")]);
    }

    #[test]
    fn a_filter_looks_for_its_texts_in_turn() {
        let check = |pattern: &str, line: &str, want: bool| {
            let filter = Pattern::of_filter(pattern.to_owned()).expect(pattern);
            assert_eq!(filter.is_match(line), want, "{pattern} of {line}");
        };
        check("<_>level=debug<_>", "a level=debug b", true);
        check("<_>level=debug<_>", "level=debug b", false);
        check("a<_>", "ab", true);
        check("a<_>", "a", false);
        check("a<_>c", "abc", true);
        check("a<_>c", "abcd", false);
        check("abc", "abc", true);
        check("abc", "xabc", true);
        check("abc", "abcx", false);
        check("a<_>", "xab", true);
        check("<_>a<_>", "abab", false);
        check("<_>", "x", true);
        check("", "", true);
        check("<_>", "", false);
    }

    #[test]
    fn wrong_patterns_are_refused() {
        for wrong in ["", "x", "<_>", "<a><b>", "<a> <a>"] {
            assert!(Pattern::of_parser(wrong.to_owned()).is_err(), "{wrong}");
        }
        for wrong in ["<a>", "<_><_>"] {
            assert!(Pattern::of_filter(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
