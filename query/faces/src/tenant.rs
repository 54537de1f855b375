//! Whose data is asked for: the tenant of the principal that the listener has found out.

use axum::http::Extensions;
use meshlake_listen::Principal;

/// What is told to whoever names no tenant by the header.
pub const NOT_A_TENANT: &str = "X-Scope-OrgID is not a tenant's name";

/// The tenant that is asked for; none when the caller names none that can be one, or when nobody looked.
pub fn tenant_of(beside: &Extensions) -> Option<String> {
    let principal = Principal::beside(beside)?.ok()?;
    Some(principal.tenant.as_str().to_owned())
}
