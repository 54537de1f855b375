//! The tables of the catalogue: what there is, told in the tables that PostgreSQL tells it in.
//!
//! A table is a line with its columns, written as PostgreSQL's own documentation lists them, and a function that makes
//! its rows. All are made anew for each question: together they are some thousand rows.
//!
//! Source: PostgreSQL 16, "System Catalogs", "System Views" and "The Information Schema". Columns that no client was
//! seen to read are left out.

mod procedures;
mod postgres_types;
mod server;
mod information;
mod empty;
mod classes;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::memory::{MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemTable, SchemaProvider};
use datafusion::error::Result;
use meshlake_schema::Table;

use super::cell::{Cell, CellType};
use super::known::Facts;
use crate::plan_guard::{AllowList, CATALOGUE_SCANS_MAX};

pub use classes::OWNER;
pub use postgres_types::{OTHERS, conversions};

/// The schema of PostgreSQL's own tables, and the one that the standard asks for.
pub const PG_CATALOG: &str = "pg_catalog";
pub const INFORMATION_SCHEMA: &str = "information_schema";
/// The schema of telemetry.
pub const PUBLIC: &str = "public";

/// Numbers of schemas, as PostgreSQL has them; that of `information_schema` differs from server to server.
pub const SCHEMAS: [(&str, i32); 3] = [(PG_CATALOG, 11), (PUBLIC, 2_200), (INFORMATION_SCHEMA, 13_000)];

/// Tables of the catalogue that clients know by number. Source: PostgreSQL 16, `CATALOG(...)` in the headers of
/// `src/include/catalog`.
const KNOWN_OIDS: [(&str, i32); 12] = [
    ("pg_type", 1_247),
    ("pg_attribute", 1_249),
    ("pg_proc", 1_255),
    ("pg_class", 1_259),
    ("pg_database", 1_262),
    ("pg_am", 2_601),
    ("pg_attrdef", 2_604),
    ("pg_constraint", 2_606),
    ("pg_description", 2_609),
    ("pg_index", 2_610),
    ("pg_namespace", 2_615),
    ("pg_extension", 3_079),
];

/// The numbers of the others, in the range that PostgreSQL leaves to its own set-up.
const FIRST_OTHER_OID: i32 = 12_000;

/// Whose tables a question reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Catalogue {
    /// The tenant's rows.
    Telemetry,
    /// What tables, columns, types and functions there are; also for questions without a table.
    System,
}

/// A table of the catalogue.
pub struct Relation {
    pub schema: &'static str,
    pub name: &'static str,
    /// `name type` of each column, between commas.
    pub columns: &'static str,
    /// None where there is nothing of the kind.
    pub rows: Option<fn(&Facts) -> Rows>,
}

pub type Rows = Vec<Vec<Cell>>;

/// A row: each value becomes a cell.
macro_rules! row {
    ($($value:expr),* $(,)?) => { vec![$($crate::postgres::cell::Cell::from($value)),*] };
}
use row;

impl Relation {
    const fn new(
        schema: &'static str,
        name: &'static str,
        columns: &'static str,
        rows: fn(&Facts) -> Rows,
    ) -> Self {
        Relation { schema, name, columns, rows: Some(rows) }
    }

    /// Names and types of the columns.
    ///
    /// # Panics
    /// For a column that is written down wrongly.
    pub fn columns(&self) -> impl Iterator<Item = (&'static str, CellType)> {
        self.columns.split(',').map(|column| {
            let (name, cell_type) = column.trim().split_once(' ').expect("a column has a name and a type");
            (name, CellType::named(cell_type).expect("a type of the catalogue"))
        })
    }

    fn schema(&self) -> SchemaRef {
        let fields = self.columns().map(|(name, cell_type)| cell_type.field(name));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    fn table(&self, facts: &Facts) -> Result<MemTable> {
        let schema = self.schema();
        let rows = self.rows.map(|rows| rows(facts)).unwrap_or_default();
        let arrays = self.columns().enumerate().map(|(place, (_, cell_type))| {
            cell_type.array(rows.iter().map(|row| row.get(place).unwrap_or(&Cell::Null)))
        });
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays.collect::<Result<_>>()?)?;
        MemTable::try_new(schema, vec![vec![batch]])
    }
}

/// Every table, with its number.
pub fn all() -> impl Iterator<Item = (i32, &'static Relation)> {
    let groups: [&[Relation]; 6] =
        [&classes::ALL, &postgres_types::ALL, &procedures::ALL, &server::ALL, &information::ALL, &empty::ALL];
    let relations = groups.into_iter().flatten();
    (FIRST_OTHER_OID..).zip(relations).map(|(other, relation)| {
        let known =
            KNOWN_OIDS.iter().find(|(name, _)| relation.schema == PG_CATALOG && *name == relation.name);
        (known.map_or(other, |(_, oid)| *oid), relation)
    })
}

/// Whether a name in FROM is of the catalogue.
pub fn is_system(name: &[String]) -> bool {
    match name {
        [only] => only.starts_with("pg_") && !Table::ALL.iter().any(|table| table.name() == only),
        [.., schema, _] => [PG_CATALOG, INFORMATION_SCHEMA].contains(&schema.as_str()),
        [] => false,
    }
}

/// Whether a name in FROM is of one of these tables.
pub fn is_relation(name: &[String]) -> bool {
    let Some(name) = name.last().filter(|_| is_system(name)) else { return false };
    all().any(|(_, relation)| relation.name == name)
}

/// Whether columns of that name hold oids.
pub fn is_oid(column: &str) -> bool {
    let mut columns = all().flat_map(|(_, relation)| relation.columns());
    columns.any(|(name, cell_type)| name == column && cell_type == CellType::Oid)
}

/// Whether a name in FROM is of a table that never has rows.
pub fn is_empty(name: &[String]) -> bool {
    let Some(name) = name.last().filter(|_| is_system(name)) else { return false };
    empty::ALL.iter().any(|relation| relation.name == name)
}

/// What statements about the catalogue may read.
pub fn allowed() -> AllowList {
    let tables = [PG_CATALOG, INFORMATION_SCHEMA].map(|schema| {
        let of_schema = all().filter(|(_, relation)| relation.schema == schema);
        (schema, of_schema.map(|(_, relation)| relation.name).collect())
    });
    AllowList {
        default_schema: PG_CATALOG,
        tables: tables.to_vec(),
        functions: Vec::new(),
        scans_max: CATALOGUE_SCANS_MAX,
        recurs: true,
    }
}

/// All tables, as `facts` fill them.
///
/// # Errors
/// A value that does not fit its column: a bug of ours.
pub fn catalogs(facts: &Facts, catalog_name: &str) -> Result<Arc<dyn CatalogProviderList>> {
    let catalog = MemoryCatalogProvider::new();
    for schema_name in [PG_CATALOG, INFORMATION_SCHEMA] {
        let schema = MemorySchemaProvider::new();
        for (_, relation) in all().filter(|(_, relation)| relation.schema == schema_name) {
            schema.register_table(relation.name.to_owned(), Arc::new(relation.table(facts)?))?;
        }
        catalog.register_schema(schema_name, Arc::new(schema))?;
    }
    let catalogs = MemoryCatalogProviderList::new();
    catalogs.register_catalog(catalog_name.to_owned(), Arc::new(catalog));
    Ok(Arc::new(catalogs))
}

/// The number of a schema.
fn schema_oid(name: &str) -> i32 {
    SCHEMAS.iter().find(|(known, _)| *known == name).map_or(0, |(_, oid)| *oid)
}
