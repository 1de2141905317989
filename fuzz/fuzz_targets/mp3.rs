#![no_main]

use targets::media::MP3;

libfuzzer_sys::fuzz_target!(init: targets::begin(&MP3), |data: &[u8]| (MP3.run)(data));
