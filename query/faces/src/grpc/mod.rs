//! What faces over gRPC share: the codes that errors are answered with.

pub mod status;
