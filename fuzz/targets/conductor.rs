//! The conductor of a running machine: calls with arguments in and out of range, in any order and at any time, with the
//! engine, voices, stems, stretching and stored files behind it.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use grooved::config::Config;
use grooved::control::commands::packet;
use grooved::control::commands::request::{Line, Message, Origin, Request, When};
use grooved::control::commands::value::Value;
use grooved::control::commands::vocabulary::{Kind, Vocabulary};
use grooved::control::conductor::Conductor;
use grooved::control::conductor::services::{InstrumentJob, InstrumentResult, PlanJob, Services, SetFile, SetJob};
use grooved::control::conductor::show::Show;
use grooved::control::table;
use grooved::daemon::plan;
use grooved::daemon::settings;
use grooved::ddsp::ensemble::{Ensemble, InstrumentVoices};
use grooved::ddsp::library::{InstrumentCache, Library as Instruments};
use grooved::ddsp::order::VoiceCommand;
use grooved::ddsp::worker::Worker as VoiceWorker;
use grooved::engine::cover::WorkerEnd;
use grooved::engine::door::door;
use grooved::engine::source::HOLD_BACK;
use grooved::engine::voices::line;
use grooved::engine::{Block, Engine, EngineConfig, GRID};
use grooved::media::disk::Worker as DiskWorker;
use grooved::media::feed::Feeder;
use grooved::media::library::Library;
use grooved::media::pool::{Done, LoadJob, load_now};
use grooved::output::report::Report;
use grooved::sets::arrangement::in_order;
use grooved::sets::track::Set;
use grooved::stretch::worker::Worker as StretchWorker;
use grooved::system::keeper::{FileJob, FileRequest, Found, Kept};
use grooved::system::time::monotonic_ns;

use super::Target;
use super::bytes::Bytes;

/// A sequence of calls, with varying times and stretches of sound in between.
pub const CONDUCTOR: Target = Target { name: "conductor", run, seeds, words: &[] };

const RATE: u32 = 48_000;
const SLOTS: usize = 6;
const VOICES: usize = 2;
/// Maximum number of actions and of blocks of sound in one run.
const MOST_ACTIONS: usize = 96;
const MOST_BLOCKS: usize = 64;
const BLOCK: usize = 256;

/// Texts that have a meaning for some control.
const TEXTS: &[&str] = &[
    "short.wav",
    "short.flac",
    "tone16.wav",
    "surround.wav",
    "greedy.onnx",
    "no/such.wav",
    "flute",
    "oboe",
    "kazoo",
    "all",
    "a",
    "d",
    "low",
    "high",
    "power",
    "linear",
    "off",
    "tape",
    "hq",
    "follow",
    "on",
    "one",
    "two",
    "../x",
    "/groove/tempo",
    "/groove/master",
    "/groove/note/on",
    "/groove/at",
    "/groove/preset/load",
    "/groove/*",
    "midi/1/7",
    "",
    "1e308",
    "-1",
    "\u{1f3b5}\u{301}",
];
const FLOATS: &[f64] = &[
    0.0,
    1.0,
    -1.0,
    0.5,
    2.0,
    60.0,
    120.0,
    440.0,
    1e-310,
    -3e-16,
    1e9,
    1e30,
    1e308,
    -1e308,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::NAN,
];
const INTS: &[i64] = &[0, 1, 2, 3, 4, 5, -1, 16, 60, 100, 101, 127, 1_100, i32::MAX as i64, i64::MAX, i64::MIN];

/// The plan and the set that are read, whatever path is asked for: as fast as possible.
const PLAN: &[u8] = br#"{"base_bpm": 400, "sections": {
    "00_a": {"bars": 1, "fade": 1, "stems": {"x": {"song": "s", "file": "short.wav", "pitch_shift": 1, "loop": true},
                                             "y": {"song": "s", "file": "tone16.wav", "pitch_shift": 0.9}}},
    "01_b": {"bars": 1, "fade": 3, "stems": {"x": {"song": "s", "file": "short.wav", "pitch_shift": 1, "loop": true},
                                             "z": {"song": "s", "file": "gone.wav", "pitch_shift": 1}}},
    "02_c": {"stems": {}},
    "03_d": {"bars": 1, "stems": {"y": {"song": "s", "file": "tone16.wav", "pitch_shift": 1.2,
                                        "needs_timestretch": true}}}}}"#;
