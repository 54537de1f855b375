//! `/traces`: traces by what their spans are like, newest first; or calls whose traces are stored, the worst first. An id leads to
//! its trace.

mod search;
mod asking;
mod durations;
mod calls;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use super::{Failure, answer};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::shell::{Page, Place, kept};

/// Answers the page; an id is answered by its trace.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    if let Some(id) =
        asked.get("id").map(str::trim).filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Redirect::to(&asked.link(&format!("/trace/{id}"), &[])).into_response();
    }
    let are_calls = calls::are_asked(&asked);
    let (form, found) = match are_calls {
        true => {
            (calls::form(&asked), calls::found(&state, &asked).await.map(|found| (StatusCode::OK, found)))
        }
        false => (search::form(&asked), search::found(&state, &asked).await),
    };
    let (status, found) = found.unwrap_or_else(|failure: Failure| (failure.status(), failure.shown(&asked)));
    let body = html! { (views(&asked, are_calls)) (form) (found) };
    let title = asked.words().traces.to_owned();
    answer(&asked, status, &Page { place: Place::Traces, title, has_range: true, data_since: None, body })
}

/// The two ways to look for traces, and an id.
fn views(asked: &Asked, are_calls: bool) -> Markup {
    let words = asked.words();
    let current = |is: bool| is.then_some("page");
    html! {
        div class="controls" {
            nav class="views" aria-label=(words.traces) {
                a href=(asked.link("/traces", &[])) aria-current=[current(!are_calls)] { (words.explore.search_view) }
                a href=(asked.link("/traces", &[("view", "calls")])) aria-current=[current(are_calls)] { (words.explore.calls_view) }
            }
            form class="controls" method="get" action="/traces" {
                (kept(asked))
                label { (words.trace_id) " " input name="id" size="34" pattern="[0-9a-fA-F]{1,32}" required; }
                button { (words.open) }
            }
        }
    }
}

#[cfg(test)]
mod tests;
