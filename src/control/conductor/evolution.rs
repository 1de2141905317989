//! Evolution of sounds: which genome is presented, votes, and the movement of the crowd while it sounds.

use std::collections::VecDeque;

use super::context::Context;
use super::services::{GenomeJob, GenomeResult, Presented};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Call, Outcome};
use crate::genome::{Address, NO_DATABASE};

/// Requests that may be on their way at a time.
const MOST_ASKED: usize = 16;
/// Peak of a genome that is presented, and the most that a quiet one is amplified for it: votes are for sounds of about
/// the same level.
const PEAK: f64 = 0.7;
const MOST_VOLUME: f64 = 4.0;
/// The control whose value belongs to a show.
pub const EVERY: &str = "/groove/genome/every";
/// The stem that presents genomes unless another one is asked for.
pub const STEM: i64 = 900;
/// Seconds at the start of a genome whose movement does not count.
const REACTION_S: f64 = 0.75;
/// The shortest time for which a genome is presented, in seconds.
const LEAST_EVERY_S: f64 = 1.0;
/// Seconds after which what was heard is passed on.
const REPORT_S: f64 = 5.0;
/// The longest time between two looks that counts as heard, in seconds.
const LONGEST_LOOK_S: f64 = 1.0;

/// A request on its way.
#[derive(Debug)]
struct Asked {
    origin: Option<Origin>,
    address: String,
    serial: u64,
    /// The stem that is to play the next genome; `None` for a vote.
    stem: Option<i64>,
}

/// The genome that is presented.
#[derive(Debug)]
struct Current {
    id: String,
    stem: i64,
    /// Path by which the stem was asked for.
    path: String,
    /// Seconds heard that have been passed on already.
    reported_s: f64,
    heard_s: f64,
    sensed_s: f64,
    /// Movement times seconds.
    moved: f64,
}

impl Current {
    fn new(next: &Presented, stem: i64) -> Current {
        let (id, path) = (next.id.clone(), path(next));
        Current { id, stem, path, reported_s: 0.0, heard_s: 0.0, sensed_s: 0.0, moved: 0.0 }
    }

    /// Seconds for which it has been heard.
    fn total_s(&self) -> f64 {
        self.reported_s + self.heard_s
    }
}

/// What is presented to the audience, and what it makes of it.
#[derive(Debug, Default)]
pub struct Evolution {
    asked: VecDeque<Asked>,
    current: Option<Current>,
    /// The genome that was presented last without being heard.
    unheard: Option<String>,
    /// Seconds for which a genome is presented; 0: until the next is asked for.
    every_s: f64,
    /// When the conductor last looked, and when the next genome is due (sample time in seconds).
    looked_s: f64,
    due_s: f64,
}

impl Evolution {
    /// Presents the next genome as stem `stem`, looped.
    ///
    /// # Errors
    /// If too many requests are on their way.
    pub fn next(&mut self, cx: &mut Context, stem: i64, call: &Call) -> Result<Outcome, Fault> {
        self.ask(cx, Some(stem), call.origin, &call.address)?;
        self.report(cx);
        cx.services.genome(GenomeJob::Next);
        Ok(Outcome::Later)
    }

    /// Counts a vote for or against a genome; an empty name is the one that is presented. `restored` is the path of the
    /// stem that presents genomes: after a restart, that is what is heard.
    ///
    /// # Errors
    /// If none is presented, or too many requests are on their way.
    pub fn vote(
        &mut self,
        cx: &mut Context,
        (name, restored): (&str, Option<&str>),
        is_for: bool,
        call: &Call,
    ) -> Result<Outcome, Fault> {
        if let Some(current) = self.current.as_ref().filter(|c| name.is_empty() && c.total_s() <= 0.0) {
            let why = "is not heard yet; if it cannot be loaded, the log says why";
            return Err(Fault::refused(format!("genome {} {why}", current.id)));
        }
        let current = self.current.as_ref().map(|c| c.id.clone());
        let restored = || Some(Address::parse(restored?).ok()?.id);
        let id = Some(name.to_string()).filter(|n| !n.is_empty()).or(current).or_else(restored);
        let id = id.ok_or_else(|| Fault::refused("no genome is presented; /groove/genome/next does"))?;
        self.ask(cx, None, call.origin, &call.address)?;
        cx.services.genome(GenomeJob::Vote { id, likes: u32::from(is_for), dislikes: u32::from(!is_for) });
        Ok(Outcome::Later)
    }

    fn ask(&mut self, cx: &mut Context, stem: Option<i64>, origin: Option<Origin>, address: &str) -> Result<(), Fault> {
        if !cx.settings.has_genomes {
            return Err(Fault::refused(NO_DATABASE));
        }
        if self.asked.len() >= MOST_ASKED {
            return Err(Fault::refused(format!("{MOST_ASKED} requests for genomes are on their way; wait for them")));
        }
        let serial = cx.next_serial();
        self.asked.push_back(Asked { origin, address: address.into(), serial, stem });
        Ok(())
    }

