//! What the languages of formats share.

use super::field::Field;
use super::pattern::Token;

/// Adds text between fields to the text before it.
pub(super) fn push_literal(tokens: &mut Vec<Token>, text: &str) {
    match tokens.last_mut() {
        _ if text.is_empty() => {}
        Some(Token::Literal(before)) => before.push_str(text),
        _ => tokens.push(Token::Literal(text.to_owned())),
    }
}

/// A request header by its name in lower case. Those without a column are attributes.
pub(super) fn request_header(name: &str) -> Field {
    match name {
        "user-agent" => Field::UserAgent,
        "host" => Field::Authority,
        "x-forwarded-for" => Field::ForwardedFor,
        "x-request-id" => Field::RequestId,
        "traceparent" => Field::Traceparent,
        "referer" => Field::Attribute("referer".into()),
        _ => Field::Attribute(format!("request_header.{name}").into()),
    }
}

/// A response header by its name in lower case.
pub(super) fn response_header(name: &str) -> Field {
    match name {
        "grpc-status" => Field::GrpcStatus,
        _ => Field::Attribute(format!("response_header.{name}").into()),
    }
}
