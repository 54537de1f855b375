//! `/traces`: calls whose traces can be read, failed ones first, then slow ones; found by who received them, how long they took
//! and how they ended. An id leads to its trace.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use meshlake_query::calls::exemplars::{Asked as Examples, exemplars};
use meshlake_query::exemplars::{EXEMPLARS_MAX, Wanted};

use super::{Failure, answer};
use crate::FaceState;
use crate::ui::asked::Asked;
use crate::ui::calls;
use crate::ui::shell::{Page, Place, kept, notes};
use crate::ui::text::Text;

const NANOS_PER_MILLI: f64 = 1e6;

/// Traces of one page.
const SHOWN: usize = 50;

/// Answers the page; an id is answered by its trace.
pub async fn page(State(state): State<FaceState>, asked: Asked) -> Response {
    if let Some(id) =
        asked.get("id").map(str::trim).filter(|id| id.bytes().all(|byte| byte.is_ascii_hexdigit()))
    {
        return Redirect::to(&asked.link(&format!("/trace/{id}"), &[])).into_response();
    }
    let (status, found) = match found(&state, &asked).await {
        Ok(found) => (StatusCode::OK, found),
        Err(failure) => (failure.status(), failure.shown(&asked)),
    };
    let body = html! { (form(&asked)) (found) };
    let title = asked.words().traces.to_owned();
    answer(&asked, status, &Page { place: Place::Traces, title, has_range: true, data_since: None, body })
}

fn form(asked: &Asked) -> Markup {
    let words = asked.words();
    let value = |name: &str| asked.get(name).unwrap_or_default().to_owned();
    html! {
        form class="controls" method="get" action="/traces" {
            (kept(asked))
            label { (words.received_by) " " input name="service" size="24" value=(Text(&value("service"))); }
            label { (words.called_by) " " input name="client" size="24" value=(Text(&value("client"))); }
            label { (words.at_least) " " input name="min_ms" size="6" inputmode="decimal" value=(Text(&value("min_ms"))); " ms" }
            label { input type="checkbox" name="failed" value="1" checked[asked.get("failed").is_some()]; " " (words.failed_only) }
            button { (words.find) }
        }
        form class="controls" method="get" action="/traces" {
            (kept(asked))
            label { (words.trace_id) " " input name="id" size="34" pattern="[0-9a-fA-F]{1,32}" required; }
            button { (words.open) }
        }
    }
}

async fn found(state: &FaceState, asked: &Asked) -> Result<Markup, Failure> {
    let words = asked.words();
    let (service, client) = (asked.get("service"), asked.get("client"));
    let mut complaints = Vec::new();
    let milliseconds = asked.get("min_ms").and_then(|text| {
        let number = text.parse::<f64>().ok().filter(|ms| (0.0..=1e12).contains(ms));
        if number.is_none() {
            complaints.push(format!("{}: min_ms={text}", words.no_number));
        }
        number
    });
    let wanted = match (client, service) {
        (Some(client), Some(server)) => Wanted { service: None, edge: Some((client, server)) },
        (None, service) => Wanted { service, edge: None },
        (Some(_), None) => {
            complaints.push(words.name_the_callee_too.to_owned());
            Wanted::default()
        }
    };
    let examples = Examples {
        range: asked.range,
        wanted,
        failed_only: asked.get("failed").is_some(),
        duration_min: (milliseconds.unwrap_or(0.0) * NANOS_PER_MILLI) as i64,
        most: SHOWN.min(EXEMPLARS_MAX),
    };
    let query = state.engine.begin(&asked.tenant).await?;
    let found = exemplars(&query, &examples).await?;
    Ok(html! {
        (notes(&complaints, words.warnings))
        p class="hint" { (words.traces_mean) }
        (calls::list(asked, &found.calls, &found.warnings))
    })
}