const TABLE: &[u8] = b"part_file,bpm,target_bpm,begin_cue_adj,end_cue_adj\n\
    short.wav,120,400,0.15,0.3\ntone16.wav,130,400,0.15,0.3\nno/such.wav,140,400,0.15,0.3\n";

/// Configuration, instruments, files and controls shared by all runs.
struct House {
    config: Config,
    shelf: InstrumentCache,
    library: Library,
    vocabulary: Arc<Vocabulary>,
}

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR").trim_end_matches("/fuzz"));
    let mut config = Config::default();
    config.media.max_stems = SLOTS;
    config.voices.polyphony = VOICES;
    config.voices.instrument = "flute".into();
    config.mixer.filters = true;
    House {
        config,
        shelf: InstrumentCache::new(Instruments::new(Some(&root.join("models"))), None),
        library: Library::new(&[root.join("tests/fixtures")], false),
        vocabulary: table::table(true, VOICES).vocabulary(),
    }
});

/// Requests of the conductor to other threads of the daemon, executed between two blocks.
#[derive(Default)]
struct Asked {
    loads: VecDeque<LoadJob>,
    feeders: Vec<Feeder>,
    reserves: Vec<WorkerEnd>,
    files: Vec<FileJob>,
    orders: Vec<(Option<u64>, VoiceCommand)>,
    instruments: Vec<InstrumentJob>,
    plans: Vec<PlanJob>,
    sets: Vec<SetJob>,
}

/// The conductor's services: what is asked of them is collected.
struct Collected(Arc<Mutex<Asked>>);

impl Collected {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().expect("nobody panics with it")
    }
}

impl Services for Collected {
    fn load(&mut self, job: LoadJob) {
        self.asked().loads.push_back(job);
    }

    fn feed(&mut self, feeder: Feeder) {
        self.asked().feeders.push(feeder);
    }

    fn stretch(&mut self, ends: Vec<WorkerEnd>) {
        self.asked().reserves.extend(ends);
    }

    fn keep(&mut self, job: FileJob) {
        self.asked().files.push(job);
    }

    fn voice(&mut self, at: Option<u64>, order: VoiceCommand) {
        self.asked().orders.push((at, order));
    }

    fn instrument(&mut self, job: InstrumentJob) {
        self.asked().instruments.push(job);
    }

    fn plan(&mut self, job: PlanJob) {
        self.asked().plans.push(job);
    }

    fn set(&mut self, job: SetJob) {
        self.asked().sets.push(job);
    }
}

/// The machine; everything that has its own thread in the daemon is pumped explicitly.
struct Rig {
    engine: Engine,
    conductor: Conductor,
    voices: VoiceWorker,
    disk: DiskWorker,
    stretch: StretchWorker,
    kept: BTreeMap<String, Vec<u8>>,
    asked: Arc<Mutex<Asked>>,
    block: Block,
}

impl Rig {
    fn new() -> Rig {
        let (inner, outer) = door(SLOTS, 2);
        let config = EngineConfig { sample_rate: RATE, slots: SLOTS, ..EngineConfig::default() };
        let mut engine = Engine::new(&config, inner);
        let (writer, reader) = line(0);
        engine.attach_voices(reader);
        let asked: Arc<Mutex<Asked>> = Arc::default();
        let mut settings = settings(&HOUSE.config);
        (settings.debug, settings.has_presets) = (true, true);
        let table = table::table(settings.debug, settings.voices);
        let services = Box::new(Collected(asked.clone()));
        Rig {
            engine,
            conductor: Conductor::new(settings, table, outer, services, Arc::new(Report::default())),
            voices: VoiceWorker::new(Ensemble::new(VOICES, RATE), writer, RATE),
            disk: DiskWorker::default(),
            stretch: StretchWorker::steady(),
            kept: BTreeMap::new(),
            asked,
            block: Block::new(2, BLOCK),
        }
    }

