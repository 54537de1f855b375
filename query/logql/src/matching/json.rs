//! JSON as lines hold it: read in place, without a tree, up to the first mistake.
//!
//! Numbers come as they are written, since `1.50` is what people filter for. Objects within objects become names joined by
//! `_`; arrays and nulls are left out, as Loki leaves them out, but for those that a path asks for.
//!
//! Source: RFC 8259; "Log queries", JSON.

use std::borrow::Cow;
use std::ops::ControlFlow;

use super::names::push_name;

/// Objects and arrays inside one another; deeper ones are a mistake. OTLP's bodies have 32 at most.
pub const DEPTH_MAX: usize = 128;

/// One value of JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'l> {
    Text(Cow<'l, str>),
    /// A number or a boolean as written.
    Plain(&'l str),
    Null,
    /// As written.
    Object(&'l str),
    Array(&'l str),
}

impl<'l> Value<'l> {
    /// What a label holds of it.
    pub fn text(self) -> Cow<'l, str> {
        match self {
            Value::Text(text) => text,
            Value::Plain(text) | Value::Object(text) | Value::Array(text) => Cow::Borrowed(text),
            Value::Null => Cow::Borrowed(""),
        }
    }
}

/// What is wrong with a text that is no JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake(pub &'static str);

/// Gives every value of the object `line`, those of inner objects too, with its label's name, up to the first mistake.
///
/// # Errors
/// What is wrong; what was given before stays true.
pub fn flatten<'l>(line: &'l str, found: &mut dyn FnMut(&str, Cow<'l, str>)) -> Result<(), Mistake> {
    let mut reader = Reader { text: line, at: 0 };
    reader.space();
    if !reader.rest().starts_with('{') {
        return Err(Mistake("Value looks like object, but can't find closing '}' symbol"));
    }
    reader.flatten_object(&mut String::new(), 0, found)
}

/// The members of an object, as long as they are wanted.
///
/// # Errors
/// What is wrong.
pub fn members<'l>(
    object: &'l str,
    member: &mut dyn FnMut(Cow<'l, str>, Value<'l>) -> ControlFlow<()>,
) -> Result<(), Mistake> {
    let mut reader = Reader { text: object, at: 0 };
    reader.space();
    if !reader.rest().starts_with('{') {
        return Err(Mistake("the line is no object"));
    }
    let mut is_over = false;
    reader.object(&mut |reader, key| {
        let value = reader.value(1)?;
        is_over = is_over || member(key, value).is_break();
        Ok(())
    })
}

/// The value that `text` begins with.
///
/// # Errors
/// What is wrong.
pub fn first(text: &str) -> Result<Value<'_>, Mistake> {
    Reader { text, at: 0 }.value(0)
}

/// The value that `text` is as a whole; none if it is none.
pub fn whole(text: &str) -> Option<Value<'_>> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0).ok()?;
    reader.space();
    reader.rest().is_empty().then_some(value)
}

/// Keys of an object and their values as written; none if it is none.
pub fn entries(object: &str) -> Option<Vec<(String, &str)>> {
    let mut reader = Reader { text: object, at: 0 };
    let mut entries = Vec::new();
    let read = reader.object(&mut |reader, key| {
        entries.push((key.into_owned(), reader.written()?));
        Ok(())
    });
    read.is_ok().then_some(entries)
}

/// Elements of an array as written; none if it is none.
pub fn elements(array: &str) -> Option<Vec<&str>> {
    let mut reader = Reader { text: array, at: 0 };
    let mut elements = Vec::new();
    let read = reader.array(&mut |reader, _| {
        elements.push(reader.written()?);
        Ok(())
    });
    read.is_ok().then_some(elements)
}

/// A text in double quotes at the start of `text`, and its length there.
///
/// # Errors
/// Without an end, or with an escape that is none.
pub fn text(text: &str) -> Result<(Cow<'_, str>, usize), Mistake> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.string()?;
    Ok((value, reader.at))
}

/// What takes a member of an object by its key, and reads its value.
type MemberOf<'m, 'l> = dyn FnMut(&mut Reader<'l>, Cow<'l, str>) -> Result<(), Mistake> + 'm;

struct Reader<'l> {
    text: &'l str,
    at: usize,
}

