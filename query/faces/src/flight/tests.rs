//! Calls of Flight SQL over hand-made snapshots, without a socket. Real clients are in the tests of the binary.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::{
    ActionCancelQueryRequest, Command, CommandGetSqlInfo, CommandGetTables, CommandStatementQuery,
    ProstMessageExt,
};
use arrow_flight::{Action, FlightDescriptor, FlightInfo, Ticket};
use futures::{StreamExt, TryStreamExt};
use meshlake_fixture::{SnapshotBuilder, row};
use meshlake_listen::{Principal, Role};
use meshlake_query::{Engine, EngineConfig};
use meshlake_schema::{SystemClock, Table};
use prost::Message;
use tonic::{Code, Request, Status};

use super::service::Face;
use super::statements::Statements;

const SECOND: i64 = 1_000_000_000;

fn face() -> Face {
    let rows: Vec<_> = (0..4).map(|second| row(second * SECOND, [("name", "a".into())])).collect();
    let reader = SnapshotBuilder::new().hot(Table::Spans, 1, &rows).reader();
    let config = EngineConfig { parallelism: 1, rows_max: 3, ..EngineConfig::default() };
    let engine = Engine::new(reader, config, Arc::new(SystemClock)).expect("no directory is named");
    Face::new(Statements::new(engine))
}

/// As a listener hands it on.
fn asked_by<T>(tenant: &str, message: T) -> Request<T> {
    let headers = [("x-scope-orgid".parse().expect("a name"), tenant.parse().expect("a value"))];
    let mut request = Request::new(message);
    request.extensions_mut().insert(Principal::of(&headers.into_iter().collect(), Role::Reader));
    request
}

fn descriptor(command: &impl ProstMessageExt) -> FlightDescriptor {
    FlightDescriptor::new_cmd(command.as_any().encode_to_vec())
}

fn statement(sql: &str) -> FlightDescriptor {
    descriptor(&CommandStatementQuery { query: sql.to_owned(), transaction_id: None })
}

async fn info(face: &Face, tenant: &str, descriptor: FlightDescriptor) -> Result<FlightInfo, Status> {
    Ok(face.get_flight_info(asked_by(tenant, descriptor)).await?.into_inner())
}

async fn rows(face: &Face, tenant: &str, descriptor: FlightDescriptor) -> Result<Vec<RecordBatch>, Status> {
    let info = info(face, tenant, descriptor).await?;
    let ticket = info.endpoint[0].ticket.clone().expect("an endpoint has a ticket");
    let stream = face.do_get(asked_by(tenant, ticket)).await?.into_inner();
    let batches = FlightRecordBatchStream::new_from_flight_data(stream.map_err(FlightError::from));
    let batches: Vec<RecordBatch> = batches.try_collect().await.map_err(Status::from)?;
    let announced = info.try_decode_schema().expect("a schema was announced");
    assert!(batches.iter().all(|batch| *batch.schema() == announced), "{announced:?}");
    Ok(batches)
}

#[tokio::test]
async fn a_statement_is_answered_with_the_columns_that_were_announced() {
    let answer = rows(&face(), "default", statement("SELECT name, time FROM spans LIMIT 2")).await;
    let answer = answer.expect("a statement that may be asked");
    assert_eq!(answer.iter().map(RecordBatch::num_rows).sum::<usize>(), 2);
    assert_eq!(answer[0].column(0).as_string::<i32>().value(0), "a");
    let other = rows(&face(), "other", statement("SELECT name FROM spans")).await.expect("no rows");
    assert_eq!(other.iter().map(RecordBatch::num_rows).sum::<usize>(), 0, "of another tenant");
}

