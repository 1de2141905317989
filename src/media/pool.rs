//! Loads files on threads that may hang with their disks, so that no other thread does.
//!
//! - Each media root has a thread that looks up paths in it. If it has not answered for [`LOOKUP_LIMIT`], the root is
//!   considered unresponsive and skipped until it answers.
//! - Each load has its own thread; `PER_DEVICE` of them decode at a time per device. A load fails if its disk does not
//!   answer a read within [`READ_LIMIT`]; its thread is left behind, and further loads from that device fail at once
//!   until the disk has answered.
//! - A supervising thread, which touches no disk, distributes the work and enforces the limits.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::file::{IoWatch, MediaFile};
use super::library::{Library, Look, NotFound, Wanted, best};
use super::loader::{LoadError, Loaded, Part, load};
use super::rendered;
use super::root::Root;
use crate::genome::{Collection, is_address};

/// Time limit of a path lookup in one root.
pub const LOOKUP_LIMIT: Duration = Duration::from_secs(2);
/// How much longer to wait for the other roots once one has found the file.
const GRACE: Duration = Duration::from_millis(250);
/// Time limit of a single read of a load.
pub const READ_LIMIT: Duration = Duration::from_secs(5);
/// Loads that decode at the same time, per device.
const PER_DEVICE: usize = 2;
/// Loads that have a thread at the same time; the others wait.
const MOST_THREADS: usize = 64;
/// Of these, loads of genomes: their start is rendered meanwhile.
const MOST_GENOMES: usize = 4;
/// How long the reader of a stem waits for sound that is being rendered before it looks for other requests.
const PATIENCE: Duration = Duration::from_millis(20);
/// Interval at which the limits are checked.
const LOOK: Duration = Duration::from_millis(100);

/// A request to load a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadJob {
    /// Identifies the request; returned with the result.
    pub tag: u64,
    /// The path, as the client sent it.
    pub requested: String,
}

/// A finished load.
pub struct Done {
    /// The tag of the job.
    pub tag: u64,
    /// The stem, or the error.
    pub result: Result<Loaded, LoadError>,
}

/// A message to the supervising thread.
enum Mail {
    Load(LoadJob),
    Roots(Library),
    /// A load has ended: its number and result.
    Ended(u64, Box<Result<Loaded, LoadError>>),
}

/// Handle of the supervising thread.
#[derive(Clone)]
pub struct Pool {
    mail: Sender<Mail>,
    /// Debugging aid: milliseconds to delay the next job, once.
    pub stall_ms: Arc<AtomicU64>,
}

impl Pool {
    /// Starts the supervising thread; `deliver` is called on it with every result.
    ///
    /// # Errors
    /// If the system cannot create the thread.
    pub fn start(library: Library, deliver: impl Fn(Done) + Send + 'static) -> std::io::Result<Pool> {
        let (mail, inbox) = channel();
        let stall_ms = Arc::new(AtomicU64::new(0));
        let pool = Pool { mail: mail.clone(), stall_ms: stall_ms.clone() };
        std::thread::Builder::new().name("loads".into()).spawn(move || {
            let mut supervisor = Supervisor {
                seats: Vec::new(),
                genomes: None,
                devices: Arc::default(),
                waiting: VecDeque::new(),
                waiting_genomes: VecDeque::new(),
                running: HashMap::new(),
                next: 0,
                mail,
                stall_ms,
                deliver: Box::new(deliver),
            };
            supervisor.take_roots(&library);
            supervisor.run(&inbox);
        })?;
        Ok(pool)
    }

    /// Queues a job.
    pub fn submit(&self, job: LoadJob) {
        // The thread lives as long as the process.
        let _ = self.mail.send(Mail::Load(job));
    }

    /// Replaces the media roots. The database of genomes stays the same unless the library has one.
    pub fn set_roots(&self, library: Library) {
        let _ = self.mail.send(Mail::Roots(library));
    }
}

/// A path to be looked up in one root, with the channel for the result.
struct Question {
    wanted: Arc<Wanted>,
    index: usize,
    reply: Sender<(usize, Look)>,
}

/// A root with its lookup thread.
#[derive(Clone)]
struct Seat {
    root: Root,
    ask: Sender<Question>,
    watch: Arc<IoWatch>,
}

