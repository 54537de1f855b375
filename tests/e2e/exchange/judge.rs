//! Whether an answer is the one that a case asks for.
//!
//! What holds for every answer is checked here for every answer, so that a case need not say it: messages are
//! there and short, details match the code, a delay is a delay on both of its places.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::case::Case;
use super::reply::{Fault, Partial, Status, grpc_refusal, http_refusal, success, text};
use super::send::Reply;
use super::signal::{Signal, Transport};

/// The longest message of any answer; OTLP asks that answers are small, and names no figure for a message.
const MESSAGE_BYTES_MAX: usize = 1024;

/// A delay shorter than this helps nobody, a longer one makes senders drop what they hold.
const RETRY_DELAY_MIN: Duration = Duration::from_secs(1);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(30);

/// One way to refuse: an entry of `status_map.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// What it is, in words.
    pub what: String,
    /// The code, over gRPC and in the body over HTTP.
    pub grpc: i32,
    pub http: u16,
    /// The type of the one detail, without `google.rpc.`.
    pub detail: Option<String>,
    /// The gRPC port answers as an HTTP server, because the request is not gRPC.
    #[serde(default)]
    pub http_over_grpc: bool,
    /// Headers of HTTP answers and what they must contain.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The same of gRPC answers.
    #[serde(default)]
    pub grpc_headers: BTreeMap<String, String>,
}

/// All ways to refuse, by name.
#[derive(Debug, Clone)]
pub struct StatusMap(pub BTreeMap<String, Outcome>);

impl StatusMap {
    /// # Errors
    /// A file that is missing or says something else.
    pub fn read() -> Result<StatusMap> {
        let text = std::fs::read_to_string(super::cases_dir().join("status_map.toml"))?;
        Ok(StatusMap(toml::from_str(&text).context("status_map.toml")?))
    }

    /// # Errors
    /// What is wrong with `reply`.
    pub fn judge(
        &self,
        case: &Case,
        signal: Signal,
        transport: Transport,
        reply: &Reply,
    ) -> Result<(), Fault> {
        // A page of another origin must not be able to read any of it.
        if reply.headers.contains_key("access-control-allow-origin") {
            return Err("allows other origins".to_owned());
        }
        if case.is_ok() {
            return accepted(case, signal, success(reply, signal, transport)?);
        }
        let outcome = self.0.get(&case.outcome).ok_or(format!("no outcome {}", case.outcome))?;
        let over_http = transport != Transport::Grpc || outcome.http_over_grpc;
        if over_http && reply.status != outcome.http {
            return Err(format!("{} instead of {}: {}", reply.status, outcome.http, text(&reply.body)));
        }
        let headers = if over_http { &outcome.headers } else { &outcome.grpc_headers };
        for (name, part) in headers {
            if !reply.header(name).is_some_and(|value| value.contains(part.as_str())) {
                return Err(format!("header {name} is {:?}, without {part}", reply.header(name)));
            }
        }
        let status = match over_http {
            // An answer to HEAD has no body.
            true if case.method == "HEAD" => return Ok(()),
            true => http_refusal(reply, answered_in(case, transport))?,
            false => grpc_refusal(reply)?,
        };
        refused(outcome, &status)?;
        check_delay(outcome, &status, reply, over_http)?;
        check_says(case, signal, &status.message)
    }
}

/// The media type of a refusal: the request's, or JSON when the port does not speak the request's.
fn answered_in(case: &Case, transport: Transport) -> &'static str {
    if transport == Transport::Grpc {
        return Transport::Json.media_type();
    }
    let sent = case.content_type.as_deref().unwrap_or(transport.media_type());
    let known = [Transport::Protobuf, Transport::Json].map(Transport::media_type);
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    known.into_iter().find(|known| *known == essence).unwrap_or(Transport::Json.media_type())
}

fn accepted(case: &Case, signal: Signal, partial: Option<Partial>) -> Result<(), Fault> {
    let rejected = case.rejected(signal);
    let expects_partial = rejected > 0 || !case.says(signal).is_empty();
    let Some(partial) = partial else {
        return match expects_partial {
            true => Err("partial_success is unset".to_owned()),
            false => Ok(()),
        };
    };
    if !expects_partial || partial.rejected != rejected {
        return Err(format!("{partial:?} instead of {rejected} rejected"));
    }
    check_message(&partial.message)?;
    check_says(case, signal, &partial.message)
}

fn refused(outcome: &Outcome, status: &Status) -> Result<(), Fault> {
    let want = outcome.detail.as_ref().map(|detail| format!("google.rpc.{detail}"));
    if status.code != outcome.grpc || status.details != Vec::from_iter(want) {
        let (code, detail) = (outcome.grpc, &outcome.detail);
        return Err(format!("{status:?} instead of code {code} with {detail:?}"));
    }
    check_message(&status.message)
}

