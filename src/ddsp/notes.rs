//! Notes of genomes: rendered when they are first played, kept for the next time, and rendered ahead around those in use.
//!
//! A voice asks for a note and plays it as soon as its first frames exist. The renders run on threads of normal
//! priority, which a dispatching thread starts, because a voice's thread would pass on its realtime priority. Notes
//! that are waited for go first: a render that has a lead pauses while others are starting, and renders ahead pause
//! while any note is rendered that is being played.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::atomic::{Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use crate::genome::{Collection, Fault, Genome, Pace, Pitch, Sound, Take};

/// Steps of velocity that are rendered; a note is rendered with the next higher one.
const VELOCITIES: u8 = 8;
/// Frames after which a render has a lead: 0.1 s.
const LEAD: usize = 4_800;
/// How long a render that must wait for others sleeps.
const PAUSE: Duration = Duration::from_millis(1);
/// Pauses in a row of a render that is being played: less than half of what a piece of it lasts.
const MOST_PAUSES: usize = 10;
/// How often the dispatcher looks whether a render ahead has ended.
const LOOK: Duration = Duration::from_millis(5);
/// Distances in semitones of the notes that are rendered ahead, in this order.
const AROUND: [f64; 8] = [1.0, -1.0, 2.0, -2.0, 12.0, -12.0, 7.0, -5.0];
/// Notes that are kept.
const MOST_NOTES: usize = 1_024;
/// Notes that may wait to be rendered ahead; the oldest are dropped.
const MOST_AHEAD: usize = 24;

/// The rendered form of a note: instrument, pitch in hundredths of a semitone, step of velocity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    instrument: u64,
    cents: i32,
    velocity: u8,
}

impl Key {
    fn new(instrument: u64, midi: f64, velocity: f64) -> Key {
        let steps = f64::from(VELOCITIES);
        let velocity = (velocity * steps).ceil().clamp(1.0, steps) as u8;
        Key { instrument, cents: (midi * 100.0).round().clamp(-5_000.0, 18_800.0) as i32, velocity }
    }

    fn midi(self) -> f64 {
        f64::from(self.cents) / 100.0
    }
}

/// A note that is rendered, being rendered, or about to be.
#[derive(Debug, Default)]
pub struct Note {
    take: OnceLock<Result<Take, Fault>>,
    /// It is or has been played, so that its render must not wait for others.
    is_played: AtomicBool,
}

impl Note {
    /// Its sound, once the render has begun; an error if it could not.
    pub fn take(&self) -> Option<Result<&Take, &Fault>> {
        self.take.get().map(Result::as_ref)
    }
}

/// A cached note.
struct Entry {
    key: Key,
    note: Arc<Note>,
    bytes: usize,
}

/// A request to the dispatcher.
enum Ask {
    /// A note that is waited for.
    Now(Key, Arc<Note>, Arc<Plan>),
    /// The neighbours of a note in use.
    Around(Key, Arc<Plan>),
}

/// What is needed to render notes of an instrument.
#[derive(Debug)]
struct Plan {
    genome: Arc<Genome>,
    duration: f64,
    /// Semitones that are added to the pitch of each note.
    transpose: f64,
}

impl Plan {
    fn sound(&self, key: Key) -> Sound {
        // Key 69 is 440 Hz, which is the frequency that the oscillators of a genome have without an offset.
        let semitones = (key.midi() - 69.0 + self.transpose).clamp(-120.0, 120.0);
        Sound {
            duration: self.duration,
            note_delta: Pitch::Semitones(semitones),
            velocity: f64::from(key.velocity) / f64::from(VELOCITIES),
        }
    }

    fn bytes(&self) -> usize {
        self.sound(Key::new(0, 69.0, 1.0)).frames() * size_of::<f32>()
    }
}

/// The notes of all instruments that are genomes, most recently used first.
pub struct NoteCache {
    collection: Arc<Collection>,
    entries: Mutex<VecDeque<Entry>>,
    most_bytes: usize,
    asks: Sender<Ask>,
    next: AtomicU64,
    /// Whether voices wait for renders instead of being silent: in offline renders.
    pub steady: bool,
}

impl std::fmt::Debug for NoteCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoteCache").field("collection", &self.collection).finish_non_exhaustive()
    }
}