impl Seat {
    fn start(root: Root) -> std::io::Result<Seat> {
        let (ask, inbox) = channel::<Question>();
        let watch: Arc<IoWatch> = Arc::default();
        let (own, shown) = (root.clone(), watch.clone());
        std::thread::Builder::new().name("lookup".into()).spawn(move || {
            if !shown.during(|| own.is_there()) {
                tracing::info!(
                    "media.roots: {} does not exist yet; it will be used once it appears",
                    own.path.display()
                );
            }
            for question in inbox {
                // Only the lookup is watched here; the load has its own watch, which starts with its file.
                let look = shown.during(|| question.wanted.look(&own, &Arc::default()));
                let _ = question.reply.send((question.index, look));
            }
        })?;
        Ok(Seat { root, ask, watch })
    }

    fn is_unresponsive(&self) -> bool {
        self.watch.waiting_for() >= LOOKUP_LIMIT
    }

    fn silence(&self, limit: Duration) -> String {
        format!("{}: no response for {} s", self.root.path.display(), limit.as_secs())
    }
}

/// Number of loads per device.
#[derive(Default)]
struct Devices {
    busy: Mutex<HashMap<u64, Busy>>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default)]
struct Busy {
    running: usize,
    hung: usize,
}

impl Devices {
    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Busy>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, device: u64, change: impl FnOnce(&mut Busy)) {
        let mut all = self.lock();
        let busy = all.entry(device).or_default();
        change(busy);
        if busy.running + busy.hung == 0 {
            all.remove(&device);
        }
        drop(all);
        self.changed.notify_all();
    }

    /// Waits for a turn on a device; returns `false` if the device does not respond.
    fn enter(&self, device: u64) -> bool {
        let mut all = self.lock();
        loop {
            let busy = all.entry(device).or_default();
            if busy.hung > 0 {
                return false;
            }
            if busy.running < PER_DEVICE {
                busy.running += 1;
                return true;
            }
            all = self.changed.wait(all).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// A load that has a thread.
struct Running {
    tag: u64,
    is_genome: bool,
    /// Its file, once decoding has begun.
    file: Arc<Mutex<Option<Arc<MediaFile>>>>,
    /// Whether the load has been reported as failed and its result is to be ignored.
    abandoned: bool,
}

struct Supervisor {
    seats: Vec<Seat>,
    genomes: Option<Arc<Collection>>,
    devices: Arc<Devices>,
    waiting: VecDeque<LoadJob>,
    /// Genomes wait in a queue of their own, so that files do not wait for them.
    waiting_genomes: VecDeque<LoadJob>,
    running: HashMap<u64, Running>,
    next: u64,
    mail: Sender<Mail>,
    stall_ms: Arc<AtomicU64>,
    deliver: Box<dyn Fn(Done) + Send>,
}

impl Supervisor {
    fn run(&mut self, inbox: &Receiver<Mail>) {
        loop {
            match inbox.recv_timeout(LOOK) {
                Ok(Mail::Load(job)) if is_address(&job.requested) => self.waiting_genomes.push_back(job),
                Ok(Mail::Load(job)) => self.waiting.push_back(job),
                Ok(Mail::Roots(library)) => self.take_roots(&library),
                Ok(Mail::Ended(number, result)) => self.ended(number, *result),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.abandon_hung();
            while self.running.values().filter(|r| !r.is_genome).count() < MOST_THREADS
                && let Some(job) = self.waiting.pop_front()
            {
                self.begin(job);
            }
            while self.running.values().filter(|r| r.is_genome).count() < MOST_GENOMES
                && let Some(job) = self.waiting_genomes.pop_front()
            {
                self.begin(job);
            }
        }
    }

    fn take_roots(&mut self, library: &Library) {
        self.genomes = library.genomes().or(self.genomes.as_ref()).cloned();
        let before = std::mem::take(&mut self.seats);
        for root in library.roots() {
            let known = before.iter().find(|seat| seat.root == *root).cloned();
            match known.map_or_else(|| Seat::start(root.clone()), Ok) {
                Ok(seat) => self.seats.push(seat),
                Err(error) => tracing::error!("media.roots: no thread for {}: {error}", root.path.display()),
            }
        }
    }

    fn begin(&mut self, job: LoadJob) {
        let number = self.next;
        self.next += 1;
        let file: Arc<Mutex<Option<Arc<MediaFile>>>> = Arc::default();
        let (seats, devices, mail) = (self.seats.clone(), self.devices.clone(), self.mail.clone());
        let (shown, nap) = (file.clone(), Duration::from_millis(self.stall_ms.swap(0, Relaxed)));
        let (requested, genomes) = (job.requested, self.genomes.clone());
        let is_genome = is_address(&requested);
        let spawned = std::thread::Builder::new().name("loader".into()).spawn(move || {
            std::thread::sleep(nap);
            let result = Box::new(find_and_load(&requested, (&seats, genomes.as_ref()), &devices, &shown));
            let _ = mail.send(Mail::Ended(number, result));
        });
        self.running.insert(number, Running { tag: job.tag, is_genome, file, abandoned: false });
        if let Err(error) = spawned {
            self.ended(number, Err(LoadError::NoThread(error.to_string())));
        }
    }

    fn ended(&mut self, number: u64, result: Result<Loaded, LoadError>) {
        let Some(running) = self.running.remove(&number) else { return };
        let file = running.file.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(file) = file {
            self.devices.change(file.device(), |busy| match running.abandoned {
                true => busy.hung -= 1,
                false => busy.running -= 1,
            });
        }
        if !running.abandoned {
            (self.deliver)(Done { tag: running.tag, result });
        }
    }

    /// Fails loads whose disk does not answer.
    fn abandon_hung(&mut self) {
        for running in self.running.values_mut().filter(|r| !r.abandoned) {
            let file = running.file.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let Some(file) = file.filter(|f| f.watch().waiting_for() >= READ_LIMIT) else { continue };
            running.abandoned = true;
            self.devices.change(file.device(), |busy| {
                busy.running -= 1;
                busy.hung += 1;
            });
            let error = LoadError::NoResponse(file.path().display().to_string(), READ_LIMIT.as_secs());
            (self.deliver)(Done { tag: running.tag, result: Err(error) });
        }
    }
}

/// Finds and loads a file, on a loader thread.
fn find_and_load(
    requested: &str,
    (seats, genomes): (&[Seat], Option<&Arc<Collection>>),
    devices: &Devices,
    shown: &Mutex<Option<Arc<MediaFile>>>,
) -> Result<Loaded, LoadError> {
    let (requested, part) = Part::of(requested);
    let file = opened(requested, genomes, |path| find(path, seats))?;
    if !devices.enter(file.device()) {
        return Err(LoadError::NoResponse(file.path().display().to_string(), READ_LIMIT.as_secs()));
    }
    *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(file.clone());
    // A decoder that panics on a hostile file must not take down the daemon.
    let result = std::panic::catch_unwind(|| load(&file, part));
    // Its reader has other requests to serve.
    file.be_patient_for(PATIENCE);
    result.unwrap_or_else(|_| Err(LoadError::damaged(file.path(), "the decoder failed")))
}

/// Opens what a client names: the sound of a genome, or a file that `find` looks up.
fn opened(
    requested: &str,
    genomes: Option<&Arc<Collection>>,
    find: impl FnOnce(&str) -> Result<Arc<MediaFile>, NotFound>,
) -> Result<Arc<MediaFile>, LoadError> {
    if is_address(requested) {
        return rendered::open(requested, genomes).map_err(|fault| LoadError::Genome(requested.into(), fault));
    }
    Ok(find(requested)?)
}

/// Looks up a path in all roots at once.
fn find(requested: &str, seats: &[Seat]) -> Result<Arc<MediaFile>, NotFound> {
    let wanted = Arc::new(Wanted::of(requested)?);
    let roots: Vec<Root> = seats.iter().map(|seat| seat.root.clone()).collect();
    let (reply, replies) = channel();
    let mut looks: Vec<Option<Look>> = Vec::new();
    for (index, seat) in seats.iter().enumerate() {
        looks.push(seat.is_unresponsive().then(|| Look::Nothing(vec![seat.silence(LOOKUP_LIMIT)])));
        if looks[index].is_none() {
            let _ = seat.ask.send(Question { wanted: wanted.clone(), index, reply: reply.clone() });
        }
    }
    drop(reply);
    let mut deadline = Instant::now() + LOOKUP_LIMIT;
    while looks.iter().any(Option::is_none) {
        let left = deadline.saturating_duration_since(Instant::now());
        match replies.recv_timeout(left) {
            Ok((index, look)) => {
                match look {
                    // The exact path: no other root can have a better match.
                    Look::Found(0, file) => return Ok(file),
                    Look::Found(..) => deadline = deadline.min(Instant::now() + GRACE),
                    Look::Nothing(_) => {}
                }
                looks[index] = Some(look);
            }
            Err(_) => break,
        }
    }
    let silent = |index: usize| Look::Nothing(vec![seats[index].silence(LOOKUP_LIMIT)]);
    let looks = looks.into_iter().enumerate().map(|(k, look)| look.unwrap_or_else(|| silent(k))).collect();
    best(&wanted, &roots, looks)
}

/// Loads a file in the calling thread, for offline renders.
///
/// # Errors
/// If the file cannot be found or decoded.
pub fn load_now(library: &Library, requested: &str) -> Result<Loaded, LoadError> {
    let (requested, part) = Part::of(requested);
    load(&opened(requested, library.genomes(), |path| library.open(path))?, part)
}
