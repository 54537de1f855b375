//! The protocol of PostgreSQL: `psql`, drivers, Grafana and whatever else speaks it ask for rows.
//!
//! ```text
//!  bytes -> incoming -> connection -> simple | extended -> perform -> engine -> rows -> values -> outgoing
//!                          |                                  |
//!                       opening                 state (transaction, statements, portals), settings
//! ```
//! The database that a client connects to is the tenant. Statements are read, and the catalogue is kept, by
//! `meshlake_query::postgres`; here is the protocol alone. The loop is our own, and of the library what it writes: its
//! own loop holds all rows of an answer before it sends the first, can stop a statement only before its first row, and
//! wants a socket where `listen` has a stream. Limits: no encryption and no passwords yet, so trust is the listener's.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod connection;
mod opening;
mod simple;
mod extended;
mod perform;
mod copy;
mod session;
mod state;
mod shown;
mod settings;
mod rows;
mod parameters;
mod values;
mod keys;
mod failure;
mod outgoing;
mod incoming;

use meshlake_listen::Protocol;

use crate::FaceState;
use keys::Keys;

/// What a listener of this protocol speaks.
pub fn protocol(face: FaceState) -> Protocol {
    let keys = Keys::default();
    Protocol::raw(move |connection| connection::serve(connection, face.clone(), keys.clone()))
}
