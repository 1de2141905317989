#![no_main]

use targets::osc::OSC;

libfuzzer_sys::fuzz_target!(init: targets::begin(&OSC), |data: &[u8]| (OSC.run)(data));
