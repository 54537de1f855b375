//! How a body is written and packed, by the names that both have on the wire.
//!
//! Closed lists; what a sender says of its body is held against them in `headers`.
//!
//! Source: OTLP 1.11 "OTLP/HTTP Request"; RFC 9110, 8.4 (codings); RFC 8878, 7.2 (zstd as a coding);
//! prometheus.io, "Remote-Write 2.0", Content-Encoding.

/// What we inflate, as said in Accept-Encoding and grpc-accept-encoding.
pub const ACCEPTED_ENCODINGS: &str = "zstd, gzip, identity";

/// What we inflate of Prometheus remote write.
pub const BLOCK_ENCODINGS: &str = "snappy, zstd";

/// How an OTLP/HTTP body is written; the answer is written the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaType {
    Protobuf,
    Json,
}

impl MediaType {
    pub const fn name(self) -> &'static str {
        match self {
            MediaType::Protobuf => "application/x-protobuf",
            MediaType::Json => "application/json",
        }
    }
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    Zstd,
    /// One block of Snappy, not the framed format.
    Snappy,
}
