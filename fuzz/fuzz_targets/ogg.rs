#![no_main]

use targets::media::OGG;

libfuzzer_sys::fuzz_target!(init: targets::begin(&OGG), |data: &[u8]| (OGG.run)(data));
