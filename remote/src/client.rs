//! The query side's end: a [`Reader`] whose collector is in another process.
//!
//! A snapshot is one question, because lists of files are kept here between questions and come again only when they have
//! changed. Its buffered rows are asked for by each scan that wants some; a table that has none is not asked for.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow_flight::decode::{DecodedFlightData, DecodedPayload, FlightDataDecoder, FlightRecordBatchStream};
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Action, FlightData, Ticket};
use async_trait::async_trait;
use futures::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use hyper_util::rt::TokioIo;
use meshlake_schema::{PerTable, Table};
use meshlake_store::{
    Follow, FollowStream, Followed, HotScan, HotStream, ReadError, Reader, RemoteRows, RemoteTable, Snapshot,
    Status, Unflushed, fail_point,
};
use object_store::ObjectStore;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tonic::Streaming;
use tonic::transport::{Channel, Endpoint};

use crate::held::Versioned;
use crate::server::{FRAME_BYTES_MAX, short_path};
use crate::wire::{ACTION, Question, Step, ToldSnapshot, Wanted, decode, encode};

/// What the collector may send before it is read, of one answer and of all: enough that neither end waits for the other
/// while a batch is decoded.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 64 << 20;

/// HTTP wants an authority; nobody looks at it.
const AUTHORITY: &str = "http://collector";

/// A collector in another process.
pub struct RemoteReader {
    client: Client,
    object_store: Arc<dyn ObjectStore>,
    /// The lists of files that were told last.
    lists: Mutex<PerTable<Versioned>>,
}

#[derive(Debug, Clone)]
struct Client(FlightServiceClient<Channel>);

impl fmt::Debug for RemoteReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteReader").finish_non_exhaustive()
    }
}

impl RemoteReader {
    /// Asks over a connection that was handed down ([`crate::Server::connection`]). When it has ended, nothing can be
    /// asked any more. `object_store` is where files of snapshots are read.
    ///
    /// # Errors
    /// It is no connection.
    pub fn over(connection: OwnedFd, object_store: Arc<dyn ObjectStore>) -> io::Result<RemoteReader> {
        let connection = UnixStream::from_std(connection.into())?;
        let mut connection = Some(connection);
        let connect = move || {
            let connection = connection.take().ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
            async { connection }
        };
        Ok(RemoteReader::by(connect, object_store))
    }

    /// Asks the collector that listens in the directory of `socket`, as [`crate::Server::listen`] does, and connects anew
    /// when a connection has ended.
    pub fn at(socket: &Path, object_store: Arc<dyn ObjectStore>) -> RemoteReader {
        let dir: PathBuf = socket.parent().map(Path::to_owned).unwrap_or_default();
        let connect = move || {
            let dir = dir.clone();
            async move { UnixStream::connect(short_path(&File::open(dir)?)).await }
        };
        RemoteReader::by(connect, object_store)
    }

