#![no_main]

use targets::media::WAV;

libfuzzer_sys::fuzz_target!(init: targets::begin(&WAV), |data: &[u8]| (WAV.run)(data));
