#![no_main]

use targets::plans::SET;

libfuzzer_sys::fuzz_target!(init: targets::begin(&SET), |data: &[u8]| (SET.run)(data));
