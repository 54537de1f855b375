//! Reads an export body chunk by chunk, within a byte budget, a size limit and a time limit.
//!
//! The ready-made ways to collect a body look at its size when it is complete. Here the declared length is
//! refused before the first byte is read, memory is paid for before it is filled, and a sender that stalls
//! gives its share of the budget back after [`BODY_TIME_MAX`].

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::Body;

use super::refusal::Refusal;
use crate::intake::{Budget, Tickets};

/// How long a body may take to arrive. 64 MiB in 30 s is 2.2 MB/s, slow for any link between a collector
/// and its senders; longer would let stalled senders hold the whole budget. A guess, not measured.
pub const BODY_TIME_MAX: Duration = Duration::from_secs(30);

/// What is taken from the budget at first when a body does not declare its length.
const STEP_BYTES_MIN: usize = 64 * 1024;

/// The data of a body, in the pieces in which it arrives.
#[derive(Debug)]
pub struct Chunks<B> {
    body: B,
}

impl<B> Chunks<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    pub fn new(body: B) -> Self {
        Chunks { body }
    }

    /// The next piece, never empty; `None` at the end. Trailers are skipped.
    ///
    /// # Errors
    /// [`Refusal::Undecodable`] when the body ends before its declared length or is reset.
    ///
    /// Cancel: nothing is lost.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| Refusal::Undecodable(format!("body ended early: {error}")))?;
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    fn declared_bytes(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }
}

/// The whole body and the tickets that pay for it.
///
/// # Errors
/// [`Refusal::TooLarge`] above `limit_bytes`, declared or read; [`Refusal::Overloaded`];
/// [`Refusal::TimedOut`] after [`BODY_TIME_MAX`]; [`Refusal::Undecodable`] when the body breaks off.
///
/// Cancel: the tickets are given back.
pub async fn read_body<B>(body: B, limit_bytes: usize, budget: &Budget) -> Result<(Bytes, Tickets), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let chunks = Chunks::new(body);
    let declared = chunks.declared_bytes().map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    if declared.is_some_and(|bytes| bytes > limit_bytes) {
        return Err(too_large(limit_bytes));
    }
    let tickets = budget.take(declared.unwrap_or(STEP_BYTES_MIN.min(limit_bytes)))?;
    within(BODY_TIME_MAX, collect(chunks, limit_bytes, tickets)).await
}

/// The result of `reading`, unless it takes longer than `time_max`.
///
/// # Errors
/// [`Refusal::TimedOut`], or the error of `reading`.
pub async fn within<T>(
    time_max: Duration,
    reading: impl Future<Output = Result<T, Refusal>>,
) -> Result<T, Refusal> {
    match tokio::time::timeout(time_max, reading).await {
        Ok(result) => result,
        Err(_) => Err(Refusal::TimedOut("the body did not arrive in time")),
    }
}

/// The refusal of more than `limit_bytes` on the wire.
pub fn too_large(limit_bytes: usize) -> Refusal {
    Refusal::TooLarge { limit_bytes, when: "as sent" }
}

async fn collect<B>(
    mut chunks: Chunks<B>,
    limit_bytes: usize,
    mut tickets: Tickets,
) -> Result<(Bytes, Tickets), Refusal>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let mut whole = BytesMut::new();
    while let Some(chunk) = chunks.next().await? {
        let bytes = whole.len() + chunk.len();
        if bytes > limit_bytes {
            return Err(too_large(limit_bytes));
        }
        if bytes > tickets.bytes() {
            // Doubling, so that a body of unknown length asks the budget a few times and not per chunk.
            let wanted = bytes.max(2 * tickets.bytes()).min(limit_bytes);
            tickets.grow(wanted - tickets.bytes())?;
        }
        if whole.is_empty() {
            whole.reserve(tickets.bytes());
        }
        whole.extend_from_slice(&chunk);
    }
    Ok((whole.freeze(), tickets))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;

    /// Pieces of `piece_bytes` of unknown total length, then silence or the end.
    struct Pieces {
        left: usize,
        piece_bytes: usize,
        stalls: bool,
    }

    impl Body for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.left.checked_sub(1) {
                Some(left) => {
                    self.left = left;
                    Poll::Ready(Some(Ok(Frame::data(vec![7; self.piece_bytes].into()))))
                }
                None if self.stalls => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    #[tokio::test]
    async fn a_declared_length_over_the_limit_is_refused_unread() {
        let budget = Budget::new(1000);
        let read = read_body(Full::new(Bytes::from(vec![0; 101])), 100, &budget).await;
        assert_eq!(read.map(|(body, _)| body), Err(too_large(100)));
        let (body, tickets) =
            read_body(Full::new(Bytes::from(vec![0; 100])), 100, &budget).await.expect("fits");
        assert_eq!((body.len(), tickets.bytes()), (100, 100));
    }

    #[tokio::test]
    async fn an_undeclared_length_is_bounded_while_reading() {
        const LIMIT: usize = 200 * 1024;
        let budget = Budget::new(LIMIT);
        let pieces = |left| Pieces { left, piece_bytes: 1024, stalls: false };
        let (body, tickets) = read_body(pieces(200), LIMIT, &budget).await.expect("as large as the limit");
        assert_eq!((body.len(), tickets.bytes()), (LIMIT, LIMIT));
        drop(tickets);
        let read = read_body(pieces(201), LIMIT, &budget).await;
        assert_eq!(read.map(|(body, _)| body), Err(too_large(LIMIT)));
    }

    #[tokio::test]
    async fn a_used_up_budget_refuses_and_gives_back() {
        let budget = Budget::new(100);
        let held = budget.take(1).expect("free");
        let read = read_body(Full::new(Bytes::from(vec![0; 100])), 100, &budget).await;
        assert!(matches!(read, Err(Refusal::Overloaded(_))));
        drop(held);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[tokio::test]
    async fn a_stalled_body_times_out_and_gives_back() {
        let budget = Budget::new(1 << 20);
        let stalled = Pieces { left: 1, piece_bytes: 10, stalls: true };
        let tickets = budget.take(STEP_BYTES_MIN).expect("free");
        let read = within(Duration::ZERO, collect(Chunks::new(stalled), 1 << 20, tickets)).await;
        assert!(matches!(read, Err(Refusal::TimedOut(_))));
        assert_eq!(budget.used_bytes(), 0);
    }
}
