//! The render socket: a WebSocket that sends evolved sounds while they are rendered, compatible with the clients of the
//! older render socket.
//!
//! - [`messages`]: requests and replies
//! - [`job`]: one render, on its own thread
//! - [`session`]: one client
//!
//! It is served on the HTTP port and, if configured, on a port of its own. The number of renders and their length are
//! bounded over all clients; a client that does not read stops its renders, not those of others.

pub mod job;
pub mod messages;
pub mod session;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Router};
use ipnet::IpNet;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::control::commands::allow::is_allowed;
use crate::control::faces::closing::Ending;
use crate::control::faces::connection::{self, problem};
use crate::control::faces::lobby::{Lobby, Visitor};
use crate::genome::Collection;

/// Maximum lifetime of a connection that is not a WebSocket.
const LONGEST: Duration = Duration::from_secs(20);
/// Maximum size of a message in bytes: a genome may be part of it. Parsed, it may take a hundred times as much.
pub const MOST_BYTES: usize = 1 << 20;
/// Maximum number of clients on the own port.
const MOST_CLIENTS: usize = 64;

/// What all clients share.
pub struct Renders {
    pub genomes: Arc<Collection>,
    /// Maximum number of renders at a time.
    pub limit: usize,
    /// Longest sound in seconds.
    pub longest: f64,
    /// Address ranges that may connect to the own port.
    pub allow: Vec<IpNet>,
    /// Signal that the daemon is shutting down.
    pub ending: Ending,
    /// Limits the memory of genomes that are being read from messages.
    pub reading: Semaphore,
    /// Renders under way.
    pub running: AtomicUsize,
}

/// Accepts and serves clients of the own port until the runtime ends.
pub async fn serve(listener: TcpListener, renders: Arc<Renders>) {
    let clients = Arc::new(Semaphore::new(MOST_CLIENTS));
    let router = Router::new().fallback(answer).with_state((renders.clone(), clients));
    let lobby = Lobby::default();
    loop {
        let (stream, peer) = connection::next(&listener, "render socket").await;
        if is_allowed(&renders.allow, peer.ip()) {
            connection::answer(stream, peer, router.clone().layer(Extension(peer)), LONGEST, &lobby);
        } else {
            tracing::warn!("render socket: rejected {}: outside the allowed ranges (genomes.allow)", peer.ip());
        }
    }
}

async fn answer(
    State((renders, clients)): State<(Arc<Renders>, Arc<Semaphore>)>,
    Extension(peer): Extension<SocketAddr>,
    Extension(visitor): Extension<Visitor>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let Ok(socket) = socket else {
        let why = "expected a WebSocket: connect to this port with ws:// and send \
                   {\"type\":\"render\",\"genomeId\":\"ID\",\"duration\":5}";
        return connection::upgrade_required(why);
    };
    let Ok(permit) = clients.try_acquire_owned() else {
        return problem(
            StatusCode::SERVICE_UNAVAILABLE,
            &format!("{MOST_CLIENTS} clients are connected, which is the limit"),
        );
    };
    visitor.let_in();
    session::bounded(socket).on_upgrade(move |mut socket| async move {
        if session::welcome(&mut socket).await {
            session::converse(socket, renders, None, peer).await;
        }
        drop(permit);
    })
}
