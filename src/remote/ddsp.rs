//! A client of the DDSP stream: plays, listens, and measures the latency of controls.

use std::fmt;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tungstenite::{Message, WebSocket};

use super::live;
use crate::media::wav::{Depth, WavWriter};

/// Time without a frame after which the connection counts as lost. Frames normally arrive every few milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time for which a note's release is played, in seconds.
const TAIL_S: f64 = 0.3;
/// Width of the histogram's longest bar in characters.
const BAR: usize = 50;

/// Returns the frequency in Hz of a note's name (A4, C#5, Bb3, as4) or of a number of Hz.
///
/// # Errors
/// If `text` is not a note, or not between 8 and 12544 Hz.
pub fn pitch(text: &str) -> Result<f64, String> {
    let wrong = || format!("'{text}' is not a note; expected a name such as A4, C#5, Bb3, or Hz from 8 to 12544");
    if let Ok(hz) = text.parse::<f64>() {
        return if (8.0..=12_544.0).contains(&hz) { Ok(hz) } else { Err(wrong()) };
    }
    let mut letters = text.chars();
    let letter = letters.next().ok_or_else(wrong)?.to_ascii_lowercase();
    let step = match letter {
        'c' => 0,
        'd' => 2,
        'e' => 4,
        'f' => 5,
        'g' => 7,
        'a' => 9,
        'b' => 11,
        _ => return Err(wrong()),
    };
    let rest = letters.as_str();
    let (sign, octave) = match rest.chars().next() {
        Some('#' | 's') => (1, &rest[1..]),
        Some('b') => (-1, &rest[1..]),
        _ => (0, rest),
    };
    let octave: i32 = octave.parse().map_err(|_| wrong())?;
    if !(-1..=9).contains(&octave) {
        return Err(wrong());
    }
    Ok(440.0 * 2f64.powf(f64::from(12 * (octave + 1) + step + sign - 69) / 12.0))
}

/// Notes to play, and how.
#[derive(Clone, Debug)]
pub struct PlayJob {
    /// Pitches in Hz; empty for silence.
    pub pitches: Vec<f64>,
    /// Loudness, 0 to 1.
    pub loudness: f64,
    /// Duration in seconds, 0.1 to 3600.
    pub seconds: f64,
    /// Instrument; `None` for the daemon's first.
    pub instrument: Option<String>,
    /// WAV file to record the received sound to.
    pub save: Option<PathBuf>,
}

/// A connection to the DDSP stream.
pub struct StreamClient {
    socket: WebSocket<TcpStream>,
    rate: u32,
}

/// Message received from the stream.
enum Came {
    Frame(Vec<f32>),
    Text(Json),
}

impl StreamClient {
    /// Connects to the stream's port.
    ///
    /// # Errors
    /// If the connection cannot be established.
    pub fn connect(host: &str, port: u16) -> Result<StreamClient, String> {
        let hint = "check that grooved is running with ddsp.listen, or choose another port with --ddsp-port";
        let socket = live::connect(host, port, "/", None, PATIENCE, hint)?;
        Ok(StreamClient { socket, rate: 48_000 })
    }

    fn say(&mut self, json: &Json) -> Result<(), String> {
        self.socket.send(Message::text(json.to_string())).map_err(|e| format!("connection lost: {e}"))
    }

