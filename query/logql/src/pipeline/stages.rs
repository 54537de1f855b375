//! The stages of a query, each done to one line.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use meshlake_schema::UnixNanos;
use regex::Regex;

use super::conditions::passes;
use super::entry::Entry;
use super::labels::LabelSet;
use super::parsers::parse;
use crate::template::{Scope, Template};
use crate::tree::log::{Assigned, Assignment, LineFilter, Log, Named, Needle, Stage};

/// The mistake of a line that a template cannot be made of.
const TEMPLATE_ERROR: &str = "TemplateFormatErr";

/// Sequences that colour text on a terminal: ECMA-48's control sequences.
static COLOURS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("\u{1b}\\[[0-9;:?]*[A-Za-z]").ok());

/// The stages of a query for lines.
#[derive(Debug, Clone, Copy)]
pub struct Pipeline<'q> {
    log: &'q Log,
    /// What `now` is in templates.
    now: UnixNanos,
}

impl<'q> Pipeline<'q> {
    pub fn new(log: &'q Log, now: UnixNanos) -> Pipeline<'q> {
        Pipeline { log, now }
    }

    pub fn log(&self) -> &'q Log {
        self.log
    }

    /// Whether lines of a stream are asked for.
    pub fn has_stream(&self, stream: &meshlake_promql::Labels) -> bool {
        self.log.matchers.iter().all(|matcher| matcher.matches(stream.get(&matcher.name)))
    }

    /// Whether a line as it is stored passes the filters that stand first: what can be said without its labels.
    pub fn begins(&self, line: &str) -> bool {
        let filters = self.log.stages.iter().map_while(|stage| match stage {
            Stage::Lines(filter) => Some(filter),
            _ => None,
        });
        filters.into_iter().all(|filter| is_wanted(filter, line))
    }

    /// Does all stages to a line of a stream that is asked for; whether it is one of the answer.
    pub fn run(&self, entry: &mut Entry<'_>) -> bool {
        self.log.stages.iter().all(|stage| self.stage(stage, entry))
    }

    fn stage(&self, stage: &Stage, entry: &mut Entry<'_>) -> bool {
        match stage {
            Stage::Lines(filter) => return is_wanted(filter, &entry.line),
            Stage::Labels(condition) => return passes(condition, &mut entry.labels),
            Stage::Parse(parser) => parse(parser, entry),
            Stage::LineFormat(template) => match self.render(template, entry) {
                Ok(line) => entry.line = Cow::Owned(line),
                Err(message) => entry.labels.fail(TEMPLATE_ERROR, message),
            },
            Stage::LabelFormat(assignments) => {
                assignments.iter().for_each(|assignment| self.assign(assignment, entry));
            }
            Stage::Drop(named) => drop_labels(named, &mut entry.labels),
            Stage::Keep(named) => keep_labels(named, &mut entry.labels),
            Stage::Decolorize => {
                if let Some(Cow::Owned(plain)) =
                    COLOURS.as_ref().map(|colours| colours.replace_all(&entry.line, ""))
                {
                    entry.line = Cow::Owned(plain);
                }
            }
        }
        true
    }

    fn assign(&self, assignment: &Assignment, entry: &mut Entry<'_>) {
        match &assignment.value {
            Assigned::Label(source) => {
                if let Some(value) = entry.labels.get(source).map(str::to_owned) {
                    entry.labels.remove(source);
                    entry.labels.set(&assignment.label, value);
                }
            }
            Assigned::Template(template) => match self.render(template, entry) {
                Ok(value) => entry.labels.set(&assignment.label, value),
                Err(message) => entry.labels.fail(TEMPLATE_ERROR, message),
            },
        }
    }

    fn render(&self, template: &Template, entry: &Entry<'_>) -> Result<String, String> {
        template.render(&OfEntry { entry, now: self.now })
    }
}

/// Whether a line passes a filter. An empty text is in every line.
fn is_wanted(filter: &LineFilter, line: &str) -> bool {
    let has = |needle: &Needle| match needle {
        Needle::Text(text) => line.contains(text.as_str()),
        Needle::Expression(expression) => expression.regex().is_match(line),
        Needle::Pattern(pattern) => pattern.is_match(line),
        Needle::Addresses(addresses) => addresses.is_in(line),
    };
    filter.needles.iter().any(has) != filter.is_negated
}

fn drop_labels(named: &[Named], labels: &mut LabelSet<'_>) {
    for named in named {
        if labels.get(named.label()).is_some_and(|value| named.matches(value)) {
            labels.remove(named.label());
        }
    }
}

fn keep_labels(named: &[Named], labels: &mut LabelSet<'_>) {
    let is_kept = |name: &str, value: &str| named.iter().any(|n| n.label() == name && n.matches(value));
    let gone: Vec<String> = labels
        .iter()
        .filter(|(name, value, _)| !is_kept(name, value))
        .map(|(name, ..)| name.to_owned())
        .collect();
    gone.iter().for_each(|name| labels.remove(name));
}

/// A line as a template sees it.
struct OfEntry<'e, 'a> {
    entry: &'e Entry<'a>,
    now: UnixNanos,
}

impl Scope for OfEntry<'_, '_> {
    fn label(&self, name: &str) -> String {
        self.entry.labels.get(name).unwrap_or_default().to_owned()
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let labels = &self.entry.labels;
        let found = labels.iter().map(|(name, value, _)| (name, value)).chain(labels.errors());
        found.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn line(&self) -> &str {
        &self.entry.line
    }

    fn time(&self) -> UnixNanos {
        self.entry.time
    }

    fn now(&self) -> UnixNanos {
        self.now
    }
}