    fn keep(&mut self, job: FileJob) {
        let absent = || io::Error::from(io::ErrorKind::NotFound);
        let result = match job.wish {
            FileRequest::Write(name, bytes) => {
                self.kept.insert(name, bytes);
                Ok(Found::Nothing)
            }
            FileRequest::Read(name) => self.kept.get(&name).cloned().map(Found::Bytes).ok_or_else(absent),
            FileRequest::Remove(name) => self.kept.remove(&name).map(|_| Found::Nothing).ok_or_else(absent),
            FileRequest::List(folder) => {
                let within = |name: &String| Some(name.strip_prefix(&folder)?.trim_start_matches('/').to_string());
                Ok(Found::Names(self.kept.keys().filter_map(within).collect()))
            }
        };
        self.conductor.kept(Kept { tag: job.tag, result });
    }

    /// Executes the requests, advances time, and renders a block.
    fn turn(&mut self, frames: usize) {
        self.conductor.tick();
        self.conductor.finish_work();
        let Asked { loads, feeders, reserves, files, orders, instruments, plans, sets } =
            std::mem::take(&mut *self.asked.lock().expect("nobody panics with it"));
        for job in loads {
            let result = load_now(&HOUSE.library, &job.requested);
            self.conductor.loaded(Done { tag: job.tag, result });
        }
        for job in plans {
            let score = plan::score(&HOUSE.library, &job, PLAN, Path::new("/"));
            self.conductor.plan_read(&job, score);
        }
        for job in sets {
            let set = Set::parse(TABLE).map(|set| {
                let tracks = in_order(&set, job.order, job.seed).into_iter().map(Arc::new).collect();
                SetFile { folder: String::new(), tracks, faults: 0, remarks: set.faults }
            });
            self.conductor.set_read(&job, set);
        }
        files.into_iter().for_each(|job| self.keep(job));
        feeders.into_iter().for_each(|f| self.disk.add(f));
        self.disk.pump();
        reserves.into_iter().for_each(|r| self.stretch.add(r));
        self.stretch.pump();
        orders.into_iter().for_each(|(at, order)| self.voices.tell(at, order));
        for job in instruments {
            self.conductor.opened(match job {
                InstrumentJob::List => InstrumentResult::Names(HOUSE.shelf.library.names()),
                InstrumentJob::Open(name) => {
                    let made = InstrumentVoices::open(&HOUSE.shelf, &name, VOICES, RATE).map(|(section, card)| {
                        self.voices.seat(section);
                        card
                    });
                    InstrumentResult::Opened(name, made)
                }
            });
        }
        let now = self.engine.time();
        self.voices.advance(now, now, now + (2 * GRID + HOLD_BACK + frames) as u64);
        self.block.set_frames(frames);
        self.engine.render(&mut self.block);
        for channel in 0..2 {
            let samples = self.block.channel(channel);
            assert!(samples.iter().all(|s| s.abs() <= 1.0), "the output exceeds its range");
        }
        for answer in self.conductor.take_answers() {
            let _ = packet::encode(&answer.messages);
        }
    }
}

fn value(bytes: &mut Bytes, kind: Kind) -> Value {
    // Mostly valid values, sometimes anything.
    let way = bytes.byte();
    match (kind, way) {
        (Kind::Float(low, high) | Kind::Clamped(low, high), 0..=159) => {
            Value::Float(low + (high - low) * bytes.number::<2>() as f64 / 65_535.0)
        }
        (Kind::Int(low, high), 0..=127) => Value::Int(bytes.one_of(INTS).clamp(low, high)),
        (Kind::Int(low, _), 128..=159) => Value::Int(low.saturating_add(i64::from(bytes.byte()))),
        (Kind::Flag | Kind::Each(_) | Kind::Deck, 0..=159) => Value::Int(i64::from(bytes.byte() % 4)),
        (Kind::Choice(words), 0..=159) => bytes.one_of(words).into(),
        (Kind::Band, 0..=159) => bytes.one_of(&["low", "mid", "high"]).into(),
        (Kind::Text | Kind::Rest, 0..=159) => bytes.one_of(TEXTS).into(),
        (_, 160..=191) => Value::Float(bytes.one_of(FLOATS)),
        (_, 192..=215) => Value::Int(bytes.one_of(INTS)),
        (_, 216..=235) => bytes.one_of(TEXTS).into(),
        (_, 236..=245) => Value::Long(bytes.number::<8>() as i64),
        _ => Value::Float(f64::from_bits(bytes.number::<8>())),
    }
}

