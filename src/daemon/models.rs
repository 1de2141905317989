//! `grooved check-model`: checks instruments before a show.

use std::path::Path;
use std::time::{Duration, Instant};

use tract_onnx::prelude::TractResult;

use crate::ddsp::model::{Model, ModelError, ModelRunner};

/// Number of timed steps, after as many for warm-up.
const STEPS: usize = 2_000;

/// Returns a description of a model file and the cost of a step on this machine, in a few lines.
///
/// # Errors
/// If the file is not a valid instrument.
pub fn check(path: &Path) -> Result<String, ModelError> {
    let model = Model::open(path)?;
    let c = model.contract();
    let stopped = |why: String| ModelError::Arithmetic { path: path.to_path_buf(), why };
    let step = model
        .player()
        .and_then(|mut player| {
            time(&mut player, c.harmonics, c.noise_bands)?;
            time(&mut player, c.harmonics, c.noise_bands)
        })
        .map_err(|e| stopped(format!("{e:#}")))?;
    let hop = Duration::from_secs_f64(c.hop as f64 / f64::from(c.sample_rate));
    Ok(format!(
        "{}: ok\n  {}, {} partials and {} noise bands, {} Hz, a step every {:.1} ms, state of {}\n  \
         pitches {:.0} to {:.0} (MIDI), loudness {:.0} to {:.0} dBFS, {}\n  \
         a step takes {:.1} us: {:.2} % of a core",
        path.display(),
        c.instrument,
        c.harmonics,
        c.noise_bands,
        c.sample_rate,
        hop.as_secs_f64() * 1e3,
        c.state,
        c.pitch_range.0,
        c.pitch_range.1,
        c.loudness_range.0,
        c.loudness_range.1,
        c.licence,
        step.as_secs_f64() * 1e6,
        step.as_secs_f64() / hop.as_secs_f64() * 100.0,
    ))
}

/// Returns the median time of a step.
fn time(player: &mut ModelRunner, harmonics: usize, bands: usize) -> TractResult<Duration> {
    let (mut partials, mut noise) = (vec![0.0; harmonics], vec![0.0; bands]);
    let mut took = Vec::with_capacity(STEPS);
    for step in 0..STEPS {
        let glide = step as f32 / STEPS as f32;
        let begun = Instant::now();
        player.step(0.4 + 0.3 * glide, 0.5 + 0.3 * glide, &mut partials, &mut noise)?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    Ok(took[STEPS / 2])
}
