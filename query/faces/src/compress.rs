//! Answers packed with gzip for whoever reads that: labels, which come again and again, shrink to little, numbers by a third.

use std::io::Write as _;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::{StreamExt as _, stream};

/// Bytes below which packing costs more than it saves: less than a packet of a network. Guess, not measured.
const BYTES_MIN: u64 = 1_024;

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

fn packed(body: Body) -> Body {
    let encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let pieces = stream::unfold(Some((body.into_data_stream(), encoder)), |state| async {
        let (mut body, mut encoder) = state?;
        loop {
            let ended = match body.next().await {
                Some(Ok(piece)) => encoder.write_all(&piece).map_err(axum::Error::new),
                Some(Err(error)) => Err(error),
                None => return Some((encoder.finish().map(Bytes::from).map_err(axum::Error::new), None)),
            };
            if let Err(error) = ended {
                return Some((Err(error), None));
            }
            let packed = std::mem::take(encoder.get_mut());
            if !packed.is_empty() {
                return Some((Ok(Bytes::from(packed)), Some((body, encoder))));
            }
        }
    });
    Body::from_stream(pieces)
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
