//! What plays at start: files from the command line, the demonstration set, or safe mode's signal.

use std::io;
use std::path::{Path, PathBuf};

use super::solo::Solo;
use crate::control::commands::request::Message;
use crate::control::commands::value::Value;
use crate::control::conductor::Conductor;
use crate::demo;
use crate::genome::is_address;
use crate::media::wav::{Depth, WavWriter};

/// Version of the demonstration set. Bumped whenever its music changes, so that an old rendering is not reused.
const DEMO_VERSION: u32 = 1;

/// Folder of the demonstration set in an appliance's image.
const PACKAGED_DEMO: &str = "/usr/share/grooved";

/// Interval of safe mode's signal in seconds.
const SIGN_S: f64 = 6.0;
/// Frequencies of the signal's two notes in Hz: a falling fifth, unlikely to be mistaken for a show.
const SIGN_HZ: [f64; 2] = [659.26, 440.0];
/// Peak of the signal: 20 dB below full scale.
const SIGN_PEAK: f64 = 0.1;

/// Calls to make before the first sample is rendered, and the files they load.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    calls: Vec<Message>,
    /// Files and the numbers of their stems.
    files: Vec<(i64, PathBuf)>,
    /// Folders that become media roots besides those of the files.
    allowed: Vec<PathBuf>,
    /// Number of stems that are sounds of genomes.
    genomes: usize,
    /// The stem that an instrument plays over, and its tempo in BPM.
    solo: Option<(i64, f64)>,
}

impl Opening {
    /// Appends a call.
    pub fn call(&mut self, address: &str, args: Vec<Value>) {
        self.calls.push(Message::new(address, args));
    }

    /// Adds a call that loads a file as stem `id`; its folder becomes a media root. `genome:ID` names a genome's sound.
    pub fn load(&mut self, id: i64, file: &Path, name: &str) {
        if file.to_str().is_some_and(is_address) {
            self.genomes += 1;
            return self
                .call("/groove/stem/load", vec![Value::Int(id), file.display().to_string().into(), name.into()]);
        }
        let file = std::path::absolute(file).unwrap_or_else(|_| file.into());
        self.call("/groove/stem/load", vec![Value::Int(id), file.display().to_string().into(), name.into()]);
        self.files.push((id, file));
    }

    /// Makes a folder a media root.
    pub fn allow(&mut self, folder: PathBuf) {
        self.allowed.push(folder);
    }

    /// Returns the solo over one of the opening's stems, if there is one and the conductor has voices to play it.
    pub fn solo(&self, conductor: &mut Conductor) -> Option<Solo> {
        let (stem, bpm) = self.solo.filter(|_| conductor.instruments.count() > 0)?;
        Some(Solo::begin(stem, bpm, conductor))
    }

    /// Returns whether the opening loads no files.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.genomes == 0
    }

    /// Returns the calls in order.
    pub fn calls(&self) -> Vec<Message> {
        self.calls.clone()
    }

    /// Returns the folders of the opening's files.
    pub fn folders(&self) -> Vec<PathBuf> {
        let of_files = self.files.iter().filter_map(|(_, f)| f.parent().map(Path::to_path_buf));
        let mut folders: Vec<PathBuf> = self.allowed.iter().cloned().chain(of_files).collect();
        folders.dedup();
        folders
    }

    /// Returns the files that do not exist or are not regular files.
    pub fn missing(&self) -> Vec<&Path> {
        self.files.iter().map(|(_, file)| file.as_path()).filter(|f| !f.is_file()).collect()
    }

    /// Removes missing files and the calls that refer to them.
    pub fn leave_out_missing(&mut self) {
        let missing: Vec<i64> = self.files.iter().filter(|(_, f)| !f.is_file()).map(|(id, _)| *id).collect();
        // No other argument of these calls can equal the number of a stem.
        let concerns = |call: &Message| missing.iter().any(|id| call.args.contains(&Value::Int(*id)));
        self.calls.retain(|call| !concerns(call));
        self.files.retain(|(id, _)| !missing.contains(id));
    }
}