impl NoteCache {
    /// Starts the dispatching thread. Notes take up to `most_bytes` of memory, and those that sound now.
    ///
    /// # Errors
    /// If the system cannot create the thread.
    pub fn start(collection: Arc<Collection>, most_bytes: usize, steady: bool) -> std::io::Result<Arc<NoteCache>> {
        let (asks, inbox) = channel();
        let entries = Mutex::default();
        let cache = Arc::new(NoteCache { collection, entries, most_bytes, asks, next: AtomicU64::new(0), steady });
        let dispatcher = Dispatcher {
            cache: Arc::downgrade(&cache),
            starting: Arc::default(),
            sounding: Arc::default(),
            ahead: VecDeque::new(),
            current: None,
        };
        std::thread::Builder::new().name("notes".into()).spawn(move || dispatcher.run(&inbox))?;
        Ok(cache)
    }

    fn entries(&self) -> MutexGuard<'_, VecDeque<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a note, which is rendered if it is not there.
    fn note(&self, key: Key, plan: &Arc<Plan>) -> Arc<Note> {
        let mut entries = self.entries();
        let known = entries.iter().position(|e| e.key == key).and_then(|at| entries.remove(at));
        let is_new = known.is_none();
        let entry = known.unwrap_or_else(|| Entry { key, note: Arc::default(), bytes: plan.bytes() });
        let note = entry.note.clone();
        entries.push_front(entry);
        let was_played = note.is_played.swap(true, AcqRel);
        let mut bytes: usize = entries.iter().map(|e| e.bytes).sum();
        let mut surplus = Vec::new();
        while entries.len() > 1 && (bytes > self.most_bytes || entries.len() > MOST_NOTES) {
            let last = entries.pop_back();
            bytes -= last.as_ref().map_or(0, |e| e.bytes);
            surplus.extend(last);
        }
        drop(entries);
        // Freeing takes time that others need not wait for.
        drop(surplus);
        // The dispatcher lives as long as the cache.
        if is_new {
            let _ = self.asks.send(Ask::Now(key, note.clone(), plan.clone()));
        }
        if !was_played && !self.steady {
            let _ = self.asks.send(Ask::Around(key, plan.clone()));
        }
        note
    }

    /// Makes room for a note that is rendered ahead; `None` if it is there, or if only notes in use could make room.
    fn reserve(&self, key: Key, plan: &Plan) -> Option<Arc<Note>> {
        let mut entries = self.entries();
        if entries.iter().any(|e| e.key == key) {
            return None;
        }
        let size = plan.bytes();
        let mut bytes: usize = entries.iter().map(|e| e.bytes).sum();
        while bytes + size > self.most_bytes || entries.len() >= MOST_NOTES {
            let oldest = entries.iter().rposition(|e| !e.note.is_played.load(Acquire))?;
            bytes -= entries.remove(oldest).map_or(0, |e| e.bytes);
        }
        let note = Arc::<Note>::default();
        entries.push_front(Entry { key, note: note.clone(), bytes: size });
        Some(note)
    }
}

/// Counts a render among those of a kind until it is dropped.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Counted {
        count.fetch_add(1, AcqRel);
        Counted(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, AcqRel);
    }
}

/// Starts the renders, on a thread of its own.
struct Dispatcher {
    cache: Weak<NoteCache>,
    /// Renders that are waited for and have no lead yet.
    starting: Arc<AtomicUsize>,
    /// Renders that are waited for.
    sounding: Arc<AtomicUsize>,
    ahead: VecDeque<(Key, Arc<Plan>)>,
    /// The render ahead that is under way.
    current: Option<Weak<Note>>,
}

