//! Reads what a request says about its body: the media type and the content coding.
//!
//! Both are closed lists, matched exactly: a body in a type or coding that we only half understand would be
//! stored wrong or inflated without a cap. Limits: one coding at a time; `gzip, gzip` is refused, because
//! every layer multiplies what a small body can become.
//!
//! Source: OTLP 1.11 "OTLP/HTTP Request" (gzip); RFC 9110, 8.3 (media types), 8.4 (codings, `x-gzip` is gzip);
//! RFC 8878, 7.2 (zstd as a coding).

use http::{HeaderMap, HeaderName, header};

use super::media::{ACCEPTED_ENCODINGS, BLOCK_ENCODINGS, Encoding, MediaType};
use super::refusal::Refusal;

/// The one of `known` that a request's content type names. A known name may end in a parameter, by which it is told from
/// others of its type; a request that has a parameter of that name has to have that value.
///
/// # Errors
/// [`Refusal::WrongMediaType`] when it is missing, another one, or text in a charset other than UTF-8.
pub fn written_as<T: Copy>(headers: &HeaderMap, known: &[(&'static str, T)]) -> Result<T, Refusal> {
    let found = text_of(headers, &header::CONTENT_TYPE);
    let (essence, parameters) = found.split_once(';').unwrap_or((&found, ""));
    let split = |name: &'static str| name.split_once(';').unwrap_or((name, ""));
    let of_type = known.iter().map(|(name, chosen)| (split(name), chosen));
    let of_type = of_type.filter(|((name, _), _)| essence.trim().eq_ignore_ascii_case(name));
    let told_apart = of_type.clone().find_map(|((_, parameter), _)| parameter.split_once('='));
    let told = told_apart.and_then(|(key, _)| parameter_of(parameters, key));
    let mut named =
        of_type.filter(|((_, parameter), _)| parameter.split_once('=').map(|(_, value)| value) == told);
    if let Some(((name, _), chosen)) = named.next()
        && (name == MediaType::Protobuf.name() || is_utf8(parameters))
    {
        return Ok(*chosen);
    }
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    Err(Refusal::WrongMediaType { found, expected: names.join(" or ") })
}

/// The media type of an OTLP/HTTP request.
///
/// # Errors
/// As [`written_as`].
pub fn media_type_of(headers: &HeaderMap) -> Result<MediaType, Refusal> {
    written_as(
        headers,
        &[MediaType::Protobuf, MediaType::Json].map(|media_type| (media_type.name(), media_type)),
    )
}

/// Whether a request is gRPC with protobuf messages, and not grpc-web or gRPC of another kind.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let found = text_of(headers, &header::CONTENT_TYPE);
    let essence = found.split(';').next().unwrap_or_default().trim();
    ["application/grpc", "application/grpc+proto"].iter().any(|known| essence.eq_ignore_ascii_case(known))
}

/// Checks that a request is gRPC with protobuf messages. OTLP over HTTP would be right on `http_port`.
///
/// # Errors
/// [`Refusal::WrongMediaType`] otherwise, grpc-web included.
pub fn check_grpc(headers: &HeaderMap, http_port: u16) -> Result<(), Refusal> {
    if is_grpc(headers) {
        return Ok(());
    }
    let found = text_of(headers, &header::CONTENT_TYPE);
    let expected = format!("application/grpc; OTLP over HTTP is taken on port {http_port}");
    Err(Refusal::WrongMediaType { found, expected })
}

/// The Content-Encoding of an HTTP request.
///
/// # Errors
/// [`Refusal::UnknownEncoding`] for anything but nothing, `identity`, `gzip`, `x-gzip` and `zstd`.
pub fn http_encoding_of(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    encoding_named_by(headers, &header::CONTENT_ENCODING)
}

/// The grpc-encoding of a gRPC call: what its compressed messages are packed with.
///
/// # Errors
/// [`Refusal::UnknownEncoding`] as for HTTP.
pub fn grpc_encoding_of(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    encoding_named_by(headers, &HeaderName::from_static("grpc-encoding"))
}

fn encoding_named_by(headers: &HeaderMap, header: &HeaderName) -> Result<Encoding, Refusal> {
    let name = text_of(headers, header);
    match name.trim().to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(Encoding::Identity),
        "gzip" | "x-gzip" => Ok(Encoding::Gzip),
        "zstd" => Ok(Encoding::Zstd),
        _ => Err(Refusal::UnknownEncoding { found: name, accepted: ACCEPTED_ENCODINGS }),
    }
}

