//! What is wrong in the mesh, in words, worst first.

use maud::{Markup, html};
use meshlake_query::answers::troubles::Trouble;
use meshlake_query::answers::worse_versions::{Worse, WorseVersion};
use meshlake_query::graph::{Graph, graph};
use meshlake_query::shown::Wanted;
use meshlake_query::{By, Query, operate};

use super::drawn::picture;
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::pages::Failure;
use crate::ui::text::Text;

/// Troubles that are told; the graph shows the rest.
const TROUBLES_MAX: usize = 12;

/// What is wrong. `all` is the whole graph, by what the page shows apart.
pub async fn wrong(query: &Query, asked: &Asked, by: By, all: &Graph) -> Result<Markup, Failure> {
    let words = asked.words();
    let by_service = match by {
        By::Service => None,
        _ => Some(graph(&picture(query, asked.range, By::Service).await?, &Wanted::default())),
    };
    let all = by_service.as_ref().unwrap_or(all);
    let found = operate::troubles::load(query, asked.range, all).await?;
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
        Trouble::WorseVersion(found) => worse_version(asked, found),
        Trouble::Lost(lost) => (
            asked.link("/operate", &[]) + "#received",
            format!("{} · {}", lost.signal, lost.source),
            words.of_mesh.were_lost,
            format!(
                "{} · {} {} · {}",
                format::percent(lost.share()),
                format::count(lost.records as f64),
                words.of_mesh.records,
                lost.reason
            ),
        ),
    };
    let class = if trouble.is_grave() { "bad" } else { "warn" };
    html! {
        li class=(class) {
            a href=(link) { (Text(&name)) } " " (kind) " " span class="hint" { (detail) }
        }
    }
}

fn worse_version(asked: &Asked, found: &WorseVersion) -> (String, String, &'static str, String) {
    let words = &asked.words().of_mesh;
    let WorseVersion { service, version, than, how } = found;
    let (kind, detail) = match how {
        Worse::Fails { share, than_share } => {
            let [own, busiest] = [share, than_share].map(|share| format::percent(*share));
            (words.version_fails, format!("{own} · {than}: {busiest}"))
        }
        Worse::Slower { p95_ms, than_ms } => {
            let [own, busiest] = [p95_ms, than_ms].map(|ms| format::duration(Some(*ms)));
            (words.version_is_slower, format!("p95 {own} · {than}: {busiest}"))
        }
    };
    let link = asked.link("/service", &[("name", service)]) + "#versions";
    (link, format!("{service} {version}"), kind, detail)
}
