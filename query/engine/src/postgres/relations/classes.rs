//! Tables, their columns and what is said about them.

use super::{PG_CATALOG, PUBLIC, Relation, Rows, SCHEMAS, all, row, schema_oid};
use crate::postgres::cell::{Cell, CellType};
use crate::postgres::known::Facts;
use crate::postgres::postgres_type::{PostgresType, Scalar};

/// Who owns everything: the first user of a server.
pub const OWNER: i32 = 10;

/// `heap`, the access method of ordinary tables.
const HEAP: i32 = 2;

/// The collation that texts have.
pub const DEFAULT_COLLATION: i32 = 100;

/// `pg_class`, for what is said about its rows.
const CLASS: i32 = 1_259;

pub const ALL: [Relation; 6] = [
    Relation::new(
        PG_CATALOG,
        "pg_class",
        "oid oid, relname name, relnamespace oid, reltype oid, reloftype oid, relowner oid, relam oid, \
         relfilenode oid, reltablespace oid, relpages int4, reltuples float4, relallvisible int4, \
         reltoastrelid oid, relhasindex bool, relisshared bool, relpersistence char, relkind char, \
         relnatts int2, relchecks int2, relhasrules bool, relhastriggers bool, relhassubclass bool, \
         relrowsecurity bool, relforcerowsecurity bool, relispopulated bool, relreplident char, \
         relispartition bool, relrewrite oid, relfrozenxid int4, relminmxid int4, relacl text[], \
         reloptions text[], relpartbound text",
        classes,
    ),
    Relation::new(
        PG_CATALOG,
        "pg_attribute",
        "attrelid oid, attname name, atttypid oid, attlen int2, attnum int2, attcacheoff int4, \
         atttypmod int4, attndims int2, attbyval bool, attalign char, attstorage char, attcompression char, \
         attnotnull bool, atthasdef bool, atthasmissing bool, attidentity char, attgenerated char, \
         attisdropped bool, attislocal bool, attinhcount int2, attstattarget int2, attcollation oid, \
         attacl text[], attoptions text[], attfdwoptions text[], attmissingval text[]",
        attributes,
    ),
    Relation::new(
        PG_CATALOG,
        "pg_namespace",
        "oid oid, nspname name, nspowner oid, nspacl text[]",
        namespaces,
    ),
    Relation::new(
        PG_CATALOG,
        "pg_description",
        "objoid oid, classoid oid, objsubid int4, description text",
        descriptions,
    ),
    Relation::new(
        PG_CATALOG,
        "pg_tables",
        "schemaname name, tablename name, tableowner name, tablespace name, hasindexes bool, hasrules bool, \
         hastriggers bool, rowsecurity bool",
        tables,
    ),
    Relation::new(PG_CATALOG, "pg_am", "oid oid, amname name, amhandler text, amtype char", |_| {
        vec![row![HEAP, "heap", "heap_tableam_handler", "t"]]
    }),
];

fn classes(facts: &Facts) -> Rows {
    let class = |oid: i32, name: &str, schema: &str, row_type: i32, kind: &str, columns: usize| {
        let columns = i64::try_from(columns).unwrap_or_default();
        row![
            oid,
            name,
            schema_oid(schema),
            row_type,
            0,
            OWNER,
            HEAP,
            oid,
            0,
            0,
            Cell::Float(-1.0),
            0,
            0,
            false,
            false,
            "p",
            kind,
            columns,
            0,
            false,
            false,
            false,
            false,
            false,
            true,
            "n",
            false,
            0,
            0,
            0,
        ]
    };
    let telemetry = facts.known.tables.iter();
    let telemetry = telemetry
        .map(|table| class(table.oid, table.name, PUBLIC, table.row_type_oid, "r", table.columns.len()));
    let system = all().map(|(oid, relation)| {
        let kind = if relation.schema == PG_CATALOG { "r" } else { "v" };
        class(oid, relation.name, relation.schema, 0, kind, relation.columns().count())
    });
    telemetry.chain(system).collect()
}

fn attributes(facts: &Facts) -> Rows {
    let telemetry = facts.known.tables.iter().flat_map(|table| {
        let columns = table.columns.iter().zip(1..);
        columns.map(|(column, number)| attribute(table.oid, &column.name, column.postgres_type, number))
    });
    let system = all().flat_map(|(oid, relation)| {
        let columns = relation.columns().zip(1..);
        columns.map(move |((name, cell_type), number)| attribute(oid, name, type_of(cell_type), number))
    });
    telemetry.chain(system).collect()
}

fn attribute(table: i32, name: &str, postgres_type: PostgresType, number: i32) -> Vec<Cell> {
    let is_text = !postgres_type.is_array && matches!(postgres_type.scalar, Scalar::Text | Scalar::Name);
    let collation = if is_text { DEFAULT_COLLATION } else { 0 };
    let by_value = (1..=8).contains(&postgres_type.bytes());
    row![
        table,
        name,
        oid_of(postgres_type),
        i32::from(postgres_type.bytes()),
        number,
        -1,
        -1,
        i32::from(postgres_type.is_array),
        by_value,
        "i",
        if by_value { "p" } else { "x" },
        "",
        false,
        false,
        false,
        "",
        "",
        false,
        true,
        0,
        -1,
        collation,
    ]
}

fn namespaces(_: &Facts) -> Rows {
    SCHEMAS.iter().map(|(name, oid)| row![*oid, *name, OWNER]).collect()
}

fn descriptions(facts: &Facts) -> Rows {
    let tables = facts.known.tables.iter().flat_map(|table| {
        let columns = table.columns.iter().zip(1..);
        let columns =
            columns.filter_map(|(column, number)| Some(row![table.oid, CLASS, number, column.doc?]));
        std::iter::once(row![table.oid, CLASS, 0, table.doc]).chain(columns)
    });
    tables.collect()
}

fn tables(facts: &Facts) -> Rows {
    let user = facts.identity.user.as_str();
    let tables = facts.known.tables.iter();
    let tables = tables.map(|table| row![PUBLIC, table.name, user, Cell::Null, false, false, false, false]);
    tables.collect()
}

/// The number of a type, which is below 2^31 for all that there are.
pub fn oid_of(postgres_type: PostgresType) -> i64 {
    postgres_type.oid().into()
}

/// What a column of the catalogue is to clients.
pub fn type_of(cell_type: CellType) -> PostgresType {
    PostgresType::of(&cell_type.field(""))
}
