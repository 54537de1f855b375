//! All that was sent of one span.

use maud::{Markup, html};
use meshlake_query::trace::{kind_name, status_name};
use meshlake_schema::rows::{Attributes, Events, Links, Rows, RowsError, Text as Texts};
use meshlake_schema::sent::{SentAttributes, entries, object};
use meshlake_schema::{Table, UnixNanos};

use super::rows::{Row, told};
use crate::ui::asked::Asked;
use crate::ui::format;
use crate::ui::shell::{table, text};
use crate::ui::text::{Text, shortened};

/// Characters of a value; the API has it whole.
const VALUE_CHARS_MAX: usize = 2_000;

const NANOS_PER_MILLI: f64 = 1e6;

/// All that was sent of one span.
pub fn details(asked: &Asked, row: &Row<'_>) -> Result<Markup, RowsError> {
    let words = asked.words();
    let (columns, at) = (row.columns, row.row);
    let attributes = SentAttributes::of(Rows::of(Table::Spans, row.batch))?;
    let resource = object(
        columns.resource.get(at).unwrap_or_default(),
        columns.resource_types.get(at).unwrap_or_default(),
    );
    let status = status_name(columns.status_code.get(at));
    let message = columns.status_message.named(at).unwrap_or_default();
    let scope = [columns.scope_name.named(at), columns.scope_version.named(at)];
    let facts = [
        ("span_id", row.id().to_owned()),
        ("parent_span_id", columns.parent_span_id.named(at).unwrap_or("–").to_owned()),
        ("kind", kind_name(columns.kind.get(at)).to_owned()),
        ("status", format!("{status} {message}")),
        ("time", UnixNanos(row.start()).to_rfc3339()),
        ("service.version", columns.service_version.named(at).unwrap_or("–").to_owned()),
        ("scope", scope.into_iter().flatten().collect::<Vec<_>>().join(" ")),
    ];
    let of_resource = resource.iter().map(|(key, value)| (key.as_str(), told(value)));
    let of_span = attributes.entries(at).into_iter().map(|(key, value)| (key, told(&value)));
    Ok(html! {
        section id="details" class="details" aria-labelledby="span" {
            h2 id="span" { (words.span_details) ": " (Text(row.name())) }
            (pairs(asked, facts.into_iter()))
            h3 { (words.attributes) }
            (pairs(asked, of_span))
            @if !columns.events.places(at).is_empty() { h3 { (words.events) } (events(asked, &columns.events, row)) }
            @if !columns.links.places(at).is_empty() { h3 { (words.links) } (links(asked, &columns.links, at)) }
            h3 { (words.resource) }
            (pairs(asked, of_resource))
        }
    })
}

fn pairs<'a>(asked: &Asked, pairs: impl Iterator<Item = (&'a str, String)>) -> Markup {
    let words = asked.words();
    let rows: Vec<(&str, Vec<Markup>)> = pairs
        .map(|(key, value)| {
            let value = shortened(&value, VALUE_CHARS_MAX);
            ("", vec![html! { code { (Text(key)) } }, html! { span class="value" { (Text(&value)) } }])
        })
        .collect();
    html! { @if rows.is_empty() { p class="hint" { "–" } } @else { (table(words.attributes, &[text(words.what), text(words.value)], &rows)) } }
}

fn events(asked: &Asked, events: &Events<'_>, row: &Row<'_>) -> Markup {
    html! {
        @for place in events.places(row.row) {
            @let after = events.time_unix_nano.or_zero(place) - row.start();
            p { strong { (Text(events.name.get(place).unwrap_or_default())) }
                " " span class="hint" { "+" (format::duration(Some(after as f64 / NANOS_PER_MILLI))) } }
            (pairs(asked, of_map(&events.attributes, &events.attribute_types, place)))
        }
    }
}

fn links(asked: &Asked, links: &Links<'_>, row: usize) -> Markup {
    html! {
        ul { @for place in links.places(row) {
            @let id = links.trace_id.get(place).unwrap_or_default();
            li { a href=(asked.link(&format!("/trace/{id}"), &[("span", links.span_id.get(place).unwrap_or_default())])) { code { (Text(id)) } }
                (pairs(asked, of_map(&links.attributes, &links.attribute_types, place))) }
        } }
    }
}

fn of_map<'a>(
    map: &Attributes<'a>,
    types: &Texts<'a>,
    place: usize,
) -> impl Iterator<Item = (&'a str, String)> + use<'a> {
    entries(map, types, place).map(|(key, value)| (key, told(&value)))
}
