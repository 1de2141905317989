#![no_main]

use targets::protocol::PROTOCOL;

libfuzzer_sys::fuzz_target!(init: targets::begin(&PROTOCOL), |data: &[u8]| (PROTOCOL.run)(data));
