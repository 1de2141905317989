//! Whole pieces, as fast as it goes, by the same blocks that the engine plays with.

use super::curve::{Course, Curve};
use super::hq::Hq;
use crate::dsp::fixed::Fixed;
use crate::dsp::sinc::{MAX_HALF, SincBank, Walk};
use crate::dsp::splice::window::Window;
use crate::dsp::splice::{self, Splicer};
use crate::engine::GRID;
use crate::engine::method::Method;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Order {
    /// How.
    pub method: Method,
    /// Speed over output time.
    pub curve: Curve,
    /// Change of key in semitones.
    pub pitch: f64,
    /// Whether formants stay where they are when the key changes.
    pub formants: bool,
}

impl Order {
    /// Tells what cannot be done.
    pub fn check(&self) -> Result<(), String> {
        let (low, high) = self.curve.range();
        if !(0.125..=8.0).contains(&low) || !(0.125..=8.0).contains(&high) {
            return Err(format!("speed {low} to {high}: 0.125 to 8 would be right"));
        }
        if self.method != Method::PlaybackRate && (low < splice::MIN_SPEED || high > splice::MAX_SPEED) {
            return Err(format!(
                "speed {low} to {high}: {} goes from 0.5 to 2; playback_rate from 0.125 to 8",
                self.method
            ));
        }
        if self.method == Method::PlaybackRate && self.pitch != 0.0 {
            return Err("--pitch: with playback_rate the pitch follows the speed; wsola or hq would be right".into());
        }
        Ok(())
    }
}

/// Where samples come from: fills both slices from their beginning and returns how many frames that were; 0: the end.
pub type Source<'a, E> = dyn FnMut(&mut [f32], &mut [f32]) -> Result<usize, E> + 'a;
/// Where samples go to.
pub type Sink<'a, E> = dyn FnMut(&[f32], &[f32]) -> Result<(), E> + 'a;

/// A stretcher that is fed and asked for more.
pub trait Machine {
    /// The input frame up to which (exclusive) it wants to be fed before [`Machine::render`].
    fn wants(&self, ideal: f64, speed: f64) -> i64;
    /// The input frame up to which it has been fed.
    fn fed(&self) -> i64;
    /// Feeds the next frames.
    fn feed(&mut self, left: &[f32], right: &[f32]);
    /// The next `left.len()` output frames, at most [`GRID`], given where the input should be now and how fast it goes.
    fn render(&mut self, ideal: f64, speed: f64, left: &mut [f32], right: &mut [f32]);
}

/// [`Method::Wsola`] for a single sound.
pub struct Wsola(Splicer);

impl Wsola {
    /// At the beginning.
    pub fn new(sample_rate: u32) -> Wsola {
        Wsola(Splicer::new(sample_rate))
    }

    /// The planner.
    pub fn splicer(&self) -> &Splicer {
        &self.0
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
}

/// Stretches everything `source` has into `sink`; `progress` is told the input frames used so far.
///
/// The output ends where the input's last frame has been played.
pub fn stretch<E>(
    order: &Order,
    sample_rate: u32,
    source: &mut Source<E>,
    sink: &mut Sink<E>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), E> {
    match order.method {
        Method::PlaybackRate => resample(order, sample_rate, source, sink, progress),
        Method::Wsola => keep_pitch(&mut Wsola::new(sample_rate), order, sample_rate, source, sink, progress),
        Method::Hq => keep_pitch(&mut Hq::new(sample_rate), order, sample_rate, source, sink, progress),
    }
}

fn keep_pitch<E>(
    machine: &mut dyn Machine,
    order: &Order,
    sample_rate: u32,
    source: &mut Source<E>,
    sink: &mut Sink<E>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), E> {
    let mut course = Course::new(order.curve.clone(), sample_rate);
    let (mut left, mut right) = (vec![0.0; 4096], vec![0.0; 4096]);
    let mut out = [[0.0; GRID]; 2];
    let mut end: Option<i64> = None;
    loop {
        let (ideal, from, to) = course.now();
        if end.is_some_and(|end| ideal.floor() >= end) {
            return Ok(());
        }
        let speed = (0.5 * (from + to)).clamp(splice::MIN_SPEED, splice::MAX_SPEED);
        let wants = machine.wants(ideal.to_f64(), speed);
        while machine.fed() < wants {
            let want = ((wants - machine.fed()) as usize).min(left.len());
            let mut got = if end.is_none() { source(&mut left[..want], &mut right[..want])? } else { 0 };
            if got == 0 {
                end.get_or_insert(machine.fed());
                left[..want].fill(0.0);
                right[..want].fill(0.0);
                got = want;
            }
            machine.feed(&left[..got], &right[..got]);
        }
        let [l, r] = &mut out;
        machine.render(ideal.to_f64(), speed, l, r);
        let frames = end.map_or(GRID, |end| (((end - ideal.floor()) as f64 / speed).ceil() as usize).clamp(1, GRID));
        sink(&l[..frames], &r[..frames])?;
        course.advance();
        progress(ideal.floor().max(0) as u64);
    }
}

fn resample<E>(
    order: &Order,
    sample_rate: u32,
    source: &mut Source<E>,
    sink: &mut Sink<E>,
    progress: &mut dyn FnMut(u64),
) -> Result<(), E> {
    let bank = SincBank::new();
    let mut course = Course::new(order.curve.clone(), sample_rate);
    let mut window = Window::new(1 << 14);
    window.restart(-(MAX_HALF as i64));
    window.extend(MAX_HALF, 0);
    let mut end: Option<i64> = None;
    loop {
        let (ideal, from, to) = course.now();
        if end.is_some_and(|end| ideal.floor() >= end) {
            return Ok(());
        }
        let until = ideal.floor() + (from.max(to) * GRID as f64) as i64 + MAX_HALF as i64 + 2;
        while window.filled() < until {
            let want = (until - window.filled()) as usize;
            let mut got = 0;
            let before = window.filled();
            let (l, r) = window.extend(want, ideal.floor() - MAX_HALF as i64);
            while got < want && end.is_none() {
                match source(&mut l[got..], &mut r[got..])? {
                    0 => end = Some(before + got as i64),
                    n => got += n,
                }
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
        let frames = end.map_or(GRID, |end| (((end - ideal.floor()) as f64 / from).ceil() as usize).clamp(1, GRID));
        sink(&out[0][..frames], &out[1][..frames])?;
        course.advance();
        progress(ideal.floor().max(0) as u64);
    }
}
