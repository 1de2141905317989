#![no_main]

use targets::stream::STREAM;

libfuzzer_sys::fuzz_target!(init: targets::begin(&STREAM), |data: &[u8]| (STREAM.run)(data));
