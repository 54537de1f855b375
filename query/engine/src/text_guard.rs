//! Refuses statements whose mere parsing or planning could take the process down.
//!
//! DataFusion walks expressions and plans recursively, and a flat chain of a few thousand operators overflows
//! the stack, which no code can catch. Counting tokens is iterative, cheap, and happens before anything else
//! sees the text. The counts are coarse on purpose: a false refusal is a clear message, a miss is an abort.
//! What the text hides is counted again on the plan.

use std::borrow::Cow;
use std::fmt::Write as _;

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Location, Token, Tokenizer};

use crate::error::QueryError;

/// Bytes of one statement. Dashboards send a few KiB; 64 KiB leaves room for long lists.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;

/// Tokens of one statement, white space not counted: bounds lists, columns, CTEs and unions alike.
const TOKENS_MAX: usize = 5_000;

/// Operators of one statement. A chain is as deep as it has operators, and the planning thread's stack holds
/// far more than this; execution runs on ordinary stacks, where `plan_guard` sets a lower bound.
const OPERATORS_MAX: usize = 500;

/// Depth of parentheses and brackets; the parser's own recursion limit is the same.
pub const NESTING_MAX: usize = 50;

/// SELECTs of one statement. Each can multiply the size of a value that the one below it made, which memory
/// accounting does not see; hand-written queries have a few, dashboards up to a dozen.
const SELECTS_MAX: usize = 24;

/// Checks `sql` against the bounds of this file.
///
/// # Errors
/// [`QueryError::Refused`] naming the bound, [`QueryError::Invalid`] if the text has no tokens of SQL.
pub fn check(sql: &str) -> Result<(), QueryError> {
    at_most(sql.len(), TEXT_BYTES_MAX, "bytes")?;
    let tokens = Tokenizer::new(&GenericDialect {}, sql)
        .tokenize()
        .map_err(|error| QueryError::Invalid(format!("SQL does not parse: {error}")))?;
    check_tokens(&tokens)
}

/// Checks the tokens of one statement, in whichever dialect they were read.
///
/// # Errors
/// [`QueryError::Refused`] naming the bound.
pub fn check_tokens<'a>(tokens: impl IntoIterator<Item = &'a Token>) -> Result<(), QueryError> {
    let mut counts = Counts::default();
    for token in tokens {
        counts.add(token)?;
    }
    at_most(counts.tokens, TOKENS_MAX, "tokens")?;
    at_most(counts.operators, OPERATORS_MAX, "operators")?;
    at_most(counts.selects, SELECTS_MAX, "SELECTs")?;
    at_most(counts.nesting_max, NESTING_MAX, "levels of nesting")
}

/// `sql` with `$1`, `$2` and so on for `?`, as JDBC and ODBC write parameters, and for `$name`, with those names in this order;
/// text without either as it is. What does not tokenize is the parser's to explain.
pub fn numbered(sql: &str) -> (Cow<'_, str>, Vec<String>) {
    let tokens = if sql.contains(['?', '$']) {
        Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location().unwrap_or_default()
    } else {
        Vec::new()
    };
    let (mut marks, mut names) = (Vec::new(), Vec::new());
    for token in &tokens {
        let Token::Placeholder(written) = &token.token else { continue };
        let number = if written == "?" {
            marks.len() + 1
        } else if let Some(name) = name_of(written) {
            names.iter().position(|known| known == name).unwrap_or_else(|| {
                names.push(name.to_owned());
                names.len() - 1
            }) + 1
        } else {
            continue;
        };
        marks.push((token.span.start, written.chars().count(), number));
    }
    if marks.is_empty() {
        return (Cow::Borrowed(sql), names);
    }
    (Cow::Owned(with_numbers(sql, &marks)), names)
}

/// The name of a parameter that has one: `$name`.
fn name_of(placeholder: &str) -> Option<&str> {
    let name = placeholder.strip_prefix('$')?;
    name.starts_with(|letter: char| letter.is_alphabetic() || letter == '_').then_some(name)
}

/// `sql` with a number in the place of each mark: where it starts, how many letters it has, and which number.
fn with_numbers(sql: &str, marks: &[(Location, usize, usize)]) -> String {
    let mut out = String::with_capacity(sql.len() + marks.len());
    let (mut at, mut marks, mut within) = (Location::new(1, 1), marks.iter().peekable(), 0);
    for next in sql.chars() {
        if let Some((_, letters, number)) = marks.next_if(|(start, ..)| *start == at) {
            write!(out, "${number}").expect("writing to a String cannot fail");
            within = *letters;
        }
        if within == 0 {
            out.push(next);
        }
        within = within.saturating_sub(1);
        at = if next == '\n' { Location::new(at.line + 1, 1) } else { Location::new(at.line, at.column + 1) };
    }
    out
}

/// # Errors
/// [`QueryError::Refused`] for more than `max` of `what`.
pub fn at_most(count: usize, max: usize, what: &str) -> Result<(), QueryError> {
    if count <= max {
        return Ok(());
    }
    Err(QueryError::Refused(format!("the statement has {count} {what}, at most {max} are allowed")))
}

#[derive(Default)]
struct Counts {
    tokens: usize,
    operators: usize,
    selects: usize,
    nesting: usize,
    nesting_max: usize,
    ended: bool,
}

