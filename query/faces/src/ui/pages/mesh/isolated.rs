//! Services that were heard of and have no calls: a graph of calls alone would not show that they are there.

use std::time::Duration;

use maud::{Markup, html};
use meshlake_query::Query;
use meshlake_query::graph::Graph;
use meshlake_query::services::{Service, services_in};

use crate::ui::asked::Asked;
use crate::ui::pages::shown;
use crate::ui::text::Text;

/// How much of the range's end is looked through: they are found in rows and not in cells, which a day of a large mesh has too
/// many of, and a service that runs says something in a quarter of an hour.
const LOOKED_THROUGH: Duration = Duration::from_secs(900);

/// Services that are named; of more, how many there are.
const NAMED_MAX: usize = 50;

/// A line of them; nothing where there are none.
pub async fn isolated(query: &Query, asked: &Asked, all: &Graph) -> Markup {
    let (words, to) = (asked.words(), asked.range.to());
    let from = asked.range.from().max(to.minus(LOOKED_THROUGH));
    let heard = services_in(query, from, to).await;
    shown(asked, heard, |heard| {
        let alone: Vec<Service> = heard.into_iter().filter(|service| is_alone(service, all)).collect();
        let more = alone.len().saturating_sub(NAMED_MAX);
        html! {
            @if !alone.is_empty() {
                p class="hint" {
                    (words.of_mesh.isolated)
                    @for service in alone.iter().take(NAMED_MAX) { " " span class="chip" { (Text(&name(service))) } }
                    @if more > 0 { " " (more) " " (words.more_not_listed) }
                }
            }
        }
    })
}

fn name(service: &Service) -> String {
    match &service.namespace {
        Some(namespace) => format!("{namespace}/{}", service.service),
        None => service.service.clone(),
    }
}

/// No node of the graph is it. One that is named without its namespace is the same service (docs/calls.md).
fn is_alone(service: &Service, graph: &Graph) -> bool {
    let is_it = |namespace: &Option<String>, name: &str| {
        name == service.service
            && (namespace == &service.namespace || namespace.is_none() || service.namespace.is_none())
    };
    !graph.nodes.iter().any(|node| is_it(&node.identity.namespace, &node.identity.name))
}
