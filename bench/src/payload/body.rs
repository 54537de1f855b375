//! A request as it is sent: protobuf or JSON, perhaps compressed, for gRPC in a frame.
//!
//! The names are those of `OTEL_EXPORTER_OTLP_PROTOCOL` and `OTEL_EXPORTER_OTLP_COMPRESSION`.

use std::io::Write as _;

use anyhow::Context as _;
use bytes::Bytes;
use flate2::write::GzEncoder;
use prost::Message;
use serde::Serialize;

/// Flag and length before a gRPC message.
const FRAME_BYTES: usize = 5;

/// How a request is written and carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Protocol {
    Grpc,
    #[value(name = "http/protobuf")]
    HttpProtobuf,
    #[value(name = "http/json")]
    HttpJson,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Grpc => "grpc",
            Protocol::HttpProtobuf => "http/protobuf",
            Protocol::HttpJson => "http/json",
        }
    }

    pub fn media_type(self) -> &'static str {
        match self {
            Protocol::Grpc => "application/grpc",
            Protocol::HttpProtobuf => "application/x-protobuf",
            Protocol::HttpJson => "application/json",
        }
    }
}

/// How a request is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

impl Compression {
    pub fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Zstd => "zstd",
        }
    }
}

/// The bytes of a request.
///
/// # Errors
/// Never for what is made here: JSON can say all of it.
pub fn encoded<M: Message + Serialize>(request: &M, protocol: Protocol) -> anyhow::Result<Vec<u8>> {
    match protocol {
        Protocol::Grpc | Protocol::HttpProtobuf => Ok(request.encode_to_vec()),
        Protocol::HttpJson => serde_json::to_vec(request).context("write a request as JSON"),
    }
}

/// The body that carries a message.
///
/// For gRPC the frame: 1 byte compressed flag, 4 bytes length (big endian), the message.
/// Source: <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>.
///
/// # Errors
/// When the message is too long for a frame (4 GiB).
pub fn packed(message: Vec<u8>, protocol: Protocol, compression: Compression) -> anyhow::Result<Bytes> {
    let message = compressed(message, compression).context("compress a request")?;
    if protocol != Protocol::Grpc {
        return Ok(message.into());
    }
    let length = u32::try_from(message.len()).context("a request is longer than 4 GiB")?;
    let mut frame = Vec::with_capacity(FRAME_BYTES + message.len());
    frame.push(u8::from(compression != Compression::None));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&message);
    Ok(frame.into())
}

/// Level 1 of gzip and the default of zstd, 3, as collectors and SDKs commonly send.
fn compressed(message: Vec<u8>, compression: Compression) -> std::io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(message),
        Compression::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&message)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::encode_all(message.as_slice(), zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

    use super::*;

    #[test]
    fn a_frame_tells_its_length_and_whether_it_is_compressed() {
        let frame = |message: &[u8], compression| {
            packed(message.to_vec(), Protocol::Grpc, compression).expect("short")
        };
        assert_eq!(&frame(b"abc", Compression::None)[..], b"\0\0\0\0\x03abc");
        let gzip = frame(&[7; 1_000], Compression::Gzip);
        assert_eq!((gzip[0], &gzip[1..4]), (1, &[0, 0, 0][..]));
        assert_eq!(usize::from(gzip[4]), gzip.len() - 5);
        let mut message = Vec::new();
        GzDecoder::new(&gzip[5..]).read_to_end(&mut message).expect("gzip");
        assert_eq!(message, [7; 1_000]);
    }

    #[test]
    fn a_body_of_http_is_the_message_alone() {
        let body = |compression| packed(vec![7; 1_000], Protocol::HttpProtobuf, compression).expect("short");
        assert_eq!(body(Compression::None), vec![7; 1_000]);
        let zstd = body(Compression::Zstd);
        assert_eq!(zstd::decode_all(&zstd[..]).expect("zstd"), [7; 1_000]);
    }

    #[test]
    fn json_has_ids_in_hex_and_times_as_text() {
        // OTLP 1.11, "JSON Protobuf Encoding": ids are hex, 64-bit integers decimal strings.
        let span = Span { span_id: vec![0xab; 8], start_time_unix_nano: 1 << 60, ..Span::default() };
        let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
        let resource_spans = vec![ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() }];
        let json = encoded(&ExportTraceServiceRequest { resource_spans }, Protocol::HttpJson);
        let json: serde_json::Value = serde_json::from_slice(&json.expect("JSON")).expect("JSON");
        let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["spanId"], "abababababababab");
        assert_eq!(span["startTimeUnixNano"], "1152921504606846976");
    }
}
