#![no_main]

use targets::api::API;

libfuzzer_sys::fuzz_target!(init: targets::begin(&API), |data: &[u8]| (API.run)(data));
