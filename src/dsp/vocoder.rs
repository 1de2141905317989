//! A phase vocoder: time-stretches steady sound, every partial at its own pitch.
//!
//! Overlapping blocks are taken from wherever the tempo puts the input and laid down a fixed hop apart. For a partial
//! to continue smoothly, each block is rotated in phase by as much as the block before it was rotated, plus the
//! difference between that block's phase and the phase of the input one hop before this block (the two-block form of
//! the phase vocoder: Puckette 1995, "Phase-locked vocoder"; it needs no estimate of frequency). The rotation is
//! computed at each spectral peak, from both channels together, and shared by all bins around it (Laroche & Dolson
//! 1999, "Improved phase vocoder time-scale modification of audio"), which preserves waveforms and the stereo image.
//!
//! A vocoder can be *anchored*: its first block is then rotated to be in phase with sound from another position.

use std::sync::Arc;

use realfft::num_complex::Complex32;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use super::splice::window::Window;

/// Number of blocks that overlap at any moment.
const OVERLAP: usize = 4;
/// Half the width over which the spectral envelope is smoothed, in Hz: a voice's harmonics are closer than twice that.
const ENVELOPE_HZ: f64 = 200.0;

/// The position from which a block is taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Take {
    /// Input frame at the block's centre.
    pub centre: i64,
    /// For a first block: input frame at the centre of the sound it is to be in phase with.
    pub anchor: Option<i64>,
}

/// A stereo phase vocoder. Realtime: no block allocates after [`Vocoder::new`], but one block takes long: it belongs on
/// a worker.
pub struct Vocoder {
    size: usize,
    hop: usize,
    taper: Box<[f32]>,
    forward: Arc<dyn RealToComplex<f32>>,
    backward: Arc<dyn ComplexToReal<f32>>,
    scratch: Box<[Complex32]>,
    time: Box<[f32]>,
    /// Spectra of the current block, the last one, and the input one hop before the current one.
    now: [Box<[Complex32]>; 2],
    last: [Box<[Complex32]>; 2],
    hopped: [Box<[Complex32]>; 2],
    /// Rotation of each bin.
    turn: Box<[Complex32]>,
    next_turn: Box<[Complex32]>,
    energy: Box<[f32]>,
    envelope: Box<[f32]>,
    sums: Box<[f64]>,
    last_centre: Option<i64>,
    /// The overlap-add buffer; its first `hop` frames are finished after each block.
    laid: [Box<[f32]>; 2],
    smoothing: usize,
    /// Factor by which the result will be played faster, whose effect on formants is undone in advance.
    formant: Option<f64>,
}

impl Vocoder {
    /// Creates a vocoder for sound at `sample_rate`. Realtime: no (allocates and plans).
    pub fn new(sample_rate: u32) -> Vocoder {
        // 4096 frames at 44.1 or 48 kHz: long enough to separate partials 25 Hz apart.
        let size = (f64::from(sample_rate) / 48_000.0 * 4096.0).log2().round().exp2() as usize;
        let bins = size / 2 + 1;
        let mut planner = RealFftPlanner::<f32>::new();
        let (forward, backward) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
        let scratch = forward.get_scratch_len().max(backward.get_scratch_len());
        let zeros = |n: usize| vec![Complex32::default(); n].into_boxed_slice();
        let pair = || [zeros(bins), zeros(bins)];
        Vocoder {
            size,
            hop: size / OVERLAP,
            taper: (0..size)
                .map(|k| (0.5 - 0.5 * (std::f64::consts::TAU * (k as f64 + 0.5) / size as f64).cos()) as f32)
                .collect(),
            forward,
            backward,
            scratch: zeros(scratch),
            time: vec![0.0; size].into_boxed_slice(),
            now: pair(),
            last: pair(),
            hopped: pair(),
            turn: zeros(bins),
            next_turn: zeros(bins),
            energy: vec![0.0; bins].into_boxed_slice(),
            envelope: vec![1.0; bins].into_boxed_slice(),
            sums: vec![0.0; bins + 1].into_boxed_slice(),
            last_centre: None,
            laid: [vec![0.0; size].into_boxed_slice(), vec![0.0; size].into_boxed_slice()],
            smoothing: (ENVELOPE_HZ * size as f64 / f64::from(sample_rate)) as usize,
            formant: None,
        }
    }

    /// Returns the number of frames in a block.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Returns the number of frames from block to block.
    pub fn hop(&self) -> usize {
        self.hop
    }

    /// Preserves formants although the result will be played `factor` times as fast.
    pub fn keep_formants(&mut self, factor: Option<f64>) {
        self.formant = factor;
    }

    /// Resets all state.
    pub fn restart(&mut self) {
        self.last_centre = None;
        for plane in &mut self.laid {
            plane.fill(0.0);
        }
    }

    fn analyse(&mut self, window: &Window, centre: i64, into: Spectrum) {
        let from = centre - self.size as i64 / 2;
        let (left, right) = window.get(from, self.size);
        // Before the window's beginning there is silence.
        let lead = ((window.origin() - from).clamp(0, self.size as i64)) as usize;
        let to = match into {
            Spectrum::Now => &mut self.now,
            Spectrum::Hopped => &mut self.hopped,
        };
        for (plane, spectrum) in [left, right].into_iter().zip(to) {
            self.time.fill(0.0);
            for ((to, from), taper) in self.time[lead..].iter_mut().zip(plane).zip(&self.taper[lead..]) {
                *to = from * taper;
            }
            // The lengths are those it was planned for; nothing else can fail.
            let _ = self.forward.process_with_scratch(&mut self.time, spectrum, &mut self.scratch);
        }
    }

