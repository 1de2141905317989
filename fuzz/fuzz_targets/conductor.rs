#![no_main]

use targets::conductor::CONDUCTOR;

libfuzzer_sys::fuzz_target!(init: targets::begin(&CONDUCTOR), |data: &[u8]| (CONDUCTOR.run)(data));
