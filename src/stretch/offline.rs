//! Stretches whole sounds faster than real time, with the same building blocks as the engine.

use super::curve::{Course, Curve};
use super::hq::Hq;
use super::machine::Machine;
use crate::dsp::fixed::Fixed;
use crate::dsp::sinc::{MAX_HALF, Quality, SincBank, Walk};
use crate::dsp::splice::window::Window;
use crate::dsp::splice::{self, Splicer};
use crate::engine::GRID;
use crate::engine::method::Method;

/// Range of speeds requested from a stretcher when the key changes as well: an octave beyond the tempo's range.
const KEY_SPEEDS: (f64, f64) = (0.25, 4.0);

/// A stretching job.
#[derive(Clone, Debug)]
pub struct StretchJob {
    /// The method.
    pub method: Method,
    /// Speed over output time.
    pub curve: Curve,
    /// Key change in semitones.
    pub pitch: f64,
    /// Whether formants are preserved when the key changes.
    pub formants: bool,
    /// Quality of the interpolation with [`Method::PlaybackRate`].
    pub quality: Quality,
}

impl StretchJob {
    /// Returns an error if the job cannot be done.
    pub fn check(&self) -> Result<(), String> {
        let (low, high) = self.curve.range();
        let speed = if low == high { format!("speed {low}") } else { format!("speed {low} to {high}") };
        if !(0.125..=8.0).contains(&low) || !(0.125..=8.0).contains(&high) {
            return Err(format!("{speed}: must be between 0.125 and 8"));
        }
        let factor = (self.pitch / 12.0).exp2();
        if self.method != Method::PlaybackRate && (low < splice::MIN_SPEED || high > splice::MAX_SPEED) {
            return Err(format!("{speed}: {} supports 0.5 to 2, playback_rate 0.125 to 8", self.method));
        }
        if factor != 1.0 && (low / factor < KEY_SPEEDS.0 || high / factor > KEY_SPEEDS.1) {
            return Err(format!("{speed} is out of range for a key change of {} semitones", self.pitch));
        }
        if self.formants && self.method.in_engine() != Method::Hq {
            return Err(format!("--formants: not supported by {}; use hq", self.method));
        }
        if self.method == Method::PlaybackRate && self.pitch != 0.0 {
            return Err("--pitch: with playback_rate the pitch follows the speed; use wsola or hq".into());
        }
        Ok(())
    }
}

/// A source of samples: fills both slices from their beginning and returns the number of frames; 0 at the end.
pub type Source<'a, E> = dyn FnMut(&mut [f32], &mut [f32]) -> Result<usize, E> + 'a;
/// A sink for samples.
pub type Sink<'a, E> = dyn FnMut(&[f32], &[f32]) -> Result<(), E> + 'a;

/// The [`Method::Wsola`] stretcher for a single sound.
pub struct Wsola(Splicer);

impl Wsola {
    /// Creates a stretcher at the beginning of the sound.
    pub fn new(sample_rate: u32) -> Wsola {
        Wsola(Splicer::new(sample_rate))
    }
}

impl Machine for Wsola {
    fn wants(&self, _: f64, _: f64) -> i64 {
        self.0.wants()
    }

    fn fed(&self) -> i64 {
        self.0.fed()
    }

    fn feed(&mut self, left: &[f32], right: &[f32]) {
        self.0.feed(left, right);
    }

    fn render(&mut self, ideal: f64, speed: f64, left: &mut [f32], right: &mut [f32]) {
        splice::render(&mut self.0, ideal, speed, left, right);
    }

    fn restart(&mut self, at: i64, play: i64, _: i64) {
        self.0.restart(at);
        self.0.jump(play);
    }

    fn keep_formants(&mut self, _: Option<f64>) {}
}

/// Creates the stretcher of a method for working ahead of time, with room to be fed `more` frames beyond what it wants.
pub fn ahead(method: Method, sample_rate: u32, more: usize) -> Box<dyn Machine> {
    match method {
        #[cfg(feature = "rubberband")]
        Method::RubberBand if let Some(band) = super::rubberband::RubberBand::new(sample_rate, more) => Box::new(band),
        _ => Box::new(Hq::with_room(sample_rate, more)),
    }
}

