//! What is there to ask: catalogues, schemas, tables, their types and keys, and what the server can do.
//!
//! The answers are those of the builders of `arrow-flight`, which apply the filters of the commands. There are no keys
//! between tables, which programs ask for and take an empty answer to. Limits: functions that are tables are in no list;
//! types are told by the schemas of tables and not by XDBC.

use std::sync::{Arc, LazyLock};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow_flight::error::FlightError;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    Command, CommandGetDbSchemas, CommandGetTables, SqlInfo, SqlNullOrdering, SqlSupportedCaseSensitivity,
    SqlSupportedTransaction,
};
use meshlake_schema::Table;
use tonic::Status;

use super::statements::Statements;
use crate::grpc::status::unencodable;

/// The one catalogue and its one schema, as `information_schema` calls them.
const CATALOG: &str = "meshlake";
const SCHEMA: &str = "public";

/// What every table of ours is.
const TABLE_TYPE: &str = "TABLE";

/// The answer to `command`.
///
/// # Errors
/// UNIMPLEMENTED for a command that has no answer here.
pub async fn answer(statements: &Statements, tenant: &str, command: Command) -> Result<RecordBatch, Status> {
    let built = match command {
        Command::CommandGetCatalogs(asked) => {
            let mut builder = asked.into_builder();
            builder.append(CATALOG);
            builder.build()
        }
        Command::CommandGetDbSchemas(asked) => schemas(asked),
        Command::CommandGetTables(asked) => tables(statements, tenant, asked).await?,
        Command::CommandGetTableTypes(asked) => {
            let mut builder = asked.into_builder();
            builder.append(TABLE_TYPE);
            builder.build()
        }
        Command::CommandGetSqlInfo(asked) => asked.into_builder(server()).build(),
        Command::CommandGetPrimaryKeys(_) => Ok(RecordBatch::new_empty(primary_keys())),
        Command::CommandGetExportedKeys(_)
        | Command::CommandGetImportedKeys(_)
        | Command::CommandGetCrossReference(_) => Ok(RecordBatch::new_empty(foreign_keys())),
        other => {
            let message = format!("{} is not answered here", other.type_url());
            return Err(Status::unimplemented(message));
        }
    };
    built.map_err(|error| unencodable(&error))
}

fn schemas(asked: CommandGetDbSchemas) -> Result<RecordBatch, FlightError> {
    let mut builder = asked.into_builder();
    builder.append(CATALOG, SCHEMA);
    builder.build()
}

/// Every table; with its columns, where they are asked for, as a statement sees them.
async fn tables(
    statements: &Statements,
    tenant: &str,
    asked: CommandGetTables,
) -> Result<Result<RecordBatch, FlightError>, Status> {
    let wants_columns = asked.include_schema;
    let mut builder = asked.into_builder();
    for table in Table::ALL {
        let columns = if wants_columns {
            let sql = format!("SELECT * FROM {}", table.name());
            statements.describe(tenant, &sql).await?.columns.unwrap_or_else(no_columns)
        } else {
            no_columns()
        };
        if let Err(error) = builder.append(CATALOG, SCHEMA, table.name(), TABLE_TYPE, &columns) {
            return Ok(Err(error));
        }
    }
    Ok(builder.build())
}

fn no_columns() -> SchemaRef {
    Arc::new(Schema::empty())
}

/// What the server is and can do. Source: `SqlInfo` in FlightSql.proto, by number.
fn server() -> &'static SqlInfoData {
    static SERVER: LazyLock<SqlInfoData> = LazyLock::new(|| {
        let mut info = SqlInfoDataBuilder::new();
        info.append(SqlInfo::FlightSqlServerName, "Meshlake");
        info.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
        info.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
        info.append(SqlInfo::FlightSqlServerReadOnly, true);
        info.append(SqlInfo::FlightSqlServerSql, true);
        info.append(SqlInfo::FlightSqlServerSubstrait, false);
        info.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
        info.append(SqlInfo::FlightSqlServerCancel, true);
        info.append(SqlInfo::FlightSqlServerBulkIngestion, false);
        info.append(SqlInfo::SqlDdlCatalog, false);
        info.append(SqlInfo::SqlDdlSchema, false);
        info.append(SqlInfo::SqlDdlTable, false);
        info.append(
            SqlInfo::SqlIdentifierCase,
            SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i64,
        );
        info.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
        info.append(
            SqlInfo::SqlQuotedIdentifierCase,
            SqlSupportedCaseSensitivity::SqlCaseSensitivityCaseInsensitive as i64,
        );
        info.append(SqlInfo::SqlAllTablesAreSelectable, true);
        info.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i64);
        info.append(SqlInfo::SqlSupportsColumnAliasing, true);
        info.append(SqlInfo::SqlCatalogTerm, "catalog");
        info.append(SqlInfo::SqlSchemaTerm, "schema");
        info.build().expect("each kind of value has its place")
    });
    &SERVER
}

/// Source: `CommandGetPrimaryKeys` in FlightSql.proto.
fn primary_keys() -> SchemaRef {
    Arc::new(Schema::new(vec![
        text("catalog_name", true),
        text("db_schema_name", true),
        text("table_name", false),
        text("column_name", false),
        text("key_name", true),
        Field::new("key_sequence", DataType::Int32, false),
    ]))
}

/// Source: `CommandGetImportedKeys` in FlightSql.proto, the same for exported keys and cross references.
fn foreign_keys() -> SchemaRef {
    let end = |end: &str| {
        [("catalog_name", true), ("db_schema_name", true), ("table_name", false), ("column_name", false)]
            .map(|(name, is_nullable)| text(&format!("{end}_{name}"), is_nullable))
    };
    let rest = [
        Field::new("key_sequence", DataType::Int32, false),
        text("fk_key_name", true),
        text("pk_key_name", true),
        Field::new("update_rule", DataType::UInt8, false),
        Field::new("delete_rule", DataType::UInt8, false),
    ];
    Arc::new(Schema::new(end("pk").into_iter().chain(end("fk")).chain(rest).collect::<Vec<_>>()))
}

fn text(name: &str, is_nullable: bool) -> Field {
    Field::new(name, DataType::Utf8, is_nullable)
}
