//! Recording what is heard.

use super::super::request::{Message, Origin};
use super::super::value::Value;
use super::super::vocabulary::{Fault, Outcome};
use super::Conductor;
use crate::engine::command::Action;
use crate::media::recorder::{Order, Told};
use crate::system::time;

/// The recording that runs.
pub(super) struct Recording {
    tag: u64,
    /// When its beginning, or else its end, was asked for.
    asked: u64,
    path: String,
    state: Phase,
    /// Who waits for it to begin, and by which address.
    starter: (Option<Origin>, String),
    /// Who waits for it to end.
    stopper: Option<(Option<Origin>, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Files are being made.
    Opening,
    /// The engine records.
    Rolling,
    /// The engine was told to stop.
    Cutting,
    /// The last frames are being written.
    Closing,
}

impl Recording {
    /// Whether its beginning or its end, asked for before `serial`, is still under way.
    pub(super) fn is_changing_since_before(&self, serial: u64) -> bool {
        self.asked < serial && self.state != Phase::Rolling
    }
}

impl Conductor {
    /// Begins to record under a name (empty: the time of day).
    pub fn record(&mut self, name: &str, decks: bool, origin: Option<Origin>, address: &str) -> Result<Outcome, Fault> {
        if let Some(recording) = &self.recording {
            return Err(Fault(format!("{} is being recorded; /groove/record/stop comes first", recording.path)));
        }
        let name = match name {
            "" => time::utc_name(),
            name => {
                super::super::show::plain_name(name).map_err(Fault)?;
                name.to_string()
            }
        };
        let tag = self.serial();
        if !(self.hands.record)(Order { tag, name: name.clone(), decks }) {
            return Err(Fault(
                "there is no folder for recordings; record.folder in the configuration names one".into(),
            ));
        }
        self.recording = Some(Recording {
            tag,
            asked: tag,
            path: name,
            state: Phase::Opening,
            starter: (origin, address.into()),
            stopper: None,
        });
        Ok(Outcome::Later)
    }

    /// Ends the recording; answered when the file is whole.
    pub fn stop_recording(&mut self, origin: Option<Origin>, address: &str) -> Result<Outcome, Fault> {
        let asked = self.serial();
        let Some(recording) = &mut self.recording else {
            return Err(Fault("nothing is being recorded; /groove/record/start begins".into()));
        };
        if recording.stopper.is_some() {
            return Err(Fault(format!("{} is being completed already", recording.path)));
        }
        recording.stopper = Some((origin, address.into()));
        recording.asked = asked;
        if recording.state == Phase::Rolling {
            recording.state = Phase::Cutting;
            self.push(None, Action::Cut);
        }
        Ok(Outcome::Later)
    }

    /// The tape has come back from the engine.
    pub(super) fn tape_is_back(&mut self) {
        if let Some(recording) = &mut self.recording {
            recording.state = Phase::Closing;
        }
    }

    /// Asks again for a tape that the engine could not hand back yet.
    pub(super) fn chase_tape(&mut self) {
        if self.recording.as_ref().is_some_and(|r| r.state == Phase::Cutting) && self.outbox.is_empty() {
            self.push(None, Action::Cut);
        }
    }

    /// What the recorder tells.
    pub fn recorded(&mut self, told: Told) {
        match told {
            Told::Ready { tag, tape, path } => {
                let Some(recording) = self.recording.as_mut().filter(|r| r.tag == tag) else { return };
                recording.path = path.display().to_string();
                recording.state = Phase::Rolling;
                let (starter, path) = (recording.starter.clone(), recording.path.clone());
                let ends = recording.stopper.is_some();
                self.push(None, Action::Roll { tape });
                if ends {
                    self.push(None, Action::Cut);
                    if let Some(recording) = &mut self.recording {
                        recording.state = Phase::Cutting;
                    }
                }
                tracing::info!("recording to {path}");
                self.bulletin.post("/event/record/started", vec![path.as_str().into()]);
                self.done(starter.0, &starter.1, vec![path.into()]);
            }
            Told::Finished { tag, path, frames, missing } => {
                let Some(recording) = self.recording.take_if(|r| r.tag == tag) else { return };
                let seconds = frames as f64 / f64::from(self.settings.sample_rate);
                let path = path.display().to_string();
                tracing::info!("recorded {path}: {seconds:.1} s, {missing} frames missing");
                let values = vec![path.into(), seconds.into(), Value::from(missing)];
                self.bulletin.post("/event/record/finished", values.clone());
                if let Some((origin, address)) = recording.stopper {
                    self.done(origin, &address, values);
                }
            }
            Told::Failed { tag, why } => {
                let Some(recording) = self.recording.take_if(|r| r.tag == tag) else { return };
                self.push(None, Action::Cut);
                self.bulletin.post("/event/record/failed", vec![recording.path.as_str().into(), why.as_str().into()]);
                match (recording.state, recording.stopper) {
                    (Phase::Opening, stopper) => {
                        let fault = Fault(why);
                        self.fail(recording.starter.0, &recording.starter.1, &fault);
                        if let Some((origin, address)) = stopper {
                            self.fail(origin, &address, &fault);
                        }
                    }
                    (_, Some((origin, address))) => self.fail(origin, &address, &Fault(why)),
                    (_, None) => tracing::error!("the recording {} ends: {why}", recording.path),
                }
            }
        }
        self.flush();
    }

    /// For the status: whether it records, where to, how long, what is missing.
    pub(super) fn recording_status(&self) -> Message {
        let (path, on) = self.recording.as_ref().map_or(("", false), |r| (r.path.as_str(), r.state != Phase::Opening));
        let (frames, missing) = if on { (self.hands.recorded)() } else { (0, 0) };
        let seconds = frames as f64 / f64::from(self.settings.sample_rate);
        Message::new(
            "/status/record",
            vec![if on { "on" } else { "off" }.into(), path.into(), seconds.into(), Value::from(missing)],
        )
    }

    /// Ends a recording because everything ends.
    pub fn cut(&mut self) {
        if self.recording.is_some() {
            self.push(None, Action::Cut);
            self.flush();
        }
    }
}
