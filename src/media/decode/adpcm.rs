//! ADPCM of four bits per sample: IMA in WAV and in Apple files, and Microsoft's.
//!
//! Follows "IMA Recommended Practices for Enhancing Digital Audio Compatibility" (1992) and Microsoft's "New Multimedia
//! Data Types and Data Techniques" (1994). Decoding can start at any block.

use super::bytes::{be16, le16};

/// Change of the step index by the magnitude of a code (IMA).
const MOVES: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];
/// Step sizes (IMA).
#[rustfmt::skip]
const STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107,
    118, 130, 143, 157, 173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963,
    1060, 1166, 1282, 1411, 1552, 1707, 1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894,
    6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899, 15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794,
    32767,
];
/// Growth of the step by code, in 1/256 (Microsoft).
const GROWTH: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];
/// Microsoft's standard coefficients, in 1/256.
pub(super) const MS_COEFFICIENTS: [(i32, i32); 7] =
    [(256, 0), (512, -256), (0, 0), (192, 64), (240, 0), (460, -208), (392, -232)];
/// Frames per block of Apple's variant, and bytes per block and channel.
pub(super) const APPLE_FRAMES: usize = 64;
pub(super) const APPLE_BYTES: usize = 34;

const SCALE: f32 = 1.0 / 32_768.0;

/// State of one IMA channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ima {
    value: i32,
    index: i32,
}

impl Ima {
    fn next(&mut self, code: u8) -> f32 {
        let step = STEPS[self.index.clamp(0, 88) as usize];
        let size = i32::from(code & 7);
        // One product, as in ffmpeg, which writes most of these files today. The standard's sum of truncated shifts
        // differs by at most two units.
        let change = ((2 * size + 1) * step) >> 3;
        self.value = (self.value + if code & 8 != 0 { -change } else { change }).clamp(-32_768, 32_767);
        self.index = (self.index + MOVES[size as usize]).clamp(0, 88);
        self.value as f32 * SCALE
    }
}

/// Decodes a block of a WAV file: a header of four bytes per channel with the first sample, then four bytes (eight
/// samples, low nibble first) of each channel in turn.
pub(super) fn ima_wav(block: &[u8], channels: usize, frames: usize, planes: &mut Vec<Vec<f32>>) {
    planes.resize_with(channels, Vec::new);
    let body = block.get(4 * channels..).unwrap_or_default();
    for (channel, plane) in planes.iter_mut().enumerate() {
        plane.clear();
        let Some(head) = block.get(4 * channel..4 * channel + 4) else { continue };
        let mut ima = Ima { value: i32::from(le16(head, 0) as i16), index: i32::from(head[2]).min(88) };
        plane.push(ima.value as f32 * SCALE);
        let mine = body.chunks(4).skip(channel).step_by(channels.max(1)).flatten();
        plane.extend(mine.flat_map(|byte| [byte & 15, byte >> 4]).take(frames.saturating_sub(1)).map(|c| ima.next(c)));
    }
    level_out(planes);
}

/// Decodes a block of an Apple file: per channel, a header of two bytes and 32 bytes of samples, low nibble first.
/// `states` are those after the previous block, or empty.
pub(super) fn ima_apple(block: &[u8], channels: usize, states: &mut Vec<Ima>, planes: &mut Vec<Vec<f32>>) {
    planes.resize_with(channels, Vec::new);
    for (channel, plane) in planes.iter_mut().enumerate() {
        plane.clear();
        let Some(mine) = block.get(channel * APPLE_BYTES..(channel + 1) * APPLE_BYTES) else { continue };
        let head = be16(mine, 0);
        let mut ima = Ima { value: i32::from((head & 0xff80) as i16), index: i32::from(head & 0x7f).min(88) };
        // The header holds only the upper nine bits of the value; the others continue from the previous block.
        if let Some(before) = states.get(channel)
            && before.index == ima.index
            && (before.value - ima.value).abs() < 128
        {
            ima.value = before.value;
        }
        plane.extend(mine[2..].iter().flat_map(|byte| [byte & 15, byte >> 4]).map(|code| ima.next(code)));
        match states.get_mut(channel) {
            Some(state) => *state = ima,
            None => states.push(ima),
        }
    }
    level_out(planes);
}

