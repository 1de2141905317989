//! Evolution of sounds: which genome is presented, votes, and the movement of the crowd while it sounds.

use std::collections::VecDeque;

use super::context::Context;
use super::services::{GenomeJob, GenomeResult, Presented};
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Call, Outcome};

/// Requests that may be on their way at a time.
const MOST_ASKED: usize = 16;
/// Peak of a genome that is presented: a louder one is turned down.
const PEAK: f64 = 0.7;
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
    heard_s: f64,
    sensed_s: f64,
    /// Movement times seconds.
    moved: f64,
}

/// What is presented to the audience, and what it makes of it.
#[derive(Debug, Default)]
pub struct Evolution {
    asked: VecDeque<Asked>,
    current: Option<Current>,
    /// Seconds for which a genome is presented; 0: until the next is asked for.
    every_s: f64,
    /// When the conductor last looked, and when the present genome began (sample time in seconds).
    looked_s: f64,
    begun_s: f64,
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

    /// Counts a vote for or against a genome; an empty name is the one that is presented.
    ///
    /// # Errors
    /// If none is presented, or too many requests are on their way.
    pub fn vote(&mut self, cx: &mut Context, name: &str, is_for: bool, call: &Call) -> Result<Outcome, Fault> {
        let current = self.current.as_ref().map(|c| c.id.as_str());
        let id = Some(name).filter(|n| !n.is_empty()).or(current);
        let id = id.ok_or_else(|| Fault::refused("no genome is presented; /groove/genome/next does"))?.to_string();
        self.ask(cx, None, call.origin, &call.address)?;
        cx.services.genome(GenomeJob::Vote { id, likes: u32::from(is_for), dislikes: u32::from(!is_for) });
        Ok(Outcome::Later)
    }

    fn ask(&mut self, cx: &mut Context, stem: Option<i64>, origin: Option<Origin>, address: &str) -> Result<(), Fault> {
        if !cx.settings.has_genomes {
            return Err(Fault::refused("no database of genomes is configured (genomes.database)"));
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
        let (heard_s, sensed_s, moved) = (current.heard_s, current.sensed_s, current.moved);
        (current.heard_s, current.sensed_s, current.moved) = (0.0, 0.0, 0.0);
        // One that was passed over has been presented, too.
        let heard_s = heard_s.max(0.001);
        let movement = if sensed_s > 0.0 { moved / sensed_s } else { 0.0 };
        cx.services.genome(GenomeJob::Heard { id: current.id.clone(), heard_s, sensed_s, movement });
    }

    /// Sets for how many seconds a genome is presented before the next one; 0: until that is asked for.
    pub fn set_every(&mut self, cx: &Context, seconds: f64) {
        self.every_s = seconds;
        self.begun_s = cx.seconds();
    }

    /// Seconds for which a genome is presented; 0: until the next is asked for.
    pub fn every(&self) -> f64 {
        self.every_s
    }

    /// The id of the genome that is presented, and its stem.
    pub fn current(&self) -> Option<(&str, i64)> {
        self.current.as_ref().map(|c| (c.id.as_str(), c.stem))
    }

    /// Lets time pass. `movement` is that of the crowd, 0 to 1, if a sensor reports it; `sounds` tells whether a stem
    /// does.
    pub fn watch(&mut self, cx: &mut Context, movement: Option<f64>, sounds: impl Fn(i64) -> bool) {
        let now = cx.seconds();
        let passed = (now - self.looked_s).clamp(0.0, LONGEST_LOOK_S);
        self.looked_s = now;
        let Some(current) = self.current.as_mut().filter(|c| sounds(c.stem)) else { return };
        current.heard_s += passed;
        if let Some(movement) = movement {
            current.sensed_s += passed;
            current.moved += movement.clamp(0.0, 1.0) * passed;
        }
        let stem = current.stem;
        if self.every_s > 0.0 && now - self.begun_s >= self.every_s && self.asked.is_empty() {
            self.begun_s = now;
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
                self.current = Some(Current { id: next.id.clone(), stem, heard_s: 0.0, sensed_s: 0.0, moved: 0.0 });
                self.begun_s = cx.seconds();
                present(&next, stem)
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

/// The calls that load and loop a genome.
fn present(next: &Presented, stem: i64) -> Vec<Message> {
    let path = format!("genome:{}?duration={}&velocity={}", next.id, next.duration_s, next.velocity);
    let volume = if next.peak > PEAK { PEAK / next.peak } else { 1.0 };
    vec![
        Message::new("/groove/stem/load", vec![Value::Int(stem), path.into(), next.id.as_str().into()]),
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
        let why = evolution.vote(cx, "", true, &call).unwrap_err().to_string();
        assert!(why.contains("/groove/genome/next"), "{why}");
        evolution.next(cx, 900, &call).unwrap();
        assert!(evolution.is_busy_before(u64::MAX));
        let calls = evolution.finished(cx, presented("show-002-03"));
        let path = Value::from("genome:show-002-03?duration=4&velocity=0.7");
        assert_eq!(calls[0].args[1], path);
        assert_eq!(calls[1].args, vec![Value::Int(900), 1.0.into(), 0.5.into(), Value::Int(1)]);
        assert_eq!(evolution.current(), Some(("show-002-03", 900)));
        // While another stem sounds, or none does, nothing is heard.
        evolution.watch(cx, Some(0.5), |stem| stem != 900);
        assert_eq!(evolution.current.as_ref().unwrap().heard_s, 0.0);
        evolution.looked_s = cx.seconds() - 0.5;
        evolution.watch(cx, Some(0.4), |stem| stem == 900);
        evolution.looked_s = cx.seconds() - 0.5;
        evolution.watch(cx, None, |stem| stem == 900);
        let current = evolution.current.as_ref().unwrap();
        let heard = (current.heard_s, current.sensed_s, current.moved);
        assert!(
            (heard.0 - 1.0).abs() < 1e-9 && (heard.1 - 0.5).abs() < 1e-9 && (heard.2 - 0.2).abs() < 1e-9,
            "{heard:?}"
        );
    }

    #[test]
    fn genomes_follow_each_other_after_the_time_set() {
        let ((_engine, mut context), mut evolution) = (rig::context(), Evolution::default());
        let cx = &mut context;
        cx.settings.has_genomes = true;
        evolution.next(cx, 900, &Call::bare("/groove/genome/next")).unwrap();
        evolution.finished(cx, presented("a"));
        evolution.set_every(cx, 10.0);
        evolution.watch(cx, None, |_| true);
        assert!(evolution.asked.is_empty(), "it has just begun");
        evolution.begun_s = cx.seconds() - 10.0;
        evolution.watch(cx, None, |_| true);
        evolution.watch(cx, None, |_| true);
        assert_eq!(evolution.asked.len(), 1, "the next one is asked for once");
        assert!(evolution.finished(cx, GenomeResult::Next(Err("no disk".into()))).is_empty());
        assert_eq!(evolution.current(), Some(("a", 900)), "what sounds goes on");
    }
}
