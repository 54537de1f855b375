//! The binary as a black box: real sockets, real files, real programs.

mod command_line;
mod demo;
mod durability;
mod envoy;
mod power_cut;
mod readers;
mod refusals;
mod witness;
mod load;
mod long_form;
mod payloads;
mod harness;
