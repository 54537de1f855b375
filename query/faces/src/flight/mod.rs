//! Arrow Flight SQL: statements in, Arrow out as it lies in memory; for ADBC, JDBC and whatever reads Arrow.
//!
//! ```text
//! GetFlightInfo(statement) -> schema + ticket ; DoGet(ticket) -> record batches
//! CreatePreparedStatement  -> schemas + handle; DoPut(handle, values) -> a new handle; GetFlightInfo(handle) as above
//! ```
//! Messages are those of the `arrow-flight` crate. Its `FlightSqlService` has two methods for each of thirty commands, of
//! which we answer a third; here one look at the command says the same, and actions that are not there are not listed.
//!
//! The server keeps nothing between them: a handle and a ticket are the statement itself with its values (`handle.rs`), so a client
//! may come back after a restart or at another server, and a million of them that are never closed cost nothing. Who
//! forges one has only asked a statement, of the tenant that its own header names, and it is checked like any other.
//!
//! Source: Arrow's `FlightSql.proto`, `Flight.proto`. Limits: statements that read alone, so no updates, transactions,
//! ingestion or Substrait; one row of values a run.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod service;
mod metadata;
mod actions;
mod statements;
mod values;
mod running;
mod handle;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};

use crate::FaceState;
use service::Face;
use statements::Statements;

/// Bytes of one message to us: a statement and its values have 64 KiB each at most, as the engine takes them, and what
/// Arrow puts around a row of values is less than what this leaves.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// What answers on the port of Flight SQL.
pub fn service(state: FaceState) -> FlightServiceServer<impl FlightService> {
    FlightServiceServer::new(Face::new(Statements::new(state.engine)))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
}

#[cfg(test)]
mod tests;
