//! Whose telemetry it is: the name of a tenant, and how a request says it.
//!
//! The name reaches dictionaries, SQL and log lines, so its characters are checked here, once for those who send and
//! those who ask; it never becomes a part of a file path. The rules are those of Grafana's dskit, so that a name that
//! works with Loki, Mimir and Tempo works here.
//!
//! Source: grafana/dskit `tenant/tenant.go` (length, characters, `.` and `..`).

use std::fmt;
use std::sync::{Arc, LazyLock};

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

/// A name that keeps the rules. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(Arc<str>);

impl Tenant {
    /// The tenant that the values of the header name: `default` when there are none.
    ///
    /// # Errors
    /// [`TenantError`] when there is more than one, or the name breaks a rule.
    pub fn named_by<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Result<Tenant, TenantError> {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Tenant::default()),
            (Some(name), None) => checked(name).map(|name| Tenant(Arc::from(name))),
            (Some(_), Some(_)) => Err(TenantError::Repeated),
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl Default for Tenant {
    fn default() -> Self {
        static DEFAULT: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(DEFAULT_TENANT));
        Tenant(Arc::clone(&DEFAULT))
    }
}

impl fmt::Display for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
    use super::*;

    #[test]
    fn no_name_is_the_default_tenant() {
        assert_eq!(Tenant::named_by([]).as_ref().map(Tenant::as_str), Ok("default"));
    }

    #[test]
    fn names_follow_the_rules_of_dskit() {
        let longest = "a".repeat(TENANT_BYTES_MAX);
        let too_long = "a".repeat(TENANT_BYTES_MAX + 1);
        let cases: [(&str, Result<&str, TenantError>); 10] = [
            ("team-a", Ok("team-a")),
            ("A1!._*'()-", Ok("A1!._*'()-")),
            (&longest, Ok(&longest)),
            (&too_long, Err(TenantError::TooLong)),
            ("", Err(TenantError::Empty)),
            (".", Err(TenantError::Dots)),
            ("..", Err(TenantError::Dots)),
            ("a/b", Err(TenantError::Character)),
            ("a|b", Err(TenantError::Character)),
            ("caf\u{e9}", Err(TenantError::Character)),
        ];
        for (name, want) in cases {
            let tenant = Tenant::named_by([name.as_bytes()]);
            assert_eq!(tenant.as_ref().map(Tenant::as_str), want.as_ref().map(|name| *name), "{name}");
        }
    }

    #[test]
    fn a_second_name_is_refused_whatever_it_is() {
        assert_eq!(Tenant::named_by([b"a".as_slice(), b"a"]), Err(TenantError::Repeated));
    }
}
