//! Bodies packed with gzip.

#![no_main]

use meshlake_collector::fuzz;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::gzip(bytes));
