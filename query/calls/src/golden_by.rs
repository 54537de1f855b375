//! What golden metrics may be grouped by, and the word for it.

use std::fmt;

use meshlake_schema::tables::PROMOTED_SPAN_KEYS;
use thiserror::Error;

use crate::attribute::{AttributeKey, KEY_BYTES_MAX};
use crate::{By, Frame, Grain, Question, Range, Source};

/// What stands before the key of an attribute.
const ATTRIBUTE: &str = "attribute:";

/// How rows are grouped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GoldenBy {
    #[default]
    Service,
    Operation,
    Edge,
    Version,
    Instance,
    /// Of the callee.
    Namespace,
    /// Of the callee.
    Cluster,
    /// What the rows of a call say under a key.
    Attribute(AttributeKey),
}

/// A word that nothing can be grouped by.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "by={given} is not one of {}, or {ATTRIBUTE}KEY with a key of at most {KEY_BYTES_MAX} bytes",
    words()
)]
pub struct UnknownGrouping {
    given: String,
}

impl GoldenBy {
    /// Those with a word of their own.
    pub const WORDS: [(&'static str, GoldenBy); 7] = [
        ("service", GoldenBy::Service),
        ("operation", GoldenBy::Operation),
        ("edge", GoldenBy::Edge),
        ("version", GoldenBy::Version),
        ("instance", GoldenBy::Instance),
        ("namespace", GoldenBy::Namespace),
        ("cluster", GoldenBy::Cluster),
    ];

    /// The grouping that a word stands for; none is by service.
    ///
    /// # Errors
    /// [`UnknownGrouping`] says which words there are.
    pub fn named(word: Option<&str>) -> Result<GoldenBy, UnknownGrouping> {
        let Some(word) = word.filter(|word| !word.is_empty()) else { return Ok(GoldenBy::default()) };
        let known = GoldenBy::WORDS.into_iter().find(|(known, _)| *known == word).map(|(_, by)| by);
        let attribute = || word.strip_prefix(ATTRIBUTE).and_then(AttributeKey::new).map(GoldenBy::Attribute);
        known.or_else(attribute).ok_or_else(|| UnknownGrouping { given: word.to_owned() })
    }

    /// The question whose picture the rows are cut from.
    pub fn question(self, range: Range, source: Source) -> Question {
        let by = if self == GoldenBy::Version { By::Version } else { By::Service };
        let grain = match self {
            GoldenBy::Operation => Grain::Operation,
            GoldenBy::Instance => Grain::Instance,
            GoldenBy::Cluster => Grain::Cluster,
            GoldenBy::Attribute(key) => Grain::Attribute(key),
            GoldenBy::Service | GoldenBy::Edge | GoldenBy::Version | GoldenBy::Namespace => Grain::Node,
        };
        Question { range, by, grain, source }
    }

    /// What of the picture rows are cut from, of one service or of all.
    pub fn frame(self, service: Option<&str>) -> Frame {
        if self == GoldenBy::Edge { Frame::edges(service) } else { Frame::nodes(service) }
    }
}

impl fmt::Display for GoldenBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GoldenBy::Attribute(key) => write!(f, "{ATTRIBUTE}{}", key.text()),
            by => {
                let word = GoldenBy::WORDS.into_iter().find(|(_, known)| known == by);
                f.write_str(word.map_or("", |(word, _)| word))
            }
        }
    }
}

fn words() -> String {
    GoldenBy::WORDS.map(|(word, _)| word).join(", ")
}

/// The keys that are columns of spans, for who asked for one that no call tells.
pub(super) fn promoted_keys() -> String {
    PROMOTED_SPAN_KEYS.map(|(key, ..)| key).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_and_its_grouping_name_each_other() {
        let words = GoldenBy::WORDS.map(|(word, _)| word);
        for word in words.into_iter().chain(["attribute:http.request.method"]) {
            assert_eq!(GoldenBy::named(Some(word)).map(|by| by.to_string()), Ok(word.to_owned()));
        }
        assert_eq!(GoldenBy::named(None), Ok(GoldenBy::Service));
        for word in
            ["colour", "attribute:", "attribute", "Service", &format!("attribute:{}", "x".repeat(128))]
        {
            let error = GoldenBy::named(Some(word)).expect_err(word).to_string();
            let known = "is not one of service, operation, edge, version, instance, namespace, cluster, or attribute:KEY";
            assert!(error.starts_with(&format!("by={word} {known}")), "{error}");
        }
    }
}
