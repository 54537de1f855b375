//! What the query side asks of a collector, asked from another process: snapshots, buffered rows, rows as they come, and
//! how the collector is doing.
//!
//! ```text
//!  query process                                     collector
//!  RemoteReader: Reader -> Arrow Flight over a private unix socket -> Server -> Reader of the store
//!     |                                                                  '- holds the snapshots that are asked of
//!     '- files are read from the object store; only lists of them cross
//! ```
//! A statement can end the process that runs it; so that the collector survives, what it holds is told over a socket. It
//! is Flight because batches then cross as Arrow, dictionaries and all, without a format of our own; what is no batch
//! crosses as JSON. Nobody else is meant to speak it: both ends are of one build, and the socket belongs to one user.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod client;
mod server;
mod held;
mod wire;

pub use client::RemoteReader;
pub use server::{Server, SocketError, socket_path};

#[cfg(test)]
mod tests;
