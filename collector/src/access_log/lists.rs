//! nginx's lists of upstreams: a member for each that was tried, in one field for each fact.
//!
//! ```text
//! 127.0.0.1:1, 127.0.0.1:2              tried one after the other
//! 192.168.1.1:80 : 192.168.10.1:80      groups, after an internal redirect
//! 0.000, 0.004   502, 200   -, 0.004    their times, statuses, times to the header; - where there was none
//! ```
//! The last one gave the answer, so its address and status are the row's; the times of all are the time spent on
//! upstreams, and their number is the attempts. What one was tried in vain is kept whole in an attribute.
//!
//! Source: nginx, "Module ngx_http_upstream_module", embedded variables. Where no server of a group is alive, nginx
//! writes the group's name for an address.

use std::borrow::Cow;

use serde::Deserialize;

use super::numbers::{Unit, count, nanos};
use super::reading::Reading;
use super::words::status;
use crate::address::{Address, is_ip};

fn members(text: &str) -> impl Iterator<Item = &str> {
    text.split(", ").flat_map(|group| group.split(" : ")).map(str::trim)
}

fn last(text: &str) -> &str {
    let group = text.rsplit(" : ").next().unwrap_or(text);
    group.rsplit(", ").next().unwrap_or(group).trim()
}

fn is_list(text: &str) -> bool {
    text.contains([' ', ','])
}

pub(super) fn set_hosts<'a>(text: Cow<'a, str>, to: &mut Reading<'a>) -> bool {
    let tried = members(&text).count() as u64;
    if is_list(&text) {
        to.attributes.push_text("", "upstream_hosts", &text);
    }
    let last = match text {
        Cow::Borrowed(text) => Cow::Borrowed(last(text)),
        Cow::Owned(text) => Cow::Owned(last(&text).to_owned()),
    };
    if last.contains('"') {
        return false;
    }
    let Address { host, port } = Address::parse(last.strip_prefix("unix:").unwrap_or(&last));
    if port.is_some() || is_ip(&host) || last.starts_with("unix:") {
        to.seen.upstream_host = match last {
            Cow::Borrowed(last) => Address::parse(last.strip_prefix("unix:").unwrap_or(last)),
            Cow::Owned(_) => Address { host: host.into_owned().into(), port },
        };
        to.seen.attempts = tried;
    } else {
        // A group without a live server.
        to.seen.attempts = tried - 1;
        to.seen.upstream_cluster = last;
        to.add_flags("UH");
    }
    true
}

/// The status of an answer is known from the proxy; those of upstreams say how often, and whose it was.
pub(super) fn set_statuses(text: &str, to: &mut Reading<'_>) -> bool {
    if is_list(text) {
        to.attributes.push_text("", "upstream_statuses", text);
    }
    members(text).all(|member| member == "-" || status(member).is_some())
}

pub(super) fn set_durations(text: &str, unit: Unit, to: &mut Reading<'_>) -> bool {
    let mut sum = None;
    for member in members(text).filter(|member| *member != "-") {
        match nanos(member, unit) {
            Some(Some(nanos)) => sum = Some(sum.unwrap_or(0_i64).saturating_add(nanos)),
            Some(None) => {}
            None => return false,
        }
    }
    to.seen.upstream_duration_nano = sum;
    if is_list(text) {
        to.attributes.push_text("", "upstream_durations", text);
    }
    true
}

fn last_is_missing(text: &str) -> Option<bool> {
    let last = last(text);
    match nanos(last, Unit::Seconds) {
        Some(_) => Some(false),
        // Nothing at all, with `escape=json`.
        None => matches!(last, "-" | "").then_some(true),
    }
}

fn push_times(name: &str, text: &str, to: &mut Reading<'_>) {
    if !text.is_empty() {
        to.attributes.push_text("", name, text);
    }
}

pub(super) fn set_connect_times(text: &str, to: &mut Reading<'_>) -> bool {
    to.upstream.unconnected = last_is_missing(text);
    push_times("upstream_connect_time", text, to);
    to.upstream.unconnected.is_some()
}

pub(super) fn set_header_times(text: &str, to: &mut Reading<'_>) -> bool {
    to.upstream.unanswered = last_is_missing(text);
    push_times("upstream_header_time", text, to);
    to.upstream.unanswered.is_some()
}

pub(super) fn set_bytes(text: &str, to: &mut Reading<'_>) -> bool {
    to.attributes.push_text("", "upstream_response_bytes", text);
    members(text).all(|member| member == "-" || count(member).is_some())
}

/// Kong's: `[{"ip": "10.0.0.1", "port": 80, ...}, ...]`, one object for each upstream tried.
pub(super) fn set_tries(text: &str, to: &mut Reading<'_>) -> bool {
    #[derive(Deserialize)]
    struct Try<'a> {
        #[serde(borrow)]
        ip: Option<Cow<'a, str>>,
        port: Option<u16>,
    }
    let Ok(tries) = serde_json::from_str::<Vec<Try<'_>>>(text) else { return false };
    to.seen.attempts = tries.len() as u64;
    if let Some(Try { ip: Some(ip), port }) = tries.last() {
        to.seen.upstream_host = Address { host: ip.clone().into_owned().into(), port: *port };
    }
    if tries.len() > 1 {
        to.attributes.push_text("", "upstream_hosts", text);
    }
    true
}
