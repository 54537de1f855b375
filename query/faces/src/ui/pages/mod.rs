//! The pages, one file each: what is asked of `meshlake_query`, and how the answer reads.
//!
//! A page never fails as a whole: what could not be answered is said where it would stand, and the rest is shown. The status
//! of the answer still tells machines. A page that asks much is sent in parts: its head at once, the others in their order as they
//! are answered, so that a slow one holds up what stands below it and nothing else.

pub mod mesh;
pub mod service;
pub mod edge;
pub mod traces;
pub mod trace;
pub mod requests;
pub mod logs;
pub mod sql;
pub mod operate;
pub mod start;
mod over_time;
mod saturation;
mod figures;
mod diagnosis;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _, stream};
use maud::{Markup, html};
use meshlake_query::calls::LoadError;
use meshlake_query::{Fault, QueryError, Range};
use meshlake_schema::UnixNanos;

use super::asked::{Asked, Span};
use super::facets::PLACES;
use super::format;
use super::shell::{self, Page, Place};
use super::text::Text;

/// Parts of one page that are answered at the same time: a fold takes two threads, and each may take the memory of one.
const AT_ONCE: usize = 3;

/// Other sites are not told where a link of ours stood; we are, so that a statement that somebody runs is told from one that came
/// with a link (`origin.rs`).
const HEADERS: [(header::HeaderName, &str); 3] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::VARY, "Accept-Language"),
    (header::REFERRER_POLICY, "same-origin"),
];

/// An answer of a page: the page, and the status for machines.
fn answer(asked: &Asked, status: StatusCode, page: &Page) -> Response {
    let [begin, end] = shell::around(asked, page);
    (status, HEADERS, begin + &end).into_response()
}

/// The same, with parts that follow what the page begins with. Whoever goes away ends their answering.
fn answer_in_parts(asked: &Asked, status: StatusCode, page: &Page, parts: Vec<Part>) -> Response {
    let [begin, end] = shell::around(asked, page);
    let parts = stream::iter(parts).buffered(AT_ONCE).map(Markup::into_string);
    let pieces = stream::iter([begin]).chain(parts).chain(stream::iter([end]));
    (status, HEADERS, Body::from_stream(pieces.map(Ok::<_, Infallible>))).into_response()
}

/// A part of a page that is still to be answered.
type Part = BoxFuture<'static, Markup>;

/// The part that `body` makes of what the page is about.
fn part<A, F>(about: &Arc<A>, body: impl FnOnce(Arc<A>) -> F) -> Part
where
    F: Future<Output = Markup> + Send + 'static,
{
    body(Arc::clone(about)).boxed()
}

/// What is known of a page when its head is sent.
struct Begun {
    status: StatusCode,
    range: Range,
    body: Markup,
    parts: Vec<Part>,
}

impl Begun {
    /// A page that is about nothing, or why there is none.
    fn alone(status: StatusCode, range: Range, body: Markup) -> Begun {
        Begun { status, range, body, parts: Vec::new() }
    }

    fn answer(self, asked: &Asked, place: Place, title: String) -> Response {
        let Begun { status, range, body, parts } = self;
        let page = Page { place, title, has_range: true, data_since: data_since(range), body };
        answer_in_parts(asked, status, &page, parts)
    }
}

/// When data began, if that is within the range.
fn data_since(range: Range) -> Option<UnixNanos> {
    Some(range.observed_from()).filter(|since| *since > range.from())
}

/// This page over another range, from its first row on.
fn over(asked: &Asked, from: UnixNanos, to: UnixNanos) -> String {
    asked.there(&Span::Fixed { from, to }, &PLACES.map(|place| (place, None)))
}

/// What stands below bars over the range: its begin, its middle and its end.
fn ends(asked: &Asked) -> [Markup; 3] {
    let (from, to) = (asked.range.from(), asked.range.to());
    let middle = UnixNanos(from.0 + (to.0 - from.0) / 2);
    [from, middle, to].map(|time| {
        let told: String = format::instant(time).chars().take("11-29 17:46:33".len()).collect();
        html! { time datetime=(time.to_rfc3339()) { (told) } }
    })
}

/// Why a part of a page is not there.
struct Failure {
    fault: Fault,
    text: String,
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Failure {
        Failure::told(error.fault(), error.told(), &error)
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Failure {
        Failure::told(error.fault(), error.told(), &error)
    }
}

impl Failure {
    fn told(fault: Fault, text: String, error: &dyn std::error::Error) -> Failure {
        if fault != Fault::Asker {
            tracing::warn!(%error, "answer a page");
        }
        Failure { fault, text }
    }

    fn status(&self) -> StatusCode {
        match self.fault {
            Fault::Asker => StatusCode::BAD_REQUEST,
            Fault::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Ours => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// In the place of what it is about.
    fn shown(&self, asked: &Asked) -> Markup {
        html! {
            div class="note warn" role="status" {
                strong { (asked.words().not_answered) } " " (Text(&self.text))
            }
        }
    }
}

/// What was found, or why it was not.
fn shown<T>(asked: &Asked, found: Result<T, impl Into<Failure>>, body: impl FnOnce(T) -> Markup) -> Markup {
    match found.map_err(Into::into) {
        Ok(found) => body(found),
        Err(failure) => failure.shown(asked),
    }
}
