//! The query process may die whenever it does: senders do not notice, and whoever asks gets a whole answer or a
//! connection that ends, never a refusal and never a part that reads as a whole.

mod kills;
mod deaths;
mod apart;
pub mod processes;
