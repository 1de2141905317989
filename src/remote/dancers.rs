//! A simulated crowd that dances to what it hears: for the evolution of sounds.
//!
//! It follows the meter of the deck on which genomes are presented, and moves the more, the more their level pulses. It
//! is no model of people; it is a taste that can be recognised in what evolves.

use std::time::{Duration, Instant};

use super::wire::Wire;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;

/// Time between two looks at the meter; every fourth one, the sensor reports.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS: usize = 4;
/// Time at the start of a sound in which the meter still shows the one before.
const LISTEN: Duration = Duration::from_millis(400);
/// Level below which the crowd hears nothing (linear).
const SILENCE: f64 = 0.003;
/// Movement in silence, and the most that is added.
const MOVEMENT: (f64, f64) = (0.05, 0.7);

/// A genome that was presented, and what the crowd made of it.
pub struct Heard {
    /// Id of the genome.
    pub id: String,
    /// Generation, from 0.
    pub generation: i64,
    /// Movement at its end, 0 to 1.
    pub movement: f64,
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bar = "█".repeat((self.movement * 30.0).round() as usize);
        write!(f, "{:>4}  {:<20} {:.2} {bar}", self.generation, self.id, self.movement)
    }
}

/// Movement in response to levels heard: their standard deviation relative to their mean.
fn movement(levels: &[f64]) -> f64 {
    let mean = levels.iter().sum::<f64>() / levels.len().max(1) as f64;
    if mean < SILENCE {
        return MOVEMENT.0;
    }
    let variance = levels.iter().map(|l| (l - mean) * (l - mean)).sum::<f64>() / levels.len() as f64;
    MOVEMENT.0 + MOVEMENT.1 * (variance.sqrt() / mean).min(1.0)
}

/// Asks for genome after genome until the rest of this generation and `generations` - 1 more have been heard, `seconds`
/// each, and dances. `show` is called after each.
///
/// # Errors
/// If the daemon does not reply, or presents no genome.
pub fn run(wire: &Wire, generations: i64, seconds: f64, mut show: impl FnMut(&Heard)) -> Result<(), String> {
    let mut first = None;
    loop {
        let answers = wire.ask(Message::new("/groove/genome/next", vec![]))?;
        let Presented { id, generation, is_last } = presented(&answers)?;
        let began = Instant::now();
        std::thread::sleep(LISTEN);
        let (mut levels, mut all) = (Vec::new(), Vec::new());
        while began.elapsed().as_secs_f64() < seconds {
            let answers = wire.ask(Message::new("/groove/get", vec!["/meter/deck/a".into()]))?;
            levels.extend(answers.iter().find_map(level));
            if levels.len().is_multiple_of(LOOKS) {
                let moved = movement(&levels);
                all.push(moved);
                wire.send(Message::new("/dance/total_movement", vec![Value::Float(moved)]))?;
            }
            std::thread::sleep(LOOK);
        }
        show(&Heard { id, generation, movement: all.last().copied().unwrap_or(0.0) });
        if is_last && generation - *first.get_or_insert(generation) >= generations - 1 {
            return Ok(());
        }
        first.get_or_insert(generation);
    }
}

/// What `/groove/genome/next` answers.
#[derive(Debug, PartialEq)]
struct Presented {
    id: String,
    generation: i64,
    /// Whether it is the last of its generation.
    is_last: bool,
}

/// Reads the answers to the request for a genome.
fn presented(answers: &[Message]) -> Result<Presented, String> {
    let done = answers.iter().find(|m| m.address == "/done");
    let facts = done.and_then(|m| {
        let number = |k: usize| m.args.get(k).and_then(Value::as_int);
        let is_last = number(3)? + 1 >= number(4)?;
        Some(Presented { id: m.args.get(1)?.as_text(), generation: number(2)?, is_last })
    });
    facts.ok_or_else(|| {
        let failed = answers.iter().find(|m| m.address == "/fail").and_then(|m| m.args.get(1));
        failed.map_or("no genome was presented".into(), |why| why.as_text())
    })
}

/// The RMS level in a reply about a meter.
fn level(message: &Message) -> Option<f64> {
    let at = message.args.iter().position(|a| a.as_text() == "/meter/deck/a").map_or(0, |k| k + 1);
    message.args.get(at + 1)?.as_float()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crowd_moves_to_pulses_and_stands_still_in_silence() {
        assert_eq!(movement(&[]), 0.05);
        assert_eq!(movement(&[0.001; 8]), 0.05);
        assert!((movement(&[0.4; 8]) - 0.05).abs() < 1e-9);
        assert!((movement(&[0.4, 0.0, 0.4, 0.0]) - 0.75).abs() < 1e-9);
        assert!(movement(&[0.4, 0.2, 0.4, 0.2]) < 0.4);
    }

    #[test]
    fn answers_tell_what_is_presented_or_why_not() {
        let facts = [1, 11, 12].map(Value::Int);
        let mut args = vec!["/groove/genome/next".into(), "show-001-11".into()];
        args.extend(facts);
        let last = Presented { id: "show-001-11".into(), generation: 1, is_last: true };
        assert_eq!(presented(&[Message::new("/done", args)]), Ok(last));
        let fail = Message::new("/fail", vec!["/groove/genome/next".into(), "no database".into()]);
        assert_eq!(presented(&[fail]), Err("no database".into()));
    }
}
