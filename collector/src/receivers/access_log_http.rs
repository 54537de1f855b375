//! Lines of access logs by POST: `/v1/access_logs`, as text or a JSON object a line.
//!
//! Whoever has a file of them says so, and then each line is stored once, however often it is posted: the file's first
//! bytes are posted to `/v1/access_logs/file`, whose answer is the name of the file and how far it is stored, and parts of it
//! with that name and where they start. Without a file, the same bytes again are taken for the same post sent again, as
//! everywhere, where the query is the same too: the same line of another pod is another's.
//!
//! The query says what is known of the lines: the keys of [`LinesConfig`], `fields`, and of a part `file`, `offset` and `end`.

use std::sync::Arc;

use bytes::Bytes;
use http::{Response, Version};
use meshlake_store::AppendError;
use serde_json::json;

use super::{Call, Name, Port, Read, Receivers, Route, caught, closing, read_posted_as};
use crate::access_log::origin::LineOrigin;
use crate::admit::ReplyBody;
use crate::admit::answer;
use crate::admit::media::MediaType;
use crate::admit::refusal::Refusal;
use crate::admit::unpack::export_hash;
use crate::decode::Sender;
use crate::decode::access_log::FORMAT;
use crate::line_origin::LinesConfig;
use crate::lines::{Part, unwrap_container};
use crate::positions::{FileIdentity, HEAD_BYTES_MAX};
use crate::tally::Tally;

/// The receiver's name in metrics.
const RECEIVER: &str = "access_log_http";

pub(super) static ROUTES: [Route; 2] = [
    Route {
        port: Port::Http,
        path: "/v1/access_logs",
        formats: &[("text/plain", &FORMAT)],
        receive: |call| Box::pin(receive(call)),
    },
    Route {
        port: Port::Http,
        path: "/v1/access_logs/file",
        formats: &[],
        receive: |call| Box::pin(receive_file(call)),
    },
];

/// What a query says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    lines: LinesConfig,
    /// The `#Fields` line of their file that is in force where they begin; empty where it has none.
    fields: Option<String>,
    file: Option<PartOfFile>,
}

/// Which part of a file is posted.
#[derive(Debug, Default, PartialEq, Eq)]
struct PartOfFile {
    file: u128,
    offset: u64,
    /// Where it ends, if not behind as many bytes as are posted: a line that is too long is posted cut.
    end: Option<u64>,
}

async fn receive(call: Call) -> Response<ReplyBody> {
    let receivers = Arc::clone(&call.receivers);
    let is_http1 = call.request.version() <= Version::HTTP_11;
    let query = call.request.uri().query().unwrap_or_default().to_owned();
    let asked = Asked::of(&query);
    let read = caught(read_posted_as(call, &FORMAT)).await;
    let closes = is_http1 && read.is_err();
    let result = match (asked, read) {
        (Ok(asked), Ok(read)) => caught(store(&receivers, &query, asked, read)).await,
        (Err(why), Ok(_)) => Err(Refusal::Undecodable(why)),
        (_, Err(refusal)) => Err(refusal),
    };
    receivers.count(RECEIVER, Some(FORMAT.signal), result.as_ref());
    let response = match result {
        Ok(tally) => answer::http(told(&tally), MediaType::Json),
        Err(refusal) => refusal.into_http(MediaType::Json),
    };
    if closes { closing(response) } else { response }
}

async fn store(receivers: &Receivers, query: &str, asked: Asked, read: Read) -> Result<Tally, Refusal> {
    let Asked { lines, fields, file } = asked;
    let mut origin: LineOrigin = lines.origin().map_err(Refusal::Undecodable)?;
    origin.lacks_head = fields.is_none() && file.as_ref().is_some_and(|part| part.offset > 0);
    origin.fields = fields.unwrap_or_default();
    let sender = Arc::new(Sender::Lines(origin));
    let Read { tenant, packed, .. } = read;
    let wire_bytes = packed.bytes.len();
    let mut unpacked = packed.unpack().await?;
    if let Some(PartOfFile { file, offset, end }) = file {
        let at_least = offset.saturating_add(unpacked.bytes.len() as u64);
        let end = end.unwrap_or(at_least);
        if end < at_least || end == u64::MAX {
            return Err(Refusal::Undecodable(format!("end={end}: the part is longer")));
        }
        let part = Part { range: offset..end, bytes: unpacked.bytes, fields: None };
        let paid = Some(unpacked.tickets);
        return receivers.store_part(&tenant, FileIdentity(file), &part, &sender, paid).await;
    }
    receivers.stats.count_bytes(wire_bytes, unpacked.bytes.len());
    if let std::borrow::Cow::Owned(unwrapped) = unwrap_container(&unpacked.bytes) {
        unpacked.bytes = unwrapped.into();
    }
    let name = Name::Bytes(export_hash(&tenant, &format!("{RECEIVER}?{query}"), &unpacked.bytes));
    let answer = receivers.submit(&FORMAT, name, tenant, Some(sender), unpacked)?;
    receivers.acknowledged(answer, None).await
}