/// Stretches all of `source` into `sink`; calls `progress` with the number of input frames used so far.
///
/// The output ends where the input's last frame has been played; a fraction of a frame is left out.
pub fn stretch<E>(
    order: &StretchJob,
    sample_rate: u32,
    source: &mut Source<E>,
    sink: &mut Sink<E>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), E> {
    let mut machine: Box<dyn Machine> = match order.method {
        Method::PlaybackRate => return resample(order, sample_rate, source, sink, progress),
        Method::Wsola => Box::new(Wsola::new(sample_rate)),
        method => ahead(method, sample_rate, 0),
    };
    let factor = (order.pitch / 12.0).exp2();
    machine.keep_formants((order.formants && order.pitch != 0.0).then_some(factor));
    keep_pitch(&mut *machine, order, sample_rate, source, sink, progress)
}

/// Returns the number of whole frames of a quantum that lie within the sound: a fraction past the last frame would be
/// interpolated from missing input.
fn rest(end: Option<i64>, ideal: Fixed, speed: f64) -> usize {
    // A length that is a whole number is so only up to rounding errors.
    end.map_or(GRID, |end| ((end as f64 - ideal.to_f64()) / speed + 1e-6).clamp(0.0, GRID as f64) as usize)
}

/// Extends the first frame to before the beginning, as far as an interpolator reaches.
fn before(window: &mut Window) {
    let (first, reach) = (window.frame(0), MAX_HALF);
    let (left, right) = window.tail_mut(-(reach as i64));
    left.iter_mut().take(reach).for_each(|sample| *sample = first.0);
    right.iter_mut().take(reach).for_each(|sample| *sample = first.1);
}

fn keep_pitch<E>(
    machine: &mut dyn Machine,
    order: &StretchJob,
    sample_rate: u32,
    source: &mut Source<E>,
    sink: &mut Sink<E>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), E> {
    // A key change is a change of speed that is undone by playing the result faster or slower.
    let factor = (order.pitch / 12.0).exp2();
    let bank = SincBank::default();
    let table = bank.table(factor);
    let mut stretched = Window::new(1 << 14);
    stretched.restart(-(MAX_HALF as i64));
    stretched.extend(MAX_HALF, 0);
    let step = Fixed::from_f64(factor);
    let mut position = Fixed::ZERO;
    let mut course = Course::new(order.curve.clone(), sample_rate);
    let (mut left, mut right) = (vec![0.0; 4096], vec![0.0; 4096]);
    let mut end: Option<i64> = None;
    // The last frame, repeated beyond the end: a sound that is cut there does not fall to zero before it.
    let mut last = (0.0, 0.0);
    loop {
        let (ideal, from, to) = course.now();
        if end.is_some_and(|end| ideal.floor() >= end) {
            return Ok(());
        }
        let speed = (0.5 * (from + to) / factor).clamp(KEY_SPEEDS.0, KEY_SPEEDS.1);
        let plain = factor == 1.0;
        let until = (position + step * GRID as i64).floor() + if plain { 0 } else { table.half() as i64 + 2 };
        while stretched.filled() < until {
            let ahead = (Fixed::from_int(stretched.filled()) - position).to_f64();
            let ideal = ideal.to_f64() + ahead * speed;
            let wants = machine.wants(ideal, speed);
            while machine.fed() < wants {
                let want = ((wants - machine.fed()) as usize).min(left.len());
                let mut got = if end.is_none() { source(&mut left[..want], &mut right[..want])? } else { 0 };
                if got == 0 {
                    end.get_or_insert(machine.fed());
                    left[..want].fill(last.0);
                    right[..want].fill(last.1);
                    got = want;
                }
                last = (left[got - 1], right[got - 1]);
                machine.feed(&left[..got], &right[..got]);
            }
            let first = stretched.filled() == 0;
            let (l, r) = stretched.extend(GRID, position.floor() - MAX_HALF as i64);
            machine.render(ideal, speed, l, r);
            if first {
                before(&mut stretched);
            }
        }
        let mut out = [[0.0; GRID]; 2];
        let [l, r] = &mut out;
        if plain {
            let (from_l, from_r) = stretched.get(position.floor(), GRID);
            l.copy_from_slice(from_l);
            r.copy_from_slice(from_r);
        } else {
            let (from_l, from_r) = stretched.get(stretched.origin(), stretched.capacity());
            let walk = Walk {
                position: (position - Fixed::from_int(stretched.origin())).to_bits(32) as u64,
                step: step.to_bits(32),
                slope: 0,
            };
            table.add([from_l, from_r], walk, [l, r]);
        }
        let frames = rest(end, ideal, from);
        sink(&out[0][..frames], &out[1][..frames])?;
        position += step * GRID as i64;
        course.advance();
        progress(ideal.floor().max(0) as u64);
    }
}

