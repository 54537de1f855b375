//! The pages, one file each: what is asked of `meshlake_query`, and how the answer reads.
//!
//! A page never fails as a whole: what could not be answered is said where it would stand, and the rest is shown. The status
//! of the answer still tells machines.

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

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use meshlake_query::calls::LoadError;
use meshlake_query::{Fault, QueryError, Range};
use meshlake_schema::UnixNanos;

use super::asked::{Asked, Span};
use super::facets::PLACES;
use super::format;
use super::shell::{self, Page};
use super::text::Text;

/// An answer of a page: the page, and the status for machines.
fn answer(asked: &Asked, status: StatusCode, page: &Page) -> Response {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::VARY, "Accept-Language")];
    (status, headers, shell::page(asked, page)).into_response()
}

/// When data began, if that is within the range.
fn data_since(range: Range) -> Option<String> {
    (range.observed_from() > range.from()).then(|| range.observed_from().to_rfc3339())
}

/// This page over another range, from its first row on.
fn over(asked: &Asked, from: UnixNanos, to: UnixNanos) -> String {
    asked.there(&Span::Fixed { from, to }, &PLACES.map(|place| (place, None)))
}

/// What stands below bars over the range: its begin, its middle and its end.
fn ends(asked: &Asked) -> [String; 3] {
    let (from, to) = (asked.range.from(), asked.range.to());
    let middle = UnixNanos(from.0 + (to.0 - from.0) / 2);
    // Without milliseconds.
    [from, middle, to].map(|time| format::instant(time).chars().take(14).collect())
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
