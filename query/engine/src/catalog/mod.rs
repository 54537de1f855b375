//! Turns a snapshot into DataFusion tables of one tenant.
//!
//! Our own provider instead of a listing table or `deltalake`'s: it joins files and buffered batches so that
//! each row is seen once, prunes files from the snapshot's own bounds without opening them, and filters on the
//! tenant inside the scan, where no SQL text can reach it. The nodes it emits are all stock DataFusion nodes,
//! so that a plan can later be shipped to another process; a scan that is searched has a source of our own, which
//! would have to be shipped as the filters that it was made of.

mod tenant_table;
mod attribute_runs;
mod footers;
mod dictionaries;
mod files;
mod searched;
mod page_search;
mod hot;
mod prune;
mod columns;
mod attribute_access;
mod only_store;

use std::sync::Arc;

use datafusion::catalog::memory::{MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider};
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider};
use datafusion::error::Result;
use meshlake_schema::Table;
use meshlake_store::snapshot::Snapshot;

use crate::plan_guard::{AllowList, SCANS_MAX};

pub use attribute_access::{AttributeAccess, attribute};
pub use attribute_runs::AttributeFilterCache;
pub use columns::query_schema;
pub use dictionaries::{Texts, Told, told};
pub use only_store::OnlyStore;
pub use prune::nanos_are_time;
pub use tenant_table::TenantTable;

/// The one catalog of a session; `information_schema` shows it as `table_catalog`.
pub const CATALOG: &str = "meshlake";
/// The one schema of [`CATALOG`].
pub const SCHEMA: &str = "public";

/// Tables of `information_schema` that may be read; the others tell of settings.
const INFORMATION_TABLES: [&str; 3] = ["tables", "columns", "routines"];

/// What statements may read of this catalogue, and of `functions`, by the names of their scans.
pub fn allowed(functions: Vec<String>) -> AllowList {
    AllowList {
        default_schema: SCHEMA,
        tables: vec![
            (SCHEMA, Table::ALL.map(Table::name).to_vec()),
            ("information_schema", INFORMATION_TABLES.to_vec()),
        ],
        functions,
        scans_max: SCANS_MAX,
        recurs: false,
    }
}

/// Every table of `snapshot` as `tenant` may see it, and nothing else.
///
/// # Errors
/// None in practice: registering into a fresh in-memory schema cannot clash.
pub fn tenant_catalogs(snapshot: &Arc<Snapshot>, tenant: &str) -> Result<Arc<dyn CatalogProviderList>> {
    let schema = Arc::new(MemorySchemaProvider::new());
    for table in Table::ALL {
        let provider = TenantTable::new(table, Arc::clone(snapshot), tenant);
        schema.register_table(table.name().to_owned(), Arc::new(provider))?;
    }
    let catalog = Arc::new(MemoryCatalogProvider::new());
    catalog.register_schema(SCHEMA, schema)?;
    let catalogs = Arc::new(MemoryCatalogProviderList::new());
    catalogs.register_catalog(CATALOG.to_owned(), catalog);
    Ok(catalogs)
}