/// The Content-Encoding of a Prometheus remote write; the first of its senders did not name theirs.
///
/// # Errors
/// [`Refusal::UnknownEncoding`] for anything but nothing, `snappy` and `zstd`.
pub fn block_encoding_of(headers: &HeaderMap) -> Result<Encoding, Refusal> {
    let found = text_of(headers, &header::CONTENT_ENCODING);
    match found.trim().to_ascii_lowercase().as_str() {
        "" | "snappy" => Ok(Encoding::Snappy),
        "zstd" => Ok(Encoding::Zstd),
        _ => Err(Refusal::UnknownEncoding { found, accepted: BLOCK_ENCODINGS }),
    }
}

/// All values of a header as one text, as RFC 9110, 5.3 joins them; empty when there is none.
fn text_of(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    values.collect::<Vec<_>>().join(", ")
}

/// The value of a parameter, without its quotes.
fn parameter_of<'p>(parameters: &'p str, key: &str) -> Option<&'p str> {
    let mut parameters = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
    let (_, value) = parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case(key))?;
    Some(value.trim().trim_matches('"'))
}

fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(name: &'static str, values: &[&'static str]) -> HeaderMap {
        values.iter().map(|value| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn two_media_types_are_known_with_parameters() {
        let cases = [
            ("application/x-protobuf", Some(MediaType::Protobuf)),
            ("Application/X-Protobuf; x=y", Some(MediaType::Protobuf)),
            ("application/json", Some(MediaType::Json)),
            ("application/json;charset=utf-8", Some(MediaType::Json)),
            ("application/json; charset=\"UTF-8\"", Some(MediaType::Json)),
            ("application/json;charset=utf-16", None),
            ("text/plain", None),
            ("application/protobuf", None),
            ("", None),
        ];
        for (value, want) in cases {
            assert_eq!(media_type_of(&headers("content-type", &[value])).ok(), want, "{value}");
        }
        assert!(media_type_of(&HeaderMap::new()).is_err(), "a missing type is refused");
    }

    #[test]
    fn grpc_web_is_not_grpc() {
        for (value, want) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=y", true),
            ("application/grpc-web", false),
            ("application/grpc+json", false),
            ("application/json", false),
        ] {
            assert_eq!(check_grpc(&headers("content-type", &[value]), 4318).is_ok(), want, "{value}");
        }
    }

    /// A parameter that tells known types apart must have a known value; where it is missing, the one without it is meant.
    #[test]
    fn types_are_told_apart_by_a_parameter() {
        let known = [("a/b;proto=two", 2), ("a/b;proto=one", 1), ("a/b", 0), ("text/plain", 9)];
        let cases = [
            ("a/b", Some(0)),
            ("a/b; x=y", Some(0)),
            ("A/B;proto=one", Some(1)),
            ("a/b; Proto=\"two\"; x=y", Some(2)),
            ("a/b;proto=TWO", None),
            ("a/b;proto=", None),
            ("a/b;proto=three", None),
            ("text/plain;proto=one", Some(9)),
            ("a/c;proto=one", None),
        ];
        for (value, want) in cases {
            assert_eq!(written_as(&headers("content-type", &[value]), &known).ok(), want, "{value}");
        }
    }

    #[test]
    fn remote_write_is_packed_in_blocks() {
        let cases: [(&[&str], Option<Encoding>); 7] = [
            (&[], Some(Encoding::Snappy)),
            (&["Snappy"], Some(Encoding::Snappy)),
            (&["zstd"], Some(Encoding::Zstd)),
            (&["gzip"], None),
            (&["identity"], None),
            (&["x-snappy-framed"], None),
            (&["snappy, snappy"], None),
        ];
        for (values, want) in cases {
            assert_eq!(block_encoding_of(&headers("content-encoding", values)).ok(), want, "{values:?}");
        }
    }

    #[test]
    fn one_known_coding_is_accepted() {
        let cases: [(&[&str], Option<Encoding>); 9] = [
            (&[], Some(Encoding::Identity)),
            (&["identity"], Some(Encoding::Identity)),
            (&["GZIP"], Some(Encoding::Gzip)),
            (&["x-gzip"], Some(Encoding::Gzip)),
            (&["zstd"], Some(Encoding::Zstd)),
            (&["gzip, gzip"], None),
            (&["gzip", "gzip"], None),
            (&["br"], None),
            (&["identity;q=0"], None),
        ];
        for (values, want) in cases {
            assert_eq!(http_encoding_of(&headers("content-encoding", values)).ok(), want, "{values:?}");
            assert_eq!(grpc_encoding_of(&headers("grpc-encoding", values)).ok(), want, "{values:?}");
        }
    }
}
