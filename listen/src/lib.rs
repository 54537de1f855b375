//! Every socket that serves: it is bound, its connections are counted and bounded, and whoever comes is named.
//!
//! ```text
//!  address -> bind -> accept, within a cap -> wrap (when the listener has one) -> HTTP, or a protocol of its own
//!                                                                                   |
//!                                                        each call with its principal {tenant, role}
//! ```
//! All ports go through here, so that a limit which one port has is not missing on another, and so that
//! encryption and credentials have one place to come to. It knows no protocol above HTTP and no configuration.
//!
//! Modules are listed in the order data meets them; imports point only down the list.

mod datagrams;
mod listener;
mod protocol;
mod http;
mod connection;
mod principal;
mod stream;
mod cap;
mod stopping;
mod address;

pub use address::{AddressError, BindError, bind, check_address};
pub use cap::Cap;
pub use connection::Connection;
pub use datagrams::{DatagramListener, Datagrams};
pub use http::Caller;
pub use listener::{Connections, Door, Listener, ListenerStats, Served, WrapStart, metrics};
pub use principal::{Principal, Role};
pub use protocol::Protocol;
pub use stopping::Stopping;
pub use stream::{Carrier, Stream, Wrap, Wrapping};
