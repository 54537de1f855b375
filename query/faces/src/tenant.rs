//! Whose data is asked for.

use axum::http::HeaderMap;

const TENANT_HEADER: &str = "x-scope-orgid";
const DEFAULT_TENANT: &str = "default";

/// Bytes of a tenant's name, and which bytes besides letters and digits: the rules of Loki, Mimir and Tempo.
const TENANT_BYTES_MAX: usize = 150;
const TENANT_PUNCTUATION: &[u8] = b"!-_.*'()";

/// What is told to whoever names no tenant by the header.
pub const NOT_A_TENANT: &str = "X-Scope-OrgID is not a tenant's name";

/// The tenant that is asked for: the `X-Scope-OrgID` header, or `default`; none when the header is no tenant's name.
pub fn tenant_of(headers: &HeaderMap) -> Option<String> {
    let mut named = headers.get_all(TENANT_HEADER).iter();
    match (named.next(), named.next()) {
        (None, _) => Some(DEFAULT_TENANT.to_owned()),
        (Some(name), None) => parse(name.as_bytes()),
        (Some(_), Some(_)) => None,
    }
}

fn parse(name: &[u8]) -> Option<String> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || TENANT_PUNCTUATION.contains(byte);
    let named = !name.is_empty() && name != b"." && name != b"..";
    let valid = named && name.len() <= TENANT_BYTES_MAX && name.iter().all(allowed);
    valid.then(|| str::from_utf8(name).ok().map(str::to_owned)).flatten()
}
