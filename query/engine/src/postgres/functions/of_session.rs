//! What a client asks about its own connection and about the server.

use datafusion::error::{DataFusionError, Result};

use super::{Arguments, Declared};
use crate::postgres::cell::{Cell, CellType};
use crate::postgres::known::Facts;
use crate::postgres::postgres_type::Scalar;

/// The schemas that names without one are looked for in.
const SEARCHED: [&str; 2] = ["pg_catalog", "public"];

const NAME: CellType = CellType::Named(Scalar::Name);

pub const ALL: [Declared; 19] = [
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
    Declared { name: "pg_is_wal_replay_paused", returns: CellType::Bool, takes_nulls: false, body: no },
    Declared { name: "set_config", returns: CellType::Text, takes_nulls: true, body: set_config },
    Declared {
        name: "pg_postmaster_start_time",
        returns: CellType::Timestamptz,
        takes_nulls: false,
        body: started,
    },
    Declared { name: "txid_current", returns: CellType::Int8, takes_nulls: false, body: transaction },
    Declared { name: "pg_current_xact_id", returns: CellType::Int8, takes_nulls: false, body: transaction },
    // Where a connection comes from is not told.
    Declared { name: "inet_client_addr", returns: CellType::Text, takes_nulls: false, body: nothing },
    Declared { name: "inet_client_port", returns: CellType::Int4, takes_nulls: false, body: nothing },
    Declared { name: "inet_server_addr", returns: CellType::Text, takes_nulls: false, body: nothing },
    Declared { name: "inet_server_port", returns: CellType::Int4, takes_nulls: false, body: nothing },
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

fn nothing(_: &Facts, _: Arguments<'_>) -> Result<Cell> {
    Ok(Cell::Null)
}

/// There is one transaction, as nobody changes anything.
fn transaction(_: &Facts, _: Arguments<'_>) -> Result<Cell> {
    Ok(1.into())
}

fn started(facts: &Facts, _: Arguments<'_>) -> Result<Cell> {
    Ok(Cell::Micros(facts.known.started.0 / 1_000))
}

/// Tools set what their answers depend on by this function too. What nothing here depends on is taken and forgotten;
/// what counts is set by SET alone, and refused here rather than ignored.
fn set_config(facts: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let (name, value) = (arguments.text(0)?.unwrap_or_default(), arguments.text(1)?.unwrap_or_default());
    let now = value_of(facts, &name)
        .ok_or_else(|| DataFusionError::Plan(format!("unrecognized configuration parameter \"{name}\"")))?;
    let counts = ["statement_timeout", "client_encoding", "timezone", "datestyle"];
    if now != value && counts.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
        return Err(DataFusionError::Plan(format!("\"{name}\" is set by SET, not by set_config")));
    }
    Ok(value.into())
}
