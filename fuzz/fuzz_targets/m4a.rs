#![no_main]

use targets::media::M4A;

libfuzzer_sys::fuzz_target!(init: targets::begin(&M4A), |data: &[u8]| (M4A.run)(data));
