//! The daemon's status, parsed from the messages of `/groove/status`.

use std::fmt;

use serde::Serialize;

use crate::control::commands::request::Message;
use crate::control::commands::value::Value;

/// A loaded stem.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Buffer {
    /// Number of the stem.
    pub id: i64,
    /// Name of the stem.
    pub name: String,
    /// Name of its deck.
    pub deck: String,
    /// Memory used, in MB.
    pub megabytes: f64,
    /// Length of the file in seconds.
    pub seconds: f64,
    /// State: `loading` or `ready`.
    pub state: String,
}

/// A playing stem.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PlayerStatus {
    /// Number of the stem.
    pub id: i64,
    /// Name of the stem.
    pub name: String,
    /// Name of its deck.
    pub deck: String,
    /// Playhead position in seconds of the file.
    pub position: f64,
    /// Volume, linear.
    pub volume: f64,
    /// Playback rate, 1 for the original speed.
    pub rate: f64,
    /// Whether the stem loops.
    #[serde(rename = "loop")]
    pub looped: bool,
}

/// State of the output.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Output {
    /// State: `card`, `silent` (no card yet) or `clock` (no card configured).
    pub state: String,
    /// Frames per period.
    pub period: i64,
    /// Size of the card's buffer in frames.
    pub buffer: i64,
    /// Frames between rendering and the converter.
    pub latency_frames: i64,
    /// Latency between rendering and the converter in milliseconds.
    pub latency_ms: f64,
    /// Drift of the card's clock against the system clock in ppm.
    pub drift_ppm: f64,
    /// Number of times a card was lost.
    pub lost: i64,
    /// Number of times a card was opened.
    pub adopted: i64,
}

/// Underrun counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Xruns {
    /// Number of underruns.
    pub episodes: i64,
    /// Frames lost in underruns.
    pub frames: i64,
    /// Underruns because the audio thread woke up too late.
    pub late: i64,
    /// Underruns because rendering took too long.
    pub slow: i64,
    /// Underruns caused by the device.
    pub device: i64,
}

/// Load of the audio thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Load {
    /// Mean render time, as a share of the period.
    pub mean: f64,
    /// Maximum render time, as a share of the period.
    pub worst: f64,
    /// Maximum wake-up delay in milliseconds.
    pub worst_wake_ms: f64,
}

/// Tempo control by movement.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Movement {
    /// Latest measurement.
    pub raw: f64,
    /// Average over the window.
    pub smoothed: f64,
    /// Target tempo in BPM.
    pub target: f64,
    /// Reason for the target: `base`, `movement`, `holding`, `drifting` or `manual`.
    pub reason: String,
    /// Number of invalid measurements.
    pub refused: i64,
}

/// Stretch state of a deck.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stretch {
    /// Name of the deck.
    pub deck: String,
    /// Selected tempo change method.
    pub method: String,
    /// Method currently in use.
    pub heard: String,
    /// Fill level of the reserve, by name.
    pub level: String,
    /// Length of the reserve in milliseconds.
    pub ready_ms: f64,
    /// Target length of the reserve in milliseconds.
    pub target_ms: f64,
    /// Processing time, as a share of real time.
    pub cost: f64,
    /// Number of underruns of the reserve.
    pub underruns: i64,
}

/// Instrument voices in the mix.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct VoiceStatus {
    /// Number of voices.
    pub count: i64,
    /// Number of sounding voices.
    pub sounding: i64,
    /// Notes cut off to free a voice for another.
    pub stolen: i64,
    /// Notes dropped because no voice was free.
    pub unplayed: i64,
    /// Number of times the voices' sound was late.
    pub underruns: i64,
    /// VoiceStatus released because of overload.
    pub shed: i64,
    /// Processing time, as a share of real time.
    pub cost: f64,
}

/// MIDI input.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Midi {
    /// Number of events used.
    pub events: i64,
    /// Number of times events were lost.
    pub lost: i64,
    /// Names of connected devices.
    pub devices: String,
}

/// Fault counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Faults {
    /// Number of times a stem's ring buffer ran dry.
    pub starved: i64,
    /// Number of calls executed too late.
    pub late: i64,
    /// Number of commands rejected by the engine.
    pub refused: i64,
    /// Number of events dropped because their queue was full.
    pub lost_events: i64,
    /// Number of blocking calls on a realtime thread.
    pub realtime: i64,
}

/// Status of the daemon, as answered to `/groove/status` and `/get_status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Status {
    /// Version of the daemon.
    pub version: String,
    /// Sample rate in Hz.
    pub sample_rate: i64,
    /// Sample clock: frames rendered plus frames lost.
    pub sample_time: i64,
    /// Time of `sample_time` on the monotonic clock in nanoseconds.
    pub monotonic_ns: i64,
    /// Tempo in BPM.
    pub tempo: f64,
    /// Position of the music clock in beats.
    pub beat: f64,
    /// Deck levels, linear.
    pub levels: Vec<f64>,
    /// Master gain, linear.
    pub master: f64,
    /// State of the output.
    pub output: Output,
    /// Underrun counters.
    pub xruns: Xruns,
    /// Load of the audio thread.
    pub load: Load,
    /// Tempo control by movement.
    pub movement: Movement,
    /// Stretch state of each deck.
    pub stretch: Vec<Stretch>,
    /// Instrument voices in the mix.
    pub voices: VoiceStatus,
    /// MIDI input.
    pub midi: Midi,
    /// Resident memory in MB.
    pub resident_mb: f64,
    /// Fault counters.
    pub faults: Faults,
    /// Loaded stems.
    pub buffers: Vec<Buffer>,
    /// Playing stems.
    pub players: Vec<PlayerStatus>,
}

/// Iterator over the arguments of a message; missing ones are zero or empty.
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
    /// Builds a status from the messages of a reply.
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
                    s.voices = VoiceStatus { count, sounding, stolen, unplayed, underruns, shed, cost: a.float() };
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
                "player" => s.players.push(PlayerStatus {
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
            "load      {:.1} % of a period, max {:.1} %; max wake-up delay {:.2} ms; {:.1} MB resident",
            100.0 * load.mean,
            100.0 * load.worst,
            load.worst_wake_ms,
            self.resident_mb
        )?;
        let crowd = &self.movement;
        if !matches!(crowd.reason.as_str(), "" | "base") || crowd.refused > 0 {
            writeln!(
                f,
                "movement  {:.3} (smoothed {:.3}), {}: to {:.1} BPM; {} rejected",
                crowd.raw, crowd.smoothed, crowd.reason, crowd.target, crowd.refused
            )?;
        }
        for s in self.stretch.iter().filter(|s| s.method != "playback_rate") {
            let deck = s.deck.to_uppercase();
            write!(f, "stretch   {deck} {}, {} in use", s.method, s.heard)?;
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
            write!(f, "voices    {sounding} of {count} sounding, {cost:.1} % of a core")?;
            writeln!(f, "; notes: {stolen} stolen, {unplayed} dropped; late {late}, shed {gone}")?;
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
