//! What is wrong in the mesh, in words, worst first.

use std::time::Duration;

use maud::{Markup, html};
use meshlake_query::answers::troubles::{Trouble, troubles};
use meshlake_query::graph::{Graph, graph};
use meshlake_query::shown::Wanted;
use meshlake_query::{By, Picture, Query, Range};

use super::drawn::picture;
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::pages::Failure;
use crate::ui::text::Text;

/// How far before the range its latencies and rates are compared with.
const BEFORE: Duration = Duration::from_secs(3_600);

/// Troubles that are told; the graph shows the rest.
const TROUBLES_MAX: usize = 12;

/// What is wrong, against the hour before.
pub async fn wrong(
    query: &Query,
    asked: &Asked,
    by: By,
    now: &Picture,
    all: &Graph,
) -> Result<Markup, Failure> {
    let words = asked.words();
    let by_service = match by {
        By::Service => None,
        _ => Some(graph(&picture(query, asked.range, By::Service).await?, &Wanted::default())),
    };
    let all = by_service.as_ref().unwrap_or(all);
    let start = asked.range.from();
    let earlier = Range::new(start.minus(BEFORE), start, None).expect("an hour is a range");
    let before = graph(&picture(query, earlier, By::Service).await?, &Wanted::default());
    let found = troubles(all, now.range.bucket_seconds(0), &before);
    let body = html! {
        @if found.is_empty() { p class="calm" { (words.nothing_is_wrong) } }
        @else {
            ol class="troubles" {
                @for trouble in found.iter().take(TROUBLES_MAX) { (told(asked, trouble)) }
            }
            @if found.len() > TROUBLES_MAX { p class="hint" { (found.len() - TROUBLES_MAX) " " (words.more_troubles) } }
        }
    };
    Ok(body)
}

fn told(asked: &Asked, trouble: &Trouble) -> Markup {
    let words = asked.words();
    let service = |id: &str| asked.link("/service", &[("name", id)]);
    let (link, name, kind, detail) = match trouble {
        Trouble::Failing { node, errors, share } => (
            service(&node.id),
            node.id.clone(),
            words.fails,
            format!("{} · {} {}", format::percent(*share), format::count(*errors), words.errors),
        ),
        Trouble::Refused { client, server, refused, share } => (
            asked.link("/edge", &[("client", &client.id), ("server", &server.id)]),
            format!("{} → {}", client.id, server.id),
            words.calls_are_refused,
            format!("{} · {} {}", format::percent(*share), format::count(*refused), words.calls),
        ),
        Trouble::Slower { node, now_ms, before_ms } => (
            service(&node.id),
            node.id.clone(),
            words.is_slower,
            format!("p95 {} → {}", format::duration(Some(*before_ms)), format::duration(Some(*now_ms))),
        ),
        Trouble::Silent { node, rate_before } => (
            service(&node.id),
            node.id.clone(),
            words.is_silent,
            format!("{} → 0", format::rate(*rate_before)),
        ),
    };
    let class = if trouble.is_grave() { "bad" } else { "warn" };
    html! {
        li class=(class) {
            a href=(link) { (Text(&name)) } " " (kind) " " span class="hint" { (detail) }
        }
    }
}
