//! `grooved stretch`: a file at another tempo or in another key; `grooved stretch-check`: what that costs here.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Failure;
use crate::engine::method::Method;
use crate::media::decode::Decoder;
use crate::media::wav::{Depth, WavWriter};
use crate::stretch::curve::Curve;
use crate::stretch::offline::{self, Order};

/// Stretches the file `from` into the WAV file `to`. `progress` is told the share that is done, now and then.
pub fn stretch(from: &Path, to: &Path, order: &Order, mut progress: impl FnMut(f64)) -> Result<(), Failure> {
    let mut decoder = Decoder::open(from).map_err(|e| Failure::Usage(format!("file '{}' {e}", from.display())))?;
    let (rate, frames) = (decoder.info().sample_rate, decoder.info().frames);
    let loss = decoder.info().remarks().iter().find(|r| r.loss).map(|r| r.text.clone());
    let io = |e: std::io::Error| Failure::Io(format!("{}: {e}", to.display()));
    let mut writer = WavWriter::create(to, 2, rate, Depth::Float).map_err(io)?;
    let mut interleaved = Vec::new();
    let mut source = |l: &mut [f32], r: &mut [f32]| {
        decoder.read(l, r).map_err(|e| Failure::Io(format!("file '{}' {e}", from.display())))
    };
    let mut sink = |l: &[f32], r: &[f32]| {
        interleaved.clear();
        interleaved.extend(l.iter().zip(r).flat_map(|(l, r)| [*l, *r]));
        writer.write(&interleaved).map_err(io)
    };
    let mut told = 0;
    let mut tell = |done: u64| {
        if done >= told + u64::from(rate) {
            told = done;
            progress(done as f64 / frames.max(1) as f64);
        }
    };
    offline::stretch(order, rate, &mut source, &mut sink, &mut tell)?;
    writer.finish().map_err(io)?;
    match decoder.lacking() {
        None => loss.map_or(Ok(()), |loss| Err(Failure::Data(format!("file '{}': {loss}", from.display())))),
        Some(seconds) => Err(Failure::Data(format!(
            "file '{}': {seconds:.1} of its {:.1} s are lacking or damaged, and silent in {}; copy it again",
            from.display(),
            frames as f64 / f64::from(rate),
            to.display()
        ))),
    }
}

/// What a method costs on this machine.
#[derive(Clone, Debug)]
pub struct Cost {
    /// Which one.
    pub method: Method,
    /// Seconds of stereo sound it stretches in a second.
    pub times: f64,
    /// The slowest period, as a share of its time.
    pub worst: f64,
}

/// Tries every method for `seconds` each on this machine, in periods of `period` frames.
pub fn costs(seconds: f64, sample_rate: u32, period: usize) -> Vec<Cost> {
    // A chord with a beat in it, over and over: both halves of the work occur.
    let tone = |hz: f64, t: f64| (std::f64::consts::TAU * hz * t).sin();
    let sound = [[110.0, 277.0, 659.0], [110.0, 330.0, 880.0]].map(|chord| {
        (0..4 * sample_rate)
            .map(|k| {
                let t = f64::from(k) / f64::from(sample_rate);
                let beat = (t * 2.0).fract();
                let burst = (-beat * 60.0).exp() * tone(60.0 + 900.0 * beat, t);
                (0.1 * chord.iter().map(|hz| tone(*hz, t)).sum::<f64>() + 0.4 * burst) as f32
            })
            .collect::<Vec<f32>>()
    });
    let sound = &sound;
    Method::ALL
        .iter()
        .map(|&method| {
            let order = Order { method, curve: Curve::constant(1.07), pitch: 0.0, formants: false };
            let mut at = 0;
            let mut source = |l: &mut [f32], r: &mut [f32]| {
                let n = l.len().min(sound[0].len() - at);
                l[..n].copy_from_slice(&sound[0][at..at + n]);
                r[..n].copy_from_slice(&sound[1][at..at + n]);
                at = (at + n) % sound[0].len();
                Ok::<usize, ()>(n)
            };
            let start = Instant::now();
            let (mut done, mut since, mut worst, mut last) = (0usize, 0usize, Duration::ZERO, Instant::now());
            let mut sink = |l: &[f32], _: &[f32]| {
                done += l.len();
                since += l.len();
                if since >= period {
                    // The first period also fills the look-ahead.
                    if done > 4 * period {
                        worst = worst.max(last.elapsed());
                    }
                    (since, last) = (0, Instant::now());
                }
                if start.elapsed().as_secs_f64() < seconds { Ok(()) } else { Err(()) }
            };
            // It ends by the sink's refusal: the time is up.
            let _ = offline::stretch(&order, sample_rate, &mut source, &mut sink, &mut |_| {});
            let rate = f64::from(sample_rate);
            Cost {
                method,
                times: done as f64 / rate / start.elapsed().as_secs_f64(),
                worst: worst.as_secs_f64() * rate / period as f64,
            }
        })
        .collect()
}

/// `grooved stretch-check`: which methods there are, what they cost here, and which to choose.
pub fn check(sample_rate: u32, period: usize) -> String {
    let costs = costs(2.0, sample_rate, period);
    let ms = period as f64 * 1_000.0 / f64::from(sample_rate);
    let mut out =
        format!("{:<14}{:>16}{:>18}{:>16}{:>8}\n", "method", "× real time", "worst of period", "stereo stems", "pitch");
    for cost in &costs {
        // Half of a core is for everything else.
        let stems = (cost.times * 0.5).floor();
        let pitch = if cost.method == Method::PlaybackRate { "moves" } else { "stays" };
        out += &format!(
            "{:<14}{:>16.0}{:>17.1}%{:>16}{pitch:>8}\n",
            cost.method.name(),
            cost.times,
            cost.worst * 100.0,
            stems
        );
    }
    let holds = |m: Method, stems: f64| costs.iter().any(|c| c.method == m && c.times * 0.5 >= stems);
    let choice = if holds(Method::Hq, 4.0) {
        "hq"
    } else if holds(Method::Wsola, 4.0) {
        "wsola"
    } else {
        "playback_rate"
    };
    out += &format!(
        "\nAt {period} frames a period lasts {ms:.1} ms. \"stereo stems\" is what half of one core stretches at a time; \
         stems of one deck at one rate count once with hq.\n{}For this machine: --stretch-method {choice}\n",
        match cfg!(feature = "rubberband") {
            true => "rubberband is built in: this program as a whole is under the GPL.\n",
            false =>
                "All methods but one are built in: 'rubberband' means hq here. The library itself is GPL; who wants it \
                 installs librubberband-dev and builds with --features rubberband.\n",
        }
    );
    out
}
