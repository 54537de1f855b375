//! Actions: statements are prepared, closed and cancelled.
//!
//! Closing does nothing, since nothing was kept. A run is cancelled by the information that it was announced with, in the
//! older words (CancelQuery) and the newer (CancelFlightInfo).
//! Source: FlightSql.proto, "SQL Action Definitions"; Flight.proto, "CancelFlightInfo".

use arrow::datatypes::Schema;
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::sql::{
    ActionCancelQueryRequest, ActionCancelQueryResult, ActionCreatePreparedStatementRequest,
    ActionCreatePreparedStatementResult, Any, Command, ProstMessageExt,
};
use arrow_flight::{
    Action, ActionType, CancelFlightInfoRequest, CancelFlightInfoResult, CancelStatus, FlightInfo,
    IpcMessage, SchemaAsIpc,
};
use prost::Message;
use prost::bytes::Bytes;
use tonic::Status;

use super::handle::Handle;
use super::statements::Statements;
use crate::grpc::status::unencodable;

const CREATE: &str = "CreatePreparedStatement";
const CLOSE: &str = "ClosePreparedStatement";
const CANCEL_QUERY: &str = "CancelQuery";
const CANCEL_INFO: &str = "CancelFlightInfo";

/// `result` of `ActionCancelQueryResult`. Source: FlightSql.proto.
const QUERY_CANCELLED: i32 = 1;

/// What can be done, with what is sent and answered.
pub fn all() -> [ActionType; 4] {
    [
        (CREATE, "ActionCreatePreparedStatementRequest -> ActionCreatePreparedStatementResult"),
        (CLOSE, "ActionClosePreparedStatementRequest -> nothing"),
        (CANCEL_QUERY, "ActionCancelQueryRequest -> ActionCancelQueryResult"),
        (CANCEL_INFO, "CancelFlightInfoRequest -> CancelFlightInfoResult"),
    ]
    .map(|(name, messages)| ActionType { r#type: name.to_owned(), description: messages.to_owned() })
}

/// What `action` is answered with; none where it has no result.
///
/// # Errors
/// UNIMPLEMENTED for another action, INVALID_ARGUMENT for a body of another shape, NOT_FOUND for a run that is not there,
/// and those of a statement.
pub async fn act(statements: &Statements, tenant: &str, action: &Action) -> Result<Option<Bytes>, Status> {
    match action.r#type.as_str() {
        CREATE => {
            let asked: ActionCreatePreparedStatementRequest = unpacked(&action.body)?;
            let created = create(statements, tenant, asked.query).await?;
            Ok(Some(created.as_any().encode_to_vec().into()))
        }
        CLOSE => Ok(None),
        CANCEL_QUERY => {
            let asked: ActionCancelQueryRequest = unpacked(&action.body)?;
            cancel(statements, tenant, &decoded(&asked.info)?)?;
            let result = ActionCancelQueryResult { result: QUERY_CANCELLED };
            Ok(Some(result.as_any().encode_to_vec().into()))
        }
        CANCEL_INFO => {
            let asked: CancelFlightInfoRequest = decoded(&action.body)?;
            cancel(statements, tenant, &asked.info.unwrap_or_default())?;
            Ok(Some(CancelFlightInfoResult::new(CancelStatus::Cancelled).encode_to_vec().into()))
        }
        other => Err(Status::unimplemented(format!("the action {other:?} is not answered here"))),
    }
}

async fn create(
    statements: &Statements,
    tenant: &str,
    sql: String,
) -> Result<ActionCreatePreparedStatementResult, Status> {
    let described = statements.describe(tenant, &sql).await?;
    let columns = described.columns.map(|columns| ipc(&columns)).transpose()?;
    Ok(ActionCreatePreparedStatementResult {
        prepared_statement_handle: Handle::new(sql, Vec::new()).encode()?.into(),
        dataset_schema: columns.unwrap_or_default(),
        parameter_schema: ipc(&described.parameters)?,
    })
}

fn cancel(statements: &Statements, tenant: &str, info: &FlightInfo) -> Result<(), Status> {
    let ticket = info.endpoint.first().and_then(|endpoint| endpoint.ticket.as_ref());
    let ticket = ticket.ok_or_else(|| Status::invalid_argument("there is no ticket to cancel"))?;
    let Command::TicketStatementQuery(ticket) = command_of(&ticket.ticket)? else {
        return Err(Status::invalid_argument("only statements can be cancelled"));
    };
    let handle = Handle::decode(&ticket.statement_handle)?;
    let was_running = statements.running.cancel(tenant, handle.name);
    was_running.then_some(()).ok_or_else(|| Status::not_found("this statement does not run"))
}

/// What Flight SQL asks for in `bytes` of a descriptor or ticket.
///
/// # Errors
/// INVALID_ARGUMENT for what is no command of Flight SQL.
pub fn command_of(bytes: &[u8]) -> Result<Command, Status> {
    let any: Any = decoded(bytes)?;
    Command::try_from(any).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn decoded<M: Message + Default>(bytes: &[u8]) -> Result<M, Status> {
    M::decode(bytes).map_err(|error| Status::invalid_argument(format!("the message cannot be read: {error}")))
}

fn unpacked<M: ProstMessageExt>(bytes: &[u8]) -> Result<M, Status> {
    let any: Any = decoded(bytes)?;
    let message = any.unpack().map_err(|error| Status::invalid_argument(error.to_string()))?;
    message.ok_or_else(|| Status::invalid_argument("the body of the action is another message"))
}

/// `schema` as messages carry it.
///
/// # Errors
/// INTERNAL: every schema of ours has an encoding.
pub fn ipc(schema: &Schema) -> Result<Bytes, Status> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    message.map(|IpcMessage(bytes)| bytes).map_err(|error| unencodable(&error))
}
