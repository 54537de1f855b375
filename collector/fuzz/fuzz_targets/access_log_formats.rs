//! Formats of access logs, and lines in them.

#![no_main]

use meshlake_collector::fuzz::lines;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lines::formats(bytes));