    fn next(&mut self) -> Result<Came, String> {
        loop {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => {
                    let sample = |b: &[u8]| f32::from(i16::from_le_bytes([b[0], b[1]])) / 32_768.0;
                    return Ok(Came::Frame(bytes.chunks_exact(2).map(sample).collect()));
                }
                Ok(Message::Text(text)) => {
                    let json: Json = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                    if let Some(error) = json["error"].as_str() {
                        return Err(error.to_string());
                    }
                    return Ok(Came::Text(json));
                }
                Ok(Message::Close(frame)) => {
                    let why = frame.map(|f| f.reason.to_string()).filter(|r| !r.is_empty());
                    return Err(format!(
                        "the daemon closed the stream: {}",
                        why.as_deref().unwrap_or("no reason given")
                    ));
                }
                Ok(_) => {}
                Err(e) => return Err(format!("connection lost: {e}")),
            }
        }
    }

    /// Plays an order and records the sound if requested. Calls `tell` with a line about the level once per second.
    ///
    /// # Errors
    /// If an option is out of range, the daemon rejects the order, the connection is lost, or the file cannot be
    /// written.
    pub fn play(&mut self, order: &PlayJob, tell: &mut dyn FnMut(String)) -> Result<(), String> {
        if !(0.1..=3_600.0).contains(&order.seconds) {
            return Err("--seconds: must be between 0.1 and 3600".into());
        }
        if !(0.0..=1.0).contains(&order.loudness) {
            return Err("--loudness: must be between 0 and 1".into());
        }
        if let Some(name) = &order.instrument {
            self.say(&json!({ "instrument": name }))?;
        }
        // A rejected instrument is reported before the reply to this.
        self.say(&json!({ "type": "hello" }))?;
        let hello = loop {
            if let Came::Text(json) = self.next()?
                && json.get("hello").is_some()
            {
                break json;
            }
        };
        self.rate = hello["rate"].as_u64().and_then(|r| u32::try_from(r).ok()).unwrap_or(self.rate);
        tell(format!(
            "{}, {} Hz, frames of {} ms",
            hello["instrument"].as_str().unwrap_or("?"),
            self.rate,
            hello["frame_ms"]
        ));
        let io = |e: std::io::Error| format!("--save: {e}");
        let mut file = match &order.save {
            Some(path) => Some(WavWriter::create(path, 1, self.rate, Depth::Sixteen).map_err(io)?),
            None => None,
        };
        self.say(&json!({ "f0s": order.pitches, "loudness": order.loudness }))?;
        let (sounding, all) = (order.seconds, order.seconds + if order.pitches.is_empty() { 0.0 } else { TAIL_S });
        let (mut heard, mut hushed, mut second) = (0usize, false, Vec::new());
        while (heard as f64) < all * f64::from(self.rate) {
            match self.next()? {
                Came::Frame(frame) => {
                    heard += frame.len();
                    if let Some(file) = &mut file {
                        file.write(&frame).map_err(io)?;
                    }
                    second.extend(frame);
                }
                Came::Text(json) => tell(json.to_string()),
            }
            if !hushed && heard as f64 >= sounding * f64::from(self.rate) {
                self.say(&json!({ "f0s": [] }))?;
                hushed = true;
            }
            if second.len() >= self.rate as usize {
                tell(format!("{:6.1} s  {}", heard as f64 / f64::from(self.rate), level(&second)));
                second.clear();
            }
        }
        if let Some(file) = file {
            file.finish().map_err(io)?;
        }
        Ok(())
    }

    /// Measures `tries` times how long it takes from starting a note to the first frame that is not silent.
    ///
    /// # Errors
    /// If `tries` is not 1 to 10000, the connection is lost, or the sound does not change.
    pub fn latency(&mut self, tries: usize) -> Result<Latency, String> {
        if !(1..=10_000).contains(&tries) {
            return Err("--tries: must be between 1 and 10000".into());
        }
        let mut found = Vec::with_capacity(tries);
        // The stream plays a note until it receives pitches.
        self.say(&json!({ "f0s": [] }))?;
        for try_ in 0..tries {
            self.wait(|frame| frame.iter().all(|s| *s == 0.0))?;
            // Controls must not synchronise with the frames.
            std::thread::sleep(Duration::from_millis((try_ as u64 * 7) % 23));
            self.say(&json!({ "f0s": [440.0], "loudness": 0.9 }))?;
            let asked = Instant::now();
            self.wait(|frame| frame.iter().any(|s| *s != 0.0))?;
            found.push(asked.elapsed().as_secs_f64() * 1e3);
            self.say(&json!({ "f0s": [] }))?;
        }
        found.sort_unstable_by(f64::total_cmp);
        Ok(Latency { found })
    }

    /// Waits up to [`PATIENCE`] for a frame that satisfies `kind`.
    fn wait(&mut self, kind: impl Fn(&[f32]) -> bool) -> Result<(), String> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            if let Came::Frame(frame) = self.next()?
                && kind(&frame)
            {
                return Ok(());
            }
        }
        Err(format!("the sound did not change for {} s", PATIENCE.as_secs()))
    }
}

fn level(sound: &[f32]) -> String {
    let power = sound.iter().map(|s| f64::from(s * s)).sum::<f64>() / sound.len().max(1) as f64;
    let peak = sound.iter().fold(0.0f32, |p, s| p.max(s.abs()));
    if peak == 0.0 {
        return "silence".into();
    }
    format!("{:.1} dBFS, peak {:.1}", 10.0 * power.log10(), 20.0 * f64::from(peak).log10())
}

/// Measured latencies, displayed as percentiles and a histogram.
#[derive(Clone, Debug, PartialEq)]
pub struct Latency {
    /// Latencies in milliseconds, in ascending order.
    pub found: Vec<f64>,
}

impl Latency {
    /// Returns the percentile at `share`, 0 to 1, in milliseconds.
    pub fn at(&self, share: f64) -> f64 {
        let index = (share * self.found.len() as f64).ceil() as usize;
        self.found.get(index.clamp(1, self.found.len().max(1)) - 1).copied().unwrap_or(0.0)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mean = self.found.iter().sum::<f64>() / self.found.len().max(1) as f64;
        writeln!(
            f,
            "{} tries: min {:.1}, mean {mean:.1}, p50 {:.1}, p95 {:.1}, p99 {:.1}, max {:.1} ms",
            self.found.len(),
            self.at(0.0),
            self.at(0.5),
            self.at(0.95),
            self.at(0.99),
            self.at(1.0)
        )?;
        let width = (self.at(1.0) / 20.0).max(1.0).ceil();
        let mut bins = vec![0usize; (self.at(1.0) / width) as usize + 1];
        for time in &self.found {
            bins[(time / width) as usize] += 1;
        }
        let most = bins.iter().copied().max().unwrap_or(1).max(1);
        for (index, count) in bins.iter().enumerate() {
            let bar = "█".repeat((count * BAR).div_ceil(most));
            write!(f, "{}{:5.0} ms │{bar} {count}", if index > 0 { "\n" } else { "" }, index as f64 * width)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_have_names_and_frequencies() {
        for (text, hz) in
            [("A4", 440.0), ("a3", 220.0), ("C#5", 554.365), ("Bb3", 233.082), ("As3", 233.082), ("261.63", 261.63)]
        {
            assert!((pitch(text).unwrap() - hz).abs() < 0.01, "{text}");
        }
        for text in ["H2", "A", "", "A99", "5", "1e9", "é4"] {
            assert!(pitch(text).unwrap_err().contains("is not a note"), "{text}");
        }
    }

    #[test]
    fn the_histogram_counts_everything() {
        let latency = Latency { found: (0..100).map(|n| f64::from(n) / 5.0).collect() };
        assert_eq!((latency.at(0.5), latency.at(0.99), latency.at(1.0)), (9.8, 19.6, 19.8));
        let shown = latency.to_string();
        let counted: usize =
            shown.lines().skip(1).map(|l| l.rsplit(' ').next().unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!(counted, 100);
        assert!(Latency { found: vec![] }.to_string().contains("0 tries"));
    }
}
