//! A simulated crowd: a plausible evening of movement, as a sensor would report it.

use std::time::{Duration, Instant};

use super::wire::Wire;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;

/// Messages per second, as from a busy sensor.
const MESSAGES_PER_S: f64 = 5.0;
/// Width of a bar in characters.
const BAR: usize = 24;
/// Displayed tempo range in BPM.
const BPM: (f64, f64) = (100.0, 135.0);

/// Movement over the evening: (share of the evening, movement), interpolated linearly.
const EVENING: &[(f64, f64)] = &[
    (0.00, 0.01),
    (0.06, 0.02),
    (0.15, 0.06),
    (0.25, 0.12),
    (0.33, 0.22),
    (0.42, 0.38),
    (0.47, 0.30),
    (0.50, 0.08),
    (0.55, 0.26),
    (0.65, 0.52),
    (0.74, 0.60),
    (0.80, 0.44),
    (0.88, 0.24),
    (0.94, 0.10),
    (1.00, 0.01),
];
/// Share of the evening in which the sensor is silent, as if covered.
const SILENT: (f64, f64) = (0.56, 0.59);

/// Returns the sensor's value at a share of the evening, or `None` while it is silent. The same `k` gives the same
/// noise.
pub fn movement(share: f64, k: u64) -> Option<f64> {
    if (SILENT.0..SILENT.1).contains(&share) {
        return None;
    }
    let after = EVENING.partition_point(|p| p.0 <= share).clamp(1, EVENING.len() - 1);
    let (a, b) = (EVENING[after - 1], EVENING[after]);
    let trend = a.1 + (b.1 - a.1) * ((share - a.0) / (b.0 - a.0)).clamp(0.0, 1.0);
    // A hash of the message's number: noise that needs no state (Steele, Lea & Flood 2014, SplitMix64).
    let mut z = k.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let noise = ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64 - 0.5;
    Some((trend * (1.0 + 0.5 * noise)).max(0.0))
}

/// One line of the display: a moment of the evening and the daemon's response.
pub struct Line {
    /// Hours since the beginning of the evening.
    pub hours: f64,
    /// The sensor's value, if it is not silent.
    pub movement: Option<f64>,
    /// The daemon's response: smoothed movement, target BPM, current BPM, reason.
    pub answer: Option<(f64, f64, f64, String)>,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let minutes = (self.hours * 60.0).round() as u64;
        write!(f, "{:>2}:{:02} ", minutes / 60, minutes % 60)?;
        match self.movement {
            Some(m) => {
                let full = ((m / 0.8).min(1.0) * BAR as f64).round() as usize;
                write!(f, "{m:>5.2} {}{} ", "█".repeat(full), "·".repeat(BAR - full))?;
            }
            None => write!(f, "    - {} ", " ".repeat(BAR))?,
        }
        if let Some((_, target, tempo, reason)) = &self.answer {
            let at = |bpm: f64| (((bpm - BPM.0) / (BPM.1 - BPM.0)).clamp(0.0, 1.0) * (BAR - 1) as f64).round() as usize;
            let (target_at, tempo_at) = (at(*target), at(*tempo));
            let scale: String = (0..BAR)
                .map(|k| match k {
                    _ if k == tempo_at => '●',
                    _ if k == target_at => '│',
                    _ => '·',
                })
                .collect();
            write!(f, "{tempo:>6.1} {scale} → {target:.1} {reason}")?;
        }
        Ok(())
    }
}

/// Sends an evening of `hours`, `speed` times as fast as real time, and calls `show` once per second.
///
/// # Errors
/// If the daemon does not reply.
pub fn run(wire: &Wire, hours: f64, speed: f64, mut show: impl FnMut(&Line)) -> Result<(), String> {
    let start = Instant::now();
    let (mut sent, mut shown) = (0u64, 0u64);
    loop {
        let elapsed = start.elapsed().as_secs_f64();
        let share = elapsed * speed / (hours * 3_600.0);
        if share > 1.0 {
            return Ok(());
        }
        while (sent as f64) < elapsed * MESSAGES_PER_S {
            if let Some(movement) = movement(share, sent) {
                let message = Message::new("/dance/total_movement", vec![Value::Float(movement)]);
                wire.send(message)?;
            }
            sent += 1;
        }
        if elapsed >= shown as f64 {
            let asked = Message::new("/groove/get", vec!["/status/movement".into()]);
            let answer = wire.ask(asked)?.into_iter().find_map(|m| told(&m));
            show(&Line { hours: share * hours, movement: movement(share, sent), answer });
            shown += 1;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns the movement status in a reply, if there is one.
fn told(message: &Message) -> Option<(f64, f64, f64, String)> {
    let at = message.args.iter().position(|a| a.as_text() == "/status/movement").map_or(0, |k| k + 1);
    let number = |k: usize| message.args.get(at + k).and_then(Value::as_float);
    Some((number(1)?, number(2)?, number(3)?, message.args.get(at + 4)?.as_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_evening_is_plausible_and_the_same_every_time() {
        let all: Vec<Option<f64>> = (0..1_000).map(|k| movement(k as f64 / 1_000.0, k)).collect();
        assert_eq!(all, (0..1_000).map(|k| movement(k as f64 / 1_000.0, k)).collect::<Vec<_>>());
        assert!(all.iter().flatten().all(|m| (0.0..=0.8).contains(m)));
        assert!(all.iter().filter(|m| m.is_none()).count() == 30);
        assert!(all[..50].iter().flatten().all(|m| *m < 0.03) && all[650..750].iter().flatten().any(|m| *m > 0.55));
    }

    #[test]
    fn a_line_draws_both() {
        let answer = Some((0.3, 122.0, 118.0, "movement".into()));
        let line = Line { hours: 1.5, movement: Some(0.4), answer }.to_string();
        assert!(
            line.starts_with(" 1:30  0.40 ████████████····") && line.contains("118.0") && line.contains("→ 122.0"),
            "{line}"
        );
    }
}
