//! The DDSP stream: WebSocket on a port of its own, any path, as the clients of an older server expect it. Notes go in,
//! audio comes out, and nothing else can be reached here.
//!
//! - [`protocol`]: what is said, in JSON
//! - [`monitor`]: a client's sound on the speakers as well
//! - [`session`]: one client: a thread that renders on time, and the socket's two halves
//!
//! Every client has voices of its own and a thread of its own, so that one that stalls is felt by nobody else. Clients,
//! messages and queues are bounded; a client that does not read loses whole frames and is told how many.

pub mod monitor;
pub mod protocol;
pub mod session;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Router};
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::closing::Ending;
use super::connection::{self, is_allowed, problem};
use super::lobby::{Lobby, Visitor};
use super::tally::StreamTally;
use crate::ddsp::library::Shelf;
use crate::system::time::monotonic_ns;

/// The longest life of a connection that is no WebSocket.
const LONGEST: Duration = Duration::from_secs(20);
/// A client that has not read for so long makes room for another.
const MOST_STALLED: Duration = Duration::from_secs(5);
/// Time that takes.
const MAKE_ROOM: Duration = Duration::from_secs(2);
/// What the system may keep of frames that a client does not read: a third of a second.
const UNSENT_BYTES: usize = 32 * 1024;

/// What is played, and to how many.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The instrument at first: a name, or the path of a file.
    pub instrument: String,
    /// Where instruments are.
    pub shelf: Arc<Shelf>,
    /// Voices of each client, 1 to 32.
    pub voices: usize,
    /// Clients at a time.
    pub clients: usize,
    /// Milliseconds of a frame.
    pub frame_ms: f64,
    /// The way to the speakers, if it is open to clients.
    pub monitor: Option<Arc<monitor::Monitor>>,
    /// Who may connect.
    pub allow: Vec<IpNet>,
    /// The end of the daemon.
    pub ending: Ending,
    /// What a rendering thread does first. Clients from the network set its load, so it gets no realtime priority: a stage
    /// must not fall silent because somebody asks for a thousand frames at once.
    pub enter: fn(),
}

/// The stream's side of everything.
pub struct Studio {
    /// What was asked for at the start.
    pub settings: Settings,
    /// What is counted.
    pub counts: Arc<StreamTally>,
    places: Arc<Semaphore>,
    /// Who is there, and since when it has not read.
    stalls: Mutex<Vec<Weak<Stall>>>,
}

/// Since when a client has not taken its frames, and the way to end its stay.
#[derive(Debug, Default)]
pub struct Stall {
    /// Monotonic, in nanoseconds; 0: it takes them.
    since: AtomicU64,
    evict: Notify,
}

impl Stall {
    /// A frame was taken, or could not be.
    pub fn note(&self, taken: bool) {
        if taken {
            self.since.store(0, Relaxed);
        } else {
            let _ = self.since.compare_exchange(0, monotonic_ns().max(1), Relaxed, Relaxed);
        }
    }

    /// Returns when the client has to make room for another.
    pub async fn evicted(&self) {
        self.evict.notified().await;
    }

    fn lasts(&self) -> Duration {
        match self.since.load(Relaxed) {
            0 => Duration::ZERO,
            since => Duration::from_nanos(monotonic_ns().saturating_sub(since)),
        }
    }
}

impl Studio {
    /// A place for a client. Where all are taken, the one that has not read for longest makes room, if that is long.
    async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.places.clone().try_acquire_owned() {
            return Some(permit);
        }
        let longest = {
            let mut stalls = self.stalls.lock().unwrap_or_else(PoisonError::into_inner);
            stalls.retain(|s| s.strong_count() > 0);
            stalls.iter().filter_map(Weak::upgrade).max_by_key(|s| s.lasts()).filter(|s| s.lasts() >= MOST_STALLED)
        };
        longest?.evict.notify_one();
        tokio::time::timeout(MAKE_ROOM, self.places.clone().acquire_owned()).await.ok()?.ok()
    }

    /// A studio. Its first instrument is opened when the first client comes; that there is none is told at once.
    ///
    /// # Errors
    /// That there is no such instrument; the studio is there all the same, and tells its clients.
    pub fn open(settings: Settings, counts: Arc<StreamTally>) -> (Arc<Studio>, Result<(), String>) {
        let places = Arc::new(Semaphore::new(settings.clients));
        let studio = Studio { settings, counts, places, stalls: Mutex::default() };
        let first = studio.settings.shelf.library.find(&studio.settings.instrument);
        let first = first.map(drop).map_err(|e| e.to_string());
        (Arc::new(studio), first)
    }
}

/// A client's place among those allowed.
pub struct Place {
    studio: Arc<Studio>,
    _permit: OwnedSemaphorePermit,
    /// Whether it reads.
    pub stall: Arc<Stall>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.studio.counts.clients.fetch_sub(1, Relaxed);
    }
}

/// Serves until the runtime ends.
pub async fn serve(listener: TcpListener, studio: Arc<Studio>) {
    let router = Router::new().fallback(answer).with_state(studio.clone());
    let lobby = Lobby::default();
    loop {
        let (stream, peer) = connection::next(&listener, "DDSP stream").await;
        if !is_allowed(&studio.settings.allow, peer.ip()) {
            if studio.counts.refused.fetch_add(1, Relaxed).is_power_of_two() {
                tracing::warn!("DDSP stream: {} may not connect (ddsp.allow in the configuration)", peer.ip());
            }
            continue;
        }
        let _ = socket2::SockRef::from(&stream).set_send_buffer_size(UNSENT_BYTES);
        connection::answer(stream, peer, router.clone().layer(Extension(peer)), LONGEST, &lobby);
    }
}

async fn answer(
    State(studio): State<Arc<Studio>>,
    Extension(peer): Extension<SocketAddr>,
    Extension(visitor): Extension<Visitor>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(socket) = socket else {
        let why = "this is a WebSocket: connect with ws:// to this very port and send {\"f0s\":[440.0],\"loudness\":0.7}; \
                   frames of 16-bit mono PCM at 48 kHz come back. {\"type\":\"hello\"} tells what else there is";
        return connection::upgrade_required(why);
    };
    let Some(permit) = studio.permit().await else {
        studio.counts.refused.fetch_add(1, Relaxed);
        let why = format!("{} clients are here already (ddsp.clients in the configuration)", studio.settings.clients);
        return problem(StatusCode::SERVICE_UNAVAILABLE, &why);
    };
    studio.counts.clients.fetch_add(1, Relaxed);
    visitor.let_in();
    let stall: Arc<Stall> = Arc::default();
    studio.stalls.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&stall));
    let place = Place { studio: studio.clone(), _permit: permit, stall };
    session::answer(socket, studio, place, peer)
}
