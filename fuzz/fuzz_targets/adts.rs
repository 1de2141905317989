#![no_main]

use targets::media::ADTS;

libfuzzer_sys::fuzz_target!(init: targets::begin(&ADTS), |data: &[u8]| (ADTS.run)(data));
