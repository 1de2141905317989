#![no_main]

use targets::media::FLAC;

libfuzzer_sys::fuzz_target!(init: targets::begin(&FLAC), |data: &[u8]| (FLAC.run)(data));
