//! How what happened shows: the rows that SDKs and proxies leave behind.

pub mod access_logs;
mod connecting;
pub mod spans;
pub mod tags;
pub mod ids;

use std::collections::BTreeMap;

use meshlake_schema::Table;

use crate::mesh::{Instance, Nanos};

/// One value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Text(String),
    Int(i64),
    Float(f64),
    Bool(bool),
    Attributes(Vec<(String, String)>),
    Links(Vec<(u128, u64)>),
}

/// A row: values by column name; what is left out is null, or empty where null is not allowed.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub table: Table,
    /// Of a span: what is gone when it is lost.
    pub span: Option<Span>,
    pub values: BTreeMap<&'static str, Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub id: u64,
    /// The call or try that nothing else tells of in the same way; none for spans that say nothing of calls.
    pub tells_of: Option<u64>,
}

impl Row {
    /// A row of something that begins at `start` by the clock of `instance`.
    fn at(table: Table, start: Nanos, duration: Nanos, instance: &Instance) -> Row {
        let start = start + instance.skew;
        let mut row = Row { table, span: None, values: BTreeMap::new() };
        row.text("tenant", "default");
        row.int("time", start.div_euclid(1_000));
        row.int("time_unix_nano", start);
        row.int("duration_nano", duration);
        row
    }

    fn text(&mut self, column: &'static str, text: impl Into<String>) {
        self.values.insert(column, Value::Text(text.into()));
    }

    fn int(&mut self, column: &'static str, int: i64) {
        self.values.insert(column, Value::Int(int));
    }

    /// The row that a proxy may write when a request begins.
    pub fn begun(&self) -> Row {
        let mut row = self.clone();
        row.values.insert("counted", Value::Bool(false));
        row.text("access_log_type", "DownstreamStart");
        row.int("duration_nano", 0);
        row
    }

    pub fn get(&self, column: &str) -> Option<&Value> {
        self.values.get(column)
    }
}
