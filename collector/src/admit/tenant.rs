//! Reads the tenant from `X-Scope-OrgID`, the header of Loki, Mimir and Tempo.
//!
//! The name reaches dictionaries, SQL and log lines, so its characters are checked here, once; it never
//! becomes a part of a file path. The rules are those of Grafana's dskit, so that a name that works with
//! Tempo works here. Limits: the header is trusted, as there: whoever reaches the port may name any tenant.
//!
//! Source: grafana/dskit `tenant/tenant.go` (length, characters, `.` and `..`).

use std::sync::{Arc, LazyLock};

use http::HeaderMap;
use thiserror::Error;

/// The header, and the gRPC metadata key.
pub const TENANT_HEADER: &str = "x-scope-orgid";

/// Whose telemetry it is when no header says so.
pub const DEFAULT_TENANT: &str = "default";

/// The longest tenant name in bytes; dskit's `MaxTenantIDLength`.
pub const TENANT_BYTES_MAX: usize = 150;

/// Why a tenant name is refused. The sender's fault; trying again cannot help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TenantError {
    #[error("x-scope-orgid is empty")]
    Empty,
    #[error("x-scope-orgid is longer than {TENANT_BYTES_MAX} bytes")]
    TooLong,
    #[error("x-scope-orgid has a character outside [A-Za-z0-9!._*'()-]")]
    Character,
    #[error("x-scope-orgid is . or ..")]
    Dots,
    #[error("x-scope-orgid is there more than once")]
    Repeated,
}

/// The tenant that a request names, `default` when it names none.
///
/// # Errors
/// [`TenantError`] when the name breaks a rule.
pub fn tenant_of(headers: &HeaderMap) -> Result<Arc<str>, TenantError> {
    static DEFAULT: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(DEFAULT_TENANT));
    let mut named = headers.get_all(TENANT_HEADER).iter();
    let Some(name) = named.next() else {
        return Ok(Arc::clone(&DEFAULT));
    };
    if named.next().is_some() {
        return Err(TenantError::Repeated);
    }
    checked(name.as_bytes()).map(Arc::from)
}

fn checked(name: &[u8]) -> Result<&str, TenantError> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!._*'()-".contains(byte);
    match name {
        b"" => Err(TenantError::Empty),
        b"." | b".." => Err(TenantError::Dots),
        _ if name.len() > TENANT_BYTES_MAX => Err(TenantError::TooLong),
        _ if !name.iter().all(allowed) => Err(TenantError::Character),
        _ => std::str::from_utf8(name).map_err(|_| TenantError::Character),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn no_header_is_the_default_tenant() {
        assert_eq!(tenant_of(&HeaderMap::new()).as_deref(), Ok("default"));
    }

    #[test]
    fn names_follow_the_rules_of_dskit() {
        let longest = "a".repeat(TENANT_BYTES_MAX);
        let too_long = "a".repeat(TENANT_BYTES_MAX + 1);
        let cases: [(&str, Result<&str, TenantError>); 9] = [
            ("team-a", Ok("team-a")),
            ("A1!._*'()-", Ok("A1!._*'()-")),
            (&longest, Ok(&longest)),
            (&too_long, Err(TenantError::TooLong)),
            ("", Err(TenantError::Empty)),
            (".", Err(TenantError::Dots)),
            ("..", Err(TenantError::Dots)),
            ("a/b", Err(TenantError::Character)),
            ("a|b", Err(TenantError::Character)),
        ];
        for (name, want) in cases {
            let value = HeaderValue::from_str(name).expect("a header value");
            let headers = HeaderMap::from_iter([(http::HeaderName::from_static(TENANT_HEADER), value)]);
            assert_eq!(tenant_of(&headers).as_deref(), want.as_deref(), "{name}");
        }
    }

    #[test]
    fn bytes_beyond_ascii_and_second_headers_are_refused() {
        let mut headers = HeaderMap::new();
        headers.append(TENANT_HEADER, HeaderValue::from_bytes(b"caf\xc3\xa9").expect("obs-text"));
        assert_eq!(tenant_of(&headers), Err(TenantError::Character));
        headers.append(TENANT_HEADER, HeaderValue::from_static("b"));
        assert_eq!(tenant_of(&headers), Err(TenantError::Repeated));
    }
}
