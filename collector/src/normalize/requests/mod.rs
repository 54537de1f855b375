//! What a proxy's log entry means: who called whom, who saw it, whether it counts, what became of it.
//!
//! Every access log, whatever its format, is first brought into the form of [`RequestFacts`]; [`judge`]
//! then answers those questions once for all formats. Names are chosen by the strongest evidence at hand
//! and the kind of evidence is kept, so that a guess can be told from a fact. Nothing is looked up
//! elsewhere: a row is judged by what it carries and by its proxy's identity alone, so the same bytes
//! always give the same row.
//!
//! Limits: names of a non-Kubernetes host are kept whole, without namespace; a row that names nobody keeps
//! its addresses only.

mod verdict;
mod endpoints;
mod peer;
pub mod traceparent;
pub mod facts;
pub mod proxy;
mod clusters;
mod hosts;

pub use facts::Observer;
pub use peer::{IdentitySource, Peer};
pub use verdict::{Verdict, judge};
