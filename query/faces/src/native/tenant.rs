//! The tenant of a request, with an error in this API's own form.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::error::ApiError;
use crate::tenant::{NOT_A_TENANT, tenant_of};

/// See [`tenant_of`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tenant(pub String);

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        tenant_of(&parts.extensions).map(Tenant).ok_or_else(|| ApiError::bad_request(NOT_A_TENANT))
    }
}
