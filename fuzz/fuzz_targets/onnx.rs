#![no_main]

use targets::onnx::ONNX;

libfuzzer_sys::fuzz_target!(init: targets::begin(&ONNX), |data: &[u8]| (ONNX.run)(data));
