#![no_main]

use targets::midi::MIDI;

libfuzzer_sys::fuzz_target!(init: targets::begin(&MIDI), |data: &[u8]| (MIDI.run)(data));
