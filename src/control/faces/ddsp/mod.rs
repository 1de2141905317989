//! The DDSP stream: a WebSocket on its own port, any path, compatible with the clients of the older DDSP server. Notes
//! go in, audio comes out, and nothing else can be reached on this port.
//!
//! - [`protocol`]: the JSON messages
//! - [`monitor`]: playing a client on the speakers as well
//! - [`session`]: one client: a render thread, and the two halves of the socket
//!
//! Every client has its own voices and its own thread, so a client that stalls does not affect others. Clients,
//! messages and queues are bounded; a client that does not read loses whole frames, and their number is reported to it.

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

use crate::control::commands::allow::is_allowed;
use crate::control::faces::closing::Ending;
use crate::control::faces::connection::{self, problem};
use crate::control::faces::lobby::{Lobby, Visitor};
use crate::control::publish::counters::StreamTally;
use crate::ddsp::library::InstrumentCache;
use crate::system::time::monotonic_ns;

/// Maximum lifetime of a connection that is not a WebSocket.
const LONGEST: Duration = Duration::from_secs(20);
/// Time without reading after which a client may be evicted in favour of a new one.
const MOST_STALLED: Duration = Duration::from_secs(5);
/// Time a new client waits for an evicted one to leave.
const MAKE_ROOM: Duration = Duration::from_secs(2);
/// Size of the socket's send buffer: a third of a second of frames.
const UNSENT_BYTES: usize = 32 * 1024;

/// StreamSettings of the DDSP stream.
#[derive(Clone, Debug)]
pub struct StreamSettings {
    /// The initial instrument: a name, or the path of a file.
    pub instrument: String,
    /// Cache of instruments.
    pub shelf: Arc<InstrumentCache>,
    /// Voices per client, 1 to 32.
    pub voices: usize,
    /// Maximum number of concurrent clients.
    pub clients: usize,
    /// Frame length in milliseconds.
    pub frame_ms: f64,
    /// Monitoring on the speakers, if clients may use it.
    pub monitor: Option<Arc<monitor::Monitor>>,
    /// Address ranges that may connect.
    pub allow: Vec<IpNet>,
    /// Signal that the daemon is shutting down.
    pub ending: Ending,
    /// Called first on every render thread. Remote clients determine that thread's load, so it must not set a realtime
    /// priority: a client that requests a thousand frames at once must not silence the stage.
    pub enter: fn(),
}

/// The DDSP stream server: settings, counters and the connected clients.
pub struct StreamServer {
    /// StreamSettings of the stream.
    pub settings: StreamSettings,
    /// Counters over all clients.
    pub counts: Arc<StreamTally>,
    places: Arc<Semaphore>,
    /// Stall detectors of the connected clients.
    stalls: Mutex<Vec<Weak<Stall>>>,
}

/// Stall detector of a client, with the signal to evict it.
#[derive(Debug, Default)]
pub struct Stall {
    /// Monotonic time in nanoseconds since which frames are not read; 0 if they are read.
    since: AtomicU64,
    evict: Notify,
}

impl Stall {
    /// Records whether the latest frame could be queued for the client.
    pub fn note(&self, taken: bool) {
        if taken {
            self.since.store(0, Relaxed);
        } else {
            let _ = self.since.compare_exchange(0, monotonic_ns().max(1), Relaxed, Relaxed);
        }
    }

    /// Waits until the client is evicted.
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

impl StreamServer {
    /// Returns a permit for a client. If none is left, evicts the client that has stalled longest, provided that it has
    /// stalled for [`MOST_STALLED`].
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

    /// Creates the server. The initial instrument is loaded for the first client, but looked up now.
    ///
    /// # Errors
    /// If the initial instrument is not found. The server works nevertheless and reports the error to its clients.
    pub fn open(settings: StreamSettings, counts: Arc<StreamTally>) -> (Arc<StreamServer>, Result<(), String>) {
        let places = Arc::new(Semaphore::new(settings.clients));
        let studio = StreamServer { settings, counts, places, stalls: Mutex::default() };
        let first = studio.settings.shelf.find(&studio.settings.instrument);
        (Arc::new(studio), first)
    }
}

/// Permit of a client; released on drop.
pub struct ClientPermit {
    studio: Arc<StreamServer>,
    _permit: OwnedSemaphorePermit,
    /// Stall detector of the client.
    pub stall: Arc<Stall>,
}

impl Drop for ClientPermit {
    fn drop(&mut self) {
        self.studio.counts.clients.fetch_sub(1, Relaxed);
    }
}

/// Accepts and serves clients until the runtime ends.
pub async fn serve(listener: TcpListener, studio: Arc<StreamServer>) {
    let router = Router::new().fallback(answer).with_state(studio.clone());
    let lobby = Lobby::default();
    loop {
        let (stream, peer) = connection::next(&listener, "DDSP stream").await;
        if !is_allowed(&studio.settings.allow, peer.ip()) {
            if studio.counts.refused.fetch_add(1, Relaxed).is_power_of_two() {
                tracing::warn!("DDSP stream: rejected {}: outside the allowed ranges (ddsp.allow)", peer.ip());
            }
            continue;
        }
        let _ = socket2::SockRef::from(&stream).set_send_buffer_size(UNSENT_BYTES);
        connection::answer(stream, peer, router.clone().layer(Extension(peer)), LONGEST, &lobby);
    }
}

async fn answer(
    State(studio): State<Arc<StreamServer>>,
    Extension(peer): Extension<SocketAddr>,
    Extension(visitor): Extension<Visitor>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(socket) = socket else {
        let why = "expected a WebSocket: connect to this port with ws:// and send {\"f0s\":[440.0],\"loudness\":0.7} \
                   to receive frames of 16-bit mono PCM at 48 kHz, or {\"type\":\"hello\"} for all options";
        return connection::upgrade_required(why);
    };
    let Some(permit) = studio.permit().await else {
        studio.counts.refused.fetch_add(1, Relaxed);
        let why = format!("{} clients are connected, which is the limit (ddsp.clients)", studio.settings.clients);
        return problem(StatusCode::SERVICE_UNAVAILABLE, &why);
    };
    studio.counts.clients.fetch_add(1, Relaxed);
    visitor.let_in();
    let stall: Arc<Stall> = Arc::default();
    studio.stalls.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&stall));
    let place = ClientPermit { studio: studio.clone(), _permit: permit, stall };
    session::answer(socket, studio, place, peer)
}
