//! One question of a client of PostgreSQL, in the SQL that the engine plans.
//!
//! PostgreSQL's own spelling of things (`::pg_catalog.regclass`, `OPERATOR(pg_catalog.~)`, `E'\n'`) is rewritten on the
//! tree that the parser made, and the tree written out again: what then runs is a text like any other, and goes through
//! the same guards.

use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, SelectItem, SetExpr, Statement, Visit, VisitMut, Visitor,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};
use std::ops::ControlFlow;

use super::emptied::names_of;
use super::labels::label_of;
use super::misread::{Misread, misread, position_of};
use super::named_apart::{Shown, tell_apart};
use super::postgres_type::PostgresType;
use super::relations::{Catalogue, is_system};
use super::rewrite::Rewrite;
use super::sets::SETS;
use crate::error::QueryError;
use crate::text_guard::NESTING_MAX;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// As the engine plans it.
    pub sql: String,
    pub catalogue: Catalogue,
    /// What PostgreSQL calls the columns, where that is not what the engine calls them; empty where the answer's columns
    /// are not those that are written down, as with `*`.
    pub labels: Vec<Option<String>>,
    /// Numbers of the parameters that stand for arrays, from 1.
    pub array_parameters: Vec<usize>,
    /// The same with one element for each of those, whose types are then told; none where there are none.
    pub of_elements: Option<String>,
    /// What parameters are cast to, by number, where that is not to be seen in `sql`.
    pub cast_parameters: Vec<(usize, PostgresType)>,
    /// What the end of the answer calls the command.
    pub tag: &'static str,
}

impl Question {
    /// The question that `tokens` of `text` ask.
    ///
    /// # Errors
    /// [`QueryError::Invalid`] where they do not parse; [`QueryError::Refused`] for one that reads rows and their
    /// catalogue at once.
    pub(super) fn read(
        text: &str,
        tokens: &[TokenWithSpan],
        parameters: &[Option<PostgresType>],
    ) -> Result<Question, Misread> {
        let dialect = PostgreSqlDialect {};
        let mut parser = Parser::new(&dialect)
            .with_recursion_limit(NESTING_MAX)
            .with_tokens_with_locations(tokens.to_vec());
        let mut statement = parser.parse_statement().map_err(|error| misread(text, &error))?;
        let rest = parser.peek_token();
        if rest.token != Token::EOF {
            let start = rest.span.start;
            return Err(Misread {
                position: position_of(text, start.line, start.column),
                error: QueryError::Invalid(format!("SQL does not parse: unexpected {rest}")),
            });
        }
        let catalogue = catalogue_of(&statement)?;
        let labels = labels_of(&statement);
        let as_written = statement.clone();
        let mut rewrite = Rewrite::new(parameters, catalogue);
        let _ = VisitMut::visit(&mut statement, &mut rewrite);
        if let Some(query) = query_of_mut(&mut statement) {
            tell_apart(&mut query.body, Shown::Postgres);
        }
        let tag = match &statement {
            Statement::Explain { .. } | Statement::ExplainTable { .. } => "EXPLAIN",
            Statement::ShowTables { .. }
            | Statement::ShowColumns { .. }
            | Statement::ShowFunctions { .. } => "SHOW",
            _ => "SELECT",
        };
        let (array_parameters, cast_parameters) = (rewrite.array_parameters, rewrite.cast_parameters);
        let of_elements = (!array_parameters.is_empty()).then(|| {
            let mut statement = as_written;
            let mut rewrite = Rewrite::new(parameters, catalogue);
            rewrite.asks_for_elements = true;
            let _ = VisitMut::visit(&mut statement, &mut rewrite);
            statement.to_string()
        });
        let sql = statement.to_string();
        Ok(Question { sql, catalogue, labels, array_parameters, cast_parameters, of_elements, tag })
    }

    /// All rows of the table that `tokens` name, or the columns in parentheses after it.
    pub(super) fn of_table(tokens: &[TokenWithSpan]) -> Result<Question, Misread> {
        let text = |tokens: &[TokenWithSpan]| -> String {
            tokens.iter().map(|token| token.token.to_string()).collect()
        };
        let list = tokens.iter().position(|token| token.token == Token::LParen);
        let (table, columns) = match list {
            Some(list) => (&tokens[..list], text(&tokens[list + 1..tokens.len() - 1])),
            None => (tokens, "*".to_owned()),
        };
        let sql = format!("SELECT {columns} FROM {}", text(table));
        let tokens = datafusion::sql::sqlparser::tokenizer::Tokenizer::new(&PostgreSqlDialect {}, &sql)
            .tokenize_with_location()
            .map_err(|error| QueryError::Invalid(error.to_string()))?;
        let mut question = Question::read(&sql, &tokens, &[])?;
        question.labels.clear();
        Ok(question)
    }
}

fn query_of_mut(statement: &mut Statement) -> Option<&mut Query> {
    match statement {
        Statement::Query(query) => Some(query),
        _ => None,
    }
}

/// What the columns of the first SELECT are called, which are those of the answer.
fn labels_of(statement: &Statement) -> Vec<Option<String>> {
    let Statement::Query(query) = statement else { return Vec::new() };
    let mut body = query.body.as_ref();
    let select = loop {
        match body {
            SetExpr::Select(select) => break select,
            SetExpr::Query(query) => body = &query.body,
            SetExpr::SetOperation { left, .. } => body = left,
            _ => return Vec::new(),
        }
    };
    let labels = select.projection.iter().map(|item| match item {
        SelectItem::UnnamedExpr(expr) => Some(label_of(expr)),
        SelectItem::ExprWithAlias { alias, .. } => Some(Some(name_of(alias))),
        _ => None,
    });
    labels.collect::<Option<Vec<_>>>().unwrap_or_default()
}

fn name_of(ident: &Ident) -> String {
    if ident.quote_style.is_some() { ident.value.clone() } else { ident.value.to_lowercase() }
}

/// Which tables are read, by the names in FROM that are not those of WITH.
fn catalogue_of(statement: &Statement) -> Result<Catalogue, Misread> {
    let mut names = Names::default();
    let _ = statement.visit(&mut names);
    let is_own = |name: &&Vec<String>| name.len() > 1 || !names.of_with.contains(&name[0]);
    let (system, telemetry): (Vec<_>, Vec<_>) =
        names.read.iter().filter(is_own).partition(|name| is_system(name));
    match (system.first(), telemetry.first()) {
        (Some(system), Some(telemetry)) => {
            let [system, telemetry] = [system, telemetry].map(|name| name.join("."));
            let message =
                format!("{system} is of the catalogue and {telemetry} is not: no statement can read both");
            Err(QueryError::Refused(message).into())
        }
        (_, Some(_)) => Ok(Catalogue::Telemetry),
        // DESCRIBE and SHOW TABLES name no relation to the parser, and are about our own.
        (None, None) if !matches!(statement, Statement::Query(_) | Statement::Explain { .. }) => {
            Ok(Catalogue::Telemetry)
        }
        _ => Ok(Catalogue::System),
    }
}

/// The names of tables in a statement, in lower case unless they have quotes.
#[derive(Default)]
struct Names {
    read: Vec<Vec<String>>,
    of_with: Vec<String>,
}

impl Visitor for Names {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.of_with.extend(with.map(|table| name_of(&table.alias.name)));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        let parts = names_of(relation);
        // A function that gives a set of rows reads no table.
        let is_set = parts.last().is_some_and(|name| SETS.contains(&name.as_str()));
        if !parts.is_empty() && !is_set {
            self.read.push(parts);
        }
        ControlFlow::Continue(())
    }
}
