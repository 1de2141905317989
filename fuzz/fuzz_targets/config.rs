#![no_main]

use targets::config::CONFIG;

libfuzzer_sys::fuzz_target!(init: targets::begin(&CONFIG), |data: &[u8]| (CONFIG.run)(data));
