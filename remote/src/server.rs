//! The collector's end: answers from the reader of its store, over connections that were handed down or come to a socket.
//!
//! A connection that is handed down is one end of a pair of sockets, so that it has no name that anybody else could
//! connect to and needs no directory that can hold sockets. Who runs the query side by itself connects to a socket in the
//! data directory instead, in a directory of its own that only the user of the collector may enter.
//!
//! Limits: what a connection has not read yet waits in windows of HTTP/2 ([`crate::client`]); a batch is encoded when
//! there is room for it.

use std::borrow::Cow;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::encode::{DictionaryHandling, FlightDataEncoder, FlightDataEncoderBuilder};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest,
    HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use meshlake_schema::Table;
use meshlake_store::{Follow, FollowStream, Followed, HotScan, HotStream, ReadError, Reader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};

use crate::held::{Held, Holder, Versioned};
use crate::wire::{ACTION, Question, Step, ToldSnapshot, ToldTable, Wanted, decode, encode};

/// Bytes of one frame of HTTP/2, which hold a good part of a batch; the default of 16 KiB costs a system call each.
pub const FRAME_BYTES_MAX: u32 = 1 << 20;

/// About the bytes of one message of rows: larger batches are cut. A message is in memory three times on its way.
const MESSAGE_BYTES: usize = 4 << 20;

/// Connections that wait to be served; there is one a start of a query process.
const WAITING_MAX: usize = 8;

/// In the data directory: a directory that only its user may enter, and in it the socket.
const SOCKET_DIR: &str = "socket";
const SOCKET_FILE: &str = "collector";

/// Where the socket of the collector on `data_dir` is.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_DIR).join(SOCKET_FILE)
}

/// Why there is no socket.
pub type SocketError = io::Error;

/// Answers other processes.
#[derive(Debug)]
pub struct Server {
    connections: mpsc::Sender<io::Result<UnixStream>>,
    serving: JoinHandle<()>,
    holder: Arc<Holder>,
}

impl Server {
    /// Answers from `reader`, in the tokio runtime that this is called in, until it is dropped.
    pub fn start(reader: Arc<dyn Reader>) -> Server {
        Server::with(reader, stream::pending().boxed())
    }

    /// As [`Server::start`], and whoever connects to the socket in `data_dir` as well. One that an earlier process left
    /// is replaced: the caller has the directory's lock.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn listen(reader: Arc<dyn Reader>, data_dir: &Path) -> Result<Server, SocketError> {
        let dir = data_dir.join(SOCKET_DIR);
        match DirBuilder::new().mode(0o700).create(&dir) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        match fs::remove_file(dir.join(SOCKET_FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(short_path(&File::open(&dir)?))?;
        Ok(Server::with(reader, UnixListenerStream::new(listener).boxed()))
    }

    fn with(reader: Arc<dyn Reader>, others: BoxStream<'static, io::Result<UnixStream>>) -> Server {
        let (connections, handed_down) = mpsc::channel(WAITING_MAX);
        let holder = Holder::new();
        let service = FlightServiceServer::new(Answering { reader, holder: Arc::clone(&holder) });
        let incoming = stream::select(ReceiverStream::new(handed_down), others);
        let router = tonic::transport::Server::builder().max_frame_size(FRAME_BYTES_MAX).add_service(service);
        let serving = tokio::spawn(async move {
            if let Err(error) = router.serve_with_incoming(incoming).await {
                tracing::error!(%error, "answer the query process");
            }
        });
        Server { connections, serving, holder }
    }

    /// A new connection: the end of it that the other process is to be given.
    ///
    /// # Errors
    /// The system gives no sockets, or the server has stopped.
    pub async fn connection(&self) -> io::Result<OwnedFd> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let sent = self.connections.send(Ok(UnixStream::from_std(ours)?)).await;
        sent.map_err(|_| io::Error::from(io::ErrorKind::NotConnected))?;
        Ok(theirs.into())
    }

