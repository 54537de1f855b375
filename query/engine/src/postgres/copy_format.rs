//! How `COPY` writes rows, and how a statement says so.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::misread::Misread;
use super::words::Words;
use crate::error::QueryError;

/// How rows are copied out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyFormat {
    Text { delimiter: char, null: String, has_header: bool },
    Csv { delimiter: char, null: String, has_header: bool },
    Binary,
}

pub fn copy_format(words: &mut Words<'_>) -> Result<CopyFormat, Misread> {
    words.accept("with");
    let is_list = words.accept_token(&Token::LParen);
    let (mut format, mut delimiter, mut null, mut has_header) = ("text".to_owned(), None, None, false);
    while words.peek().is_some_and(|token| *token != Token::RParen) {
        let option = words.word().ok_or_else(|| words.wrong("an option of COPY"))?;
        match option.as_str() {
            "format" => format = words.name()?,
            "csv" | "binary" if !is_list => format = option,
            "header" => has_header = !(words.accept("false") || words.accept("off")),
            "delimiter" | "delimiters" => delimiter = one_character(words)?,
            "null" => null = words.value()?,
            "encoding" => drop(words.value()?),
            _ => return Err(words.wrong("FORMAT, HEADER, DELIMITER, NULL or ENCODING")),
        }
        words.accept("true");
        words.accept_token(&Token::Comma);
    }
    if is_list && !words.accept_token(&Token::RParen) {
        return Err(words.wrong(")"));
    }
    match format.as_str() {
        "text" => Ok(CopyFormat::Text {
            delimiter: delimiter.unwrap_or('\t'),
            null: null.unwrap_or_else(|| "\\N".to_owned()),
            has_header,
        }),
        "csv" => Ok(CopyFormat::Csv {
            delimiter: delimiter.unwrap_or(','),
            null: null.unwrap_or_default(),
            has_header,
        }),
        "binary" => Ok(CopyFormat::Binary),
        _ => Err(QueryError::Invalid(format!("COPY has no format {format}")).into()),
    }
}

/// One byte, as PostgreSQL has it.
fn one_character(words: &mut Words<'_>) -> Result<Option<char>, Misread> {
    words.accept("as");
    let value = words.value()?.unwrap_or_default();
    let mut chars = value.chars();
    match (chars.next(), chars.next()) {
        (Some(one), None) if one.is_ascii() && !matches!(one, '\n' | '\r' | '"' | '\\') => Ok(Some(one)),
        _ => Err(QueryError::Invalid("a delimiter of COPY is one ASCII character".to_owned()).into()),
    }
}
