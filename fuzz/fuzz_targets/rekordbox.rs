#![no_main]

use targets::sections::REKORDBOX;

libfuzzer_sys::fuzz_target!(init: targets::begin(&REKORDBOX), |data: &[u8]| (REKORDBOX.run)(data));