    /// How many snapshots other processes hold.
    pub fn snapshots_held(&self) -> usize {
        self.holder.count()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The socket in an open directory by a path that is short however long the directory's is: the kernel takes some
/// hundred bytes (unix(7)).
pub(crate) fn short_path(dir: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{SOCKET_FILE}", dir.as_raw_fd()))
}

struct Answering {
    reader: Arc<dyn Reader>,
    holder: Arc<Holder>,
}

type Answers<T> = BoxStream<'static, Result<T, Status>>;

impl Answering {
    /// The snapshot, and then nothing: it is held until the stream is dropped.
    async fn snapshot(&self, known: &[u64]) -> Result<Answers<arrow_flight::Result>, Status> {
        let snapshot = self.reader.snapshot().await.map_err(refused)?;
        let held = self.holder.hold(snapshot).map_err(refused)?;
        let told = answer(&told(&held, known));
        let holding = stream::once(async move {
            let _held = held;
            std::future::pending().await
        });
        Ok(stream::iter([Ok(told)]).chain(holding).boxed())
    }

    fn hot(&self, snapshot: u64, scan: &HotScan) -> Result<FlightDataEncoder, ReadError> {
        let snapshot = self.holder.get(snapshot)?;
        let schema = schema_of(scan.table, &scan.columns)?;
        let rows: HotStream = snapshot.hot(scan)?;
        Ok(encoder(schema, MESSAGE_BYTES).build(rows.map_err(|error| FlightError::from(refused(error)))))
    }

    async fn followed(&self, from: Follow) -> Result<Answers<FlightData>, ReadError> {
        let schema = schema_of(from.table, &from.columns)?;
        let steps: FollowStream = self.reader.follow(from).await?;
        Ok(steps.map_err(refused).map_ok(move |followed| step(&schema, followed)).try_flatten().boxed())
    }
}

/// `held`, for one who knows those versions of its lists of files.
fn told<'a>(held: &'a Held, known: &[u64]) -> ToldSnapshot<'a> {
    let table = |table: Table| {
        let Versioned { version, files } = &held.lists[table];
        let is_known = known.get(table.index()) == Some(version);
        let files = (!is_known).then(|| Cow::from(files.as_slice()));
        ToldTable { table, told: held.snapshot.told(table), version: *version, files }
    };
    ToldSnapshot { snapshot: held.id, tables: Table::ALL.into_iter().map(table).collect() }
}

fn schema_of(table: Table, columns: &[String]) -> Result<SchemaRef, ReadError> {
    let all = table.schema();
    let field = |column: &String| {
        let field = all.field_with_name(column);
        field.cloned().map_err(|_| ReadError(format!("table {} has no column {column}", table.name())))
    };
    let fields = columns.iter().map(field).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(Schema::new_with_metadata(fields, all.metadata().clone())))
}

/// Dictionaries cross as such; one that the last batch had as well is not sent again.
fn encoder(schema: SchemaRef, message_bytes: usize) -> FlightDataEncoderBuilder {
    FlightDataEncoderBuilder::new()
        .with_schema(schema)
        .with_max_flight_data_size(message_bytes)
        .with_dictionary_handling(DictionaryHandling::Resend)
}

/// The messages of one step. Its rows are one message, because a follower goes on from the end of a step.
fn step(schema: &SchemaRef, followed: Followed) -> Answers<FlightData> {
    let (told, rows) = match followed {
        Followed::Rows { through, rows } => (Step::Rows { through }, Some(Ok(rows))),
        Followed::Missed { after, through } => (Step::Missed { after, through }, None),
    };
    let told = Bytes::from(encode(&told));
    let messages = encoder(Arc::clone(schema), usize::MAX).build(stream::iter(rows)).map_err(Status::from);
    messages.map_ok(move |message| FlightData { app_metadata: told.clone(), ..message }).boxed()
}

fn answer(message: &impl serde::Serialize) -> arrow_flight::Result {
    arrow_flight::Result { body: encode(message).into() }
}

fn refused(error: ReadError) -> Status {
    Status::failed_precondition(error.0)
}

fn unknown<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("a collector is asked by do_get and do_action"))
}

#[tonic::async_trait]
impl FlightService for Answering {
    type HandshakeStream = Answers<HandshakeResponse>;
    type ListFlightsStream = Answers<FlightInfo>;
    type DoGetStream = Answers<FlightData>;
    type DoPutStream = Answers<PutResult>;
    type DoExchangeStream = Answers<FlightData>;
    type DoActionStream = Answers<arrow_flight::Result>;
    type ListActionsStream = Answers<ActionType>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let rows = match decode(&request.into_inner().ticket).map_err(Status::invalid_argument)? {
            Wanted::Hot { snapshot, scan } => {
                self.hot(snapshot, &scan).map_err(refused)?.map_err(Status::from).boxed()
            }
            Wanted::Followed(from) => self.followed(from).await.map_err(refused)?,
        };
        Ok(Response::new(rows))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        let Action { r#type, body } = request.into_inner();
        if r#type != ACTION {
            return unknown();
        }
        let told = match decode(&body).map_err(Status::invalid_argument)? {
            Question::Snapshot { known } => return Ok(Response::new(self.snapshot(&known).await?)),
            Question::Unflushed { snapshot, tenant } => {
                let snapshot = self.holder.get(snapshot).map_err(refused)?;
                answer(&snapshot.unflushed(&tenant).await.map_err(refused)?)
            }
            Question::Status => answer(&self.reader.status().await.map_err(refused)?),
        };
        Ok(Response::new(stream::iter([Ok(told)]).boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        unknown()
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        unknown()
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        unknown()
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        unknown()
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        unknown()
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        unknown()
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Result<Response<Self::DoExchangeStream>, Status> {
        unknown()
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        unknown()
    }
}
