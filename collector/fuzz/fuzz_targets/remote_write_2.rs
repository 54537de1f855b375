//! Prometheus remote write 2.0.

#![no_main]

use meshlake_collector::fuzz::remote_write;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| remote_write::version_2(bytes));
