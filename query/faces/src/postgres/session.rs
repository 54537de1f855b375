//! A connection that has begun, and what all its messages need: the engine, what was agreed on, and how to wait.

use std::sync::Arc;
use std::time::Duration;

use meshlake_listen::{Principal, Stream};
use meshlake_query::postgres::Identity;
use meshlake_query::{Engine, QueryError};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::{CommandComplete, NoticeResponse, ReadyForQuery, TransactionStatus};
use pgwire::messages::startup::ParameterStatus;
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;

use super::failure::{Failure, Severity};
use super::incoming::Incoming;
use super::keys::Key;
use super::outgoing::Outgoing;
use super::settings::Settings;
use super::state::State;

/// How long a client may take to read what is not rows.
const SEND_TIME_MAX: Duration = Duration::from_secs(30);

/// A connection that has begun.
pub struct Session {
    pub engine: Engine,
    pub principal: Principal,
    pub user: String,
    pub key: Key,
    /// Changes when another connection asks to stop what runs.
    pub stopped: watch::Receiver<()>,
    pub incoming: Incoming<ReadHalf<Stream>>,
    pub outgoing: Outgoing<WriteHalf<Stream>>,
    pub settings: Settings,
    pub kept: State,
    /// Whether nothing has come since the client was told that we are ready.
    pub is_idle: bool,
}

/// Why what was begun has no end.
#[derive(Debug)]
pub enum Stop {
    /// The statement has failed; the connection goes on.
    Failed(Failure),
    /// There is nobody left to tell.
    Gone,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Stop::Failed(failure)
    }
}

impl From<QueryError> for Stop {
    fn from(error: QueryError) -> Self {
        Stop::Failed(error.into())
    }
}

impl From<std::io::Error> for Stop {
    fn from(_: std::io::Error) -> Self {
        Stop::Gone
    }
}

impl Session {
    /// Who is asking, as the catalogue tells it.
    pub fn identity(&self) -> Arc<Identity> {
        let settings = self.settings.all();
        Arc::new(Identity {
            database: self.principal.tenant.as_str().to_owned(),
            user: self.user.clone(),
            process_id: self.key.process_id,
            settings: settings.map(|(name, value, doc)| (name.to_owned(), value.to_owned(), doc)).collect(),
        })
    }

    /// How long a statement may take: the server's time, or the client's where that is less.
    pub fn timeout(&self) -> Duration {
        let most = self.engine.config().timeout();
        self.settings.statement_timeout().map_or(most, |timeout| timeout.min(most))
    }

    /// Waits for `work`, unless the client stops it or goes. What is not waited for any more is dropped, which ends the
    /// query behind it.
    ///
    /// # Errors
    /// Those of `work`; it was stopped; the client has gone.
    pub async fn watch<T>(&mut self, work: impl Future<Output = Result<T, QueryError>>) -> Result<T, Stop> {
        tokio::select! {
            biased;
            stopped = self.stopped.changed() => match stopped {
                Ok(()) => Err(Failure::canceled().into()),
                Err(_) => Err(Stop::Gone),
            },
            done = work => Ok(done?),
            () = self.incoming.gone() => Err(Stop::Gone),
        }
    }

    /// Notes that a message has come. What was asked to stop while there was nothing to stop is forgotten; from here on
    /// it counts, also between the messages of one statement.
    pub fn wake(&mut self) {
        if self.is_idle {
            self.stopped.mark_unchanged();
            self.is_idle = false;
        }
    }

    pub fn push(&mut self, message: &PgWireBackendMessage) {
        self.outgoing.push(message);
    }

    pub fn complete(&mut self, tag: impl Into<String>) {
        self.push(&PgWireBackendMessage::CommandComplete(CommandComplete::new(tag.into())));
    }

    pub fn report(&mut self, name: &str, value: &str) {
        let status = ParameterStatus::new(name.to_owned(), value.to_owned());
        self.push(&PgWireBackendMessage::ParameterStatus(status));
    }

    pub fn notice(&mut self, severity: &str, code: &str, message: &str) {
        let fields = [(b'S', severity), (b'V', severity), (b'C', code), (b'M', message)];
        let fields = fields.map(|(kind, text)| (kind, text.to_owned()));
        self.push(&PgWireBackendMessage::NoticeResponse(NoticeResponse::new(fields.into())));
    }

    /// Tells of a failed statement; a transaction that it is part of has failed with it.
    pub fn fail(&mut self, failure: &Failure) {
        self.push(&failure.response(Severity::Error));
        if self.kept.transaction == TransactionStatus::Transaction {
            self.kept.transaction = TransactionStatus::Error;
        }
    }

    /// Says that the next statement may come, and sends everything.
    ///
    /// # Errors
    /// The client has gone.
    pub async fn ready(&mut self) -> Result<(), Stop> {
        let status = self.kept.transaction;
        self.push(&PgWireBackendMessage::ReadyForQuery(ReadyForQuery::new(status)));
        self.is_idle = true;
        self.flush().await
    }

    /// # Errors
    /// The client has gone.
    pub async fn flush(&mut self) -> Result<(), Stop> {
        Ok(self.outgoing.flush(Instant::now() + SEND_TIME_MAX).await?)
    }
}
