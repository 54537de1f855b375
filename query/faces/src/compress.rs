//! Answers packed with gzip for whoever reads that: labels and markup, which come again and again, shrink to little, numbers by a
//! third. What has come is sent before more is waited for, so that an answer in parts arrives in parts.

use std::io::Write as _;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{FutureExt as _, StreamExt as _, stream};

/// Bytes below which packing costs more than it saves: less than a packet of a network. Guess, not measured.
const BYTES_MIN: u64 = 1_024;

/// Packed bytes that are sent together where more is there: what a system call is worth. Guess, not measured.
const PIECE_BYTES: usize = 16 << 10;

/// Packs the answers of `next` that are worth it.
pub async fn gzipped(request: Request, next: Next) -> Response {
    let is_accepted = accepts_gzip(request.headers());
    let mut response = next.run(request).await;
    response.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    let is_packed = response.headers().contains_key(header::CONTENT_ENCODING);
    let is_small = response.body().size_hint().upper().is_some_and(|bytes| bytes < BYTES_MIN);
    if !is_accepted || is_packed || is_small {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    weaken(&mut parts.headers);
    Response::from_parts(parts, packed(body))
}

/// Whether a client takes gzip: it or everything is named, and not with a weight of zero. Source: RFC 9110, 12.5.3.
fn accepts_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let codings: Vec<&str> = values.flat_map(|value| value.split(',')).collect();
    let weight_of = |wanted: &str| {
        codings.iter().find_map(|coding| {
            let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
            let is_wanted = name.trim().eq_ignore_ascii_case(wanted);
            let weight = weight.trim().strip_prefix("q=").unwrap_or("1");
            is_wanted.then(|| weight.parse().unwrap_or(1.0_f32))
        })
    };
    weight_of("gzip").or_else(|| weight_of("*")).is_some_and(|weight| weight > 0.0)
}

/// The bytes are others than those that a strong tag stands for. Source: RFC 9110, 8.8.3.3.
fn weaken(headers: &mut HeaderMap) {
    let tag = headers.get(header::ETAG).and_then(|tag| tag.to_str().ok());
    let weak = tag.filter(|tag| !tag.starts_with("W/")).map(|tag| HeaderValue::from_str(&format!("W/{tag}")));
    if let Some(Ok(weak)) = weak {
        headers.insert(header::ETAG, weak);
    }
}

fn packed(body: Body) -> Body {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let pieces = stream::unfold(Some((body.into_data_stream(), encoder)), |state| async {
        let (mut body, mut encoder) = state?;
        let mut is_flushed = true;
        loop {
            let come = match body.next().now_or_never() {
                Some(come) => come,
                None if is_flushed => body.next().await,
                None => match encoder.flush() {
                    Ok(()) => return Some((Ok(taken(&mut encoder)), Some((body, encoder)))),
                    Err(error) => return Some((Err(axum::Error::new(error)), None)),
                },
            };
            let written = match come {
                Some(Ok(piece)) => encoder.write_all(&piece).map_err(axum::Error::new),
                Some(Err(error)) => Err(error),
                None => return Some((encoder.finish().map(Bytes::from).map_err(axum::Error::new), None)),
            };
            if let Err(error) = written {
                return Some((Err(error), None));
            }
            is_flushed = false;
            if encoder.get_ref().len() >= PIECE_BYTES {
                return Some((Ok(taken(&mut encoder)), Some((body, encoder))));
            }
        }
    });
    Body::from_stream(pieces)
}

fn taken(encoder: &mut GzEncoder<Vec<u8>>) -> Bytes {
    Bytes::from(std::mem::take(encoder.get_mut()))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use axum::body::to_bytes;
    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn gzip_is_sent_to_those_who_say_that_they_take_it() {
        let check = |value: &'static str, want: bool| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            assert_eq!(accepts_gzip(&headers), want, "{value}");
        };
        check("gzip", true);
        check("deflate, GZIP;q=0.5", true);
        check("*", true);
        check("gzip;q=0", false);
        check("*, gzip; q=0", false);
        check("snappy", false);
        assert!(!accepts_gzip(&HeaderMap::new()));
    }

    #[test]
    fn a_tag_of_what_is_packed_is_weak() {
        let check = |tag: &'static str, want: &'static str| {
            let mut headers = HeaderMap::from_iter([(header::ETAG, HeaderValue::from_static(tag))]);
            weaken(&mut headers);
            assert_eq!(headers[header::ETAG], want);
        };
        check("\"a\"", "W/\"a\"");
        check("W/\"a\"", "W/\"a\"");
    }

    /// A part is there, and the next never comes.
    #[tokio::test]
    async fn what_has_come_is_sent_before_more_is_waited_for() {
        let begin = stream::iter([Ok::<_, axum::Error>(Bytes::from_static(b"the head of a page"))]);
        let mut pieces = packed(Body::from_stream(begin.chain(stream::pending()))).into_data_stream();
        let piece = pieces.next().await.expect("a piece").expect("it is packed");
        let mut unpacked = Vec::new();
        let ended = GzDecoder::new(piece.as_ref()).read_to_end(&mut unpacked);
        assert_eq!(ended.map_err(|error| error.kind()), Err(std::io::ErrorKind::UnexpectedEof));
        assert_eq!(unpacked, b"the head of a page");
    }

    #[tokio::test]
    async fn what_is_packed_is_whole() {
        let text = "0123456789".repeat(50_000);
        let pieces: Vec<_> = text.as_bytes().chunks(7_777).map(Bytes::copy_from_slice).collect();
        let body = Body::from_stream(stream::iter(pieces.into_iter().map(Ok::<_, axum::Error>)));
        let packed = to_bytes(packed(body), 1 << 20).await.expect("it is whole");
        let mut unpacked = String::new();
        GzDecoder::new(packed.as_ref()).read_to_string(&mut unpacked).expect("it is gzip");
        assert!(unpacked == text && packed.len() < text.len() / 10);
    }
}
