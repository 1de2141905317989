//! `grooved stretch`: changes a file's tempo or key. `grooved stretch-check`: measures the cost of each method.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Failure;
use crate::dsp::sinc::Quality;
use crate::engine::method::Method;
use crate::media::decode::Decoder;
use crate::media::wav::{Depth, WavWriter};
use crate::stretch::curve::Curve;
use crate::stretch::offline::{self, StretchJob};

/// Stretches the file `from` into the WAV file `to`. Calls `progress` with the completed share, 0 to 1, about once per
/// second of output.
///
/// # Errors
/// If `from` cannot be decoded or parts of it are missing or corrupt, or if `to` cannot be written.
pub fn stretch(from: &Path, to: &Path, order: &StretchJob, mut progress: impl FnMut(f64)) -> Result<(), Failure> {
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
            "file '{}': {seconds:.1} of its {:.1} s are missing or corrupt, and silent in {}; copy it again",
            from.display(),
            frames as f64 / f64::from(rate),
            to.display()
        ))),
    }
}

/// Cost of a stretch method on this machine.
#[derive(Clone, Debug)]
pub struct Cost {
    /// The method.
    pub method: Method,
    /// Speed relative to real time: seconds of stereo sound stretched per second.
    pub times: f64,
    /// Longest render time of a period, as a share of the period.
    pub worst: f64,
}

/// Measures every method on this machine for `seconds` each, in periods of `period` frames.
pub fn costs(seconds: f64, sample_rate: u32, period: usize) -> Vec<Cost> {
    // A looped chord with a beat, so that both tonal and transient processing occur.
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
            let order = StretchJob {
                method,
                curve: Curve::constant(1.07),
                pitch: 0.0,
                formants: false,
                quality: Quality::Standard,
            };
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
                    // The first periods also fill the look-ahead.
                    if done > 4 * period {
                        worst = worst.max(last.elapsed());
                    }
                    (since, last) = (0, Instant::now());
                }
                if start.elapsed().as_secs_f64() < seconds { Ok(()) } else { Err(()) }
            };
            // Ends when the sink returns an error, because the time is up.
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

/// Returns the report of `grooved stretch-check`: each method, its cost on this machine, and a recommendation.
pub fn check(sample_rate: u32, period: usize) -> String {
    let costs = costs(2.0, sample_rate, period);
    let ms = period as f64 * 1_000.0 / f64::from(sample_rate);
    let mut out =
        format!("{:<14}{:>16}{:>18}{:>16}{:>8}\n", "method", "× real time", "worst of period", "stereo stems", "pitch");
    for cost in &costs {
        // Half of a core is reserved for everything else.
        let stems = (cost.times * 0.5).floor();
        let pitch = if cost.method == Method::PlaybackRate { "shifts" } else { "kept" };
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
        "\nA period of {period} frames lasts {ms:.1} ms. \"stereo stems\": number of stems that half of one core can \
         stretch; with hq, stems of one deck at one rate count once.\n{}Recommended: --stretch-method {choice}\n",
        match cfg!(feature = "rubberband") {
            true => "Built with rubberband: the program as a whole is under the GPL.\n",
            false =>
                "Built without rubberband: 'rubberband' selects hq. To use the library (GPL), install \
                 librubberband-dev and build with --features rubberband.\n",
        }
    );
    out
}
