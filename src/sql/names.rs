//! The names that can be typed: tables, columns, functions, and the keys of attributes that exist.
//!
//! All of them are asked of the server by SQL, once, while the first statement is typed; what cannot be had is not
//! offered. Functions that are tables are those of this program, which is the server's own in all but odd cases.

use std::collections::BTreeSet;

use anyhow::Result;
use meshlake_query::functions;
use serde_json::Value;

use super::client::Client;

/// Tables whose attributes have keys that differ from sender to sender.
const WITH_ATTRIBUTES: [&str; 3] = ["spans", "logs", "requests"];

/// Names for completion, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    pub tables: Vec<String>,
    pub columns: Vec<String>,
    pub functions: Vec<String>,
    pub keys: Vec<String>,
}

impl Names {
    pub async fn load(client: &Client) -> Names {
        let of = async |sql: &str| first_column(client, sql).await.unwrap_or_default();
        let tables = of(TABLES).await;
        let columns =
            of("SELECT DISTINCT column_name FROM information_schema.columns WHERE table_schema = 'public'");
        let columns = columns.await;
        let mut functions = of("SELECT DISTINCT routine_name FROM information_schema.routines").await;
        functions.extend(table_functions().map(str::to_owned));
        let mut keys = BTreeSet::new();
        for table in WITH_ATTRIBUTES {
            keys.extend(of(&keys_of(table)).await);
        }
        Names {
            tables,
            columns: sorted(columns),
            functions: sorted(functions),
            keys: keys.into_iter().collect(),
        }
    }
}

/// Lists the tables of the tenant, sorted.
pub const TABLES: &str =
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY table_name";

/// Names of the functions that are tables.
pub fn table_functions() -> impl Iterator<Item = &'static str> {
    functions::all().into_iter().map(|function| function.name())
}

/// Keys of the newest rows, as many as one look at a busy table may cost.
fn keys_of(table: &str) -> String {
    format!(
        "SELECT DISTINCT key FROM (SELECT unnest(map_keys(attributes)) AS key FROM (SELECT attributes FROM {table} \
         WHERE time > now() - INTERVAL '1 hour' LIMIT 20000)) ORDER BY key LIMIT 2000"
    )
}

async fn first_column(client: &Client, sql: &str) -> Result<Vec<String>> {
    let rows = client.answer(sql).await?.rows;
    let text = |row: Vec<Value>| row.into_iter().next()?.as_str().map(str::to_owned);
    Ok(rows.into_iter().filter_map(text).collect())
}

fn sorted(names: Vec<String>) -> Vec<String> {
    names.into_iter().collect::<BTreeSet<_>>().into_iter().collect()
}
