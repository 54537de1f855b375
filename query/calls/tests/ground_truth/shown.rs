//! A story and its rows as text that can be read.

use crate::mesh::{MILLI, Mesh};
use crate::oracle::FROM;
use crate::oracle::names::far_end;
use crate::story::{Call, Place, Root, Story, Try};
use crate::telemetry::{Row, Value};

/// Columns that every row has and that tell nothing.
const DULL: [&str; 12] = [
    "tenant",
    "time",
    "resource",
    "layer",
    "counted",
    "method",
    "path",
    "source_format",
    "request_bytes",
    "response_bytes",
    "status_code",
    "protocol",
];

pub fn told(story: &Story) -> String {
    let mut text = String::new();
    for trace in &story.traces {
        let kept = if trace.is_kept { "" } else { ", not kept" };
        text += &format!("trace {} x{}{kept}\n", trace.number, trace.weight);
        match &trace.root {
            Root::Entry(called) => call(called, &story.mesh, 1, &mut text),
            Root::Job { at, calls, .. } => {
                text += &format!("  {} by itself\n", place(*at, &story.mesh));
                calls.iter().for_each(|called| call(called, &story.mesh, 2, &mut text));
            }
            Root::Batch(batch) => {
                let queue = &story.mesh.queues[batch.queue];
                text += &format!("  messages {:?} of {queue:?} {:?}\n", batch.messages, batch.taken);
                batch.tries.iter().for_each(|it| reception(it, "taken", &story.mesh, 2, &mut text));
            }
        }
    }
    text
}

fn place(place: Place, mesh: &Mesh) -> String {
    let service = &mesh.services[place.service];
    let sidecar = match (service.sidecar.rows, service.sidecar.spans) {
        (false, false) => "",
        (true, false) => "+logs",
        (false, true) => "+proxy spans",
        (true, true) => "+logs+proxy spans",
    };
    format!("{} [{:?}{sidecar} {:?}]", service.instances[place.instance].name, service.sdk, service.identity)
}

fn call(call: &Call, mesh: &Mesh, depth: usize, text: &mut String) {
    let caller = call.caller.map_or_else(|| "outside".to_owned(), |at| place(at, mesh));
    let target = far_end(mesh, call.target);
    *text += &format!(
        "{}#{} {caller} calls {} {}: {:?}{}{} {:?} {:?}{}\n",
        "  ".repeat(depth),
        call.number,
        target.kind,
        target.name,
        call.verdict,
        call.refusal.map_or_else(String::new, |refusal| format!(" refused {refusal:?}")),
        if call.is_grpc { " grpc" } else { "" },
        call.made,
        call.tried,
        if call.shares_id { " shares id" } else { "" },
    );
    call.tries.iter().for_each(|tried| reception(tried, "received", mesh, depth + 1, text));
    call.mirrors.iter().for_each(|tried| reception(tried, "mirrored", mesh, depth + 1, text));
}

fn reception(tried: &Try, how: &str, mesh: &Mesh, depth: usize, text: &mut String) {
    let at = place(tried.at, mesh);
    *text += &format!(
        "{}#{} {how} by {at}: {:?} {:?}\n",
        "  ".repeat(depth),
        tried.number,
        tried.verdict,
        tried.received
    );
    tried.calls.iter().for_each(|inner| call(inner, mesh, depth + 1, text));
}

/// Rows in the order of their start, times as milliseconds since the start of the range.
pub fn rows(rows: &[Row]) -> String {
    let mut rows: Vec<&Row> = rows.iter().collect();
    let start = |row: &&Row| match row.get("time_unix_nano") {
        Some(Value::Int(start)) => *start,
        _ => 0,
    };
    rows.sort_by_key(start);
    rows.iter().map(|row| line(row, start(row))).collect()
}

fn line(row: &Row, start: i64) -> String {
    let ids = ["trace_id", "span_id", "parent_span_id"];
    let shown = row.values.iter().filter(|(name, _)| !DULL.contains(name) && **name != "time_unix_nano");
    let shown = shown.filter_map(|(name, value)| match value {
        Value::Text(text) if ids.contains(name) => Some(format!("{name}={}", &text[text.len() - 4..])),
        Value::Text(text) => Some(format!("{name}={text}")),
        Value::Int(int) if *name == "duration_nano" => Some(format!("{}ms", *int as f64 / MILLI as f64)),
        Value::Int(int) if *name == "kind" => {
            Some(["?", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"][*int as usize].to_owned())
        }
        Value::Int(int) => Some(format!("{name}={int}")),
        Value::Float(float) if *float == 1.0 => None,
        Value::Float(float) => Some(format!("{name}={float}")),
        Value::Bool(false) => None,
        Value::Bool(true) => Some((*name).to_owned()),
        Value::Attributes(entries) if entries.is_empty() => None,
        Value::Attributes(entries) => Some(format!("{entries:?}")),
        Value::Links(links) => Some(format!("{} links", links.len())),
    });
    let at = (start - FROM) as f64 / MILLI as f64;
    format!("{} {at}ms {}\n", row.table.name(), shown.collect::<Vec<_>>().join(" "))
}
