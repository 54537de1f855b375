//! What there is to tell: tables and their columns, functions, and who is asking.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef};
use meshlake_schema::{Table, UnixNanos};

use super::postgres_type::PostgresType;
use crate::catalog::query_schema;

/// Numbers from here on are free for what is not PostgreSQL's own. Source: PostgreSQL 16, `FirstNormalObjectId` in
/// `src/include/access/transam.h`.
const FIRST_OID: i32 = 16_384;

/// Tables have numbers from [`FIRST_OID`] on, functions from here on, and types of rows from the last on.
const FIRST_FUNCTION_OID: i32 = FIRST_OID + 1_000;
const FIRST_ROW_TYPE_OID: i32 = FIRST_OID + 2_000;
const FIRST_BUILT_IN_OID: i32 = FIRST_OID + 3_000;

/// Who is asking. Everything in it is told to the client that it is about, and to nobody else.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The tenant.
    pub database: String,
    pub user: String,
    /// What the client knows its connection by.
    pub process_id: i32,
    /// As `SHOW` tells them: name, value, what it is.
    pub settings: Vec<(String, String, &'static str)>,
}

/// All that the catalogue is made of, for one client.
#[derive(Debug)]
pub struct Facts {
    pub known: Arc<Known>,
    pub identity: Arc<Identity>,
}

/// What every client may know.
#[derive(Debug)]
pub struct Known {
    pub tables: Vec<KnownTable>,
    pub functions: Vec<KnownFunction>,
    /// Of the engine's own: number, name, and `prokind`.
    pub built_in: Vec<(i32, String, &'static str)>,
    /// Since when questions are answered.
    pub started: UnixNanos,
}

/// A table of telemetry.
#[derive(Debug)]
pub struct KnownTable {
    pub oid: i32,
    pub row_type_oid: i32,
    pub name: &'static str,
    pub doc: &'static str,
    pub columns: Vec<KnownColumn>,
}

#[derive(Debug)]
pub struct KnownColumn {
    pub name: String,
    pub doc: Option<&'static str>,
    pub postgres_type: PostgresType,
}

/// A function that is a table.
#[derive(Debug)]
pub struct KnownFunction {
    pub oid: i32,
    pub name: &'static str,
    pub parameters: Vec<(&'static str, PostgresType)>,
    pub columns: Vec<(String, PostgresType)>,
}

/// A function's name, parameters and columns.
pub type Described = (&'static str, Vec<(&'static str, DataType)>, SchemaRef);

impl Known {
    /// `functions` are tables; `built_in` are the engine's own functions, by name and `prokind`.
    pub fn of(
        functions: impl Iterator<Item = Described>,
        built_in: Vec<(String, &'static str)>,
        started: UnixNanos,
    ) -> Known {
        let tables = Table::ALL.into_iter().zip(0..).map(|(table, place)| KnownTable {
            oid: FIRST_OID + place,
            row_type_oid: FIRST_ROW_TYPE_OID + place,
            name: table.name(),
            doc: table.doc(),
            columns: columns_of(table),
        });
        let functions = functions.zip(FIRST_FUNCTION_OID..).map(|((name, parameters, columns), oid)| {
            let parameters =
                parameters.into_iter().map(|(name, data_type)| (name, PostgresType::of_data(&data_type)));
            let columns = columns.fields().iter();
            let columns = columns.map(|field| (field.name().clone(), PostgresType::of(field)));
            KnownFunction { oid, name, parameters: parameters.collect(), columns: columns.collect() }
        });
        let built_in = (FIRST_BUILT_IN_OID..).zip(built_in).map(|(oid, (name, kind))| (oid, name, kind));
        Known {
            tables: tables.collect(),
            functions: functions.collect(),
            built_in: built_in.collect(),
            started,
        }
    }
}

fn columns_of(table: Table) -> Vec<KnownColumn> {
    let columns = query_schema(table).fields().iter().map(|field| {
        let declared = table.columns().iter().find(|column| column.name == field.name());
        KnownColumn {
            name: field.name().clone(),
            doc: declared.map(|column| column.doc),
            postgres_type: PostgresType::of(field),
        }
    });
    columns.collect()
}
