//! The pages for people: what is wrong in the mesh, its services, edges and traces, SQL, and how Meshlake itself is doing.
//!
//! ```text
//! asked   the address: range, refresh, language, and what a page is asked
//! pages   one file a page: questions to `meshlake_query`, answers as HTML
//! calls   calls and policies, as several pages show them
//! graph   the service graph as a drawing
//! bars    counts over time or by duration, each bar a link
//! facets  values that narrow a page, and what it is narrowed by
//! chart   lines over time
//! heat    latencies over time
//! shell   what all pages have around them
//! words   the texts, a file a language
//! assets  scripts, style and icon
//! ```
//! Rendered on the server, complete without a script: a page that needs nothing loads in any browser, in a locked-down network,
//! and under a policy that forbids every script. Scripts (`dashboards/ui`) only make parts live that are there already. A name
//! that came over the network can only ever be text: maud escapes all that is not markup in the source, and `text.rs` takes out
//! what would look like something else.

mod pages;
mod calls;
mod facets;
mod bars;
mod chart;
mod heat;
mod shell;
mod graph;
mod asked;
mod words;
mod assets;
mod format;
mod text;

use axum::routing::get;
use axum::{Router, middleware};

use crate::FaceState;
use crate::compress::gzipped;

/// The pages and what they load.
pub fn router() -> Router<FaceState> {
    Router::new()
        .route("/", get(pages::mesh::page))
        .route("/graph.svg", get(pages::mesh::export::answer))
        .route("/service", get(pages::service::page))
        .route("/edge", get(pages::edge::page))
        .route("/traces", get(pages::traces::page))
        .route("/trace/{trace_id}", get(pages::trace::page))
        .route("/trace/{trace_id}/rows", get(pages::trace::rows))
        .route("/requests", get(pages::requests::page))
        .route("/logs", get(pages::logs::page))
        .route("/sql", get(pages::sql::page))
        .route("/operate", get(pages::operate::page))
        .route("/start", get(pages::start::page))
        .route(assets::ROUTE, get(assets::asset))
        .route("/favicon.ico", get(assets::icon))
        .layer(middleware::from_fn(gzipped))
}

/// The class of an error ratio: nothing to see below 1 %, an alarm from 5 %. Common alerting practice; a
/// service's own objective would be better and is not known.
fn severity(error_ratio: f64) -> &'static str {
    match error_ratio {
        ratio if ratio >= 0.05 => "bad",
        ratio if ratio >= 0.01 => "warn",
        _ => "good",
    }
}

#[cfg(test)]
mod tests;
