//! The labels of one line: those of its stream, what was stored beside it, and what stages made.
//!
//! A label that a parser finds and that is stored with the line is called `.._extracted`; one that a stage before made stays as
//! it is. What `label_format` sets takes the place of what was there. Labels of the stream are shared by all of its lines and never copied until an answer is made.

use std::borrow::Cow;

use meshlake_promql::Labels;

/// What is wrong with a line.
pub const ERROR: &str = "__error__";
/// In what way.
pub const ERROR_DETAILS: &str = "__error_details__";

/// Where a label came from; Loki's API tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    Stream,
    /// Stored beside the line.
    Metadata,
    /// Made by a stage.
    Parsed,
}

/// The labels of one line.
#[derive(Debug, Clone)]
pub struct LabelSet<'a> {
    stream: &'a Labels,
    /// Labels of the stream that are there no more, or not as they were.
    hidden: Vec<Cow<'a, str>>,
    /// Each name once.
    own: Vec<Own<'a>>,
    error: Option<(&'static str, String)>,
}

#[derive(Debug, Clone)]
struct Own<'a> {
    name: Cow<'a, str>,
    value: Cow<'a, str>,
    origin: Origin,
}

impl<'a> LabelSet<'a> {
    /// Of a line of a stream without anything else.
    pub fn new(stream: &'a Labels) -> LabelSet<'a> {
        LabelSet { stream, hidden: Vec::new(), own: Vec::new(), error: None }
    }

    /// The stream that the line is of.
    pub fn stream(&self) -> &'a Labels {
        self.stream
    }

    /// Whether the stream's labels are all that there is.
    pub fn is_of_stream(&self) -> bool {
        self.own.is_empty() && self.hidden.is_empty() && self.error.is_none()
    }

    /// Adds what is stored beside the line; a name that the stream has is left out.
    pub fn add_metadata(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        let name = name.into();
        if self.stream.get(&name).is_empty() && self.place(&name).is_none() {
            self.own.push(Own { name, value: value.into(), origin: Origin::Metadata });
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.own.iter().position(|own| own.name == name)
    }

    /// The value of a label; none if there is none, or if it is empty and of the stream.
    pub fn get(&self, name: &str) -> Option<&str> {
        match name {
            ERROR => return self.error.as_ref().map(|(kind, _)| *kind),
            ERROR_DETAILS => return self.error.as_ref().map(|(_, details)| details.as_str()),
            _ => {}
        }
        if let Some(place) = self.place(name) {
            return Some(&self.own[place].value);
        }
        let value = self.stream.get(name);
        let is_there = !value.is_empty() && !self.hidden.iter().any(|hidden| hidden == name);
        is_there.then_some(value)
    }

    /// What a parser found.
    pub fn extract(&mut self, name: &str, value: &str) {
        if name.is_empty() {
            return;
        }
        let is_stored = !self.stream.get(name).is_empty()
            || self.place(name).is_some_and(|place| self.own[place].origin == Origin::Metadata);
        let name = if is_stored { format!("{name}_extracted") } else { name.to_owned() };
        if self.place(&name).is_none() {
            self.own.push(Own {
                name: Cow::Owned(name),
                value: Cow::Owned(value.to_owned()),
                origin: Origin::Parsed,
            });
        }
    }

    /// Sets a label, whatever was there.
    pub fn set(&mut self, name: &str, value: String) {
        if name == ERROR || name == ERROR_DETAILS {
            return;
        }
        self.put(name.to_owned(), value);
    }

    fn put(&mut self, name: String, value: String) {
        if !self.stream.get(&name).is_empty() {
            self.hide(&name);
        }
        match self.place(&name) {
            Some(place) => {
                let own = &mut self.own[place];
                (own.value, own.origin) = (Cow::Owned(value), Origin::Parsed);
            }
            None => {
                let (name, value) = (Cow::Owned(name), Cow::Owned(value));
                self.own.push(Own { name, value, origin: Origin::Parsed });
            }
        }
    }

    fn hide(&mut self, name: &str) {
        if !self.hidden.iter().any(|hidden| hidden == name) {
            self.hidden.push(Cow::Owned(name.to_owned()));
        }
    }

    /// Takes a label away.
    pub fn remove(&mut self, name: &str) {
        match name {
            ERROR => self.error = None,
            ERROR_DETAILS => {
                if let Some((_, details)) = &mut self.error {
                    details.clear();
                }
            }
            name => {
                self.own.retain(|own| own.name != name);
                self.hide(name);
            }
        }
    }

    /// Says what is wrong with the line, unless something is already.
    pub fn fail(&mut self, kind: &'static str, details: String) {
        self.error.get_or_insert((kind, details));
    }

    pub fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// All of them but what says of mistakes, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Origin)> {
        let is_seen = |name: &str| !self.hidden.iter().any(|hidden| hidden == name);
        let stream = self.stream.iter().filter(move |label| is_seen(&label.name));
        let stream = stream.map(|label| (&*label.name, &*label.value, Origin::Stream));
        stream.chain(self.own.iter().map(|own| (&*own.name, &*own.value, own.origin)))
    }

    /// What says of mistakes, if there is one.
    pub fn errors(&self) -> impl Iterator<Item = (&str, &str)> {
        let error = self.error.as_ref();
        let kind = error.map(|(kind, _)| (ERROR, *kind));
        let details = error.map(|(_, details)| (ERROR_DETAILS, details.as_str()));
        kind.into_iter().chain(details.filter(|(_, details)| !details.is_empty()))
    }

    /// All of them, made a set of their own; empty values are none.
    pub fn to_labels(&self) -> Labels {
        let found = self.iter().map(|(name, value, _)| (name, value)).chain(self.errors());
        Labels::from_pairs(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parser_finds_does_not_hide_what_is_stored() {
        let stream = Labels::from_pairs([("app", "a"), ("level", "info")]);
        let mut labels = LabelSet::new(&stream);
        labels.add_metadata("pod", "p");
        labels.add_metadata("app", "left out");
        assert_eq!(labels.to_labels().to_string(), r#"{app="a", level="info", pod="p"}"#);
        labels.extract("level", "error");
        labels.extract("pod", "q");
        labels.extract("code", "1");
        labels.extract("code", "2");
        let want =
            r#"{app="a", code="1", level="info", level_extracted="error", pod="p", pod_extracted="q"}"#;
        assert_eq!(labels.to_labels().to_string(), want);
        labels.set("level", "warn".to_owned());
        labels.set("pod", "r".to_owned());
        labels.remove("app");
        labels.remove("code");
        assert_eq!((labels.get("level"), labels.get("app"), labels.get("code")), (Some("warn"), None, None));
        let want = r#"{level="warn", level_extracted="error", pod="r", pod_extracted="q"}"#;
        assert_eq!(labels.to_labels().to_string(), want);
    }

    #[test]
    fn the_first_mistake_stays_and_can_be_taken_away() {
        let stream = Labels::from_pairs([("app", "a")]);
        let mut labels = LabelSet::new(&stream);
        assert!(labels.is_of_stream());
        labels.fail("JSONParserErr", "first".to_owned());
        labels.fail("LabelFilterErr", "second".to_owned());
        let want = r#"{__error__="JSONParserErr", __error_details__="first", app="a"}"#;
        assert_eq!(labels.to_labels().to_string(), want);
        labels.remove(ERROR_DETAILS);
        assert_eq!(labels.to_labels().to_string(), r#"{__error__="JSONParserErr", app="a"}"#);
        labels.remove(ERROR);
        assert_eq!(labels.to_labels(), stream);
    }
}
