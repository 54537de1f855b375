//! `tail`: lines as they come, over a WebSocket.
//!
//! First the latest lines of the range, then what becomes durable. A browser lets any page open a WebSocket and read it, so that
//! a page of another origin is refused here although this is a GET. Who does not read is cut off, as is everybody after
//! an hour; clients come back by themselves.

use std::collections::HashSet;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use axum::extract::{FromRequest as _, FromRequestParts as _, Request, State, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use futures::StreamExt as _;
use meshlake_query::logs::{self, Direction, Found, Lines, Tail, Told};

use super::error::ApiError;
use super::parameters::{Parameters, QUERY_NANOS};
use super::written;
use crate::FaceState;
use crate::origin::is_of_another_page;
use crate::watching;

/// How long a message may take to be read. Guess: a network that is down for longer has lost the connection.
const SEND_MAX: Duration = Duration::from_secs(30);

pub async fn answer(State(state): State<FaceState>, request: Request) -> Result<Response, ApiError> {
    if is_of_another_page(request.headers(), request.uri()) {
        return Err(ApiError::new(StatusCode::FORBIDDEN, "a page of another origin may not ask"));
    }
    let (mut parts, body) = request.into_parts();
    let end = watching::end(&parts.extensions);
    let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, &state).await;
    let parameters = Parameters::from_request(Request::from_parts(parts, body), &state).await?;
    let missing = || ApiError::bad_request("a query is missing");
    let log = parameters.selector().await?.ok_or_else(missing)?;
    let (from, to) = parameters.range(QUERY_NANOS)?;
    let limit = parameters.limit()?;
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(refused) => return Ok(refused.into_response()),
    };
    // Before the lines that are there, so that none goes unseen in between.
    let tail = logs::tail(&state.engine, &parameters.tenant, log.clone()).await?;
    let question = Lines { log, from, to, limit, direction: Direction::Backward };
    let mut latest = logs::lines(&state.engine, &parameters.tenant, question).await?;
    latest.reverse();
    let watcher = Watcher { state, categorizes: parameters.categorizes };
    Ok(upgrade.on_upgrade(move |socket| async move {
        tokio::select! {
            () = watcher.watch(socket, latest, tail) => {}
            () = end => {}
        }
    }))
}

struct Watcher {
    state: FaceState,
    categorizes: bool,
}

impl Watcher {
    /// Until the client goes, does not read, or the rows end.
    async fn watch(self, mut socket: WebSocket, latest: Vec<Found>, mut tail: Tail) {
        if !latest.is_empty() && self.send(&mut socket, &latest, false).await.is_none() {
            return;
        }
        // What became durable while the latest lines were read may come both ways.
        let mut sent: HashSet<Found> = latest.into_iter().collect();
        loop {
            let told = tokio::select! {
                told = tail.next() => told,
                message = socket.recv() => match message {
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                    Some(Ok(_)) => continue,
                },
            };
            let told = match told {
                None => return,
                Some(Ok(told)) => told,
                Some(Err(error)) => {
                    tracing::warn!(%error, "tail lines");
                    return;
                }
            };
            let (lines, is_missed) = match told {
                Told::Lines(lines) => (lines, false),
                Told::Missed => (Vec::new(), true),
            };
            let lines: Vec<Found> = lines.into_iter().filter(|line| !sent.remove(line)).collect();
            if (is_missed || !lines.is_empty()) && self.send(&mut socket, &lines, is_missed).await.is_none() {
                return;
            }
        }
    }

    /// None if the client is gone.
    async fn send(&self, socket: &mut WebSocket, lines: &[Found], is_missed: bool) -> Option<()> {
        let now = self.state.engine.clock().now().0;
        let message = written::tailed(lines, is_missed, now, self.categorizes);
        tokio::time::timeout(SEND_MAX, socket.send(Message::Text(message.into()))).await.ok()?.ok()
    }
}
