//! The binary as a black box: real sockets, real files, real programs.

mod command_line;
mod demo;
mod durability;
mod envoy;
mod refusals;
mod payloads;
mod harness;
