//! OTLP metrics as protobuf.

#![no_main]

use meshlake_collector::Signal;
use meshlake_collector::fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::protobuf(Signal::Metrics, bytes));
