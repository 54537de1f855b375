//! The server: its databases, roles and settings, as far as they concern whoever asks.

use super::classes::OWNER;
use super::{PG_CATALOG, Relation, Rows, row};
use crate::postgres::cell::Cell;
use crate::postgres::known::Facts;

/// The number of the one database that a client can see: that of its tenant.
const DATABASE: i32 = 5;

/// UTF8. Source: PostgreSQL 16, `pg_enc` in `src/include/mb/pg_wchar.h`.
const UTF8: i32 = 6;

const ROLE_COLUMNS: &str = "oid oid, rolname name, rolsuper bool, rolinherit bool, rolcreaterole bool, \
     rolcreatedb bool, rolcanlogin bool, rolreplication bool, rolconnlimit int4, rolpassword text, \
     rolvaliduntil text, rolbypassrls bool, rolconfig text[]";

const SETTING_COLUMNS: &str = "name text, setting text, unit text, category text, short_desc text, extra_desc text, context text, \
     vartype text, source text, min_val text, max_val text, enumvals text[], boot_val text, \
     reset_val text, sourcefile text, sourceline int4, pending_restart bool";

pub const ALL: [Relation; 8] = [
    Relation::new(
        PG_CATALOG,
        "pg_database",
        "oid oid, datname name, datdba oid, encoding int4, datlocprovider char, datistemplate bool, \
         datallowconn bool, datconnlimit int4, datfrozenxid int4, datminmxid int4, dattablespace oid, \
         datcollate text, datctype text, daticulocale text, daticurules text, datcollversion text, datacl text[]",
        |facts| {
            let name = facts.identity.database.as_str();
            vec![row![DATABASE, name, OWNER, UTF8, "c", false, true, -1, 0, 0, 1_663, "C", "C.UTF-8"]]
        },
    ),
    Relation::new(PG_CATALOG, "pg_roles", ROLE_COLUMNS, roles),
    Relation::new(PG_CATALOG, "pg_authid", ROLE_COLUMNS, roles),
    Relation::new(
        PG_CATALOG,
        "pg_user",
        "usename name, usesysid oid, usecreatedb bool, usesuper bool, userepl bool, usebypassrls bool, \
         passwd text, valuntil text, useconfig text[]",
        |facts| vec![row![facts.identity.user.as_str(), OWNER, false, false, false, false, "********"]],
    ),
    Relation::new(PG_CATALOG, "pg_settings", SETTING_COLUMNS, settings),
    Relation::new(PG_CATALOG, "pg_show_all_settings", SETTING_COLUMNS, settings),
    Relation::new(
        PG_CATALOG,
        "pg_timezone_names",
        "name text, abbrev text, utc_offset text, is_dst bool",
        |_| vec![row!["UTC", "UTC", "00:00:00", false]],
    ),
    Relation::new(
        PG_CATALOG,
        "pg_stat_activity",
        "datid oid, datname name, pid int4, usesysid oid, usename name, application_name text, state text, \
         query text, backend_type text",
        |facts| {
            let identity = &facts.identity;
            let (database, user) = (identity.database.as_str(), identity.user.as_str());
            vec![row![
                DATABASE,
                database,
                identity.process_id,
                OWNER,
                user,
                "",
                "active",
                "",
                "client backend"
            ]]
        },
    ),
];

fn roles(facts: &Facts) -> Rows {
    let user = facts.identity.user.as_str();
    vec![row![OWNER, user, false, true, false, false, true, false, -1, "********", Cell::Null, false]]
}

fn settings(facts: &Facts) -> Rows {
    let settings = facts.identity.settings.iter().map(|(name, value, doc)| {
        row![
            name.as_str(),
            value.as_str(),
            Cell::Null,
            "Client Connection Defaults",
            *doc,
            Cell::Null,
            "user",
            "string",
            "session",
            Cell::Null,
            Cell::Null,
            Cell::Null,
            value.as_str(),
            value.as_str(),
            Cell::Null,
            Cell::Null,
            false,
        ]
    });
    settings.collect()
}
