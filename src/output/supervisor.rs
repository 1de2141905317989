//! Opens, closes and searches for cards, so that the audio thread never has to.
//!
//! The supervisor has a thread of its own: opening a card can take long, and closing one that was unplugged can block
//! for seconds. While there is no card it tries to open one, often at first and then every two seconds, or at once when
//! the list of cards changes. A card used before is first searched for at the port it was plugged into, before any
//! other of the same name, so two identical cards stay apart.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::alsa::{AlsaPcm, CardRequest};
use super::devices;
use super::pcm::{Pcm, PcmSetup};
use super::player::CardDoor;
use super::report::Report;

/// Interval at which the list of cards is checked: a newly plugged card is noticed within this time.
const LOOK: Duration = Duration::from_millis(100);
/// Maximum interval between attempts to open a card that is present but refuses.
const PATIENCE: Duration = Duration::from_secs(2);

/// Minimum time a card must have been in use to count as working.
const LIVED: Duration = Duration::from_secs(1);

/// Notifications from the supervisor.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A card was configured and handed to the player.
    Opened {
        /// Its granted configuration.
        setup: PcmSetup,
    },
    /// A card came back from the player.
    Lost {
        /// Its name.
        device: String,
        /// errno of the failure.
        errno: i32,
    },
    /// None of the devices can be used. Sent once per distinct reason.
    None {
        /// The reasons, with a remedy.
        why: String,
    },
}

/// Opens a card according to the operator's settings: [`open_alsa`] in production, a test's own otherwise.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn Pcm>, String> + Send>;

/// Returns the opener for real cards.
pub fn open_alsa(wanted: Option<String>, wish: CardRequest) -> Opener {
    let mut last_path: Option<String> = None;
    Box::new(move || {
        let mut names = devices::resolve(wanted.as_deref());
        if let (None, Some(path)) = (&wanted, &last_path)
            && let Some(same) = devices::list().into_iter().find(|d| d.path == *path)
        {
            // The card used before, in the port used before, comes first.
            names.retain(|n| *n != same.name);
            names.insert(0, same.name);
        }
        if names.is_empty() {
            return Err(format!(
                "--device {}: no device with this number (list them with 'grooved devices')",
                wanted.as_deref().unwrap_or_default()
            ));
        }
        let mut reasons = Vec::new();
        for name in names {
            match AlsaPcm::open(&name, &wish) {
                Ok(pcm) => {
                    last_path = devices::list().into_iter().find(|d| d.name == name).map(|d| d.path);
                    return Ok(Box::new(pcm));
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Err(reasons.join("; "))
    })
}

/// The running supervisor.
pub struct Supervisor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    /// Starts the thread, which calls `tell` with every notification.
    pub fn start(
        mut opener: Opener,
        mut door: CardDoor,
        report: Arc<Report>,
        mut tell: impl FnMut(Notice) + Send + 'static,
    ) -> std::io::Result<Supervisor> {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = std::thread::Builder::new().name("device".into()).spawn(move || {
            let mut has_card = false;
            let mut opened_at = Instant::now();
            let mut next_try = Instant::now();
            let mut pause = LOOK;
            let mut cards = card_list();
            let mut said = VecDeque::new();
            while !told.load(Relaxed) {
                while let Some(pcm) = door.take_spent() {
                    let device = pcm.setup().device.clone();
                    let errno = report.last_error.load(Relaxed) as i32;
                    // Closing may block; that is what this thread is for.
                    drop(pcm);
                    tell(Notice::Lost { device, errno });
                    has_card = false;
                    // A card that failed soon after opening is retried, but at increasing intervals.
                    if opened_at.elapsed() > LIVED {
                        pause = LOOK;
                        said.clear();
                    } else {
                        pause = (pause * 2).min(PATIENCE);
                    }
                    next_try = Instant::now() + if pause > LOOK { pause } else { Duration::ZERO };
                }
                if !has_card {
                    let now_cards = card_list();
                    if now_cards != cards {
                        cards = now_cards;
                        pause = LOOK;
                        next_try = Instant::now();
                    }
                    if Instant::now() >= next_try {
                        match opener() {
                            Ok(pcm) => {
                                let setup = pcm.setup().clone();
                                if door.offer(pcm).is_ok() {
                                    has_card = true;
                                    opened_at = Instant::now();
                                    tell(Notice::Opened { setup });
                                }
                            }
                            Err(why) => {
                                if !said.contains(&why) {
                                    said.push_back(why.clone());
                                    said.truncate(8);
                                    tell(Notice::None { why });
                                }
                                pause = (pause * 2).min(PATIENCE);
                            }
                        }
                        next_try = Instant::now() + pause;
                    }
                }
                std::thread::sleep(LOOK);
            }
        })?;
        Ok(Supervisor { stop, thread: Some(thread) })
    }

    /// Stops the thread.
    pub fn finish(mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn card_list() -> String {
    std::fs::read_to_string("/proc/asound/cards").unwrap_or_default()
}
