//! What clients ask about rows of the catalogue: names of numbers, numbers of names, what is visible, what is said.
//!
//! `regclass` and its like are types in PostgreSQL: numbers that are shown by their names. Here they are functions that
//! give the number, and others, named `*_name`, that give the name; which one is meant is settled when a statement is
//! rewritten.

use datafusion::error::{DataFusionError, Result};

use super::{Arguments, Declared};
use crate::postgres::cell::{Cell, CellType};
use crate::postgres::known::{Facts, KnownFunction};
use crate::postgres::postgres_type::Scalar;
use crate::postgres::relations::{self, INFORMATION_SCHEMA, PG_CATALOG, SCHEMAS};

const TEXT: CellType = CellType::Text;

const fn declared(
    name: &'static str,
    returns: CellType,
    body: fn(&Facts, Arguments<'_>) -> Result<Cell>,
) -> Declared {
    Declared { name, returns, takes_nulls: false, body }
}

/// Text that is never there: definitions of things that we have none of.
const fn nothing(name: &'static str) -> Declared {
    declared(name, TEXT, |_, _| Ok(Cell::Null))
}

pub const ALL: [Declared; 59] = [
    declared("format_type", TEXT, format_type).with_nulls(),
    declared("pg_get_userbyid", CellType::Named(Scalar::Name), |facts, _| {
        Ok(facts.identity.user.as_str().into())
    }),
    declared("pg_table_is_visible", CellType::Bool, is_visible),
    declared("pg_type_is_visible", CellType::Bool, |_, _| Ok(true.into())),
    declared("pg_function_is_visible", CellType::Bool, |_, _| Ok(true.into())),
    declared("pg_operator_is_visible", CellType::Bool, |_, _| Ok(true.into())),
    declared("pg_collation_is_visible", CellType::Bool, |_, _| Ok(true.into())),
    declared("pg_opclass_is_visible", CellType::Bool, |_, _| Ok(true.into())),
    declared("pg_statistics_obj_is_visible", CellType::Bool, |_, _| Ok(true.into())),
    declared("pg_ts_config_is_visible", CellType::Bool, |_, _| Ok(true.into())),
    declared("pg_relation_is_publishable", CellType::Bool, |_, _| Ok(false.into())),
    declared("pg_relation_is_updatable", CellType::Int4, |_, _| Ok(0.into())),
    declared("obj_description", TEXT, described),
    declared("col_description", TEXT, described_column),
    nothing("shobj_description"),
    declared("pg_get_function_arguments", TEXT, function_arguments),
    declared("pg_get_function_identity_arguments", TEXT, function_arguments),
    declared("pg_get_function_result", TEXT, function_result),
    nothing("pg_get_functiondef"),
    nothing("pg_get_function_sqlbody"),
    nothing("pg_get_function_arg_default"),
    nothing("pg_get_expr"),
    nothing("pg_get_constraintdef"),
    nothing("pg_get_indexdef"),
    nothing("pg_get_viewdef"),
    nothing("pg_get_ruledef"),
    nothing("pg_get_triggerdef"),
    nothing("pg_get_partkeydef"),
    nothing("pg_get_serial_sequence"),
    nothing("pg_get_statisticsobjdef_columns"),
    nothing("pg_tablespace_location"),
    declared("pg_table_size", CellType::Int8, |_, _| Ok(Cell::Null)),
    declared("pg_relation_size", CellType::Int8, |_, _| Ok(Cell::Null)),
    declared("pg_total_relation_size", CellType::Int8, |_, _| Ok(Cell::Null)),
    declared("pg_indexes_size", CellType::Int8, |_, _| Ok(Cell::Null)),
    declared("pg_database_size", CellType::Int8, |_, _| Ok(Cell::Null)),
    declared("pg_stat_get_numscans", CellType::Int8, |_, _| Ok(Cell::Null)),
    declared("pg_my_temp_schema", CellType::Oid, |_, _| Ok(0.into())),
    declared("has_table_privilege", CellType::Bool, may),
    declared("has_any_column_privilege", CellType::Bool, may),
    declared("has_column_privilege", CellType::Bool, may),
    declared("has_schema_privilege", CellType::Bool, may),
    declared("has_database_privilege", CellType::Bool, may),
    declared("has_function_privilege", CellType::Bool, may),
    declared("pg_has_role", CellType::Bool, |_, _| Ok(true.into())),
    declared("to_regclass", CellType::Oid, |facts, arguments| Ok(class_oid(facts, &text(arguments)?).into())),
    declared("to_regtype", CellType::Oid, |facts, arguments| Ok(type_oid(facts, &text(arguments)?).into())),
    declared("regclass", CellType::Oid, |facts, arguments| oid(facts, arguments, "relation", class_oid)),
    declared("regclass_name", TEXT, |facts, arguments| named(facts, arguments, class_oid, class_name)),
    declared("regtype", CellType::Oid, |facts, arguments| oid(facts, arguments, "type", type_oid)),
    declared("regtype_name", TEXT, |facts, arguments| named(facts, arguments, type_oid, type_name)),
    declared("regproc", CellType::Oid, |facts, arguments| oid(facts, arguments, "function", function_oid)),
    declared("regproc_name", TEXT, |facts, arguments| named(facts, arguments, function_oid, function_name)),
    declared("regnamespace", CellType::Oid, |facts, arguments| oid(facts, arguments, "schema", schema_oid)),
    declared("regnamespace_name", TEXT, |facts, arguments| named(facts, arguments, schema_oid, schema_name)),
    declared("regrole", CellType::Oid, |facts, arguments| oid(facts, arguments, "role", role_oid)),
    declared("regrole_name", TEXT, |facts, arguments| named(facts, arguments, role_oid, role_name)),
    declared("regtype_names", CellType::Texts, type_names),
    declared("oid_array", CellType::Oids, |_, arguments| {
        Ok(Cell::Ints(arguments.list(0)?.iter().filter_map(|oid| oid.parse().ok()).collect()))
    }),
];

fn text(arguments: Arguments<'_>) -> Result<String> {
    Ok(arguments.text(0)?.unwrap_or_default())
}

/// The number that the first argument is or names.
fn oid(
    facts: &Facts,
    arguments: Arguments<'_>,
    what: &str,
    find: fn(&Facts, &str) -> Option<i64>,
) -> Result<Cell> {
    let name = text(arguments)?;
    let number = name.parse().ok().or_else(|| find(facts, &name));
    let missing = || DataFusionError::Plan(format!("{what} \"{name}\" does not exist"));
    number.ok_or_else(missing).map(Cell::Int)
}

/// The name of what the first argument is the number of, or the name itself.
fn named(
    facts: &Facts,
    arguments: Arguments<'_>,
    find: fn(&Facts, &str) -> Option<i64>,
    name_of: fn(&Facts, i64) -> Option<String>,
) -> Result<Cell> {
    let given = text(arguments)?;
    let number = given.parse().ok().or_else(|| find(facts, &given));
    // PostgreSQL shows the number of what it does not know, and a dash for none.
    Ok(match number {
        Some(0) => "-".into(),
        Some(number) => name_of(facts, number).unwrap_or(given).into(),
        None => given.into(),
    })
}

/// A name without its quotes, and its schema if it has one.
fn parts(name: &str) -> (Option<String>, String) {
    let fold = |part: &str| match part.strip_prefix('"').and_then(|part| part.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => part.trim().to_lowercase(),
    };
    match name.rsplit_once('.') {
        Some((schema, name)) => (Some(fold(schema)), fold(name)),
        None => (None, fold(name)),
    }
}

fn class_oid(facts: &Facts, name: &str) -> Option<i64> {
    let (schema, name) = parts(name);
    let is_in = |known: &str| schema.as_deref().is_none_or(|schema| schema == known);
    let telemetry = facts.known.tables.iter().find(|table| is_in(relations::PUBLIC) && table.name == name);
    let system = || {
        let mut system = relations::all();
        // Names without a schema are not looked for in information_schema.
        system.find(|(_, relation)| {
            let is_searched = schema.is_some() || relation.schema == PG_CATALOG;
            is_searched && is_in(relation.schema) && relation.name == name
        })
    };
    telemetry.map(|table| table.oid).or_else(|| system().map(|(oid, _)| oid)).map(i64::from)
}

fn class_name(facts: &Facts, oid: i64) -> Option<String> {
    let telemetry = facts.known.tables.iter().find(|table| i64::from(table.oid) == oid);
    let system = || relations::all().find(|(known, _)| i64::from(*known) == oid);
    telemetry.map(|table| table.name.to_owned()).or_else(|| {
        let (_, relation) = system()?;
        let schema = relation.schema;
        Some(if schema == PG_CATALOG {
            relation.name.to_owned()
        } else {
            format!("{schema}.{}", relation.name)
        })
    })
}

/// By the name in `pg_type`, or as SQL spells it.
fn type_oid(facts: &Facts, name: &str) -> Option<i64> {
    let (_, name) = parts(name);
    let (name, is_array) = name.strip_suffix("[]").map_or((name.as_str(), false), |element| (element, true));
    let spoken = Scalar::ALL.into_iter().map(Scalar::described);
    let mut spoken = spoken.filter(|known| known.name == name || known.sql_name == name);
    let spoken = spoken.next().map(|known| if is_array { known.array_oid } else { known.oid }.into());
    let others =
        relations::OTHERS.iter().find(|(_, _, known, ..)| *known == name || other_name(known) == name);
    let others = others.map(|(oid, array, ..)| if is_array { *array } else { *oid }.into());
    let tables = facts.known.tables.iter().find(|table| table.name == name);
    spoken.or(others).or(tables.map(|table| table.row_type_oid.into()))
}

fn type_name(facts: &Facts, oid: i64) -> Option<String> {
    let spoken = Scalar::ALL.into_iter().map(Scalar::described).find_map(|known| match oid {
        oid if oid == i64::from(known.oid) => Some(known.sql_name.to_owned()),
        oid if oid == i64::from(known.array_oid) => Some(format!("{}[]", known.sql_name)),
        _ => None,
    });
    let others = relations::OTHERS.iter().find_map(|(one, array, name, ..)| match oid {
        oid if oid == i64::from(*one) => Some(other_name(name).to_owned()),
        oid if oid == i64::from(*array) && *array > 0 => Some(format!("{}[]", other_name(name))),
        _ => None,
    });
    let tables = facts.known.tables.iter().find(|table| i64::from(table.row_type_oid) == oid);
    spoken.or(others).or(tables.map(|table| table.name.to_owned()))
}

/// How SQL spells a type of `pg_type`.
fn other_name(name: &str) -> &str {
    match name {
        "bpchar" => "character",
        "varchar" => "character varying",
        "timetz" => "time with time zone",
        "varbit" => "bit varying",
        other => other,
    }
}

fn type_names(facts: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let names = arguments.list(0)?.into_iter().map(|oid| {
        let number = oid.parse().unwrap_or_default();
        type_name(facts, number).unwrap_or(oid)
    });
    Ok(Cell::Texts(names.collect()))
}

fn function_of(facts: &Facts, oid: i64) -> Option<&KnownFunction> {
    facts.known.functions.iter().find(|function| i64::from(function.oid) == oid)
}

fn function_oid(facts: &Facts, name: &str) -> Option<i64> {
    let (_, name) = parts(name);
    let own = facts.known.functions.iter().find(|function| function.name == name);
    let built_in = || facts.known.built_in.iter().find(|(_, known, _)| *known == name);
    let conversion = || relations::conversions().find(|(_, known)| *known == name).map(|(oid, _)| oid);
    let number = own.map(|function| function.oid).or_else(|| built_in().map(|(oid, ..)| *oid));
    number.or_else(conversion).map(i64::from)
}

fn function_name(facts: &Facts, oid: i64) -> Option<String> {
    let own = function_of(facts, oid).map(|function| function.name.to_owned());
    let built_in = || facts.known.built_in.iter().find(|(known, ..)| i64::from(*known) == oid);
    let conversion = || relations::conversions().find(|(known, _)| i64::from(*known) == oid);
    own.or_else(|| built_in().map(|(_, name, _)| name.clone())).or_else(|| conversion().map(|(_, name)| name))
}

fn schema_oid(_: &Facts, name: &str) -> Option<i64> {
    let (_, name) = parts(name);
    SCHEMAS.iter().find(|(known, _)| *known == name).map(|(_, oid)| i64::from(*oid))
}

fn schema_name(_: &Facts, oid: i64) -> Option<String> {
    SCHEMAS.iter().find(|(_, known)| i64::from(*known) == oid).map(|(name, _)| (*name).to_owned())
}

fn role_oid(facts: &Facts, name: &str) -> Option<i64> {
    (parts(name).1 == facts.identity.user).then_some(relations::OWNER.into())
}

fn role_name(facts: &Facts, oid: i64) -> Option<String> {
    (oid == i64::from(relations::OWNER)).then(|| facts.identity.user.clone())
}

/// Source: PostgreSQL 16, `format_type_extended`: null for no type, `???` for one that is not known.
fn format_type(facts: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let Some(number) = arguments.text(0)? else { return Ok(Cell::Null) };
    let name = number.parse().ok().and_then(|oid| match oid {
        0 => Some("-".to_owned()),
        oid => type_name(facts, oid),
    });
    Ok(name.unwrap_or_else(|| "???".to_owned()).into())
}

/// Names of `information_schema` need their schema before them.
fn is_visible(facts: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let number = text(arguments)?.parse().unwrap_or_default();
    let name = class_name(facts, number);
    Ok(name.is_some_and(|name| !name.starts_with(INFORMATION_SCHEMA)).into())
}

fn described(facts: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let number = text(arguments)?;
    let table = facts.known.tables.iter().find(|table| table.oid.to_string() == number);
    Ok(table.map(|table| table.doc).into())
}

fn described_column(facts: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let (table, number) = (text(arguments)?, arguments.text(1)?.unwrap_or_default());
    let table = facts.known.tables.iter().find(|known| known.oid.to_string() == table);
    let place = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let column = table.zip(place).and_then(|(table, place)| table.columns.get(place));
    Ok(column.and_then(|column| column.doc).into())
}

fn function_arguments(facts: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let number = text(arguments)?.parse().unwrap_or_default();
    let Some(function) = function_of(facts, number) else { return Ok("\"any\"".into()) };
    let parameters = function.parameters.iter();
    // Each may be left out.
    let parameters =
        parameters.map(|(name, postgres_type)| format!("{name} {} DEFAULT NULL", postgres_type.sql_name()));
    Ok(parameters.collect::<Vec<_>>().join(", ").into())
}

fn function_result(facts: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let number = text(arguments)?.parse().unwrap_or_default();
    let Some(function) = function_of(facts, number) else { return Ok("\"any\"".into()) };
    let columns = function.columns.iter();
    let columns = columns.map(|(name, postgres_type)| format!("{name} {}", postgres_type.sql_name()));
    Ok(format!("TABLE({})", columns.collect::<Vec<_>>().join(", ")).into())
}

/// Everything may be read and called, and nothing changed.
fn may(_: &Facts, arguments: Arguments<'_>) -> Result<Cell> {
    let privileges = arguments.last_text()?.unwrap_or_default();
    let mut privileges = privileges.split(',');
    let is_reading = |privilege: &str| {
        ["SELECT", "USAGE", "CONNECT", "EXECUTE"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(privilege.trim()))
    };
    Ok(privileges.any(is_reading).into())
}