fn resample<E>(
    order: &StretchJob,
    sample_rate: u32,
    source: &mut Source<E>,
    sink: &mut Sink<E>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), E> {
    let bank = SincBank::new(order.quality);
    let mut course = Course::new(order.curve.clone(), sample_rate);
    let mut window = Window::new(1 << 14);
    window.restart(-(MAX_HALF as i64));
    window.extend(MAX_HALF, 0);
    let mut end: Option<i64> = None;
    // The last frame, repeated beyond the end, as in `keep_pitch`.
    let mut last = (0.0, 0.0);
    loop {
        let (ideal, from, to) = course.now();
        if end.is_some_and(|end| ideal.floor() >= end) {
            return Ok(());
        }
        let until = ideal.floor() + (from.max(to) * GRID as f64) as i64 + MAX_HALF as i64 + 2;
        while window.filled() < until {
            let want = (until - window.filled()) as usize;
            let mut got = 0;
            let filled = window.filled();
            let (l, r) = window.extend(want, ideal.floor() - MAX_HALF as i64);
            while got < want && end.is_none() {
                match source(&mut l[got..], &mut r[got..])? {
                    0 => end = Some(filled + got as i64),
                    n => {
                        got += n;
                        last = (l[got - 1], r[got - 1]);
                    }
                }
            }
            l[got..].fill(last.0);
            r[got..].fill(last.1);
            if filled == 0 {
                before(&mut window);
            }
        }
        let slope = if from == to { Fixed::ZERO } else { Fixed::from_f64(to - from).div_int(GRID) };
        let walk = Walk {
            position: (ideal - Fixed::from_int(window.origin())).to_bits(32) as u64,
            step: Fixed::from_f64(from).to_bits(32),
            slope: slope.to_bits(32),
        };
        let mut out = [[0.0; GRID]; 2];
        let (l, r) = window.get(window.origin(), window.capacity());
        let [out_l, out_r] = &mut out;
        bank.table(from.max(to)).add([l, r], walk, [out_l, out_r]);
        let frames = rest(end, ideal, from);
        sink(&out[0][..frames], &out[1][..frames])?;
        course.advance();
        progress(ideal.floor().max(0) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_stays_to_the_last_frame_and_lengths_are_rounded_down() {
        for (method, speed, pitch) in [
            (Method::PlaybackRate, 1.07, 0.0),
            (Method::PlaybackRate, 0.93, 0.0),
            (Method::Wsola, 1.07, 0.0),
            (Method::Wsola, 0.93, 0.0),
            (Method::Wsola, 1.0, 3.0),
            (Method::Hq, 0.777, 0.0),
            (Method::Hq, 0.93, -2.0),
            (Method::Hq, 1.0, 0.0),
        ] {
            for length in [10_000usize, 10_001, 44_100] {
                let order = StretchJob {
                    method,
                    curve: Curve::constant(speed),
                    pitch,
                    formants: false,
                    quality: Quality::Standard,
                };
                let mut left = length;
                let mut source = |l: &mut [f32], r: &mut [f32]| {
                    let n = l.len().min(left);
                    l[..n].fill(0.3);
                    r[..n].fill(-0.3);
                    left -= n;
                    Ok::<usize, ()>(n)
                };
                let mut out: Vec<(f32, f32)> = Vec::new();
                let mut sink = |l: &[f32], r: &[f32]| {
                    out.extend(l.iter().copied().zip(r.iter().copied()));
                    Ok(())
                };
                stretch(&order, 44_100, &mut source, &mut sink, &mut |_| {}).unwrap();
                let name = format!("{method} at {speed}, {pitch} semitones, {length} frames");
                assert_eq!(out.len(), (length as f64 / speed) as usize, "{name}");
                // Interpolation ripples by a thousandth; silence beyond either end would show as tenths.
                let off = out.iter().map(|(l, r)| (l - 0.3).abs().max((r + 0.3).abs())).fold(0.0, f32::max);
                assert!(off < 2e-3, "{name}: {off}, ends with {:?}", &out[out.len() - 3..]);
            }
        }
    }
}