fn call(bytes: &mut Bytes) -> Message {
    let addresses = HOUSE.vocabulary.concrete();
    let address = &addresses[bytes.number::<2>() as usize % addresses.len()];
    let args = HOUSE.vocabulary.find(address).map_or(&[][..], |(control, _)| control.args);
    let shape = bytes.byte();
    let mut values: Vec<Value> = args.iter().map(|arg| value(bytes, arg.kind)).collect();
    match shape {
        // One argument too few, or some too many.
        224..=239 => drop(values.pop()),
        240..=255 => values.extend((0..shape % 16).map(|_| value(bytes, Kind::Rest))),
        _ => {}
    }
    // Sometimes a pattern instead of an address.
    let address = match shape {
        216..=219 => format!("{}/*", address.rsplit_once('/').map_or("", |(above, _)| above)),
        220..=221 => address.replace('a', "?"),
        _ => address.clone(),
    };
    Message::new(address, values)
}

/// Runs the target [`CONDUCTOR`].
pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let mut rig = Rig::new();
    let peer = ([127, 0, 0, 1], 9).into();
    let mut blocks = 0;
    for _ in 0..MOST_ACTIONS {
        if !bytes.more() {
            break;
        }
        let action = bytes.byte();
        let when = match action {
            0..=191 => When::Now,
            192..=199 => When::Past,
            200..=215 => When::Monotonic(monotonic_ns() + bytes.number::<2>() * 10_000),
            _ => {
                for _ in 0..=action % 8 {
                    if blocks < MOST_BLOCKS {
                        rig.turn(GRID << (action % 4));
                        blocks += 1;
                    }
                }
                continue;
            }
        };
        let line = if action % 8 == 7 { Line::Session(1) } else { Line::Osc(0) };
        let calls = (0..=action % 3).map(|_| call(&mut bytes)).collect();
        rig.conductor.accept(Request { origin: Some(Origin { line, peer, tag: u64::from(action) }), when, calls });
        rig.conductor.finish_work();
    }
    rig.turn(BLOCK);
    let _ = (rig.conductor.status(), rig.conductor.state(), rig.conductor.status_line());
    let written = rig.conductor.show().to_bytes();
    let show = Show::parse(&written);
    // A state that was written must be readable.
    rig.conductor.restore(show.unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&written))));
    for _ in 0..4 {
        rig.turn(BLOCK);
    }
}

/// All addresses, called with valid arguments, and some longer sequences.
fn seeds() -> Vec<Vec<u8>> {
    let addresses = HOUSE.vocabulary.concrete();
    let index = |wanted: &str| addresses.iter().position(|a| a == wanted).unwrap_or(0) as u16;
    let one = |number: u16, args: &[u8]| [&[0][..], &number.to_be_bytes(), &[0], args].concat();
    let mut seeds: Vec<Vec<u8>> = (0..addresses.len() as u16)
        .collect::<Vec<_>>()
        .chunks(24)
        .map(|numbers| numbers.iter().flat_map(|n| [one(*n, &[0; 8]), vec![0xe3]].concat()).collect())
        .collect();
    // Load a file, play it in a loop, and render.
    let load = one(index("/groove/stem/load"), &[0, 9, 0, 0, 0, 2]);
    let play = one(index("/groove/stem/play"), &[0, 9, 0, 0x40, 0, 0, 0xc0, 0, 0, 1, 0, 0, 0]);
    let sound = vec![0xe7, 0xe7];
    seeds.push([load.clone(), sound.clone(), play.clone(), sound.clone()].concat());
    // Notes with an instrument while the tempo changes.
    let note = one(index("/groove/note/on"), &[0, 0x80, 0, 0, 0xc0, 0, 0, 1]);
    let tempo = one(index("/groove/tempo"), &[0, 0x10, 0, 0, 0x10, 0]);
    seeds.push([sound.clone(), note, sound.clone(), tempo, sound.clone(), load, play, sound].concat());
    seeds
}
