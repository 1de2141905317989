//! `grooved check-media`: whether files can be played, to their end.

use std::path::Path;

use super::Failure;
use crate::media::decode::Decoder;

/// Frames that are decoded at a time.
const PART: usize = 16_384;

/// Decodes a file to its end, and tells what it is in one line.
pub fn check(path: &Path) -> Result<String, Failure> {
    let wrong = |why: String| Failure::Data(format!("{}: {why}", path.display()));
    let mut decoder = Decoder::open(path).map_err(|e| wrong(e.to_string()))?;
    let rate = f64::from(decoder.info().sample_rate);
    let (mut left, mut right) = (vec![0.0; PART], vec![0.0; PART]);
    let mut frames = 0;
    loop {
        match decoder.read(&mut left, &mut right) {
            Ok(0) => break,
            Ok(n) => frames += n as u64,
            Err(e) => return Err(wrong(format!("{e}, {:.1} s from its beginning", frames as f64 / rate))),
        }
    }
    if let Some(lacking) = decoder.lacking() {
        let all = frames as f64 / rate;
        return Err(wrong(format!("{lacking:.1} of its {all:.1} s are lacking or damaged; copy it again")));
    }
    Ok(format!("{}: fine, {:.1} s at {rate} Hz", path.display(), frames as f64 / rate))
}