/// Answers how far the file is stored that begins with the body, and makes it known.
async fn receive_file(call: Call) -> Response<ReplyBody> {
    let receivers = Arc::clone(&call.receivers);
    let is_http1 = call.request.version() <= Version::HTTP_11;
    let result = caught(find_file(&receivers, call)).await;
    match result {
        Ok(message) => answer::http(message, MediaType::Json),
        Err(refusal) => {
            receivers.count(RECEIVER, Some(FORMAT.signal), Err(&refusal));
            let response = refusal.into_http(MediaType::Json);
            if is_http1 { closing(response) } else { response }
        }
    }
}

async fn find_file(receivers: &Receivers, call: Call) -> Result<Vec<u8>, Refusal> {
    let Read { tenant, packed, .. } = read_posted_as(call, &FORMAT).await?;
    let head: Bytes = packed.unpack().await?.bytes;
    let head = head.slice(..head.len().min(HEAD_BYTES_MAX));
    if head.is_empty() {
        return Err(Refusal::Undecodable(
            "a file is known by its first bytes, and there are none".to_owned(),
        ));
    }
    let positions = receivers.positions.clone();
    let found = tokio::task::spawn_blocking(move || match positions.find(&tenant, &head) {
        Some(known) => Ok(known),
        None => positions.add(&tenant, &head),
    });
    let known = found.await.map_err(|_panic| Refusal::Panicked)?;
    let known = known
        .map_err(|error| Refusal::NotDurable(AppendError::Disk(format!("write down a file: {error}"))))?;
    let file = format!("{:032x}", known.identity.0);
    Ok(json!({ "file": file, "head_bytes": known.head_bytes, "position": known.position })
        .to_string()
        .into_bytes())
}

/// What became of the lines of a post.
fn told(tally: &Tally) -> Vec<u8> {
    let unread: u64 = tally.unread.iter().map(|(_, lines)| lines).sum();
    let by_field = tally.unread.iter().map(|(field, lines)| ((*field).to_owned(), json!(lines)));
    let rejected = tally.rejected.iter().map(|(reason, lines)| (reason.name().to_owned(), json!(lines)));
    let answer = json!({
        "lines": tally.received,
        "parsed": tally.accepted - unread.min(tally.accepted),
        "unparsed": serde_json::Map::from_iter(by_field),
        "rejected": serde_json::Map::from_iter(rejected),
        "stored_before": tally.deduplicated,
    });
    answer.to_string().into_bytes()
}

impl Asked {
    /// # Errors
    /// What is wrong with the query.
    fn of(query: &str) -> Result<Asked, String> {
        let mut asked = Asked::default();
        let (mut file, mut offset, mut end) = (None, None, None);
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            let number =
                || value.parse::<u64>().map_err(|_| format!("{key}={value}: it is no number of bytes"));
            let lines = &mut asked.lines;
            match &*key {
                "format" => lines.format = value.into_owned(),
                "language" => lines.language = value.into_owned(),
                "service" => lines.service = value.into_owned(),
                "namespace" => lines.namespace = value.into_owned(),
                "workload" => lines.workload = value.into_owned(),
                "version" => lines.version = value.into_owned(),
                "instance" => lines.instance = value.into_owned(),
                "cluster" => lines.cluster = value.into_owned(),
                "zone" => lines.zone = value.into_owned(),
                "fields" => asked.fields = Some(value.into_owned()),
                "file" => {
                    let identity = u128::from_str_radix(&value, 16);
                    file = Some(identity.map_err(|_| format!("file={value}: it is no name of a file"))?);
                }
                "offset" => offset = Some(number()?),
                "end" => end = Some(number()?),
                _ => return Err(format!("{key}: unknown parameter")),
            }
        }
        asked.file = match (file, offset) {
            (Some(file), Some(offset)) => Some(PartOfFile { file, offset, end }),
            (None, None) if end.is_none() => None,
            _ => return Err("file and offset: one without the other says nothing".to_owned()),
        };
        Ok(asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::RejectReason;

    #[test]
    fn a_query_says_what_is_known_of_lines() {
        let asked = Asked::of("format=%24status+x&service=web&namespace=shop").expect("a query");
        assert_eq!(
            (&*asked.lines.format, &*asked.lines.service, &*asked.lines.namespace),
            ("$status x", "web", "shop")
        );
        assert_eq!(Asked::of(""), Ok(Asked::default()));
        let part = Asked::of("file=ff&offset=10&end=20").map(|asked| asked.file);
        assert_eq!(part, Ok(Some(PartOfFile { file: 255, offset: 10, end: Some(20) })));
        for wrong in ["formt=x", "file=xyz&offset=1", "file=1", "offset=1", "end=1", "file=1&offset=-1"] {
            assert!(Asked::of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_line_is_accounted_for_in_the_answer() {
        let mut tally = Tally { received: 7, accepted: 6, deduplicated: 2, ..Tally::default() };
        tally.reject(RejectReason::TimeOutOfRange, 1);
        tally.keep_unread("time");
        tally.keep_unread("response_code");
        tally.keep_unread("time");
        let answer: serde_json::Value = serde_json::from_slice(&told(&tally)).expect("JSON");
        let want = json!({
            "lines": 7, "parsed": 3, "unparsed": {"time": 2, "response_code": 1},
            "rejected": {"time_out_of_range": 1}, "stored_before": 2,
        });
        assert_eq!(answer, want);
    }
}