/// State of one channel of Microsoft's variant.
struct Ms {
    coefficients: (i32, i32),
    step: i32,
    last: i32,
    before: i32,
}

impl Ms {
    fn next(&mut self, code: u8) -> f32 {
        let (a, b) = self.coefficients;
        let signed = if code & 8 != 0 { i32::from(code) - 16 } else { i32::from(code) };
        let guess = (self.last.wrapping_mul(a).wrapping_add(self.before.wrapping_mul(b))) / 256;
        let value = guess.saturating_add(signed.saturating_mul(self.step)).clamp(-32_768, 32_767);
        (self.before, self.last) = (self.last, value);
        // Bounded, because a hostile file can make it grow with every sample.
        self.step = (i64::from(GROWTH[usize::from(code & 15)]) * i64::from(self.step) / 256).clamp(16, 1 << 24) as i32;
        value as f32 * SCALE
    }
}

/// Decodes a block of Microsoft's variant: the headers of all channels, field by field, then codes of four bits, high
/// nibble first, the channels in turn.
pub(super) fn ms(block: &[u8], channels: usize, frames: usize, table: &[(i32, i32)], planes: &mut Vec<Vec<f32>>) {
    planes.resize_with(channels, Vec::new);
    planes.iter_mut().for_each(Vec::clear);
    let head = 7 * channels;
    if block.len() < head || table.is_empty() {
        return;
    }
    let word =
        |field: usize, channel: usize| i32::from(le16(block, channels + 2 * (field * channels + channel)) as i16);
    let mut states: Vec<Ms> = (0..channels)
        .map(|c| Ms {
            coefficients: table[usize::from(block[c]).min(table.len() - 1)],
            step: word(0, c).max(16),
            last: word(1, c),
            before: word(2, c),
        })
        .collect();
    for (plane, state) in planes.iter_mut().zip(&states) {
        plane.extend([state.before as f32 * SCALE, state.last as f32 * SCALE]);
    }
    let codes = block[head..].iter().flat_map(|byte| [byte >> 4, byte & 15]);
    for (k, code) in codes.take(frames.saturating_sub(2) * channels).enumerate() {
        let channel = k % channels;
        planes[channel].push(states[channel].next(code));
    }
    level_out(planes);
}

/// Truncates all planes to the shortest: a block may end within a frame.
fn level_out(planes: &mut [Vec<f32>]) {
    let shortest = planes.iter().map(Vec::len).min().unwrap_or(0);
    planes.iter_mut().for_each(|plane| plane.truncate(shortest));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_moves_the_value_and_the_step() {
        // Step 7 at index 0: code 7 adds 15/8 of it, and the index rises by 8, to a step of 16.
        let mut ima = Ima { value: 0, index: 0 };
        assert_eq!(ima.next(7), 13.0 * SCALE);
        assert_eq!(ima.index, 8);
        assert_eq!(ima.next(15), (13.0 - 30.0) * SCALE);
    }

    #[test]
    fn a_block_that_is_cut_off_gives_whole_frames() {
        let mut planes = Vec::new();
        ima_wav(&[0; 8 + 8 + 3], 2, 1_000, &mut planes);
        assert_eq!((planes[0].len(), planes[1].len()), (9, 9));
        ms(&[0; 14 + 3], 2, 1_000, &MS_COEFFICIENTS, &mut planes);
        assert_eq!((planes[0].len(), planes[1].len()), (5, 5));
        ima_apple(&[0; 40], 2, &mut Vec::new(), &mut planes);
        assert!(planes[0].is_empty() && planes[1].is_empty());
    }

    #[test]
    fn a_step_that_grows_for_ever_stays_within_bounds() {
        let mut planes = Vec::new();
        ms(&[0x88; 7 + 4_000], 1, 9_000, &[(i32::MAX, i32::MIN)], &mut planes);
        assert!(planes[0].iter().all(|s| s.abs() <= 1.0));
    }
}
