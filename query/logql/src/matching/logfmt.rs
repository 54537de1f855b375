//! Lines of `key=value` pairs.
//!
//! A value in double quotes may hold anything, with JSON's escapes; a key without a value has an empty one. What is no pair
//! (a quote inside of a word, a `=` without a key) is a mistake: the reader goes on behind the next space, and behind a quote that is not closed not at all.
//!
//! Source: <https://brandur.org/logfmt>, and "Log queries", logfmt.

use std::borrow::Cow;

use super::json;

/// Pairs of a line, or what is wrong in the place of one.
#[derive(Debug, Clone)]
pub struct Pairs<'l> {
    line: &'l str,
    at: usize,
}

/// Of a line, in their order.
pub fn pairs(line: &str) -> Pairs<'_> {
    Pairs { line, at: 0 }
}

impl<'l> Iterator for Pairs<'l> {
    type Item = Result<(&'l str, Cow<'l, str>), String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.take(|c| c <= ' ');
        if self.at == self.line.len() {
            return None;
        }
        let pair = self.pair();
        if pair.is_err() {
            self.take(|c| c > ' ');
        }
        Some(pair)
    }
}

impl<'l> Pairs<'l> {
    fn take(&mut self, is_wanted: impl Fn(char) -> bool) -> &'l str {
        let rest = &self.line[self.at..];
        let length = rest.find(|c| !is_wanted(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn next_char(&self) -> Option<char> {
        self.line[self.at..].chars().next()
    }

    fn wrong(&self, what: char) -> String {
        format!("logfmt syntax error at pos {} : unexpected {what:?}", self.at + 1)
    }

    fn pair(&mut self) -> Result<(&'l str, Cow<'l, str>), String> {
        let key = self.take(|c| c > ' ' && c != '=' && c != '"');
        match self.next_char() {
            Some(c @ '"') => return Err(self.wrong(c)),
            Some(c @ '=') if key.is_empty() => return Err(self.wrong(c)),
            Some('=') => self.at += 1,
            _ => return Ok((key, Cow::Borrowed(""))),
        }
        if self.next_char() == Some('"') {
            let Ok((value, length)) = json::text(&self.line[self.at..]) else {
                self.at = self.line.len();
                return Err(format!("logfmt syntax error at pos {} : unterminated quoted value", self.at));
            };
            self.at += length;
            return Ok((key, value));
        }
        let value = self.take(|c| c > ' ' && c != '=' && c != '"');
        match self.next_char() {
            Some(c @ ('=' | '"')) => Err(self.wrong(c)),
            _ => Ok((key, Cow::Borrowed(value))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_and_mistakes_passed_over() {
        let read = |line: &str| -> Vec<String> {
            let told = |pair: Result<(&str, Cow<'_, str>), String>| match pair {
                Ok((key, value)) => format!("{key}={value}"),
                Err(_) => "!".to_owned(),
            };
            pairs(line).map(told).collect()
        };
        assert_eq!(
            read(r#"at=info method=GET path=/ host=h fwd="a, b" n="\"q\"\n""#),
            ["at=info", "method=GET", "path=/", "host=h", "fwd=a, b", "n=\"q\"\n"]
        );
        assert_eq!(read("  bare  x= y=1 "), ["bare=", "x=", "y=1"]);
        assert_eq!(read(r#"=1 a"b=2 c=d"e f=1=2 ok=1 un="x y"#), ["!", "!", "!", "!", "ok=1", "!"]);
    }
}
