//! What the line editor is told: how a word may end, and whether a statement is whole.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper, Result};

use super::commands;
use super::names::Names;
use super::split::is_complete;

/// What stands before the key of an attribute.
const KEY_BEGINS: &str = "['";

/// Words of SQL that statements here are made of.
const KEYWORDS: [&str; 46] = [
    "ALL",
    "AND",
    "ANALYZE",
    "AS",
    "ASC",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CROSS",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "ELSE",
    "END",
    "EXISTS",
    "EXPLAIN",
    "FALSE",
    "FROM",
    "FULL",
    "GROUP",
    "HAVING",
    "ILIKE",
    "IN",
    "INNER",
    "INTERVAL",
    "IS",
    "JOIN",
    "LEFT",
    "LIKE",
    "LIMIT",
    "NOT",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "OVER",
    "PARTITION",
    "SELECT",
    "THEN",
    "TRUE",
    "UNION",
    "WHEN",
    "WHERE",
    "WITH",
];

/// Completes words and knows when a statement ends. Names come when they were loaded.
#[derive(Debug, Clone, Default)]
pub struct Editing {
    pub names: Arc<OnceLock<Names>>,
}

impl Editing {
    /// Where the word before `position` begins, and what it may become, sorted.
    fn candidates(&self, line: &str, position: usize) -> (usize, Vec<String>) {
        let before = &line[..position];
        let unknown = Names::default();
        let names = self.names.get().unwrap_or(&unknown);
        let key = before.rfind(KEY_BEGINS).map(|at| at + KEY_BEGINS.len());
        if let Some(begin) = key.filter(|begin| !before[*begin..].contains('\'')) {
            let keys = names.keys.iter().filter(|key| key.starts_with(&before[begin..]));
            return (begin, keys.map(|key| format!("{}']", key.replace('\'', "''"))).collect());
        }
        if before.starts_with('\\') && !before.contains(' ') {
            return (
                0,
                commands::words().filter(|word| word.starts_with(before)).map(str::to_owned).collect(),
            );
        }
        let is_of_word = |next: char| next.is_alphanumeric() || next == '_';
        let begin = before
            .rfind(|next| !is_of_word(next))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        (begin, words(names, &before[begin..]))
    }
}

/// Names and keywords that begin with `word`.
fn words(names: &Names, word: &str) -> Vec<String> {
    if word.is_empty() {
        return Vec::new();
    }
    let lower = word.to_lowercase();
    let plain = names.tables.iter().chain(&names.columns).cloned();
    let calls = names.functions.iter().map(|function| format!("{function}("));
    let mut found: Vec<String> = plain.chain(calls).filter(|name| name.starts_with(&lower)).collect();
    let keywords = KEYWORDS.into_iter().filter(|keyword| keyword.starts_with(&word.to_uppercase()));
    // As the word was begun.
    let is_lower = word.starts_with(char::is_lowercase);
    found.extend(keywords.map(|keyword| if is_lower { keyword.to_lowercase() } else { keyword.to_owned() }));
    found.sort();
    found.dedup();
    found
}

impl Completer for Editing {
    type Candidate = String;

    fn complete(&self, line: &str, position: usize, _: &Context<'_>) -> Result<(usize, Vec<String>)> {
        Ok(self.candidates(line, position))
    }
}

impl Validator for Editing {
    /// A command ends with its line, a statement with its semicolon.
    fn validate(&self, context: &mut ValidationContext<'_>) -> Result<ValidationResult> {
        let typed = context.input().trim();
        let is_whole = typed.is_empty() || typed.starts_with('\\') || is_complete(typed);
        Ok(if is_whole { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Hinter for Editing {
    type Hint = String;
}

impl Highlighter for Editing {
    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Borrowed(prompt)
    }
}

impl Helper for Editing {}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, want_begin: usize, want: &[&str]) {
        let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let names = Names {
            tables: text(&["logs", "spans"]),
            columns: text(&["name", "service_name", "span_id"]),
            functions: text(&["now", "sum"]),
            keys: text(&["http.route", "it's", "user.id"]),
        };
        let editing = Editing { names: Arc::new(OnceLock::from(names)) };
        assert_eq!(editing.candidates(line, line.len()), (want_begin, text(want)), "{line}");
    }

    #[test]
    fn a_word_becomes_a_name_a_function_or_a_keyword() {
        check("SELECT n", 7, &["name", "not", "now(", "null"]);
        check("SELECT * FROM sp", 14, &["span_id", "spans"]);
        check("SEL", 0, &["SELECT"]);
        check("sel", 0, &["select"]);
        check("SELECT s.service_n", 9, &["service_name"]);
        check("SELECT größe, su", 16, &["sum("]);
        check("SELECT ", 7, &[]);
    }

    #[test]
    fn keys_are_those_that_exist() {
        check("SELECT attributes['http", 19, &["http.route']"]);
        check("SELECT attributes['i", 19, &["it''s']"]);
        check("SELECT attributes['http.route'] FROM lo", 37, &["logs"]);
        check("SELECT resource['", 17, &["http.route']", "it''s']", "user.id']"]);
    }

    #[test]
    fn commands_are_completed_at_the_start_of_a_line() {
        check("\\d", 0, &["\\d", "\\dt", "\\df"]);
        check("\\d sp", 3, &["span_id", "spans"]);
    }
}
