//! The service graph as a drawing: what is drawn, where it lies, and how it looks.
//!
//! ```text
//! drawing   boxes and curves, on a page or as a file
//! spots     where labels find room
//! curve     the way of an edge
//! sketch    what is drawn, in words and colours
//! figures   what a node or an edge says of itself
//! fewer     the edges that are drawn where all are too many
//! grouped   namespaces in the place of their nodes
//! label     what stands on edges
//! layout    where everything lies
//! wrap      layers of many nodes as several columns
//! ```
//! A mesh of many nodes is drawn by namespace, as its services would be a tangle; a namespace opens in its place on a click.
//! What is drawn links to the page about it.

mod drawing;
mod spots;
mod curve;
mod sketch;
mod figures;
mod fewer;
mod grouped;
mod label;
mod layout;
mod wrap;

pub use drawing::{drawing, file};
pub use label::Label;
pub use sketch::{Sketch, View};
