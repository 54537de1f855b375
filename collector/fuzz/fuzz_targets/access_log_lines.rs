//! Lines of access logs in known formats.

#![no_main]

use meshlake_collector::fuzz::lines;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lines::known(bytes));
