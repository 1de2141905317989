//! The daemon's status, parsed once.

use std::fmt;

use serde::Serialize;

use crate::control::request::Message;
use crate::control::value::Value;

/// A loaded stem.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Buffer {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its deck.
    pub deck: String,
    /// Memory it takes.
    pub megabytes: f64,
    /// Its length.
    pub seconds: f64,
    /// `loading` or `ready`.
    pub state: String,
}

/// A stem that plays.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Player {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its deck.
    pub deck: String,
    /// Seconds into the file.
    pub position: f64,
    /// Volume.
    pub volume: f64,
    /// Rate.
    pub rate: f64,
    /// Whether it repeats.
    #[serde(rename = "loop")]
    pub looped: bool,
}

/// Where the sound goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Output {
    /// `card`, `silent` or `clock`.
    pub state: String,
    /// Frames per period.
    pub period: i64,
    /// Frames the card holds.
    pub buffer: i64,
    /// Frames between rendering and the converter.
    pub latency_frames: i64,
    /// The same in milliseconds.
    pub latency_ms: f64,
    /// The card's clock against ours.
    pub drift_ppm: f64,
    /// Cards that went.
    pub lost: i64,
    /// Cards that came.
    pub adopted: i64,
}

/// Underruns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Xruns {
    /// How many.
    pub episodes: i64,
    /// Frames lost in them.
    pub frames: i64,
    /// Woken too late.
    pub late: i64,
    /// Rendered too slowly.
    pub slow: i64,
    /// The card's own.
    pub device: i64,
}

/// How hard the machine works.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    /// Mean rendering time, as a share of the period.
    pub mean: f64,
    /// The worst.
    pub worst: f64,
    /// The latest waking, in milliseconds.
    pub worst_wake_ms: f64,
}

/// What the crowd does to the tempo.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Movement {
    /// The latest measurement.
    pub raw: f64,
    /// The same over the window.
    pub smoothed: f64,
    /// Where it leads, in BPM.
    pub target: f64,
    /// Why: `base`, `movement`, `holding`, `drifting`, `manual`.
    pub reason: String,
    /// Measurements that were nonsense.
    pub refused: i64,
}

/// How a deck is stretched.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stretch {
    /// Which deck.
    pub deck: String,
    /// How its tempo is to be changed.
    pub method: String,
    /// What of it is heard now.
    pub heard: String,
    /// How full the reserve is.
    pub level: String,
    /// Milliseconds that are ready.
    pub ready_ms: f64,
    /// Milliseconds that should be.
    pub target_ms: f64,
    /// Share of real time the work takes.
    pub cost: f64,
    /// How often the reserve ran dry.
    pub underruns: i64,
}

/// Instruments on the speakers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Voices {
    /// Voices there are.
    pub count: i64,
    /// Voices that sound.
    pub sounding: i64,
    /// Notes that gave way to others.
    pub stolen: i64,
    /// Notes that found no voice.
    pub unplayed: i64,
    /// Times the sound was late.
    pub underruns: i64,
    /// Voices let go of for lack of time.
    pub shed: i64,
    /// Share of real time they take.
    pub cost: f64,
}

/// What MIDI has brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Midi {
    /// Events that meant something.
    pub events: i64,
    /// Times that events were lost.
    pub lost: i64,
    /// Names of devices.
    pub devices: String,
}

/// What went wrong, counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Faults {
    /// Stems that ran dry.
    pub starved: i64,
    /// Calls done too late.
    pub late: i64,
    /// Commands the engine refused.
    pub refused: i64,
    /// Events that found no room.
    pub lost_events: i64,
    /// Blocking calls where none may be.
    pub realtime: i64,
}

/// Everything `/get_status` answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Frames per second.
    pub sample_rate: i64,
    /// Frames rendered, and frames lost.
    pub sample_time: i64,
    /// When that was.
    pub monotonic_ns: i64,
    /// Beats per minute.
    pub tempo: f64,
    /// Beats.
    pub beat: f64,
    /// Deck levels.
    pub levels: Vec<f64>,
    /// Master gain.
    pub master: f64,
    /// Where the sound goes.
    pub output: Output,
    /// Underruns.
    pub xruns: Xruns,
    /// Load.
    pub load: Load,
    /// What the crowd does to the tempo.
    pub movement: Movement,
    /// How each deck is stretched.
    pub stretch: Vec<Stretch>,
    /// Instruments on the speakers.
    pub voices: Voices,
    /// What MIDI has brought.
    pub midi: Midi,
    /// Resident memory.
    pub resident_mb: f64,
    /// What went wrong.
    pub faults: Faults,
    /// Loaded stems.
    pub buffers: Vec<Buffer>,
    /// Stems that play.
    pub players: Vec<Player>,
}

/// Arguments in order.
struct Args<'m>(std::slice::Iter<'m, Value>);

impl Args<'_> {
    fn int(&mut self) -> i64 {
        self.0.next().and_then(Value::as_int).unwrap_or(0)
    }
    fn float(&mut self) -> f64 {
        self.0.next().and_then(Value::as_float).unwrap_or(0.0)
    }
    fn text(&mut self) -> String {
        self.0.next().map(Value::as_text).unwrap_or_default()
    }
}

