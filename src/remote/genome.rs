//! A client of the render socket: requests a genome, measures, and saves its sound.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tungstenite::{Message, WebSocket};

use super::live;
use crate::media::wav::{Depth, WavWriter};

/// Path on the HTTP port: any that is none of the daemon's own.
const PATH: &str = "/renders";
/// Time without a message after which the connection counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is rendered.
#[derive(Clone, Debug)]
pub struct RenderJob {
    /// Id of the genome.
    pub id: String,
    /// Seconds.
    pub seconds: f64,
    /// Semitones.
    pub note_delta: f64,
    /// 0 to 1.
    pub velocity: f64,
    /// WAV file for the sound.
    pub save: Option<PathBuf>,
    /// Whether it is played on this machine while it is received.
    pub play: bool,
}

/// What was received, as far as it was measured.
#[derive(Debug, Default)]
struct Figures {
    first: Option<Duration>,
    chunks: usize,
    samples: usize,
    peak: f32,
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The line with the figures.
    Rendered(String),
    /// Why the daemon did not render it.
    Refused(String),
}

/// Renders a genome.
///
/// # Errors
/// If the connection fails, or the sound cannot be written or played.
pub fn render(
    host: &str,
    port: u16,
    token: Option<&str>,
    timeout: Duration,
    job: &RenderJob,
) -> Result<Outcome, String> {
    let hint = format!("check that grooved is running with http.port {port}, or choose another port with --http-port");
    let mut socket = live::connect(host, port, PATH, token, timeout, &hint).map_err(|e| {
        let absent = e.contains("404");
        if absent { format!("{e}; the daemon has no database of genomes (genomes.database)") } else { e }
    })?;
    socket.get_ref().set_read_timeout(Some(PATIENCE)).map_err(|e| e.to_string())?;
    let welcome = hear(&mut socket)?;
    if welcome["type"] != "welcome" {
        return Err(format!("this is not a render socket: received {welcome}"));
    }
    let rate = welcome["sampleRate"].as_u64().and_then(|r| u32::try_from(r).ok()).unwrap_or(48_000);
    let io = |e: std::io::Error| format!("--save: {e}");
    let mut file = match &job.save {
        Some(path) => Some(WavWriter::create(path, 1, rate, Depth::Float).map_err(io)?),
        None => None,
    };
    let mut player = if job.play { Some(Player::start(rate)?) } else { None };
    let began = Instant::now();
    let request = json!({
        "type": "render", "genomeId": job.id, "duration": job.seconds, "noteDelta": job.note_delta,
        "velocity": job.velocity, "format": "f32",
    });
    socket.send(Message::text(request.to_string())).map_err(|e| format!("connection lost: {e}"))?;
    let mut figures = Figures::default();
    loop {
        match next(&mut socket)? {
            Message::Binary(bytes) => {
                figures.first.get_or_insert(began.elapsed());
                let (samples, _) = bytes.as_chunks::<4>();
                let samples: Vec<f32> = samples.iter().map(|b| f32::from_le_bytes(*b)).collect();
                figures.chunks += 1;
                figures.samples += samples.len();
                figures.peak = samples.iter().fold(figures.peak, |peak, s| peak.max(s.abs()));
                if let Some(file) = &mut file {
                    file.write(&samples).map_err(io)?;
                }
                if let Some(player) = &mut player {
                    player.write(&bytes)?;
                }
            }
            Message::Text(text) => {
                let message: Json = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                match message["type"].as_str() {
                    Some("error") => {
                        let why = message["message"].as_str().unwrap_or("unknown error");
                        return Ok(Outcome::Refused(why.to_string()));
                    }
                    Some("complete") => {
                        if message["totalSamples"].as_u64() != Some(figures.samples as u64) {
                            let total = &message["totalSamples"];
                            return Err(format!("the sound is incomplete: {} of {total} samples", figures.samples));
                        }
                        break;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
    let took = began.elapsed().as_secs_f64();
    if let Some(file) = file {
        file.finish().map_err(io)?;
    }
    player.map_or(Ok(()), Player::finish)?;
    Ok(Outcome::Rendered(format!(
        "{}: {:.2} s, first chunk after {:.1} ms, {} chunks, {:.0} x real time, peak {:.1} dBFS",
        job.id,
        figures.samples as f64 / f64::from(rate),
        figures.first.unwrap_or_default().as_secs_f64() * 1e3,
        figures.chunks,
        figures.samples as f64 / f64::from(rate) / took.max(1e-9),
        20.0 * f64::from(figures.peak.max(1e-10)).log10()
    )))
}

/// The program that plays raw samples.
const PLAYER: &str = "aplay";

/// Plays samples on this machine's default card.
struct Player(std::process::Child);

impl Player {
    fn start(rate: u32) -> Result<Player, String> {
        let rate = rate.to_string();
        let started = Command::new(PLAYER)
            .args(["-q", "-t", "raw", "-f", "FLOAT_LE", "-c", "1", "-r", &rate, "-"])
            .stdin(Stdio::piped())
            .spawn();
        started.map(Player).map_err(|e| format!("--play: cannot run {PLAYER} (package alsa-utils): {e}"))
    }

    /// Waits for the card if it is behind.
    fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let input = self.0.stdin.as_mut();
        input.map_or(Ok(()), |input| input.write_all(bytes)).map_err(|e| format!("--play: {PLAYER} ended: {e}"))
    }

    /// Waits until everything has been played.
    fn finish(mut self) -> Result<(), String> {
        drop(self.0.stdin.take());
        match self.0.wait() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("--play: {PLAYER} failed ({status})")),
            Err(e) => Err(format!("--play: {e}")),
        }
    }
}

fn next(socket: &mut WebSocket<std::net::TcpStream>) -> Result<Message, String> {
    match socket.read() {
        Ok(Message::Close(_)) => Err("the daemon closed the connection".into()),
        Ok(message) => Ok(message),
        Err(error) => Err(format!("connection lost: {error}")),
    }
}

fn hear(socket: &mut WebSocket<std::net::TcpStream>) -> Result<Json, String> {
    loop {
        if let Message::Text(text) = next(socket)? {
            return serde_json::from_str(&text).map_err(|e| e.to_string());
        }
    }
}
