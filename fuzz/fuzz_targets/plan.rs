#![no_main]

use targets::plans::PLAN;

libfuzzer_sys::fuzz_target!(init: targets::begin(&PLAN), |data: &[u8]| (PLAN.run)(data));
