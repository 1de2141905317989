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
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Router};
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::closing::Ending;
use super::connection::{self, is_allowed, problem};
use super::tally::StreamTally;
use crate::ddsp::library::Shelf;

/// The longest life of a connection that is no WebSocket.
const LONGEST: Duration = Duration::from_secs(20);
/// Connections that are not streams (yet).
const KNOCKING: usize = 32;
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
}

impl Studio {
    /// A studio whose first instrument is opened now, so that what is wrong with it is said at once.
    ///
    /// # Errors
    /// What is wrong with that instrument; the studio is there all the same, and tells its clients.
    pub fn open(settings: Settings, counts: Arc<StreamTally>) -> (Arc<Studio>, Result<(), String>) {
        let places = Arc::new(Semaphore::new(settings.clients));
        let studio = Studio { settings, counts, places };
        let first = studio.settings.shelf.model(&studio.settings.instrument).map(drop);
        (Arc::new(studio), first)
    }
}

/// A client's place among those allowed.
pub struct Place {
    studio: Arc<Studio>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.studio.counts.clients.fetch_sub(1, Relaxed);
    }
}

/// Serves until the runtime ends.
pub async fn serve(listener: TcpListener, studio: Arc<Studio>) {
    let router = Router::new().fallback(answer).with_state(studio.clone());
    // Whoever only knocks has a place as well, for as long as it takes to answer.
    let door = Arc::new(Semaphore::new(studio.settings.clients + KNOCKING));
    loop {
        let (stream, peer) = connection::next(&listener, "DDSP stream").await;
        if !is_allowed(&studio.settings.allow, peer.ip()) {
            if studio.counts.refused.fetch_add(1, Relaxed).is_power_of_two() {
                tracing::warn!("DDSP stream: {} may not connect (ddsp.allow in the configuration)", peer.ip());
            }
            continue;
        }
        let Ok(knocking) = door.clone().try_acquire_owned() else {
            studio.counts.refused.fetch_add(1, Relaxed);
            continue;
        };
        let _ = socket2::SockRef::from(&stream).set_send_buffer_size(UNSENT_BYTES);
        connection::answer(stream, router.clone().layer(Extension(peer)), LONGEST, knocking);
    }
}

async fn answer(
    State(studio): State<Arc<Studio>>,
    Extension(peer): Extension<SocketAddr>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(socket) = socket else {
        let why = "this is a WebSocket: connect with ws:// to this very port and send {\"f0s\":[440.0],\"loudness\":0.7}; \
                   frames of 16-bit mono PCM at 48 kHz come back. {\"type\":\"hello\"} tells what else there is";
        return connection::upgrade_required(why);
    };
    let Ok(permit) = studio.places.clone().try_acquire_owned() else {
        studio.counts.refused.fetch_add(1, Relaxed);
        let why = format!("{} clients are here already (ddsp.clients in the configuration)", studio.settings.clients);
        return problem(StatusCode::SERVICE_UNAVAILABLE, &why);
    };
    studio.counts.clients.fetch_add(1, Relaxed);
    let place = Place { studio: studio.clone(), _permit: permit };
    session::answer(socket, studio, place, peer)
}
