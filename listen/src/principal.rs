//! Who is asking: the tenant and the role, found out once, before a handler is called.
//!
//! Today nobody shows credentials: the tenant is what the caller says, and the role is what its listener gives to
//! everybody who reaches it. That is why addresses are on loopback by default. What is found out here is all that
//! handlers may know, so that credentials change this file and none of theirs.

use http::{Extensions, HeaderMap};
use meshlake_schema::tenant::{TENANT_HEADER, Tenant, TenantError};

/// What a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Sends telemetry.
    Sender,
    /// Asks questions.
    Reader,
    /// Reads the state of the process and sets it to work.
    Operator,
}

/// A caller whom somebody vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Whose data it sends or asks for.
    pub tenant: Tenant,
    pub role: Role,
}

impl Principal {
    /// The caller who names its tenant by `headers`, at a listener that gives `role`.
    ///
    /// # Errors
    /// The tenant's name is not one.
    pub fn of(headers: &HeaderMap, role: Role) -> Result<Principal, TenantError> {
        let named = headers.get_all(TENANT_HEADER);
        let tenant = Tenant::named_by(named.iter().map(http::HeaderValue::as_bytes))?;
        Ok(Principal { tenant, role })
    }

    /// The principal that [`Protocol::service`](crate::Protocol::service) has put beside a request; an error as well
    /// where the caller could not be told. `None` where nobody did, which a handler must take for nobody.
    pub fn beside(extensions: &Extensions) -> Option<Result<Principal, TenantError>> {
        extensions.get().cloned()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_tenant_is_the_one_that_the_header_names() {
        let mut headers = HeaderMap::new();
        let tenant = |headers: &HeaderMap| {
            Principal::of(headers, Role::Sender).map(|principal| principal.tenant.as_str().to_owned())
        };
        assert_eq!(tenant(&headers).as_deref(), Ok("default"));
        headers.append(TENANT_HEADER, HeaderValue::from_static("team-a"));
        assert_eq!(tenant(&headers).as_deref(), Ok("team-a"));
        headers.append(TENANT_HEADER, HeaderValue::from_static("team-a"));
        assert_eq!(tenant(&headers), Err(TenantError::Repeated));
        headers.insert(TENANT_HEADER, HeaderValue::from_bytes(b"caf\xc3\xa9").expect("obs-text"));
        assert_eq!(tenant(&headers), Err(TenantError::Character));
    }
}
