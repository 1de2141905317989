#![no_main]

use targets::sections::STRUCTURE;

libfuzzer_sys::fuzz_target!(init: targets::begin(&STRUCTURE), |data: &[u8]| (STRUCTURE.run)(data));
