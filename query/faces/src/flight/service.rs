//! The calls of Flight: which command a call carries, and who answers it.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use arrow::datatypes::SchemaRef;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{Command, DoPutPreparedStatementResult, ProstMessageExt, TicketStatementQuery};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use prost::Message;
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::actions::{self, command_of, ipc};
use super::handle::Handle;
use super::metadata;
use super::statements::{Batches, Statements, only};
use super::values::values;
use crate::tenant::{NOT_A_TENANT, tenant_of};

/// Answers the calls of one listener.
pub struct Face {
    statements: Statements,
}

/// What a descriptor asks for.
struct Wanted {
    /// None where they depend on values that are not there.
    columns: Option<SchemaRef>,
    ticket: Vec<u8>,
}

impl Face {
    pub fn new(statements: Statements) -> Self {
        Face { statements }
    }

    async fn wanted(&self, tenant: &str, descriptor: &FlightDescriptor) -> Result<Wanted, Status> {
        let handle = match command_of(&descriptor.cmd)? {
            Command::CommandStatementQuery(asked) => Handle::new(asked.query, Vec::new()),
            Command::CommandPreparedStatementQuery(asked) => {
                let Handle { sql, values, .. } = Handle::decode(&asked.prepared_statement_handle)?;
                Handle::new(sql, values)
            }
            other => {
                let answer = metadata::answer(&self.statements, tenant, other).await?;
                return Ok(Wanted { columns: Some(answer.schema()), ticket: descriptor.cmd.to_vec() });
            }
        };
        let columns = self.statements.describe(tenant, &handle.sql).await?.columns;
        let ticket = TicketStatementQuery { statement_handle: handle.encode()?.into() };
        Ok(Wanted { columns, ticket: ticket.as_any().encode_to_vec() })
    }

    async fn rows(&self, tenant: &str, ticket: &Ticket) -> Result<Batches, Status> {
        let handle = match command_of(&ticket.ticket)? {
            Command::TicketStatementQuery(asked) => asked.statement_handle,
            Command::CommandPreparedStatementQuery(asked) => asked.prepared_statement_handle,
            other => return Ok(only(metadata::answer(&self.statements, tenant, other).await?)),
        };
        self.statements.run(tenant, &Handle::decode(&handle)?).await
    }
}

/// Whose rows are asked for.
fn tenant(beside: &Extensions) -> Result<String, Status> {
    tenant_of(beside).ok_or_else(|| Status::invalid_argument(NOT_A_TENANT))
}

/// The statement with the values that `messages` bind to it.
async fn bound(messages: Streaming<FlightData>) -> Result<Handle, Status> {
    let mut messages = messages.peekable();
    let first = Pin::new(&mut messages).peek().await;
    let first = first.ok_or_else(|| Status::invalid_argument("nothing was put"))?;
    let descriptor = first.as_ref().map_err(Status::clone)?.flight_descriptor.clone();
    let Command::CommandPreparedStatementQuery(asked) = command_of(&descriptor.unwrap_or_default().cmd)?
    else {
        return Err(Status::unimplemented("read-only: only values of prepared statements can be put"));
    };
    let Handle { sql, .. } = Handle::decode(&asked.prepared_statement_handle)?;
    let rows = FlightRecordBatchStream::new_from_flight_data(messages.map_err(FlightError::from));
    let rows = rows.try_filter(|batch| std::future::ready(batch.num_rows() > 0));
    // The reader of Arrow's encoding panics on bytes that nobody encoded.
    let rows = AssertUnwindSafe(rows.take(2).try_collect::<Vec<_>>()).catch_unwind().await;
    let rows =
        rows.map_err(|_| Status::invalid_argument("the values cannot be read"))?.map_err(unreadable)?;
    match rows.as_slice() {
        [] => Ok(Handle::new(sql, Vec::new())),
        [row] => Ok(Handle::new(sql, values(row)?)),
        _ => Err(Status::invalid_argument("a statement is run with one row of values")),
    }
}

/// What was sent is no Arrow; the transport's own errors stay what they are.
fn unreadable(error: FlightError) -> Status {
    match error {
        FlightError::Tonic(status) => *status,
        other => Status::invalid_argument(format!("the values cannot be read: {other}")),
    }
}

#[async_trait]
impl FlightService for Face {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = Batches;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoActionStream = BoxStream<'static, Result<arrow_flight::Result, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;
    type DoExchangeStream = Batches;

    /// Nobody shows credentials yet, so whatever a client greets with is answered, and no token is given.
    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Ok(Response::new(stream::iter([Ok(HandshakeResponse::default())]).boxed()))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented("tables are listed by CommandGetTables"))
    }

    async fn get_flight_info(
        &self,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let tenant = tenant(request.extensions())?;
        let descriptor = request.into_inner();
        let Wanted { columns, ticket } = self.wanted(&tenant, &descriptor).await?;
        let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
        let mut info = FlightInfo::new().with_endpoint(endpoint).with_descriptor(descriptor);
        info.schema = columns.map(|columns| ipc(&columns)).transpose()?.unwrap_or_default();
        Ok(Response::new(info))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented("statements are streamed while they run; there is nothing to poll for"))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        let tenant = tenant(request.extensions())?;
        let columns = self.wanted(&tenant, request.get_ref()).await?.columns;
        let columns = columns.ok_or_else(|| Status::failed_precondition("the columns depend on values"))?;
        Ok(Response::new(SchemaResult { schema: ipc(&columns)? }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let tenant = tenant(request.extensions())?;
        Ok(Response::new(self.rows(&tenant, request.get_ref()).await?))
    }

    async fn do_put(
        &self,
        request: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoPutStream>, Status> {
        tenant(request.extensions())?;
        let handle = bound(request.into_inner()).await?;
        let result =
            DoPutPreparedStatementResult { prepared_statement_handle: Some(handle.encode()?.into()) };
        let result = PutResult { app_metadata: result.encode_to_vec().into() };
        Ok(Response::new(stream::iter([Ok(result)]).boxed()))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let tenant = tenant(request.extensions())?;
        let result = actions::act(&self.statements, &tenant, request.get_ref()).await?;
        let results = result.map(|body| Ok(arrow_flight::Result { body }));
        Ok(Response::new(stream::iter(results).boxed()))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Ok(Response::new(stream::iter(actions::all().map(Ok)).boxed()))
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("nothing is exchanged: statements are asked by DoGet"))
    }
}
