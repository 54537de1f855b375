//! The service graph as a drawing: what is drawn, where it lies, and how it looks.
//!
//! A mesh of many nodes is drawn by namespace, as its services would be a tangle; a namespace opens on a click. What is
//! drawn links to the page about it.

mod drawing;
mod sketch;
mod layout;

pub use drawing::drawing;
pub use sketch::{Label, Sketch};
