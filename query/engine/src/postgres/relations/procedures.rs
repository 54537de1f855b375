//! Functions: those that are tables of telemetry, and by their names alone those that the engine has.

use super::classes::{OWNER, oid_of};
use super::{PG_CATALOG, PUBLIC, Relation, Rows, conversions, row, schema_oid};
use crate::postgres::cell::Cell;
use crate::postgres::known::Facts;

/// `record`, what a function that is a table returns a set of; `any`, what the engine's functions take and return.
const RECORD: i32 = 2_249;
const ANY: i32 = 2_276;

/// `internal`.
const LANGUAGE: i32 = 12;

pub const ALL: [Relation; 2] = [
    Relation::new(
        PG_CATALOG,
        "pg_proc",
        "oid oid, proname name, pronamespace oid, proowner oid, prolang oid, procost float4, prorows float4, \
         provariadic oid, prosupport text, prokind char, prosecdef bool, proleakproof bool, proisstrict bool, \
         proretset bool, provolatile char, proparallel char, pronargs int2, pronargdefaults int2, \
         prorettype oid, proargtypes oidvector, proallargtypes oid[], proargmodes text[], proargnames text[], \
         proargdefaults text, protrftypes oid[], prosrc text, probin text, prosqlbody text, \
         proconfig text[], proacl text[]",
        procedures,
    ),
    Relation::new(
        PG_CATALOG,
        "pg_language",
        "oid oid, lanname name, lanowner oid, lanispl bool, lanpltrusted bool, lanplcallfoid oid, laninline oid, \
         lanvalidator oid, lanacl text[]",
        |_| vec![row![LANGUAGE, "internal", OWNER, false, false, 0, 0, 0]],
    ),
];

fn procedures(facts: &Facts) -> Rows {
    let tables = facts.known.functions.iter().map(|function| {
        let taken = function.parameters.iter().map(|(name, postgres_type)| ("i", *name, *postgres_type));
        let given = function.columns.iter().map(|(name, postgres_type)| ("t", name.as_str(), *postgres_type));
        let all: Vec<_> = taken.clone().chain(given).collect();
        let count = i64::try_from(taken.len()).unwrap_or_default();
        row![
            function.oid,
            function.name,
            schema_oid(PUBLIC),
            OWNER,
            LANGUAGE,
            Cell::Float(1.0),
            Cell::Float(1000.0),
            0,
            "-",
            "f",
            false,
            false,
            false,
            true,
            "s",
            "s",
            count,
            count,
            RECORD,
            Cell::Ints(taken.map(|(.., postgres_type)| oid_of(postgres_type)).collect()),
            Cell::Ints(all.iter().map(|(.., postgres_type)| oid_of(*postgres_type)).collect()),
            Cell::Texts(all.iter().map(|(mode, ..)| (*mode).to_owned()).collect()),
            Cell::Texts(all.iter().map(|(_, name, _)| (*name).to_owned()).collect()),
            Cell::Null,
            Cell::Null,
            function.name,
        ]
    });
    let own = facts.known.built_in.iter().map(|(oid, name, kind)| (*oid, name.clone(), *kind));
    let built_in = own.chain(conversions().map(|(oid, name)| (oid, name, "f"))).map(|(oid, name, kind)| {
        row![
            oid,
            name.as_str(),
            schema_oid(PG_CATALOG),
            OWNER,
            LANGUAGE,
            Cell::Float(1.0),
            Cell::Float(0.0),
            ANY,
            "-",
            kind,
            false,
            false,
            false,
            false,
            "s",
            "s",
            1,
            0,
            ANY,
            Cell::Ints(vec![ANY.into()]),
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            Cell::Null,
            name.as_str(),
        ]
    });
    tables.chain(built_in).collect()
}
