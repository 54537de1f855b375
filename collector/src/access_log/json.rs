//! A format of one JSON object a line: which member means what.
//!
//! Members are found by their path (`request.headers.User-Agent`), in whatever order they come. Values are taken as they
//! are written, so a number of nanoseconds keeps all its digits, and numbers as text are the same as numbers. What no
//! field of the format names is kept as an attribute, with its type.
//!
//! Syntax is serde_json's business.
//!
//! Limits: of a list of texts or numbers the first is the value; nested values that no field names are attributes as a whole, as JSON.
//! A text of several fields that has escapes in it is an attribute, too.

use std::borrow::Cow;
use std::fmt;

use hashbrown::HashMap;
use meshlake_schema::attributes::{push_double, push_int};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::field::Field;
use super::pattern::{LINE, Pattern};
use super::reading::Reading;

/// A compiled format.
#[derive(Debug, Clone)]
pub(super) struct Object {
    members: Members,
    /// Paths that a line must have to be in this format at all.
    required: usize,
}

type Members = HashMap<Box<str>, Member>;

#[derive(Debug, Clone)]
pub(super) enum Member {
    Field {
        field: Field,
        is_required: bool,
    },
    /// Several fields in one text.
    Text(Pattern),
    Nested(Members),
}

/// An object of paths and fields, of which a line must have the `required`.
pub(super) fn object(required: &[(&str, Field)], fields: &[(&str, Field)]) -> Object {
    let member = |is_required: bool| {
        move |(path, field): &(&str, Field)| {
            ((*path).to_owned(), Member::Field { field: field.clone(), is_required })
        }
    };
    Object::new(required.iter().map(member(true)).chain(fields.iter().map(member(false))))
}

impl Object {
    /// Compiles paths and what their values mean; a line must have those that are `required`.
    pub(super) fn new(fields: impl IntoIterator<Item = (String, Member)>) -> Object {
        let mut members = Members::new();
        let mut required = 0;
        for (path, member) in fields {
            required += usize::from(matches!(member, Member::Field { is_required: true, .. }));
            insert(&mut members, &path, member);
        }
        Object { members, required }
    }

    /// Whether its lines are about requests, not connections.
    pub(super) fn is_of_requests(&self) -> bool {
        any_of_requests(&self.members)
    }

    /// Reads a line into `to`.
    ///
    /// # Errors
    /// The name of the first field that cannot be what it should; that of the line where it is no object, or has not
    /// what is required.
    pub(super) fn read<'a>(&self, line: &'a str, to: &mut Reading<'a>) -> Result<(), &'static str> {
        let mut found = Found { required: 0, unfit: None };
        let seed = Values { members: &self.members, prefix: "", to, found: &mut found };
        let mut json = serde_json::Deserializer::from_str(line);
        let is_object = seed.deserialize(&mut json).and_then(|()| json.end()).is_ok();
        match found.unfit {
            Some(name) => Err(name),
            None if is_object && found.required >= self.required => Ok(()),
            None => Err(LINE),
        }
    }
}

fn any_of_requests(members: &Members) -> bool {
    members.values().any(|member| match member {
        Member::Field { field, .. } => field.is_of_requests(),
        Member::Text(pattern) => pattern.is_of_requests(),
        Member::Nested(members) => any_of_requests(members),
    })
}

fn insert(members: &mut Members, path: &str, member: Member) {
    // Keys may have dots themselves (`src.addr`); nesting is written with `/`.
    match path.split_once('/') {
        None => {
            members.insert(path.into(), member);
        }
        Some((key, rest)) => {
            let nested = members.entry(key.into()).or_insert_with(|| Member::Nested(Members::new()));
            if let Member::Nested(nested) = nested {
                insert(nested, rest, member);
            }
        }
    }
}

/// What reading has come to besides facts.
struct Found {
    required: usize,
    /// The first field whose value cannot be what it should.
    unfit: Option<&'static str>,
}

/// Reads the members of one object.
struct Values<'m, 'r, 'a> {
    members: &'m Members,
    /// Of the names of attributes: the path of the object, and a dot.
    prefix: &'m str,
    to: &'r mut Reading<'a>,
    found: &'r mut Found,
}

impl<'a> DeserializeSeed<'a> for Values<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Values<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(mut self, mut map: M) -> Result<(), M::Error> {
        while let Some(Text(key)) = map.next_key()? {
            let value = map.next_value::<&RawValue>()?.get();
            if self.found.unfit.is_none() {
                self.take(&key, value);
            }
        }
        Ok(())
    }
}

