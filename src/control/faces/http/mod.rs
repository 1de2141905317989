//! HTTP and WebSocket on one port: control, OSCQuery, metrics and the web page.
//!
//! - [`access`]: access control
//! - [`api`]: the JSON protocol of `/api/ws`
//! - [`socket`]: WebSocket connections, for `/api/ws` and for OSCQuery's LISTEN
//! - [`oscquery`]: the tree of controls in OSCQuery's format
//! - [`mod@metrics`]: metrics for Prometheus
//!
//! Connections, sizes, rates and queues are bounded. A client that does not read, or writes one byte a minute, loses
//! its connection and affects nothing else.

pub mod access;
pub mod api;
pub mod metrics;
pub mod oscquery;
pub mod socket;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{RawQuery, Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::control::commands::request::Request;
use crate::control::commands::vocabulary::Vocabulary;
use crate::control::faces::closing::Ending;
use crate::control::faces::connection::{self, problem};
use crate::control::faces::lobby::{Lobby, Visitor};
use crate::control::faces::renders::{self, Renders};
use crate::control::faces::sessions::Sessions;
use crate::control::publish::counters::{MidiTally, StreamTally, Tally};
use crate::control::publish::events::EventLog;
use crate::control::publish::gauges::Gauges;
use crate::control::publish::snapshot::StateSnapshot;
use crate::engine::door::Telemetry;
use crate::engine::voices::VoiceCell;
use crate::output::report::{Report, State as OutputState};
use crate::system::time::monotonic_ns;
use access::Access;

/// Maximum number of concurrent connections.
const MOST_CONNECTIONS: usize = 192;
/// Maximum number of concurrent connections from one address.
const MOST_FROM_ONE: usize = 96;
/// Maximum lifetime of a connection that is not a WebSocket.
const LONGEST: Duration = Duration::from_secs(60);
/// Connections reserved for clients on this machine.
const KEPT_FOR_US: usize = 32;
/// Time without an answer from the engine after which `/healthz` reports a failure.
const ILL_AFTER: Duration = Duration::from_secs(3);

/// Shared state of the HTTP handlers.
pub struct AppState {
    /// All controls.
    pub vocabulary: Arc<Vocabulary>,
    /// Channel for requests to the conductor.
    pub requests: mpsc::Sender<Request>,
    /// WebSocket sessions, which receive the conductor's answers.
    pub sessions: Arc<Sessions>,
    /// Log of events.
    pub bulletin: Arc<EventLog>,
    /// Snapshot of the current state.
    pub board: Arc<StateSnapshot>,
    /// State and counters of the audio output.
    pub report: Arc<Report>,
    /// State and counters of the engine.
    pub telemetry: Arc<Telemetry>,
    /// Gauges of stretch reserves and movement.
    pub pace: Arc<Gauges>,
    /// Counters of OSC.
    pub osc: Arc<Tally>,
    /// Counters of the DDSP stream.
    pub stream: Arc<StreamTally>,
    /// State and counters of the voice worker, if there is one.
    pub voices: Option<Arc<VoiceCell>>,
    /// Counters of MIDI.
    pub midi: Arc<MidiTally>,
    /// The OSC ports.
    pub osc_ports: Vec<u16>,
    /// Monotonic time in nanoseconds at which the engine last answered.
    pub answered_at: Arc<AtomicU64>,
    /// Numbers of commands executed late, by origin: OSC, sessions, the daemon itself.
    pub late: Arc<[AtomicU64; 3]>,
    /// Access control.
    pub access: Access,
    /// The render socket, if there is a database of genomes.
    pub renders: Option<Arc<Renders>>,
    /// Signal that the daemon is shutting down.
    pub ending: Ending,
}

/// The peer of a connection, with its permit.
#[derive(Clone)]
pub struct Caller {
    /// The peer.
    pub peer: SocketAddr,
    _place: Arc<ConnectionPermit>,
}

/// Permit of a connection; released on drop.
struct ConnectionPermit {
    _permit: OwnedSemaphorePermit,
    peer: IpAddr,
    crowd: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        if let Ok(mut crowd) = self.crowd.lock()
            && let Some(count) = crowd.get_mut(&self.peer)
        {
            *count -= 1;
            if *count == 0 {
                crowd.remove(&self.peer);
            }
        }
    }
}

/// Accepts and serves HTTP connections until the runtime ends.
pub async fn serve(listener: TcpListener, links: Arc<AppState>) {
    let router = router(links.clone());
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let crowd: Arc<Mutex<HashMap<IpAddr, usize>>> = Arc::default();
    let lobby = Lobby::default();
    loop {
        let (stream, peer) = connection::next(&listener, "HTTP").await;
        let Some(caller) = admit(&places, &crowd, peer) else {
            links.sessions.tally.dropped.fetch_add(1, Relaxed);
            tracing::warn!("HTTP: rejected {}: too many connections", peer.ip());
            continue;
        };
        connection::answer(stream, peer, router.clone().layer(Extension(caller)), LONGEST, &lobby);
    }
}