impl Counts {
    fn add(&mut self, token: &Token) -> Result<(), QueryError> {
        if matches!(token, Token::Whitespace(_) | Token::EOF) {
            return Ok(());
        }
        if *token == Token::SemiColon {
            self.ended = true;
            return Ok(());
        }
        if self.ended {
            return Err(QueryError::Refused("only one statement is allowed".to_owned()));
        }
        self.tokens += 1;
        match token {
            Token::LParen => self.open(),
            // An index is both a level of nesting and a link of a chain: a[1][1]...
            Token::LBracket => {
                self.open();
                self.operators += 1;
            }
            Token::RParen | Token::RBracket => self.nesting = self.nesting.saturating_sub(1),
            Token::Word(word) => self.add_word(word.keyword),
            other if is_operator(other) => self.operators += 1,
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self) {
        self.nesting += 1;
        self.nesting_max = self.nesting_max.max(self.nesting);
    }

    fn add_word(&mut self, keyword: Keyword) {
        match keyword {
            Keyword::SELECT => self.selects += 1,
            // Operators that are words, and what else links an expression to one as long again.
            Keyword::AND
            | Keyword::OR
            | Keyword::NOT
            | Keyword::IS
            | Keyword::IN
            | Keyword::LIKE
            | Keyword::ILIKE
            | Keyword::RLIKE
            | Keyword::REGEXP
            | Keyword::SIMILAR
            | Keyword::BETWEEN
            | Keyword::AT
            | Keyword::COLLATE
            | Keyword::DIV
            | Keyword::XOR
            | Keyword::JOIN
            | Keyword::UNION
            | Keyword::EXCEPT
            | Keyword::INTERSECT
            | Keyword::INTERVAL => self.operators += 1,
            _ => {}
        }
    }
}

/// Everything that is neither a literal nor punctuation of lists and names.
fn is_operator(token: &Token) -> bool {
    !matches!(
        token,
        Token::Number(..)
            | Token::Char(_)
            | Token::SingleQuotedString(_)
            | Token::DoubleQuotedString(_)
            | Token::NationalStringLiteral(_)
            | Token::EscapedStringLiteral(_)
            | Token::HexStringLiteral(_)
            | Token::Comma
            | Token::Period
            | Token::Placeholder(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(sql: &str) -> Option<String> {
        check(sql).err().map(|error| error.to_string())
    }

    fn chain(operators: usize) -> String {
        format!("SELECT 1{}", "+1".repeat(operators))
    }

    #[test]
    fn the_last_allowed_and_the_first_refused_chain() {
        assert_eq!(refusal(&chain(OPERATORS_MAX)), None);
        let refused = refusal(&chain(OPERATORS_MAX + 1)).expect("one too many");
        assert_eq!(refused, "the statement has 501 operators, at most 500 are allowed");
    }

    #[test]
    fn the_last_allowed_and_the_first_refused_nesting() {
        let nested = |depth: usize| format!("SELECT {}1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(refusal(&nested(NESTING_MAX)), None);
        assert!(refusal(&nested(NESTING_MAX + 1)).is_some());
    }

    #[test]
    fn the_last_allowed_and_the_first_refused_text() {
        let of_length = |bytes: usize| format!("SELECT '{}'", "x".repeat(bytes - "SELECT ''".len()));
        assert_eq!(refusal(&of_length(TEXT_BYTES_MAX)), None);
        assert!(refusal(&of_length(TEXT_BYTES_MAX + 1)).is_some());
    }

    #[test]
    fn a_closing_semicolon_is_fine_and_a_second_statement_is_not() {
        assert_eq!(refusal("SELECT 1; "), None);
        assert_eq!(refusal("SELECT 1; DROP TABLE spans").as_deref(), Some("only one statement is allowed"));
        assert_eq!(refusal("SELECT ';'"), None);
    }

    #[test]
    fn long_lists_chains_of_words_and_unions_are_refused() {
        for sql in [
            format!("SELECT * FROM spans WHERE name IN ({})", vec!["1"; 3_000].join(",")),
            format!("SELECT {}", vec!["a = 0"; 20_000].join(" OR ")),
            format!("SELECT {} true", "NOT ".repeat(600)),
            format!("SELECT a{}", "[1]".repeat(600)),
            format!("SELECT 1{}", "::int".repeat(600)),
            vec!["SELECT 1"; 100].join(" UNION ALL "),
            format!("SELECT {}1", "- ".repeat(600)),
        ] {
            assert!(refusal(&sql).is_some(), "{}", &sql[..60]);
        }
    }

    #[test]
    fn question_marks_are_parameters_by_their_order() {
        let check = |sql: &str, want: &str| assert_eq!(numbered(sql), (want.into(), Vec::new()));
        check(
            "SELECT ?, 'why?', \"a?\", ? -- ?\nWHERE n = ?",
            "SELECT $1, 'why?', \"a?\", $2 -- ?\nWHERE n = $3",
        );
        check("SELECT 'größe', ?", "SELECT 'größe', $1");
        check("SELECT $1, 'open ?", "SELECT $1, 'open ?");
    }

    #[test]
    fn names_of_parameters_are_numbered_by_their_first_place() {
        let (sql, names) = numbered("SELECT $to, '$no', $größe || $to -- $no");
        assert_eq!(sql, "SELECT $1, '$no', $2 || $1 -- $no");
        assert_eq!(names, ["to", "größe"]);
    }

    #[test]
    fn text_that_is_no_sql_is_the_parsers_to_explain() {
        assert!(matches!(check("SELECT 'open"), Err(QueryError::Invalid(_))));
    }
}