/// Returns the folder of the demonstration set: the packaged one, or else the cache, into which it is rendered once.
pub fn demo_folder() -> PathBuf {
    let packaged = Path::new(PACKAGED_DEMO).join(format!("demo-{DEMO_VERSION}"));
    if packaged.is_dir() {
        return packaged;
    }
    let cache = std::env::var_os("CACHE_DIRECTORY")
        .or_else(|| std::env::var_os("XDG_CACHE_HOME"))
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    cache.join(format!("grooved/demo-{DEMO_VERSION}"))
}

/// Returns whether `folder` contains the complete demonstration set.
pub fn has_demo(folder: &Path) -> bool {
    demo::STEMS.iter().all(|s| demo_file(folder, s).is_file())
}

/// Renders the missing files of the demonstration set into `folder`. Returns whether any were missing.
///
/// # Errors
/// If the folder or a file cannot be written.
pub fn make_demo(folder: &Path) -> io::Result<bool> {
    std::fs::create_dir_all(folder)?;
    let missing: Vec<&demo::Stem> = demo::STEMS.iter().filter(|s| !demo_file(folder, s).is_file()).collect();
    let results: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = missing
            .iter()
            .map(|stem| {
                scope.spawn(|| {
                    let file = demo_file(folder, stem);
                    // A half-written file must never have the final name.
                    let draft = file.with_extension(format!("{}.part", std::process::id()));
                    let mut writer = WavWriter::create(&draft, 2, 48_000, Depth::Sixteen)?;
                    writer.write(&demo::render(stem))?;
                    writer.finish()?;
                    std::fs::rename(draft, file)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap_or_else(|_| Err(io::Error::other("rendering failed")))).collect()
    });
    results.into_iter().collect::<io::Result<()>>()?;
    Ok(!missing.is_empty())
}

fn demo_file(folder: &Path, stem: &demo::Stem) -> PathBuf {
    folder.join(format!("{}-{}.wav", stem.deck, stem.name))
}

/// Returns the opening that plays the demonstration set: both decks run, each at its own tempo, and deck A is audible.
pub fn demo_opening(folder: &Path) -> Opening {
    let mut opening = Opening::default();
    let ids: Vec<i64> = demo::STEMS
        .iter()
        .enumerate()
        .map(|(k, s)| if s.deck == 'a' { 100 + k as i64 } else { 1096 + k as i64 })
        .collect();
    for (stem, id) in demo::STEMS.iter().zip(&ids) {
        opening.load(*id, &demo_file(folder, stem), stem.name);
    }
    opening.solo = demo::STEMS.iter().zip(&ids).find(|(s, _)| s.deck == 'a').map(|(s, id)| (*id, f64::from(s.bpm)));
    opening.call("/groove/crossfade", vec![Value::Float(0.0), "power".into(), Value::Float(0.0)]);
    for id in ids {
        opening.call("/groove/stem/play", vec![Value::Int(id), Value::Float(1.0), Value::Float(0.8)]);
    }
    opening
}

/// Returns safe mode's opening: an audible signal every `SIGN_S` seconds. The signal is synthesised, without any input
/// files, and written into `folder`.
///
/// # Errors
/// If the file cannot be written.
pub fn safe_opening(folder: &Path) -> io::Result<Opening> {
    const RATE: f64 = 48_000.0;
    let mut sound = vec![0.0f32; 2 * (SIGN_S * RATE) as usize];
    for (k, frame) in sound.chunks_exact_mut(2).enumerate() {
        let seconds = k as f64 / RATE;
        let Some(hz) = SIGN_HZ.get((seconds / 0.4) as usize) else { break };
        let within = seconds % 0.4;
        let envelope = (within / 0.01).min(1.0) * (-within / 0.12).exp() * ((0.4 - within) / 0.01).min(1.0);
        frame.fill((SIGN_PEAK * envelope * (std::f64::consts::TAU * hz * within).sin()) as f32);
    }
    let file = folder.join(format!("grooved-safe-{}.wav", std::process::id()));
    let mut writer = WavWriter::create(&file, 2, RATE as u32, Depth::Sixteen)?;
    writer.write(&sound)?;
    writer.finish()?;
    let mut opening = Opening::default();
    opening.load(100, &file, "safe mode");
    opening.call("/groove/stem/play", vec![Value::Int(100), Value::Float(1.0), Value::Float(1.0), Value::Int(1)]);
    Ok(opening)
}
