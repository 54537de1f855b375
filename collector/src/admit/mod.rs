//! Whatever is decided about an export before it is decoded into columns, in one place for all protocols.
//!
//! An export passes: media type and coding, tenant and its quota, size limit, byte budget, reading within a time
//! limit, inflating under a cap, validation of every byte. What fails leaves nothing behind and is answered by
//! the one status map of `refusal`. Who sent it is remembered for a while. Limits: no authentication.

pub mod headers;
pub mod cors;
pub mod deadline;
pub mod quota;
pub mod frame;
pub mod body;
pub mod unpack;
pub mod inflate;
pub mod answer;
pub mod refusal;
pub mod media;
pub mod rpc_status;
pub mod stats;
pub mod senders;

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;

/// The body of every answer.
pub type ReplyBody = BoxBody<Bytes, Infallible>;
