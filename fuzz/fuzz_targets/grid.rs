#![no_main]

use targets::grid::GRID;

libfuzzer_sys::fuzz_target!(init: targets::begin(&GRID), |data: &[u8]| (GRID.run)(data));
