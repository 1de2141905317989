//! Recording what is heard.

use super::context::Context;
use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::Outcome;
use crate::control::conductor::show::plain_name;
use crate::engine::command::Action;
use crate::media::recorder::{RecordJob, RecorderEvent};
use crate::system::time;

/// A recording under way.
#[derive(Debug)]
struct Current {
    tag: u64,
    /// The number of the request that it begins, or ends, for.
    asked: u64,
    path: String,
    phase: Phase,
    /// Who waits for it to begin, and by which address.
    starter: (Option<Origin>, String),
    /// Who waits for it to end.
    stopper: Option<(Option<Origin>, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Files are being made.
    Opening,
    /// The engine records.
    Recording,
    /// The engine was asked to stop.
    Stopping,
    /// The last frames are being written.
    Closing,
}

impl Current {
    /// Whether its beginning or its end, asked for before `serial`, is still under way.
    fn is_changing_since_before(&self, serial: u64) -> bool {
        self.asked < serial && self.phase != Phase::Recording
    }
}

/// Recording: at most one at a time.
#[derive(Debug, Default)]
pub struct Recording {
    current: Option<Current>,
}

impl Recording {
    /// Whether its beginning or its end, asked for before `serial`, is still under way.
    pub fn is_changing_since_before(&self, serial: u64) -> bool {
        self.current.as_ref().is_some_and(|r| r.is_changing_since_before(serial))
    }

    /// Begins to record under a name (empty: the time of day), each deck apart as well if `decks`.
    ///
    /// # Errors
    /// If a recording is under way, the name is not a plain one, or there is no folder.
    pub fn start(
        &mut self,
        cx: &mut Context,
        (name, decks): (&str, bool),
        origin: Option<Origin>,
        address: &str,
    ) -> Result<Outcome, Fault> {
        if let Some(recording) = &self.current {
            return Err(Fault::refused(format!(
                "{} is being recorded; /groove/record/stop comes first",
                recording.path
            )));
        }
        let name = match name {
            "" => time::utc_name(),
            name => {
                plain_name(name)?;
                name.to_string()
            }
        };
        let tag = cx.next_serial();
        if !cx.services.record(RecordJob { tag, name: name.clone(), decks }) {
            return Err(Fault::refused(
                "there is no folder for recordings; record.folder in the configuration names one",
            ));
        }
        self.current = Some(Current {
            tag,
            asked: tag,
            path: name,
            phase: Phase::Opening,
            starter: (origin, address.into()),
            stopper: None,
        });
        Ok(Outcome::Later)
    }

    /// Ends the recording; answered when the file is complete.
    ///
    /// # Errors
    /// If there is none, or it is being completed already.
    pub fn stop(&mut self, cx: &mut Context, origin: Option<Origin>, address: &str) -> Result<Outcome, Fault> {
        let asked = cx.next_serial();
        let Some(recording) = &mut self.current else {
            return Err(Fault::refused("nothing is being recorded; /groove/record/start begins"));
        };
        if recording.stopper.is_some() {
            return Err(Fault::refused(format!("{} is being completed already", recording.path)));
        }
        recording.stopper = Some((origin, address.into()));
        recording.asked = asked;
        if recording.phase == Phase::Recording {
            recording.phase = Phase::Stopping;
            cx.push(None, Action::StopRecording);
        }
        Ok(Outcome::Later)
    }

    /// The tape has come back from the engine.
    pub fn tape_is_back(&mut self) {
        if let Some(recording) = &mut self.current {
            recording.phase = Phase::Closing;
        }
    }

    /// Asks again for a tape that the engine could not hand back yet.
    pub fn chase_tape(&mut self, cx: &mut Context) {
        if self.current.as_ref().is_some_and(|r| r.phase == Phase::Stopping) && cx.engine.is_flushed() {
            cx.push(None, Action::StopRecording);
        }
    }

    /// Takes in what the recorder reports.
    pub fn progress(&mut self, cx: &mut Context, told: RecorderEvent) {
        match told {
            RecorderEvent::Ready { tag, tape, path } => {
                let Some(recording) = self.current.as_mut().filter(|r| r.tag == tag) else { return };
                recording.path = path.display().to_string();
                recording.phase = Phase::Recording;
                let (starter, path) = (recording.starter.clone(), recording.path.clone());
                let ends = recording.stopper.is_some();
                cx.push(None, Action::StartRecording { tape });
                if ends {
                    cx.push(None, Action::StopRecording);
                    if let Some(recording) = &mut self.current {
                        recording.phase = Phase::Stopping;
                    }
                }
                tracing::info!("recording: writing {path}");
                cx.events.post("/event/record/started", vec![path.as_str().into()]);
                cx.done(starter.0, &starter.1, vec![path.into()]);
            }
            RecorderEvent::Finished { tag, path, frames, missing } => {
                let Some(recording) = self.current.take_if(|r| r.tag == tag) else { return };
                let seconds = frames as f64 / cx.rate();
                let path = path.display().to_string();
                tracing::info!("recording: {path} complete; {seconds:.1} s, {missing} frames missing");
                let values = vec![path.into(), seconds.into(), Value::from(missing)];
                cx.events.post("/event/record/finished", values.clone());
                if let Some((origin, address)) = recording.stopper {
                    cx.done(origin, &address, values);
                }
            }
            RecorderEvent::Failed { tag, why } => {
                let Some(recording) = self.current.take_if(|r| r.tag == tag) else { return };
                cx.push(None, Action::StopRecording);
                cx.events.post("/event/record/failed", vec![recording.path.as_str().into(), why.as_str().into()]);
                match (recording.phase, recording.stopper) {
                    (Phase::Opening, stopper) => {
                        let fault = Fault::refused(why);
                        cx.fail(recording.starter.0, &recording.starter.1, &fault);
                        if let Some((origin, address)) = stopper {
                            cx.fail(origin, &address, &fault);
                        }
                    }
                    (_, Some((origin, address))) => cx.fail(origin, &address, &Fault::refused(why)),
                    (_, None) => tracing::error!("recording: {} ended early; {why}", recording.path),
                }
            }
        }
    }

    /// The status: whether it records, the file, seconds, missing frames.
    pub fn status(&self, cx: &Context) -> Message {
        let (path, on) = self.current.as_ref().map_or(("", false), |r| (r.path.as_str(), r.phase != Phase::Opening));
        let (frames, missing) = if on { cx.services.recorded() } else { (0, 0) };
        let seconds = frames as f64 / cx.rate();
        Message::new(
            "/status/record",
            vec![if on { "on" } else { "off" }.into(), path.into(), seconds.into(), Value::from(missing)],
        )
    }

    /// Ends a recording because everything ends.
    pub fn end(&mut self, cx: &mut Context) {
        if self.current.is_some() {
            cx.push(None, Action::StopRecording);
            cx.engine.flush();
        }
    }
}
