//! The binary as a black box: real sockets, real files, real programs.

mod calls;
mod command_line;
mod conformance;
mod demo;
mod disk_full;
mod maintain;
mod durability;
mod envoy;
mod fail_points;
mod hostile;
mod interop;
mod power_cut;
mod readers;
mod refusals;
mod reload;
mod sdk;
mod slow_disk;
mod threads;
mod witness;
mod load;
mod client;
mod long_form;
mod exchange;
mod answers;
mod payloads;
mod harness;