impl Status {
    /// From the messages of the answer.
    pub fn of(messages: &[Message]) -> Status {
        let mut s = Status::default();
        for message in messages {
            let mut a = Args(message.args.iter());
            match message.address.strip_prefix("/status/").unwrap_or_default() {
                "version" => s.version = a.text(),
                "sample_rate" => s.sample_rate = a.int(),
                "clock" => (s.sample_time, s.monotonic_ns) = (a.int(), a.int()),
                "tempo" => s.tempo = a.float(),
                "beat" => s.beat = a.float(),
                "levels" => s.levels = (0..message.args.len()).map(|_| a.float()).collect(),
                "master" => s.master = a.float(),
                "output" => {
                    s.output = Output {
                        state: a.text(),
                        period: a.int(),
                        buffer: a.int(),
                        latency_frames: a.int(),
                        latency_ms: a.float(),
                        drift_ppm: a.float(),
                        lost: a.int(),
                        adopted: a.int(),
                    }
                }
                "xruns" => {
                    s.xruns =
                        Xruns { episodes: a.int(), frames: a.int(), late: a.int(), slow: a.int(), device: a.int() }
                }
                "load" => {
                    s.load = Load { mean: a.float(), worst: a.float(), worst_wake_ms: a.float() };
                    s.resident_mb = a.float();
                }
                "faults" => {
                    s.faults = Faults {
                        starved: a.int(),
                        late: a.int(),
                        refused: a.int(),
                        lost_events: a.int(),
                        realtime: a.int(),
                    }
                }
                "movement" => {
                    let [raw, smoothed, target, _] = [(); 4].map(|()| a.float());
                    s.movement = Movement { raw, smoothed, target, reason: a.text(), refused: a.int() };
                }
                "voices" => {
                    let [count, sounding, stolen, unplayed, underruns, shed] = [(); 6].map(|()| a.int());
                    s.voices = Voices { count, sounding, stolen, unplayed, underruns, shed, cost: a.float() };
                }
                "midi" => {
                    let [events, lost, _] = [(); 3].map(|()| a.int());
                    s.midi = Midi { events, lost, devices: a.text() };
                }
                "stretch" => s.stretch.push(Stretch {
                    deck: a.text(),
                    method: a.text(),
                    heard: a.text(),
                    level: a.text(),
                    ready_ms: a.float(),
                    target_ms: a.float(),
                    cost: a.float(),
                    underruns: a.int(),
                }),
                "buffer" => s.buffers.push(Buffer {
                    id: a.int(),
                    name: a.text(),
                    deck: a.text(),
                    megabytes: a.float(),
                    seconds: a.float(),
                    state: a.text(),
                }),
                "player" => s.players.push(Player {
                    id: a.int(),
                    name: a.text(),
                    deck: a.text(),
                    position: a.float(),
                    volume: a.float(),
                    rate: a.float(),
                    looped: a.int() == 1,
                }),
                _ => {}
            }
        }
        s
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Status { output: o, xruns: x, load, .. } = self;
        writeln!(
            f,
            "grooved {}   {} Hz   {:.1} BPM   beat {:.1}",
            self.version, self.sample_rate, self.tempo, self.beat
        )?;
        writeln!(
            f,
            "output    {}: period {}, buffer {}, latency {:.1} ms, drift {:.1} ppm; cards lost {}, adopted {}",
            o.state, o.period, o.buffer, o.latency_ms, o.drift_ppm, o.lost, o.adopted
        )?;
        writeln!(
            f,
            "underruns {} ({} frames lost; late {}, slow {}, device {})",
            x.episodes, x.frames, x.late, x.slow, x.device
        )?;
        writeln!(
            f,
            "load      {:.1} % of a period, worst {:.1} %; worst wake-up {:.2} ms; {:.1} MB resident",
            100.0 * load.mean,
            100.0 * load.worst,
            load.worst_wake_ms,
            self.resident_mb
        )?;
        let crowd = &self.movement;
        if !matches!(crowd.reason.as_str(), "" | "base") || crowd.refused > 0 {
            writeln!(
                f,
                "movement  {:.3} ({:.3} of late), {}: to {:.1} BPM; {} refused",
                crowd.raw, crowd.smoothed, crowd.reason, crowd.target, crowd.refused
            )?;
        }
        for s in self.stretch.iter().filter(|s| s.method != "playback_rate") {
            let deck = s.deck.to_uppercase();
            write!(f, "stretch   {deck} {}, {} is heard", s.method, s.heard)?;
            if s.target_ms > 0.0 && s.method != "wsola" {
                let (ready, target, cost) = (s.ready_ms, s.target_ms, 100.0 * s.cost);
                let (level, underruns) = (&s.level, s.underruns);
                write!(
                    f,
                    "; reserve {ready:.0} of {target:.0} ms ({level}), {cost:.1} % of a core, {underruns} underruns"
                )?;
            }
            writeln!(f)?;
        }
        let v = &self.voices;
        if v.count > 0 {
            let (sounding, count, cost) = (v.sounding, v.count, 100.0 * v.cost);
            let (stolen, unplayed, late, gone) = (v.stolen, v.unplayed, v.underruns, v.shed);
            write!(f, "voices    {sounding} of {count} sound, {cost:.1} % of a core")?;
            writeln!(f, "; notes: {stolen} gave way, {unplayed} found no voice; late {late}, let go {gone}")?;
        }
        if !self.midi.devices.is_empty() {
            writeln!(f, "midi      {} ({} events)", self.midi.devices, self.midi.events)?;
        }
        write!(f, "levels   ")?;
        for (name, level) in ["A", "B", "C", "D"].iter().zip(&self.levels) {
            write!(f, " {name} {level:.2} ")?;
        }
        write!(f, "  master {:.2}", self.master)?;
        for buffer in &self.buffers {
            let doing = match self.players.iter().find(|p| p.id == buffer.id) {
                Some(p) => format!("plays at {:.1} s, volume {:.2}, rate {:.3}", p.position, p.volume, p.rate),
                None => buffer.state.clone(),
            };
            write!(
                f,
                "\n  {} {:>5} {:<24} {:>7.1} s  {doing}",
                buffer.deck.to_uppercase(),
                buffer.id,
                buffer.name,
                buffer.seconds
            )?;
        }
        Ok(())
    }
}
