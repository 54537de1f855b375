//! Says which table was probably meant where a statement names none.
//!
//! The engine suggests columns and functions by itself, and of tables says only that there is none.

use datafusion::common::utils::datafusion_strsim::normalized_levenshtein;
use datafusion::error::DataFusionError;
use datafusion::execution::session_state::SessionState;

use crate::catalog::{CATALOG, SCHEMA};
use crate::error::QueryError;

/// How alike names are of which one is suggested for the other, from 0 to 1: what the engine itself asks of functions.
const LIKENESS_MIN: f64 = 0.5;

/// How the engine says that there is no such table.
const BEFORE: &str = "table '";
const BEHIND: &str = "' not found";

/// `error`, which planning with `state` ended with, and what was probably meant.
pub fn with_suggestion(error: DataFusionError, state: &SessionState) -> QueryError {
    let error = QueryError::from(error);
    let QueryError::Invalid(told) = &error else { return error };
    let name = told.strip_prefix(BEFORE).and_then(|rest| rest.strip_suffix(BEHIND));
    match name.and_then(|name| suggestion(name.rsplit('.').next()?, state)) {
        Some(meant) => QueryError::Invalid(format!("{told}: did you mean {meant}?")),
        None => error,
    }
}

fn suggestion(name: &str, state: &SessionState) -> Option<String> {
    let schema = state.catalog_list().catalog(CATALOG)?.schema(SCHEMA)?;
    let tables = schema.table_names().into_iter();
    let functions = state.table_functions().keys().map(|name| format!("{name}()"));
    let likeness = |known: &str| normalized_levenshtein(known.trim_end_matches("()"), &name.to_lowercase());
    let known = tables.chain(functions).map(|known| (likeness(&known), known));
    let best = known.max_by(|(one, _), (other, _)| one.total_cmp(other));
    best.filter(|(likeness, _)| *likeness >= LIKENESS_MIN).map(|(_, known)| known)
}
