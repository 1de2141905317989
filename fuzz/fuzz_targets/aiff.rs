#![no_main]

use targets::media::AIFF;

libfuzzer_sys::fuzz_target!(init: targets::begin(&AIFF), |data: &[u8]| (AIFF.run)(data));