impl<'a> Values<'_, '_, 'a> {
    fn take(&mut self, key: &str, value: &'a str) {
        match self.members.get(key) {
            Some(Member::Field { field, is_required }) => {
                // It is there, be there a value or not.
                self.found.required += usize::from(*is_required);
                if field.set(text_of(value), self.to).is_err() {
                    self.found.unfit = Some(field.name());
                }
            }
            Some(Member::Text(pattern)) => match text_of(value) {
                Cow::Borrowed(text) => {
                    let flaw = pattern.read(text, self.to).err();
                    self.found.unfit = flaw.filter(|_| !pattern.read_longer(text, self.to));
                }
                Cow::Owned(text) => self.to.attributes.push_text(self.prefix, key, &text),
            },
            Some(Member::Nested(members)) => {
                let prefix = format!("{}{key}.", self.prefix);
                let nested = Values { members, prefix: &prefix, to: self.to, found: self.found };
                // What is no object has none of the members.
                let _ = nested.deserialize(&mut serde_json::Deserializer::from_str(value));
            }
            None => self.keep(key, value),
        }
    }

    /// Keeps what no field names.
    fn keep(&mut self, key: &str, value: &str) {
        let attributes = &mut self.to.attributes;
        let number = value.parse::<f64>().ok().filter(|number| number.is_finite());
        match (value.as_bytes()[0], value.parse::<i64>(), number) {
            (b'n', ..) => {}
            (b'"', ..) if matches!(&*text_of(value), "" | "-") => {}
            (b'"', ..) => attributes.push_text(self.prefix, key, &text_of(value)),
            (b't' | b'f', ..) => attributes.push_with(self.prefix, key, |text, types| {
                text.push_str(value);
                types.push('b');
            }),
            (_, Ok(number), _) => attributes.push_with(self.prefix, key, |text, types| {
                push_int(text, number);
                types.push('i');
            }),
            (_, Err(_), Some(number)) => attributes.push_with(self.prefix, key, |text, types| {
                push_double(text, number);
                types.push('d');
            }),
            _ => attributes.push_text(self.prefix, key, value),
        }
    }
}

/// The text of a value: of a string without its quotes and escapes, of a list of texts or numbers the first's, of all others as it is
/// written.
fn text_of(value: &str) -> Cow<'_, str> {
    match value.as_bytes()[0] {
        b'"' => match value.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
            // Syntax has been proven, so without a backslash it is what it says.
            Some(text) if memchr::memchr(b'\\', text.as_bytes()).is_none() => Cow::Borrowed(text),
            _ => serde_json::from_str(value).map_or(Cow::Borrowed(value), |Text(text)| text),
        },
        b'[' => match serde_json::from_str::<Vec<&RawValue>>(value).as_deref() {
            Ok([first, ..]) if !first.get().starts_with(['[', '{']) => text_of(first.get()),
            Ok([]) => Cow::Borrowed(""),
            _ => Cow::Borrowed(value),
        },
        b'n' => Cow::Borrowed(""),
        _ => Cow::Borrowed(value),
    }
}

/// A line of JSON that was made by a template, with bytes as `\xHH`, which no JSON allows (Apache does that), as it was
/// meant; `None` where there is nothing to mend.
pub(super) fn mended(line: &str) -> Option<String> {
    if !line.starts_with('{') || !line.contains("\\x") {
        return None;
    }
    let mut meant = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        meant.extend_from_slice(&rest.as_bytes()[..at]);
        let (escape, after) =
            rest[at..].split_at(rest[at..].char_indices().nth(2).map_or(rest.len() - at, |(at, _)| at));
        let byte =
            after.get(..2).filter(|_| escape == "\\x").and_then(|digits| u8::from_str_radix(digits, 16).ok());
        rest = match byte {
            // A quote or a control character would be one in JSON, too.
            Some(byte) if byte < 0x20 || byte == b'"' || byte == b'\\' => {
                meant.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
                &after[2..]
            }
            Some(byte) => {
                meant.push(byte);
                &after[2..]
            }
            None => {
                meant.extend_from_slice(escape.as_bytes());
                after
            }
        };
    }
    meant.extend_from_slice(rest.as_bytes());
    Some(String::from_utf8_lossy(&meant).into_owned())
}

/// A string that is copied only where it has escapes.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
