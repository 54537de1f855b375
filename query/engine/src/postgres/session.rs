//! The session that a question of a client of PostgreSQL is planned in.

use std::sync::Arc;

use datafusion::config::Dialect;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::prelude::SessionContext;

use super::functions;
use super::known::{Facts, Identity, Known};
use super::literals::BooleanLiterals;
use super::relations::{Catalogue, PG_CATALOG, catalogs};
use crate::capped::capped;
use crate::catalog::CATALOG;
use crate::error::QueryError;

/// `session`, in which statements are read as PostgreSQL's and its functions are known. Of the catalogue, no table of
/// telemetry is in it.
///
/// # Errors
/// [`QueryError::Internal`], for a bug of ours.
pub fn session(
    session: &SessionContext,
    known: &Arc<Known>,
    identity: &Arc<Identity>,
    catalogue: Catalogue,
) -> Result<SessionContext, QueryError> {
    let state = session.state();
    let facts = Arc::new(Facts { known: Arc::clone(known), identity: Arc::clone(identity) });
    let mut config = state.config().clone();
    config.options_mut().sql_parser.dialect = Dialect::PostgreSQL;
    // What makes `now()` a time of a zone.
    config.options_mut().execution.time_zone = Some("UTC".to_owned());
    if catalogue == Catalogue::System {
        let options = &mut config.options_mut().catalog;
        options.default_schema = PG_CATALOG.to_owned();
        // There is one of our own.
        options.information_schema = false;
        config.options_mut().execution.enable_recursive_ctes = true;
    }
    let mut builder = SessionStateBuilder::new_from_existing(state).with_config(config);
    if catalogue == Catalogue::System {
        builder = builder.with_catalog_list(catalogs(&facts, CATALOG)?).with_table_function_list(Vec::new());
    }
    let pool = &session.runtime_env().memory_pool;
    let own = functions::all(&facts).into_iter().map(|function| capped(function, pool));
    builder.scalar_functions().get_or_insert_default().extend(own);
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(BooleanLiterals));
    Ok(SessionContext::new_with_state(builder.build()))
}