impl<'l> Reader<'l> {
    fn rest(&self) -> &'l str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    fn takes(&mut self, c: char) -> bool {
        self.space();
        let is_next = self.rest().starts_with(c);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, c: char) -> Result<(), Mistake> {
        if self.takes(c) { Ok(()) } else { Err(Mistake("Unknown value type")) }
    }

    /// An object from its brace on.
    fn object(&mut self, member: &mut MemberOf<'_, 'l>) -> Result<(), Mistake> {
        self.expect('{')?;
        if self.takes('}') {
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            self.expect(':')?;
            member(self, key)?;
            if self.takes('}') {
                return Ok(());
            }
            self.expect(',')?;
        }
    }

    fn flatten_object(
        &mut self,
        prefix: &mut String,
        depth: usize,
        found: &mut dyn FnMut(&str, Cow<'l, str>),
    ) -> Result<(), Mistake> {
        check_depth(depth)?;
        let length = prefix.len();
        self.object(&mut |reader, key| {
            prefix.truncate(length);
            if length > 0 {
                prefix.push('_');
            }
            push_name(prefix, &key);
            reader.space();
            if reader.rest().starts_with('{') {
                return reader.flatten_object(prefix, depth + 1, found);
            }
            match reader.value(depth + 1)? {
                Value::Array(_) | Value::Null => {}
                value => found(prefix, value.text()),
            }
            Ok(())
        })?;
        prefix.truncate(length);
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<Value<'l>, Mistake> {
        check_depth(depth)?;
        self.space();
        let start = self.at;
        match self.rest().chars().next() {
            Some('"') => self.string().map(Value::Text),
            Some('{') => {
                self.object(&mut |reader, _| reader.value(depth + 1).map(drop))?;
                Ok(Value::Object(&self.text[start..self.at]))
            }
            Some('[') => {
                self.array(&mut |reader, _| reader.value(depth + 1).map(drop))?;
                Ok(Value::Array(&self.text[start..self.at]))
            }
            _ => self.plain(),
        }
    }

    /// The next value as written.
    fn written(&mut self) -> Result<&'l str, Mistake> {
        self.space();
        let start = self.at;
        self.value(1)?;
        Ok(&self.text[start..self.at])
    }

    fn array(
        &mut self,
        element: &mut dyn FnMut(&mut Self, usize) -> Result<(), Mistake>,
    ) -> Result<(), Mistake> {
        self.expect('[')?;
        if self.takes(']') {
            return Ok(());
        }
        for at in 0.. {
            element(self, at)?;
            if self.takes(']') {
                break;
            }
            self.expect(',')?;
        }
        Ok(())
    }

    fn plain(&mut self) -> Result<Value<'l>, Mistake> {
        let rest = self.rest();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let word = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.at += word.len();
        match word {
            "true" | "false" => Ok(Value::Plain(word)),
            "null" => Ok(Value::Null),
            // Rust's numbers are JSON's and a few more, as `inf` and `.5`.
            _ if word.starts_with(|c: char| c.is_ascii_digit() || c == '-')
                && word.parse::<f64>().is_ok() =>
            {
                Ok(Value::Plain(word))
            }
            _ => Err(Mistake("Unknown value type")),
        }
    }

    fn string(&mut self) -> Result<Cow<'l, str>, Mistake> {
        const OPEN: Mistake = Mistake("Value is string, but can't find closing '\"' symbol");
        let rest = self.rest();
        let inside = rest.strip_prefix('"').ok_or(Mistake("Key looks like string, but is none"))?;
        let end = inside.find(['"', '\\']).ok_or(OPEN)?;
        if inside.as_bytes()[end] == b'"' {
            self.at += end + 2;
            return Ok(Cow::Borrowed(&inside[..end]));
        }
        let mut out = inside[..end].to_owned();
        let mut chars = inside[end..].chars();
        while let Some(c) = chars.next() {
            match c {
                '"' => {
                    self.at += rest.len() - chars.as_str().len();
                    return Ok(Cow::Owned(out));
                }
                '\\' => out.push(escaped(&mut chars)?),
                c => out.push(c),
            }
        }
        Err(OPEN)
    }
}

fn check_depth(depth: usize) -> Result<(), Mistake> {
    if depth <= DEPTH_MAX { Ok(()) } else { Err(Mistake("it is nested too deep")) }
}

/// What stands behind a backslash.
fn escaped(chars: &mut std::str::Chars<'_>) -> Result<char, Mistake> {
    const WRONG: Mistake = Mistake("an escape is none");
    Ok(match chars.next().ok_or(WRONG)? {
        c @ ('"' | '\\' | '/' | '\'') => c,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => {
            let first = unit(chars).ok_or(WRONG)?;
            let pair = || {
                let mut ahead = chars.clone();
                let has_second = ahead.next() == Some('\\') && ahead.next() == Some('u');
                let second = has_second.then(|| unit(&mut ahead)).flatten()?;
                Some((char::decode_utf16([first, second]).next()?.ok()?, ahead))
            };
            match char::from_u32(u32::from(first)) {
                Some(c) => c,
                None => match pair() {
                    Some((c, ahead)) => {
                        *chars = ahead;
                        c
                    }
                    None => char::REPLACEMENT_CHARACTER,
                },
            }
        }
        _ => return Err(WRONG),
    })
}

fn unit(chars: &mut std::str::Chars<'_>) -> Option<u16> {
    let digits = chars.as_str().get(..4)?;
    *chars = chars.as_str()[4..].chars();
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(line: &str) -> (Vec<String>, bool) {
        let mut found = Vec::new();
        let read = flatten(line, &mut |name, value| found.push(format!("{name}={value}")));
        (found, read.is_ok())
    }

    #[test]
    fn values_of_inner_objects_have_joined_names() {
        let line = r#" {"a":{"b-c":1.50,"d":{"é":true}},"1":"x\"\u00e9\ud83d\ude00","n":null,"l":[1,{"z":2}],"e":{}} "#;
        let want = ["a_b_c=1.50", "a_d__=true", "_1=x\"é😀"];
        assert_eq!(flat(line), (want.map(str::to_owned).to_vec(), true));
    }

    #[test]
    fn a_mistake_ends_it_and_what_came_before_stays() {
        for (line, count) in [
            ("", 0),
            ("[1]", 0),
            ("{\"a\":1", 1),
            ("{\"a\":1,\"b\":}", 1),
            ("{\"a\":tru}", 0),
            ("{'a':1}", 0),
        ] {
            let (found, is_read) = flat(line);
            assert_eq!((found.len(), is_read), (count, false), "{line}");
        }
        let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(flat(&deep(DEPTH_MAX)).1);
        assert!(!flat(&deep(DEPTH_MAX + 1)).1);
        assert!(!flat(&format!("{{\"a\":{}", "[".repeat(100_000))).1);
    }
}
