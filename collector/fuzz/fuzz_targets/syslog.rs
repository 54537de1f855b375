//! Streams of syslog over TCP.

#![no_main]

use meshlake_collector::fuzz::lines;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lines::syslog(bytes));