    /// Passes on what was heard of the genome that is presented.
    fn report(&mut self, cx: &mut Context) {
        let Some(current) = &mut self.current else { return };
        if current.total_s() <= 0.0 {
            // It is still being loaded, or could not be. It is presented once more; then others have their turn.
            if self.unheard.as_ref() != Some(&current.id) {
                self.unheard = Some(current.id.clone());
                return;
            }
            self.unheard = None;
        }
        let (heard_s, sensed_s, moved) = (current.heard_s, current.sensed_s, current.moved);
        current.reported_s += heard_s;
        (current.heard_s, current.sensed_s, current.moved) = (0.0, 0.0, 0.0);
        // One that was passed over counts as presented.
        let heard_s = heard_s.max(0.001);
        let movement = if sensed_s > 0.0 { moved / sensed_s } else { 0.0 };
        cx.services.genome(GenomeJob::Heard { id: current.id.clone(), heard_s, sensed_s, movement });
    }

    /// Sets for how many seconds a genome is presented before the next one; 0: until that is asked for. If none is
    /// presented yet, the first one is, as stem [`STEM`].
    ///
    /// # Errors
    /// If there is no database of genomes.
    pub fn set_every(&mut self, cx: &mut Context, seconds: f64) -> Result<Outcome, Fault> {
        if seconds > 0.0 && !cx.settings.has_genomes {
            return Err(Fault::refused(NO_DATABASE));
        }
        self.every_s = seconds;
        // What is presented has its full time from now on; if there is nothing, the first is due.
        self.due_s = cx.seconds() + if self.current.is_some() { self.interval_s() } else { 0.0 };
        Ok(Outcome::Done)
    }

    /// Seconds between genomes that follow each other by themselves.
    fn interval_s(&self) -> f64 {
        self.every_s.max(LEAST_EVERY_S)
    }

    /// Seconds for which a genome is presented; 0: until the next is asked for.
    pub fn every(&self) -> f64 {
        self.every_s
    }

    /// The id of the genome that is presented, and its stem.
    #[cfg(test)]
    fn current(&self) -> Option<(&str, i64)> {
        self.current.as_ref().map(|c| (c.id.as_str(), c.stem))
    }

    /// Lets time pass. `movement` is that of the crowd, 0 to 1, if a sensor reports it; `sounds` tells whether a stem
    /// does that was loaded from a path.
    pub fn watch(&mut self, cx: &mut Context, movement: Option<f64>, sounds: impl Fn(i64, &str) -> bool) {
        let now = cx.seconds();
        let passed = (now - self.looked_s).clamp(0.0, LONGEST_LOOK_S);
        self.looked_s = now;
        let mut is_due = false;
        if let Some(current) = self.current.as_mut().filter(|c| sounds(c.stem, &c.path)) {
            current.heard_s += passed;
            // Movement in the first moments is still that to the genome before.
            if let Some(movement) = movement.filter(|_| current.total_s() > REACTION_S) {
                current.sensed_s += passed;
                current.moved += movement.clamp(0.0, 1.0) * passed;
            }
            is_due = current.heard_s >= REPORT_S;
        }
        if is_due {
            self.report(cx);
        }
        if self.every_s > 0.0 && now >= self.due_s && self.asked.is_empty() {
            // Tried again after the same time if it fails.
            self.due_s = now + self.interval_s();
            let stem = self.current.as_ref().map_or(STEM, |c| c.stem);
            if self.ask(cx, Some(stem), None, "/groove/genome/next").is_ok() {
                self.report(cx);
                cx.services.genome(GenomeJob::Next);
            }
        }
    }

    /// Takes in the result of a job; returns the calls that present a genome.
    pub fn finished(&mut self, cx: &mut Context, result: GenomeResult) -> Vec<Message> {
        let Some(Asked { origin, address, stem, .. }) = self.asked.pop_front() else { return Vec::new() };
        match result {
            GenomeResult::Next(Ok(next)) => {
                let stem = stem.unwrap_or(0);
                tracing::info!("genome {}: presented as stem {stem}", next.id);
                let numbers = [i64::from(next.generation), next.place as i64, next.size as i64].map(Value::Int);
                let mut facts = vec![Value::from(next.id.as_str())];
                facts.extend(numbers);
                cx.events.post("/event/genome", facts.clone());
                cx.done(origin, &address, facts);
                let before = self.current.replace(Current::new(&next, stem)).map(|c| c.stem);
                self.due_s = cx.seconds() + self.interval_s();
                let mut calls = present(&next, stem);
                if let Some(before) = before.filter(|before| *before != stem) {
                    calls.push(Message::new("/groove/stem/stop", vec![Value::Int(before)]));
                }
                calls
            }
            GenomeResult::Voted(Ok(())) => {
                cx.done(origin, &address, vec![]);
                Vec::new()
            }
            GenomeResult::Next(Err(why)) | GenomeResult::Voted(Err(why)) => {
                cx.fail(origin, &address, &Fault::refused(why));
                Vec::new()
            }
        }
    }