impl Dispatcher {
    fn run(mut self, inbox: &Receiver<Ask>) {
        loop {
            let is_idle = self.ahead.is_empty() && self.current.is_none();
            let asked = if is_idle { inbox.recv().map_err(RecvTimeoutError::from) } else { inbox.recv_timeout(LOOK) };
            match asked {
                Ok(Ask::Now(key, note, plan)) => self.begin(key, &note, &plan, true),
                Ok(Ask::Around(key, plan)) => {
                    for distance in AROUND {
                        let near = Key::new(key.instrument, key.midi() + distance, 0.0);
                        self.ahead.push_back((Key { velocity: key.velocity, ..near }, plan.clone()));
                    }
                    let surplus = self.ahead.len().saturating_sub(MOST_AHEAD);
                    self.ahead.drain(..surplus);
                }
                Err(RecvTimeoutError::Timeout) => self.go_ahead(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Starts the next render ahead, once the last one has ended.
    fn go_ahead(&mut self) {
        let current = self.current.as_ref().and_then(Weak::upgrade);
        let is_under_way = current.is_some_and(|note| note.take().is_some_and(|t| t.is_ok_and(|t| !t.has_ended())));
        if is_under_way || self.sounding.load(Acquire) > 0 {
            return;
        }
        self.current = None;
        let Some(cache) = self.cache.upgrade() else { return };
        while let Some((key, plan)) = self.ahead.pop_front() {
            if let Some(note) = cache.reserve(key, &plan) {
                self.begin(key, &note, &plan, false);
                self.current = Some(Arc::downgrade(&note));
                return;
            }
        }
    }

    fn begin(&self, key: Key, note: &Arc<Note>, plan: &Arc<Plan>, is_waited_for: bool) {
        let (starting, sounding) = (self.starting.clone(), self.sounding.clone());
        let pace: Pace = if is_waited_for {
            let (mut waited, counted) = (Some(Counted::new(&starting)), Counted::new(&sounding));
            Box::new(move |rendered| {
                let _held = &counted;
                if rendered >= LEAD {
                    drop(waited.take());
                    // For a limited time: others may take long to begin, and this one is being played.
                    for _ in 0..MOST_PAUSES {
                        if starting.load(Acquire) == 0 {
                            break;
                        }
                        std::thread::sleep(PAUSE);
                    }
                }
                true
            })
        } else {
            let note = Arc::downgrade(note);
            Box::new(move |_| {
                let waits = || note.upgrade().is_some_and(|note| !note.is_played.load(Acquire));
                while sounding.load(Acquire) > 0 && waits() {
                    std::thread::sleep(PAUSE);
                }
                true
            })
        };
        let genome = plan.genome.clone();
        let take = Take::start(move || Ok(genome), plan.sound(key), Some(pace));
        // Nobody else sets it.
        let _ = note.take.set(take);
    }
}

/// An instrument whose notes are renders of a genome. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GenomeInstrument {
    id: String,
    serial: u64,
    plan: Arc<Plan>,
    /// Factor that brings the loudest sample of the tested note to [`PEAK`].
    gain: f32,
    cache: Arc<NoteCache>,
}

/// Peak of a note at full loudness, as far as the tested note is typical.
const PEAK: f32 = 0.5;
/// Peak below which a note is silent: -80 dBFS.
const SILENCE: f32 = 1e-4;
/// Seconds that a note may last.
const LONGEST_NOTE_S: f64 = 20.0;
/// The most that a quiet genome is amplified.
const MOST_GAIN: f32 = 8.0;
/// The tested note: A4 at three quarters of the velocity.
const TESTED: (f64, f64) = (69.0, 0.75);

impl GenomeInstrument {
    /// Opens a genome as an instrument: `name` is `genome:ID`, with `duration` (of a note) and `noteDelta` (a
    /// transposition) after `?` if needed. Renders one note, to know that it can be played and how loud it is. Blocks.
    ///
    /// # Errors
    /// A message that says why it cannot be used.
    pub fn open(cache: &Arc<NoteCache>, name: &str) -> Result<GenomeInstrument, String> {
        let open = || {
            let address = crate::genome::Address::parse(name)?;
            cache.collection.check(&address)?;
            if address.sound.duration > LONGEST_NOTE_S {
                return Err(Fault::Argument {
                    argument: "duration",
                    received: address.sound.duration.to_string(),
                    expected: format!("at most {LONGEST_NOTE_S} seconds for a note"),
                });
            }
            let genome = cache.collection.genome(&address.id)?;
            let transpose = match address.sound.note_delta {
                Pitch::Semitones(count) => count,
                Pitch::Ratio(..) => 0.0,
            };
            let plan = Arc::new(Plan { genome, duration: address.sound.duration, transpose });
            let serial = cache.next.fetch_add(1, Relaxed);
            let mut instrument = GenomeInstrument { id: address.id, serial, plan, gain: 1.0, cache: cache.clone() };
            instrument.gain = instrument.test()?;
            if instrument.gain == 0.0 {
                tracing::warn!("{name}: its tested note (A4) is silent");
                instrument.gain = 1.0;
            }
            Ok(instrument)
        };
        open().map_err(|fault: Fault| format!("'{name}' cannot be played: {fault}"))
    }

    /// Renders the tested note; returns the gain for it, 0 if it is silent.
    fn test(&self) -> Result<f32, Fault> {
        let sound = self.plan.sound(Key::new(self.serial, TESTED.0, TESTED.1));
        let genome = self.plan.genome.clone();
        let take = Take::start(move || Ok(genome), sound, None)?;
        take.wait(usize::MAX, Duration::MAX)?;
        let (mut peak, mut at, mut block) = (0.0f32, 0, [0.0; 1024]);
        loop {
            let count = take.read(at, &mut block);
            if count == 0 {
                break;
            }
            peak = block[..count].iter().fold(peak, |peak, s| peak.max(s.abs()));
            at += count;
        }
        Ok(if peak > SILENCE { (PEAK / peak).min(MOST_GAIN) } else { 0.0 })
    }

    /// Id of the genome.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns whether this still is what the database has under that id.
    pub fn is_current(&self) -> bool {
        self.cache.collection.genome(&self.id).is_ok_and(|now| Arc::ptr_eq(&now, &self.plan.genome))
    }

    /// Linear gain of all notes.
    pub fn gain(&self) -> f32 {
        self.gain
    }

    /// Returns whether voices wait for renders.
    pub fn is_steady(&self) -> bool {
        self.cache.steady
    }

    /// Returns a note and the pitch it has when played at its own speed: MIDI number, loudness 0 to 1. Takes a lock
    /// for as long as it takes to search the cache. Realtime: no.
    pub fn note(&self, midi: f64, loudness: f64) -> (Arc<Note>, f64) {
        let key = Key::new(self.serial, midi, loudness);
        (self.cache.note(key, &self.plan), key.midi())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::genome::{Evaluation, render_whole};

    /// A folder that is removed when it is dropped.
    pub struct Folder(std::path::PathBuf);

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A genome that sounds at once, and the transposition of the tests.
    pub const GENOME: &str = "genome:01KSFIX000";
    pub const DELTA: f64 = -12.0;

    fn bytes() -> Vec<u8> {
        std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/genomes/01KSFIX000.json.gz")).unwrap()
    }

    /// The whole render.
    pub fn raw(duration: f64, semitones: f64, velocity: f64) -> Vec<f32> {
        let genome = Genome::from_bytes(&bytes()).unwrap();
        let sound = Sound { duration, note_delta: Pitch::Semitones(semitones), velocity };
        render_whole(&genome, sound, Evaluation::Eager).unwrap()
    }

    /// A cache over a database with the genome.
    pub fn cache(name: &str, steady: bool, most_bytes: usize) -> (Folder, Arc<NoteCache>) {
        let folder = std::env::temp_dir().join(format!("grooved-notes-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let database = folder.join("genomes.sqlite");
        crate::genome::import(&database, "01KSFIX000", &bytes()).unwrap();
        let collection = Arc::new(Collection::new(database, 8, 60.0));
        (Folder(folder), NoteCache::start(collection, most_bytes, steady).unwrap())
    }

    fn keys(cache: &NoteCache) -> Vec<i32> {
        cache.entries().iter().map(|e| e.key.cents).collect()
    }

    fn wait_for(what: impl Fn() -> bool) {
        let begun = std::time::Instant::now();
        while !what() {
            assert!(begun.elapsed().as_secs() < 20, "it takes too long");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn neighbours_of_a_note_in_use_are_rendered_ahead_within_the_memory_given() {
        // A note of 0.1 s has 19 200 bytes.
        let (_folder, cache) = cache("ahead", false, 6 * 19_200);
        let instrument = GenomeInstrument::open(&cache, &format!("{GENOME}?duration=0.1")).unwrap();
        let (note, rendered) = instrument.note(60.004, 0.6);
        assert_eq!(rendered, 60.0);
        wait_for(|| note.take().is_some_and(|t| t.unwrap().has_ended()));
        wait_for(|| keys(&cache).len() == 6);
        let mut all = keys(&cache);
        assert!(all.contains(&6_000), "{all:?}");
        all.sort_unstable();
        assert!(all.windows(2).all(|w| w[0] < w[1]), "each once: {all:?}");
        // Notes that are played stay before those that may be played.
        let notes: Vec<_> = (0..6).map(|k| instrument.note(80.0 + f64::from(k), 0.6).0).collect();
        wait_for(|| notes.iter().all(|n| n.take().is_some_and(|t| t.unwrap().has_ended())));
        std::thread::sleep(Duration::from_millis(50));
        let mut all = keys(&cache);
        all.sort_unstable();
        assert_eq!(all, [8_000, 8_100, 8_200, 8_300, 8_400, 8_500]);
        assert!(Arc::ptr_eq(&instrument.note(85.0, 0.55).0, &notes[5]), "the same step of velocity");
        assert!(!Arc::ptr_eq(&instrument.note(85.0, 0.2).0, &notes[5]));
    }

    #[test]
    fn what_cannot_be_played_is_refused_with_the_reason() {
        let (_folder, cache) = cache("refused", false, 1 << 20);
        for (name, told) in [
            ("genome:nosuch", "'genome:nosuch' cannot be played: Genome nosuch not found"),
            ("genome:01KSFIX000?duration=61", "at most 60 seconds"),
        ] {
            let why = GenomeInstrument::open(&cache, name).map(drop).unwrap_err();
            assert!(why.contains(told), "{why}");
        }
    }
}