    /// Processes a block; the next `hop` output frames are then in `out`.
    pub fn block(&mut self, window: &Window, take: Take, out: [&mut [f32]; 2]) {
        self.analyse(window, take.centre, Spectrum::Now);
        for (k, energy) in self.energy.iter_mut().enumerate() {
            *energy = self.now[0][k].norm_sqr() + self.now[1][k].norm_sqr();
        }
        let same = take.anchor.is_none() && self.last_centre == Some(take.centre - self.hop as i64);
        if !same {
            match (take.anchor, self.last_centre) {
                (Some(anchor), _) => {
                    self.analyse(window, take.centre, Spectrum::Hopped);
                    std::mem::swap(&mut self.now, &mut self.last);
                    self.analyse(window, anchor, Spectrum::Now);
                    std::mem::swap(&mut self.now, &mut self.last);
                    self.turn.fill(Complex32::new(1.0, 0.0));
                    self.lock();
                }
                (None, Some(_)) => {
                    self.analyse(window, take.centre - self.hop as i64, Spectrum::Hopped);
                    self.lock();
                }
                (None, None) => self.turn.fill(Complex32::new(1.0, 0.0)),
            }
        }
        self.last_centre = Some(take.centre);
        if let Some(factor) = self.formant {
            self.shape(factor);
        }
        std::mem::swap(&mut self.last, &mut self.now);
        let hop = self.hop;
        let scale = 1.0 / (self.size as f32 * 0.375 * OVERLAP as f32);
        for (c, out) in out.into_iter().enumerate() {
            // The unrotated spectrum is needed for the next block; the other's buffer is free for the rotated one.
            for (k, to) in self.now[c].iter_mut().enumerate() {
                let gain = if self.formant.is_some() { self.envelope[k] } else { 1.0 };
                *to = self.last[c][k] * self.turn[k] * gain;
            }
            // A real signal's first and last bins are real.
            self.now[c][0].im = 0.0;
            if let Some(last) = self.now[c].last_mut() {
                last.im = 0.0;
            }
            let _ = self.backward.process_with_scratch(&mut self.now[c], &mut self.time, &mut self.scratch);
            let laid = &mut self.laid[c];
            for ((to, from), taper) in laid.iter_mut().zip(&self.time).zip(&self.taper) {
                *to += from * taper * scale;
            }
            let n = out.len().min(hop);
            out[..n].copy_from_slice(&laid[..n]);
            laid.copy_within(hop.., 0);
            laid[self.size - hop..].fill(0.0);
        }
    }

    /// Computes each peak's rotation and shares it with the bins around it.
    fn lock(&mut self) {
        let bins = self.energy.len();
        let mut begin = 0;
        let mut peak = self.next_peak(0);
        while let Some(p) = peak {
            let next = self.next_peak(p + 1);
            // Peaks are separated at the valley between them.
            let end = next.map_or(bins, |q| {
                let valley = (p..q).min_by(|a, b| self.energy[*a].total_cmp(&self.energy[*b]));
                valley.unwrap_or(q).max(p + 1)
            });
            let mut sum = Complex32::default();
            for k in p.saturating_sub(1)..(p + 2).min(bins) {
                for c in 0..2 {
                    sum += self.last[c][k] * self.hopped[c][k].conj();
                }
            }
            let norm = sum.norm();
            let turn = if norm > 1e-20 { self.turn[p] * (sum / norm) } else { self.turn[p] };
            // Rounding must not let its magnitude drift.
            let turn = turn / turn.norm().max(1e-6);
            self.next_turn[begin..end].fill(turn);
            begin = end;
            peak = next;
        }
        if begin == 0 {
            return;
        }
        self.next_turn[begin..].fill(Complex32::new(1.0, 0.0));
        std::mem::swap(&mut self.turn, &mut self.next_turn);
    }

    /// Returns the first bin from `from` on that is the loudest of itself and two neighbours to each side.
    fn next_peak(&self, from: usize) -> Option<usize> {
        let e = &self.energy;
        (from..e.len()).find(|k| {
            let (low, high) = (k.saturating_sub(2), (k + 3).min(e.len()));
            e[*k] > 0.0 && e[low..*k].iter().all(|v| *v <= e[*k]) && e[k + 1..high].iter().all(|v| *v < e[*k])
        })
    }

    /// Computes the gains that shift the spectral envelope so that playing the result `factor` times as fast restores
    /// it.
    fn shape(&mut self, factor: f64) {
        let bins = self.energy.len();
        self.sums[0] = 0.0;
        for k in 0..bins {
            self.sums[k + 1] = self.sums[k] + f64::from(self.energy[k]);
        }
        let level = |at: f64| {
            let at = at.round() as usize;
            let (low, high) = (at.saturating_sub(self.smoothing).min(bins - 1), (at + self.smoothing + 1).min(bins));
            (self.sums[high] - self.sums[low]).max(0.0) / (high - low).max(1) as f64 + 1e-12
        };
        for (k, gain) in self.envelope.iter_mut().enumerate() {
            let there = (k as f64 * factor).min((bins - 1) as f64);
            *gain = (level(there) / level(k as f64)).sqrt().clamp(0.05, 20.0) as f32;
        }
    }
}

/// Selects the spectrum that an analysis fills.
#[derive(Clone, Copy)]
enum Spectrum {
    Now,
    Hopped,
}

impl std::fmt::Debug for Vocoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vocoder").field("size", &self.size).finish_non_exhaustive()
    }
}
