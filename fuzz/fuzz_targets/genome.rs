#![no_main]

use targets::genome::GENOME;

libfuzzer_sys::fuzz_target!(init: targets::begin(&GENOME), |data: &[u8]| (GENOME.run)(data));
