//! What a client asks about its own connection and about the server.

use datafusion::error::{DataFusionError, Result};

use super::{Arguments, Declared};
use crate::postgres::cell::{Cell, CellType};
use crate::postgres::known::Facts;
use crate::postgres::postgres_type::Scalar;

/// The schemas that names without one are looked for in.
const SEARCHED: [&str; 2] = ["pg_catalog", "public"];

const NAME: CellType = CellType::Named(Scalar::Name);

pub const ALL: [Declared; 10] = [
    Declared { name: "version", returns: CellType::Text, takes_nulls: false, body: version },
    Declared { name: "current_database", returns: NAME, takes_nulls: false, body: database },
    Declared { name: "current_schema", returns: NAME, takes_nulls: false, body: |_, _| Ok("public".into()) },
    Declared { name: "current_schemas", returns: CellType::Texts, takes_nulls: false, body: schemas },
    Declared { name: "current_user_name", returns: NAME, takes_nulls: false, body: user },
    Declared { name: "current_role", returns: NAME, takes_nulls: false, body: user },
    Declared { name: "current_setting", returns: CellType::Text, takes_nulls: false, body: setting },
    Declared { name: "pg_backend_pid", returns: CellType::Int4, takes_nulls: false, body: process_id },
    Declared { name: "pg_is_in_recovery", returns: CellType::Bool, takes_nulls: false, body: no },
    Declared { name: "pg_is_other_temp_schema", returns: CellType::Bool, takes_nulls: false, body: no },
];

/// Tools read the number out of the second word, so that comes first; see PostgreSQL's own.
fn version(facts: &Facts, _: Arguments<'_>) -> Result<Cell> {
    let version = value_of(facts, "server_version").unwrap_or_default();
    Ok(format!("PostgreSQL {version} (Meshlake {})", env!("CARGO_PKG_VERSION")).into())
}

fn database(facts: &Facts, _: Arguments<'_>) -> Result<Cell> {
    Ok(facts.identity.database.as_str().into())
}

fn schemas(_: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let with_implicit = arguments.boolean(0);
    Ok(Cell::Texts(SEARCHED[usize::from(!with_implicit)..].iter().map(ToString::to_string).collect()))
}

fn user(facts: &Facts, _: Arguments<'_>) -> Result<Cell> {
    Ok(facts.identity.user.as_str().into())
}

fn setting(facts: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let name = arguments.text(0)?.unwrap_or_default();
    match value_of(facts, &name) {
        Some(value) => Ok(value.into()),
        None if arguments.boolean(1) => Ok(Cell::Null),
        None => Err(DataFusionError::Plan(format!("unrecognized configuration parameter \"{name}\""))),
    }
}

fn value_of<'a>(facts: &'a Facts, name: &str) -> Option<&'a str> {
    let found = facts.identity.settings.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value, _)| value.as_str())
}

fn process_id(facts: &Facts, _: Arguments<'_>) -> Result<Cell> {
    Ok(facts.identity.process_id.into())
}

fn no(_: &Facts, _: Arguments<'_>) -> Result<Cell> {
    Ok(false.into())
}