    fn by<F>(
        mut connect: impl FnMut() -> F + Send + 'static,
        object_store: Arc<dyn ObjectStore>,
    ) -> RemoteReader
    where
        F: Future<Output = io::Result<UnixStream>> + Send + 'static,
    {
        let endpoint = Endpoint::from_static(AUTHORITY)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES_MAX);
        let connector = tower::service_fn(move |_| connect().map_ok(TokioIo::new));
        let channel = endpoint.connect_with_connector_lazy(connector);
        // The other end is ours as well, and bounds what it sends.
        let client = FlightServiceClient::new(channel).max_decoding_message_size(usize::MAX);
        RemoteReader { client: Client(client), object_store, lists: Mutex::default() }
    }

    fn lists(&self) -> PerTable<Versioned> {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Reader for RemoteReader {
    async fn snapshot(&self) -> Result<Snapshot, ReadError> {
        let mut lists = self.lists();
        let known = lists.iter().map(|(_, list)| list.version).collect();
        let mut held = self.client.ask(&Question::Snapshot { known }).await?;
        let ToldSnapshot { snapshot, tables } = first(&mut held).await?;
        if !tables.iter().map(|told| told.table).eq(Table::ALL) {
            return Err(ReadError("the other process is of another build: it has other tables".to_owned()));
        }
        let mut told = PerTable::<RemoteTable>::default();
        for table in tables {
            if let Some(files) = table.files {
                lists[table.table] =
                    Versioned { version: table.version, files: Arc::new(files.into_owned()) };
            }
            told[table.table] = table.told;
        }
        *self.lists.lock().unwrap_or_else(PoisonError::into_inner) = lists.clone();
        let rows = HeldRows { client: self.client.clone(), snapshot, _held: Mutex::new(held) };
        let store = Arc::clone(&self.object_store);
        Ok(Snapshot::remote(&lists.map(|list| list.files), told, Arc::new(rows), store))
    }

    async fn follow(&self, from: Follow) -> Result<FollowStream, ReadError> {
        let messages = self.client.rows(&Wanted::Followed(from)).await?;
        let messages = FlightDataDecoder::new(messages.map_err(FlightError::from));
        Ok(messages.try_filter_map(async |message| followed(message)).map_err(|error| unread(&error)).boxed())
    }

    async fn status(&self) -> Result<Status, ReadError> {
        first(&mut self.client.ask(&Question::Status).await?).await
    }
}

/// The buffered rows of a snapshot that the collector holds for as long as the stream is there that told of it.
#[derive(Debug)]
struct HeldRows {
    client: Client,
    snapshot: u64,
    _held: Mutex<Streaming<arrow_flight::Result>>,
}

#[async_trait]
impl RemoteRows for HeldRows {
    fn hot(self: Arc<Self>, scan: &HotScan) -> HotStream {
        let wanted = Wanted::Hot { snapshot: self.snapshot, scan: scan.clone() };
        let point = format!("remote_hot_{}", scan.table.name());
        let rows = async move {
            fail_point::hit_awaited(&point).await.map_err(|error| ReadError(error.to_string()))?;
            let messages = self.client.rows(&wanted).await?;
            let rows = FlightRecordBatchStream::new_from_flight_data(messages.map_err(FlightError::from));
            let held = self;
            Ok(rows.map_err(|error| unread(&error)).inspect(move |_| _ = &held))
        };
        rows.try_flatten_stream().boxed()
    }

    async fn unflushed(&self, tenant: &str) -> Result<Vec<Unflushed>, ReadError> {
        let asked = Question::Unflushed { snapshot: self.snapshot, tenant: tenant.to_owned() };
        first(&mut self.client.ask(&asked).await?).await
    }
}

impl Client {
    async fn ask(&self, question: &Question) -> Result<Streaming<arrow_flight::Result>, ReadError> {
        let action = Action { r#type: ACTION.to_owned(), body: encode(question).into() };
        let answers = self.0.clone().do_action(action).await;
        Ok(answers.map_err(|status| failed(&status))?.into_inner())
    }

    async fn rows(&self, wanted: &Wanted) -> Result<Streaming<FlightData>, ReadError> {
        let ticket = Ticket { ticket: encode(wanted).into() };
        Ok(self.0.clone().do_get(ticket).await.map_err(|status| failed(&status))?.into_inner())
    }
}

async fn first<T: DeserializeOwned>(answers: &mut Streaming<arrow_flight::Result>) -> Result<T, ReadError> {
    let answer = answers.message().await.map_err(|status| failed(&status))?;
    let answer =
        answer.ok_or_else(|| ReadError("the collector ended its answer before it began".to_owned()))?;
    decode(&answer.body).map_err(ReadError)
}

/// What a message of a followed stream says; nothing where the next one says it.
fn followed(message: DecodedFlightData) -> Result<Option<Followed>, FlightError> {
    let step = decode(&message.inner.app_metadata).map_err(FlightError::DecodeError)?;
    Ok(match (step, message.payload) {
        (Step::Missed { after, through }, DecodedPayload::Schema(_)) => {
            Some(Followed::Missed { after, through })
        }
        (Step::Rows { through }, DecodedPayload::RecordBatch(rows)) => Some(Followed::Rows { through, rows }),
        _ => None,
    })
}

fn unread(error: &FlightError) -> ReadError {
    match error {
        FlightError::Tonic(status) => failed(status),
        other => ReadError(other.to_string()),
    }
}

/// What the collector said; what the connection said is wrapped in several layers, of which the innermost tells most.
fn failed(status: &tonic::Status) -> ReadError {
    let cause = std::iter::successors(std::error::Error::source(status), |error| error.source()).last();
    ReadError(
        cause.map_or_else(|| status.message().to_owned(), |cause| format!("the collector is gone: {cause}")),
    )
}
