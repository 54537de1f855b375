//! One connection, from its first byte to its last.

use std::time::Duration;

use meshlake_listen::{Connection, Stopping};
use tokio::io::split;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::failure::{Failure, PROTOCOL_VIOLATION, QUERY_CANCELED, SHUTTING_DOWN, Severity};
use super::incoming::{Incoming, Message, Unreadable};
use super::keys::Keys;
use super::opening::open;
use super::outgoing::Outgoing;
use super::session::{Session, Stop};
use crate::FaceState;

/// How long a client may take to say who it is. A round trip or two; a person with a password is not among them.
const OPENING_TIME_MAX: Duration = Duration::from_secs(10);

/// Serves a connection until it ends.
pub async fn serve(connection: Connection, face: FaceState, keys: Keys) {
    let Connection { stream, role, stopping, .. } = connection;
    let (read, write) = split(stream);
    let (incoming, outgoing) = (Incoming::new(read), Outgoing::new(write));
    let deadline = Instant::now() + OPENING_TIME_MAX;
    let opened = timeout_at(deadline, open(incoming, outgoing, role, &face, &keys, deadline)).await;
    let Ok(Some(session)) = opened else { return };
    converse(session, stopping).await;
}

/// Answers messages until the client or the server has had enough.
async fn converse(mut session: Session, mut stopping: Stopping) {
    // After a failure of the extended protocol, all messages up to the next Sync are void.
    let mut is_skipping = false;
    loop {
        let message = match next(&mut session, &mut stopping).await {
            Ok(message) => message,
            Err(farewell) => {
                if let Some(failure) = farewell {
                    session.push(&failure.response(Severity::Fatal));
                    // Whether it is heard does not matter any more.
                    let _ = session.flush().await;
                }
                return;
            }
        };
        session.wake();
        let answered = match message {
            Message::Terminate => return,
            Message::Sync => {
                is_skipping = false;
                session.sync().await
            }
            Message::Copy => Ok(()),
            Message::Query(sql) => {
                is_skipping = false;
                session.query(&sql).await
            }
            _ if is_skipping => Ok(()),
            message => session.extended(message).await,
        };
        match answered {
            Ok(()) => {}
            Err(Stop::Failed(failure)) => {
                session.fail(&failure);
                is_skipping = true;
                // At once, as PostgreSQL does: a driver that prepares waits for the outcome before it sends a Sync.
                if session.flush().await.is_err() {
                    return;
                }
            }
            Err(Stop::Gone) => return,
        }
    }
}

/// The next message; an error is the end, with what there is left to say.
async fn next(session: &mut Session, stopping: &mut Stopping) -> Result<Message, Option<Failure>> {
    loop {
        let expiry = session.kept.next_deadline();
        let expired = async {
            match expiry {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            message = session.incoming.message() => return message.map_err(|error| match error {
                Unreadable::Gone(_) => None,
                error => Some(Failure::new(PROTOCOL_VIOLATION, error.to_string())),
            }),
            () = stopping.wait() => {
                let message = "terminating connection due to administrator command";
                return Err(Some(Failure::new(SHUTTING_DOWN, message)));
            }
            () = expired => {
                let seconds = session.engine.config().timeout().as_secs();
                let message = format!("the cursor was open for longer than a query may take, {seconds} s");
                session.kept.expire(|| Failure::new(QUERY_CANCELED, message.clone()));
            }
        }
    }
}