    /// Whether something that was asked for before `serial` is still on its way.
    pub fn is_busy_before(&self, serial: u64) -> bool {
        self.asked.iter().any(|asked| asked.serial < serial)
    }
}

fn path(next: &Presented) -> String {
    format!("genome:{}?duration={}&velocity={}", next.id, next.duration_s, next.velocity)
}

/// The calls that load and loop a genome.
fn present(next: &Presented, stem: i64) -> Vec<Message> {
    let volume = if next.peak > 0.0 { (PEAK / next.peak).min(MOST_VOLUME) } else { 1.0 };
    vec![
        Message::new("/groove/stem/load", vec![Value::Int(stem), path(next).into(), next.id.as_str().into()]),
        Message::new("/groove/stem/play", vec![Value::Int(stem), 1.0.into(), volume.into(), Value::Int(1)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::rig;
    use super::*;

    fn presented(id: &str) -> GenomeResult {
        GenomeResult::Next(Ok(Presented {
            id: id.into(),
            generation: 2,
            place: 3,
            size: 12,
            duration_s: 4.0,
            velocity: 0.7,
            peak: 1.4,
        }))
    }

    #[test]
    fn a_genome_is_presented_heard_and_judged_by_movement() {
        let ((_engine, mut context), mut evolution) = (rig::context(), Evolution::default());
        let cx = &mut context;
        let call = Call::bare("/groove/genome/next");
        let why = evolution.next(cx, 900, &call).unwrap_err().to_string();
        assert!(why.contains("genomes.database"), "{why}");
        cx.settings.has_genomes = true;
        let why = evolution.vote(cx, ("", Some("a.wav")), true, &call).unwrap_err().to_string();
        assert!(why.contains("/groove/genome/next"), "{why}");
        evolution.vote(cx, ("", Some("genome:x?duration=2")), true, &call).unwrap();
        evolution.finished(cx, GenomeResult::Voted(Ok(())));
        evolution.next(cx, 900, &call).unwrap();
        assert!(evolution.is_busy_before(u64::MAX));
        let calls = evolution.finished(cx, presented("show-002-03"));
        let path = Value::from("genome:show-002-03?duration=4&velocity=0.7");
        assert_eq!(calls[0].args[1], path);
        assert_eq!(calls[1].args, vec![Value::Int(900), 1.0.into(), 0.5.into(), Value::Int(1)]);
        assert_eq!(evolution.current(), Some(("show-002-03", 900)));
        assert!(evolution.vote(cx, ("", None), true, &call).unwrap_err().to_string().contains("is not heard yet"));
        // While another stem sounds, or none does, nothing is heard.
        evolution.watch(cx, Some(0.5), |stem, _| stem != 900);
        assert_eq!(evolution.current.as_ref().unwrap().heard_s, 0.0);
        // The first moments belong to the genome before.
        for movement in [Some(0.9), Some(0.4), None] {
            evolution.looked_s = cx.seconds() - 0.5;
            evolution.watch(cx, movement, |stem, path| stem == 900 && path.starts_with("genome:show-002-03?"));
        }
        let current = evolution.current.as_ref().unwrap();
        assert!((current.heard_s - 1.5).abs() < 1e-9 && (current.sensed_s - 0.5).abs() < 1e-9, "{current:?}");
        assert!((current.moved - 0.2).abs() < 1e-9, "{current:?}");
        // On another stem, the one before falls silent.
        evolution.next(cx, 1900, &call).unwrap();
        let calls = evolution.finished(cx, presented("show-002-04"));
        assert_eq!((calls[2].address.as_str(), &calls[2].args), ("/groove/stem/stop", &vec![Value::Int(900)]));
    }

    #[test]
    fn genomes_follow_each_other_after_the_time_set() {
        let ((_engine, mut context), mut evolution) = (rig::context(), Evolution::default());
        let cx = &mut context;
        cx.settings.has_genomes = true;
        // The first one is presented at once.
        evolution.set_every(cx, 10.0).unwrap();
        evolution.watch(cx, None, |_, _| false);
        assert_eq!(evolution.asked.len(), 1);
        evolution.finished(cx, presented("a"));
        evolution.watch(cx, None, |_, _| true);
        assert!(evolution.asked.is_empty(), "it has just begun");
        evolution.due_s = cx.seconds();
        evolution.watch(cx, None, |_, _| false);
        evolution.watch(cx, None, |_, _| false);
        assert_eq!(evolution.asked.len(), 1, "the next one is asked for once, also if somebody stopped the stem");
        assert!(evolution.finished(cx, GenomeResult::Next(Err("no disk".into()))).is_empty());
        assert_eq!(evolution.current(), Some(("a", 900)), "what sounds goes on");
    }
}