#[tokio::test]
async fn errors_have_their_codes_and_end_the_stream() {
    let code = async |sql: &str| {
        rows(&face(), "default", statement(sql)).await.map(|_| ()).map_err(|status| status.code())
    };
    assert_eq!(code("SELEC 1").await, Err(Code::InvalidArgument));
    assert_eq!(code("DROP TABLE spans").await, Err(Code::InvalidArgument));
    assert_eq!(code("SELECT name FROM spans").await, Err(Code::OutOfRange), "four rows, three are allowed");
    assert_eq!(code("SELECT name FROM spans LIMIT 3").await, Ok(()));
    let nobody = face().get_flight_info(Request::new(statement("SELECT 1"))).await;
    assert_eq!(nobody.map(|_| ()).map_err(|status| status.code()), Err(Code::InvalidArgument));
}

#[tokio::test]
async fn tables_are_listed_with_their_columns() {
    let asked = CommandGetTables {
        table_name_filter_pattern: Some("span%".to_owned()),
        include_schema: true,
        ..CommandGetTables::default()
    };
    let answer = rows(&face(), "default", descriptor(&asked)).await.expect("tables");
    let names: Vec<_> = answer[0].column(2).as_string::<i32>().iter().flatten().collect();
    assert_eq!(names, ["spans"]);
    let info = rows(&face(), "default", descriptor(&CommandGetSqlInfo { info: vec![0, 3] })).await;
    assert_eq!(info.expect("two facts")[0].num_rows(), 2);
}

/// What nobody was handed is refused, whatever it is made of.
#[tokio::test]
async fn forged_tickets_and_other_calls_are_refused() {
    let face = face();
    for bytes in [vec![], vec![0xff; 40], b"SELECT 1".to_vec(), vec![0; 1 << 20]] {
        let got = face.do_get(asked_by("default", Ticket::new(bytes.clone()))).await.map(|_| ());
        let code = got.map_err(|status| status.code());
        assert!(matches!(code, Err(Code::InvalidArgument | Code::Unimplemented)), "{code:?}");
        let info = info(&face, "default", FlightDescriptor::new_cmd(bytes)).await.map(|_| ());
        assert!(info.is_err());
    }
    for action in ["CancelQuery", "CancelFlightInfo", "CreatePreparedStatement", "BeginTransaction", ""] {
        let action = Action::new(action, b"\x01\x02".to_vec());
        assert!(face.do_action(asked_by("default", action)).await.is_err());
    }
}

#[tokio::test]
async fn a_run_is_cancelled_by_its_information_and_only_while_it_runs() {
    let face = face();
    let sql = "SELECT count(*) FROM spans a, spans b";
    let info = info(&face, "default", statement(sql)).await.expect("a statement that may be asked");
    let cancel = |tenant: &'static str| {
        let asked = ActionCancelQueryRequest { info: info.encode_to_vec().into() };
        let action = Action::new("CancelQuery", asked.as_any().encode_to_vec());
        let face = &face;
        async move { face.do_action(asked_by(tenant, action)).await.map(|_| ()).map_err(|status| status.code()) }
    };
    assert_eq!(cancel("default").await, Err(Code::NotFound), "it does not run yet");
    let ticket = info.endpoint[0].ticket.clone().expect("an endpoint has a ticket");
    let mut stream = face.do_get(asked_by("default", ticket)).await.expect("it runs").into_inner();
    assert_eq!(cancel("other").await, Err(Code::NotFound), "it is another tenant's");
    assert_eq!(cancel("default").await, Ok(()));
    let mut last = None;
    while let Some(message) = stream.next().await {
        last = Some(message.map(|_| ()).map_err(|status| status.code()));
    }
    assert_eq!(last, Some(Err(Code::Cancelled)));
    drop(stream);
    assert_eq!(cancel("default").await, Err(Code::NotFound), "it has ended");
}

#[test]
fn a_ticket_of_a_statement_is_a_command() {
    let command = super::actions::command_of(&statement("SELECT 1").cmd);
    assert!(matches!(command, Ok(Command::CommandStatementQuery(asked)) if asked.query == "SELECT 1"));
}
