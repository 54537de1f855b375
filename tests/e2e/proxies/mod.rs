//! Real proxies with the snippets of `deploy/` as they stand there: what their lines say must equal what the client saw.
//!
//! Addresses and directories of a snippet become the test's own; nothing else is changed. Every proxy stands before the
//! same backend and gets the same requests, each with a path of its own, so that a row can be held against the request
//! that it is about: the status must be the same, and start and duration lie within what the client measured, which is
//! longer than what any proxy can see, and what the backend slept, which is shorter.
//!
//! `.ci/run` installs the proxies; without one its test says so and how to get it.

mod apache;
mod caddy;
mod haproxy;
mod traefik;
mod sidecars;
mod endings;
mod four_ways;
mod nginx;
mod snippets;
mod varnish;
mod client;
mod backend;
pub mod programs;
