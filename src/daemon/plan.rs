//! What is to be played from the start: from the command line, or the demonstration set.

use std::io;
use std::path::{Path, PathBuf};

use super::solo::Solo;
use crate::control::conductor::Conductor;
use crate::control::request::Message;
use crate::control::value::Value;
use crate::demo;
use crate::media::wav::{Depth, WavWriter};

/// Bumped whenever the demonstration set's music changes, so that an old rendering is not mistaken for it.
const DEMO_VERSION: u32 = 1;

/// Calls made before the first sample is rendered, and their files.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    calls: Vec<Message>,
    files: Vec<PathBuf>,
    /// The stem an instrument plays over, and its tempo.
    solo: Option<(i64, f64)>,
}

impl Plan {
    /// Adds a call.
    pub fn call(&mut self, address: &str, args: Vec<Value>) {
        self.calls.push(Message::new(address, args));
    }

    /// Loads a file under a number; its folder becomes a media root.
    pub fn load(&mut self, id: i64, file: &Path, name: &str) {
        let file = std::path::absolute(file).unwrap_or_else(|_| file.into());
        self.call("/groove/stem/load", vec![Value::Int(id), file.display().to_string().into(), name.into()]);
        self.files.push(file);
    }

    /// The solo over one of its stems, if there are voices to play it.
    pub fn solo(&self, conductor: &mut Conductor) -> Option<Solo> {
        let (stem, bpm) = self.solo.filter(|_| conductor.voice_count() > 0)?;
        Some(Solo::begin(stem, bpm, conductor))
    }

    /// Whether it loads nothing.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The calls, in order.
    pub fn calls(&self) -> Vec<Message> {
        self.calls.clone()
    }

    /// The folders of its files.
    pub fn folders(&self) -> Vec<PathBuf> {
        let mut folders: Vec<PathBuf> = self.files.iter().filter_map(|f| f.parent().map(Path::to_path_buf)).collect();
        folders.dedup();
        folders
    }

    /// The files that are missing.
    pub fn missing(&self) -> Vec<&Path> {
        self.files.iter().map(PathBuf::as_path).filter(|f| !f.is_file()).collect()
    }
}

/// Where the demonstration set is kept: it is calculated once.
pub fn demo_folder() -> PathBuf {
    let cache = std::env::var_os("CACHE_DIRECTORY")
        .or_else(|| std::env::var_os("XDG_CACHE_HOME"))
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
        .unwrap_or_else(std::env::temp_dir);
    cache.join(format!("grooved/demo-{DEMO_VERSION}"))
}

/// Renders the demonstration set into `folder`, unless it is there; tells whether it had to.
pub fn make_demo(folder: &Path) -> io::Result<bool> {
    std::fs::create_dir_all(folder)?;
    let missing: Vec<&demo::Stem> = demo::STEMS.iter().filter(|s| !demo_file(folder, s).is_file()).collect();
    let results: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let threads: Vec<_> = missing
            .iter()
            .map(|stem| {
                scope.spawn(|| {
                    let file = demo_file(folder, stem);
                    // A half-written file must never be found under its true name.
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

/// The plan that plays the demonstration set: both decks run, each at its own tempo, and deck A is heard.
pub fn demo_plan(folder: &Path) -> Plan {
    let mut plan = Plan::default();
    let ids: Vec<i64> = demo::STEMS
        .iter()
        .enumerate()
        .map(|(k, s)| if s.deck == 'a' { 100 + k as i64 } else { 1096 + k as i64 })
        .collect();
    for (stem, id) in demo::STEMS.iter().zip(&ids) {
        plan.load(*id, &demo_file(folder, stem), stem.name);
    }
    plan.solo = demo::STEMS.iter().zip(&ids).find(|(s, _)| s.deck == 'a').map(|(s, id)| (*id, f64::from(s.bpm)));
    plan.call("/groove/crossfade", vec![Value::Float(0.0), "power".into(), Value::Float(0.0)]);
    for id in ids {
        plan.call("/groove/stem/play", vec![Value::Int(id), Value::Float(1.0), Value::Float(0.8)]);
    }
    plan
}
