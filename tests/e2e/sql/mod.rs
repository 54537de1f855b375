//! SQL as its users ask it: from other programs, in a shell, and with ill intent.
//!
//! The programs are packages of PyPI in the directory of test tools, and a driver of Maven beside them. Without them a test
//! says so and how to get them.

mod duckdb;
mod flight;
mod hostile;
mod questions;
mod shell;
pub mod tools;