/// A refusal that passes says when to come back, in the status and over HTTP in a header too; others do not.
fn check_delay(outcome: &Outcome, status: &Status, reply: &Reply, over_http: bool) -> Result<(), Fault> {
    let header = reply.header("retry-after");
    let Some(delay) = status.retry_delay else {
        return match header {
            Some(header) => Err(format!("retry-after {header} without RetryInfo")),
            None => Ok(()),
        };
    };
    if outcome.detail.as_deref() != Some("RetryInfo") || !(RETRY_DELAY_MIN..=RETRY_DELAY_MAX).contains(&delay)
    {
        return Err(format!("a delay of {delay:?}"));
    }
    match (over_http, header) {
        (true, Some(header)) if header.parse() == Ok(delay.as_secs()) => Ok(()),
        (false, None) => Ok(()),
        (_, header) => Err(format!("retry-after is {header:?}, RetryInfo says {delay:?}")),
    }
}

fn check_message(message: &str) -> Result<(), Fault> {
    match message.len() {
        0 => Err("an empty message".to_owned()),
        1..=MESSAGE_BYTES_MAX => Ok(()),
        bytes => Err(format!("a message of {bytes} bytes")),
    }
}

fn check_says(case: &Case, signal: Signal, message: &str) -> Result<(), Fault> {
    match case.says(signal).iter().find(|part| !message.contains(part.as_str())) {
        Some(part) => Err(format!("{message:?} does not say {part:?}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use hyper::HeaderMap;
    use hyper::body::Bytes;
    use hyper::header::{HeaderName, HeaderValue};

    use super::*;

    fn reply(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Reply {
        let typed = [("content-type", "application/json")];
        let headers = typed
            .iter()
            .chain(headers)
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let headers = HeaderMap::from_iter(headers);
        Reply { status, headers, body: Bytes::from_static(body.as_bytes()), trailers: HeaderMap::new() }
    }

    /// What the judge says about an answer in JSON to a case with these further lines.
    fn judged(lines: &str, reply: &Reply) -> Result<(), Fault> {
        let case = format!("row = 'x'\nname = 'x'\n{lines}");
        let case: Case = toml::from_str(&case).map_err(|error| error.to_string())?;
        StatusMap::read().expect("the map is there").judge(&case, Signal::Traces, Transport::Json, reply)
    }

    #[test]
    fn right_answers_are_accepted() {
        let partial = r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"2 of 5"}}"#;
        let large = r#"{"code":8,"message":"too large"}"#;
        let busy = r#"{"code":14,"message":"busy","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}]}"#;
        assert_eq!(judged("", &reply(200, &[], "{}")), Ok(()));
        assert_eq!(judged("rejected = 2\nsays = ['2 of 5']", &reply(200, &[], partial)), Ok(()));
        assert_eq!(judged("outcome = 'too_large'", &reply(413, &[], large)), Ok(()));
        assert_eq!(judged("outcome = 'overloaded'", &reply(503, &[("retry-after", "1")], busy)), Ok(()));
    }

    #[test]
    fn wrong_answers_are_found() {
        let partial = r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"2 of 5"}}"#;
        let number = r#"{"partialSuccess":{"rejectedSpans":2,"errorMessage":"2 of 5"}}"#;
        let silent = r#"{"partialSuccess":{"rejectedSpans":"2"}}"#;
        let bad =
            r#"{"code":3,"message":"bad","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest"}]}"#;
        let bare = r#"{"code":3,"message":"bad"}"#;
        let busy = r#"{"code":14,"message":"busy","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"2s"}]}"#;
        let retried = r#"{"code":8,"message":"large","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}]}"#;
        let retry: &[(&str, &str)] = &[("retry-after", "1")];
        let cases: [(&str, &str, Reply); 14] = [
            ("a body beside success", "", reply(200, &[], "{\"partialSuccess\":{}}")),
            ("white space", "", reply(200, &[], "{ }")),
            ("no success", "", reply(400, &[], bad)),
            ("no partial success", "rejected = 2", reply(200, &[], "{}")),
            ("another count", "rejected = 3", reply(200, &[], partial)),
            ("no string", "rejected = 2", reply(200, &[], number)),
            ("no message", "rejected = 2", reply(200, &[], silent)),
            ("another message", "rejected = 2\nsays = ['3 of 5']", reply(200, &[], partial)),
            ("another origin", "", reply(200, &[("access-control-allow-origin", "*")], "{}")),
            ("no detail", "outcome = 'undecodable'", reply(400, &[], bare)),
            ("another status", "outcome = 'undecodable'", reply(422, &[], bad)),
            ("two delays", "outcome = 'overloaded'", reply(503, retry, busy)),
            ("no delay", "outcome = 'overloaded'", reply(503, retry, bare)),
            ("a delay for good", "outcome = 'too_large'", reply(413, retry, retried)),
        ];
        for (what, lines, reply) in cases {
            assert!(judged(lines, &reply).is_err(), "{what}");
        }
    }
}
