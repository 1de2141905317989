#![no_main]

use targets::state::STATE;

libfuzzer_sys::fuzz_target!(init: targets::begin(&STATE), |data: &[u8]| (STATE.run)(data));