fn admit(places: &Arc<Semaphore>, crowd: &Arc<Mutex<HashMap<IpAddr, usize>>>, peer: SocketAddr) -> Option<Caller> {
    let address = connection::neighbourhood(peer.ip());
    if !address.is_loopback() && places.available_permits() <= KEPT_FOR_US {
        return None;
    }
    let permit = places.clone().try_acquire_owned().ok()?;
    let mut here = crowd.lock().ok()?;
    let count = here.entry(address).or_insert(0);
    if *count >= MOST_FROM_ONE {
        return None;
    }
    *count += 1;
    Some(Caller { peer, _place: Arc::new(ConnectionPermit { _permit: permit, peer: address, crowd: crowd.clone() }) })
}

fn router(links: Arc<AppState>) -> Router {
    Router::new()
        .route("/", get(root))
        .route("/api/ws", get(api_socket))
        .route("/api/schema", get(schema))
        .route("/oscquery", get(tree))
        .route("/oscquery/", get(tree))
        .route("/oscquery/{*path}", get(tree))
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/readyz", get(readiness))
        .fallback(elsewhere)
        .method_not_allowed_fallback(|| async {
            problem(StatusCode::METHOD_NOT_ALLOWED, "method not allowed: expected GET (set controls over /api/ws)")
        })
        .layer(middleware::from_fn_with_state(links.clone(), knock))
        .with_state(links)
}

/// Middleware of every request: checks access and adds the security headers.
async fn knock(
    State(links): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    Extension(visitor): Extension<Visitor>,
    request: HttpRequest,
    next: Next,
) -> Response {
    let tally = &links.sessions.tally;
    tally.received.fetch_add(1, Relaxed);
    let query = request.uri().query().unwrap_or_default();
    let mut response = match links.access.judge(caller.peer.ip(), request.headers(), query, tally) {
        Ok(()) => {
            visitor.let_in();
            next.run(request).await
        }
        Err(no) => {
            let mut response = problem(no.status, &no.why);
            if no.status == StatusCode::UNAUTHORIZED {
                response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            response
        }
    };
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self' ws: wss:; \
             img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
        ),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn as_json(value: &serde_json::Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response()
}

/// Returns the web page, or OSCQuery's tree for OSCQuery clients, which only query the root.
async fn root(
    State(links): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if let Ok(socket) = socket {
        return socket::listen(socket, links, caller, true);
    }
    let wants_html =
        headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()).is_some_and(|accept| accept.contains("text/html"));
    if !wants_html || query.as_deref() == Some("HOST_INFO") {
        return oscquery::answer(&links, "/", query.as_deref(), &headers).await;
    }
    Html(include_str!("page.html")).into_response()
}

async fn api_socket(
    State(links): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match socket {
        Ok(socket) => socket::converse(socket, links, caller),
        Err(_) => upgrade_required(),
    }
}

fn upgrade_required() -> Response {
    connection::upgrade_required(
        "expected a WebSocket: connect to ws://HOST:PORT/api/ws and send {\"id\":1,\"op\":\"list\"}; \
         /api/schema describes the protocol",
    )
}

async fn schema(State(links): State<Arc<AppState>>) -> Response {
    as_json(&api::schema(&links.vocabulary))
}

async fn tree(
    State(links): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    match socket {
        Ok(socket) => socket::listen(socket, links, caller, false),
        Err(_) => {
            let path = uri.path().strip_prefix("/oscquery").unwrap_or_default();
            oscquery::answer(&links, path, uri.query(), &headers).await
        }
    }
}

async fn metrics(State(links): State<Arc<AppState>>) -> Response {
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], metrics::text(&links)).into_response()
}

/// Returns 200 while the engine responds, otherwise 503: the liveness check for supervisors.
async fn health(State(links): State<Arc<AppState>>) -> Response {
    let silent = monotonic_ns().saturating_sub(links.answered_at.load(Relaxed));
    if silent < ILL_AFTER.as_nanos() as u64 {
        return as_json(&json!({ "healthy": true }));
    }
    problem(StatusCode::SERVICE_UNAVAILABLE, &format!("the engine has not answered for {:.1} s", silent as f64 * 1e-9))
}

/// Returns 503 while no sound card is open: the readiness check.
async fn readiness(State(links): State<Arc<AppState>>) -> Response {
    match links.report.state() {
        OutputState::Silent => problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "no sound card: rendering silently until one is available ('grooved devices' lists them)",
        ),
        _ => as_json(&json!({ "ready": true })),
    }
}

/// Fallback: answers OSCQuery requests for controls at the root, where its clients expect them, and the render socket's
/// clients, which use any path; 404 for other paths.
async fn elsewhere(
    State(links): State<Arc<AppState>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    if let (Ok(socket), Some(renders)) = (socket, links.renders.clone()) {
        return renders::session::bounded(socket).on_upgrade(move |mut socket| async move {
            if renders::session::welcome(&mut socket).await {
                renders::session::converse(socket, renders, None, caller.peer).await;
            }
            // The permit lasts as long as the connection.
            drop(caller);
        });
    }
    if oscquery::has(&links.vocabulary, uri.path()) {
        return oscquery::answer(&links, uri.path(), uri.query(), &headers).await;
    }
    problem(
        StatusCode::NOT_FOUND,
        "not found: expected /, /api/ws, /api/schema, /oscquery, /metrics, /healthz or /readyz",
    )
}
