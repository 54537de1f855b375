//! The tables of `information_schema`, which the SQL standard defines.

use super::{INFORMATION_SCHEMA, PG_CATALOG, PUBLIC, Relation, Rows, SCHEMAS, all, row};
use crate::postgres::cell::Cell;
use crate::postgres::known::Facts;
use crate::postgres::postgres_type::{PostgresType, Scalar};

pub const ALL: [Relation; 6] = [
    Relation::new(
        INFORMATION_SCHEMA,
        "schemata",
        "catalog_name name, schema_name name, schema_owner name, default_character_set_catalog name, \
         default_character_set_schema name, default_character_set_name name, sql_path text",
        |facts| {
            let (database, user) = (facts.identity.database.as_str(), facts.identity.user.as_str());
            SCHEMAS.iter().map(|(schema, _)| row![database, *schema, user]).collect()
        },
    ),
    Relation::new(
        INFORMATION_SCHEMA,
        "tables",
        "table_catalog name, table_schema name, table_name name, table_type text, \
         self_referencing_column_name name, reference_generation text, user_defined_type_catalog name, \
         user_defined_type_schema name, user_defined_type_name name, is_insertable_into text, is_typed text, \
         commit_action text",
        tables,
    ),
    Relation::new(
        INFORMATION_SCHEMA,
        "columns",
        "table_catalog name, table_schema name, table_name name, column_name name, ordinal_position int4, \
         column_default text, is_nullable text, data_type text, character_maximum_length int4, \
         character_octet_length int4, numeric_precision int4, numeric_precision_radix int4, numeric_scale int4, \
         datetime_precision int4, interval_type text, interval_precision int4, character_set_catalog name, \
         character_set_schema name, character_set_name name, collation_catalog name, collation_schema name, \
         collation_name name, domain_catalog name, domain_schema name, domain_name name, udt_catalog name, \
         udt_schema name, udt_name name, scope_catalog name, scope_schema name, scope_name name, \
         maximum_cardinality int4, dtd_identifier name, is_self_referencing text, is_identity text, \
         identity_generation text, identity_start text, identity_increment text, identity_maximum text, \
         identity_minimum text, identity_cycle text, is_generated text, generation_expression text, \
         is_updatable text",
        columns,
    ),
    Relation::new(
        INFORMATION_SCHEMA,
        "routines",
        "specific_catalog name, specific_schema name, specific_name name, routine_catalog name, \
         routine_schema name, routine_name name, routine_type text, data_type text, type_udt_name name, \
         routine_definition text, external_language text",
        routines,
    ),
    Relation::new(
        INFORMATION_SCHEMA,
        "parameters",
        "specific_catalog name, specific_schema name, specific_name name, ordinal_position int4, \
         parameter_mode text, parameter_name name, data_type text",
        parameters,
    ),
    Relation::new(
        INFORMATION_SCHEMA,
        "character_sets",
        "character_set_catalog name, character_set_schema name, character_set_name name, \
         character_repertoire name, form_of_use name, default_collate_catalog name, \
         default_collate_schema name, default_collate_name name",
        |facts| {
            let database = facts.identity.database.as_str();
            vec![row![Cell::Null, Cell::Null, "UTF8", "UCS", "UTF8", database, "pg_catalog", "C.UTF-8"]]
        },
    ),
];

fn tables(facts: &Facts) -> Rows {
    let database = facts.identity.database.as_str();
    let table = |schema: &str, name: &str, kind: &str| {
        let mut row = row![database, schema, name, kind];
        row.extend([Cell::Null, Cell::Null, Cell::Null, Cell::Null, Cell::Null, "NO".into(), "NO".into()]);
        row
    };
    let telemetry = facts.known.tables.iter().map(|known| table(PUBLIC, known.name, "BASE TABLE"));
    let system = all().map(|(_, relation)| {
        let kind = if relation.schema == PG_CATALOG { "BASE TABLE" } else { "VIEW" };
        table(relation.schema, relation.name, kind)
    });
    telemetry.chain(system).collect()
}

fn columns(facts: &Facts) -> Rows {
    let database = facts.identity.database.as_str();
    let telemetry = facts.known.tables.iter().flat_map(|table| {
        let columns = table.columns.iter().zip(1..);
        columns.map(move |(column, number)| {
            line(database, (PUBLIC, table.name), &column.name, number, column.postgres_type)
        })
    });
    let system = all().flat_map(|(_, relation)| {
        let columns = relation.columns().zip(1..);
        columns.map(move |((name, cell_type), number)| {
            let postgres_type = super::classes::type_of(cell_type);
            line(database, (relation.schema, relation.name), name, number, postgres_type)
        })
    });
    telemetry.chain(system).collect()
}

fn line(
    database: &str,
    (schema, table): (&str, &str),
    name: &str,
    number: i32,
    postgres_type: PostgresType,
) -> Vec<Cell> {
    let described = postgres_type.scalar.described();
    let type_name = if postgres_type.is_array { "ARRAY" } else { described.sql_name };
    let udt_name = format!("{}{}", if postgres_type.is_array { "_" } else { "" }, described.name);
    // Precisions as the standard counts them: in bits, of a radix of 2.
    let (precision, scale) = match postgres_type.scalar {
        _ if postgres_type.is_array => (None, None),
        Scalar::Int2 => (Some(16), Some(0)),
        Scalar::Int4 => (Some(32), Some(0)),
        Scalar::Int8 => (Some(64), Some(0)),
        Scalar::Float4 => (Some(24), None),
        Scalar::Float8 => (Some(53), None),
        _ => (None, None),
    };
    let is_time = matches!(postgres_type.scalar, Scalar::Time | Scalar::Timestamp | Scalar::Timestamptz);
    let null = || Cell::Null;
    row![
        database,
        schema,
        table,
        name,
        number,
        null(),
        "YES",
        type_name,
        null(),
        null(),
        precision,
        precision.map(|_| 2),
        scale,
        is_time.then_some(6),
        null(),
        null(),
        null(),
        null(),
        null(),
        null(),
        null(),
        null(),
        null(),
        null(),
        null(),
        database,
        "pg_catalog",
        udt_name,
        null(),
        null(),
        null(),
        null(),
        number.to_string(),
        "NO",
        "NO",
        null(),
        null(),
        null(),
        null(),
        null(),
        "NO",
        "NEVER",
        null(),
        "NO",
    ]
}

fn routines(facts: &Facts) -> Rows {
    let database = facts.identity.database.as_str();
    let functions = facts.known.functions.iter().map(|function| {
        let specific = format!("{}_{}", function.name, function.oid);
        row![
            database,
            PUBLIC,
            specific,
            database,
            PUBLIC,
            function.name,
            "FUNCTION",
            "record",
            "record",
            Cell::Null,
            "INTERNAL",
        ]
    });
    functions.collect()
}

fn parameters(facts: &Facts) -> Rows {
    let database = facts.identity.database.as_str();
    let parameters = facts.known.functions.iter().flat_map(|function| {
        let specific = format!("{}_{}", function.name, function.oid);
        function.parameters.iter().zip(1..).map(move |((name, postgres_type), number)| {
            row![database, PUBLIC, specific.as_str(), number, "IN", *name, postgres_type.sql_name()]
        })
    });
    parameters.collect()
}
