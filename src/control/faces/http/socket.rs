//! WebSocket connections: the event loops of `/api/ws` and of OSCQuery's LISTEN.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message as Frame, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use serde_json::Value as Json;

use super::api::{Conversation, Step};
use super::{AppState, Caller};
use crate::control::faces::{closing, renders};
use crate::control::publish::snapshot::{EVERY, State};

/// Maximum size of a message in bytes.
const MOST_BYTES: usize = 64 * 1024;
/// Bytes of unsent frames beyond which a connection is dropped.
const MOST_UNSENT: usize = 1 << 20;
/// Timeout for sending one frame; a client that reads nothing for this long is considered gone.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// Interval between pings to an idle client.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Time without any frame from a client after which its connection is closed.
const GONE_AFTER: Duration = Duration::from_secs(60);
/// Messages per second that a client may send.
const RATE: f64 = 2_000.0;
/// Messages that a client may send in one burst.
const BURST: f64 = 4_000.0;
/// Maximum number of paths an OSCQuery client may listen to.
const MOST_LISTENED: usize = 512;
/// Interval at which those paths are checked for changes.
const LISTEN_EVERY: Duration = Duration::from_millis(40);

fn bounded(socket: WebSocketUpgrade) -> WebSocketUpgrade {
    socket
        .max_message_size(MOST_BYTES)
        .max_frame_size(MOST_BYTES)
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(MOST_UNSENT)
}

/// A WebSocket with rate limit, keep-alive and send timeout.
struct Wire {
    socket: WebSocket,
    heard: Instant,
    pinged: Instant,
    allowance: f64,
    counted: Instant,
    /// The close frame to send, unless the client closed the connection itself.
    last: Option<CloseFrame>,
    /// Whether the connection is lost, so that no close frame can be sent.
    gone: bool,
}

/// A received frame.
enum Received {
    Text(String),
    Binary,
    Other,
    TooFast,
}

impl Wire {
    fn new(socket: WebSocket) -> Wire {
        let now = Instant::now();
        Wire { socket, heard: now, pinged: now, allowance: BURST, counted: now, last: None, gone: false }
    }

    /// Sends a frame; breaks if the connection is lost.
    async fn send(&mut self, frame: Frame) -> ControlFlow<()> {
        match tokio::time::timeout(SEND_WITHIN, self.socket.send(frame)).await {
            Ok(Ok(())) => ControlFlow::Continue(()),
            _ => {
                self.gone = true;
                ControlFlow::Break(())
            }
        }
    }

    /// Breaks, so that the connection is closed with this code and reason.
    fn end(&mut self, frame: CloseFrame) -> ControlFlow<()> {
        self.last = Some(frame);
        ControlFlow::Break(())
    }

    /// Performs the closing handshake.
    async fn part(mut self, caller: &Caller) {
        if let Some(frame) = &self.last {
            tracing::info!(
                "HTTP: WebSocket of {}: closed with {}: {}",
                caller.peer.ip(),
                frame.code,
                frame.reason.as_str()
            );
        }
        if !self.gone {
            closing::part(&mut self.socket, self.last).await;
        }
    }

    async fn send_json(&mut self, json: &Json) -> ControlFlow<()> {
        self.send(Frame::Text(json.to_string().into())).await
    }

    /// Receives the next frame; breaks when the connection has ended.
    async fn next(&mut self) -> ControlFlow<(), Received> {
        let frame = match self.socket.recv().await {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => {
                self.last = closing::fault(error);
                self.gone = self.last.is_none();
                return ControlFlow::Break(());
            }
            None => {
                self.gone = true;
                return ControlFlow::Break(());
            }
        };
        let now = Instant::now();
        self.heard = now;
        self.allowance = (self.allowance + now.duration_since(self.counted).as_secs_f64() * RATE).min(BURST);
        self.counted = now;
        if self.allowance < 1.0 {
            return ControlFlow::Continue(Received::TooFast);
        }
        self.allowance -= 1.0;
        match frame {
            Frame::Text(text) => ControlFlow::Continue(Received::Text(text.as_str().to_string())),
            Frame::Binary(_) => ControlFlow::Continue(Received::Binary),
            Frame::Close(_) => ControlFlow::Break(()),
            Frame::Ping(_) | Frame::Pong(_) => ControlFlow::Continue(Received::Other),
        }
    }

    /// Pings an idle client; breaks if it has sent nothing for [`GONE_AFTER`].
    async fn keep_alive(&mut self) -> ControlFlow<()> {
        let now = Instant::now();
        if now.duration_since(self.heard) > GONE_AFTER {
            return self.end(closing::frame(close_code::POLICY, "no answer to pings for a minute"));
        }
        if now.duration_since(self.heard.max(self.pinged)) > PING_EVERY {
            self.pinged = now;
            return self.send(Frame::Ping(Bytes::new())).await;
        }
        ControlFlow::Continue(())
    }
}

/// Accepts an upgrade at `/api/ws` and serves the session.
pub fn converse(socket: WebSocketUpgrade, links: Arc<AppState>, caller: Caller) -> Response {
    bounded(socket).on_upgrade(move |socket| async move {
        let (session, mut answers) = links.sessions.open();
        let mut wire = Wire::new(socket);
        let mut talk = Conversation::new(links.vocabulary.clone(), links.bulletin.clone(), session, caller.peer);
        let mut newest = links.bulletin.newest();
        let mut board = None;
        let mut alive = tokio::time::interval(Duration::from_secs(5));
        let mut ending = links.ending.clone();
        loop {
            // The conductor writes snapshots only while there are receivers, so hold one only when needed.
            match (talk.wants_states(), &board) {
                (true, None) => board = Some(fresh(&links)),
                (false, Some(_)) => board = None,
                _ => {}
            }
            let due = talk.next_state().map(tokio::time::Instant::from_std);
            let news = talk.has_news();
            let flow = tokio::select! {
                heard = wire.next() => match heard {
                    ControlFlow::Continue(heard) => hear(&links, &mut wire, &mut talk, heard).await,
                    ControlFlow::Break(()) => ControlFlow::Break(()),
                },
                answer = answers.recv() => match answer {
                    Some(held) => {
                        // No longer counted as queued: from here on the socket's buffer is the limit.
                        let answered = held.take().map(|answer| talk.answered(answer)).unwrap_or_default();
                        say(&mut wire, answered.iter().map(Json::to_string).collect()).await
                    }
                    // The session was dropped because its queue was full.
                    None => wire.end(closing::frame(close_code::POLICY, "too many unread answers")),
                },
                () = ending.comes() => wire.end(closing::stopping()),
                _ = happening(&mut newest, news), if talk.wants_events() => {
                    let events = talk.events();
                    say(&mut wire, events).await
                },
                _ = sleep_until(due), if due.is_some() && board.is_some() => {
                    // Skip a stale snapshot from before this receiver existed.
                    let written = board.as_mut().filter(|b| b.has_changed().unwrap_or(false));
                    let state = written.map(|b| b.borrow_and_update().clone());
                    let now = Instant::now();
                    let pushes = match state {
                        Some(state) => talk.states(now, &state),
                        None => {
                            talk.postpone(now + EVERY);
                            Vec::new()
                        }
                    };
                    say(&mut wire, pushes).await
                },
                _ = alive.tick() => wire.keep_alive().await,
            };
            if flow.is_break() {
                break;
            }
        }
        links.sessions.close(session);
        wire.part(&caller).await;
    })
}

/// Waits for a new event; returns at once if some are pending (`already`).
async fn happening(newest: &mut tokio::sync::watch::Receiver<u64>, already: bool) {
    if !already {
        let _ = newest.changed().await;
    }
}

/// Returns a receiver of snapshots that reports no change until the next one is written.
fn fresh(links: &AppState) -> tokio::sync::watch::Receiver<Arc<State>> {
    let mut board = links.board.look();
    board.mark_unchanged();
    board
}

async fn sleep_until(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

async fn say(wire: &mut Wire, messages: Vec<String>) -> ControlFlow<()> {
    for message in messages {
        if wire.send(Frame::Text(message.into())).await.is_break() {
            return ControlFlow::Break(());
        }
    }
    ControlFlow::Continue(())
}

async fn hear(links: &AppState, wire: &mut Wire, talk: &mut Conversation, heard: Received) -> ControlFlow<()> {
    let tally = &links.sessions.tally;
    tally.received.fetch_add(1, Relaxed);
    match heard {
        Received::Text(text) => match talk.take(&text) {
            Step::Reply(reply) => {
                if reply["ok"] == false {
                    tally.malformed.fetch_add(1, Relaxed);
                }
                wire.send_json(&reply).await
            }
            Step::Forward(request) => match links.requests.send(request).await {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            },
        },
        Received::TooFast => {
            tally.dropped.fetch_add(1, Relaxed);
            let why = format!("message dropped: at most {RATE} messages per second are accepted");
            wire.send_json(&serde_json::json!({ "id": null, "ok": false, "error": { "message": why } })).await
        }
        Received::Binary => {
            tally.malformed.fetch_add(1, Relaxed);
            let why = "unsupported binary frame: expected JSON in a text frame";
            wire.send_json(&serde_json::json!({ "id": null, "ok": false, "error": { "message": why } })).await
        }
        Received::Other => ControlFlow::Continue(()),
    }
}

/// Whether a message is one of the render socket: it has no `COMMAND` of OSCQuery. What is no JSON at all is answered by
/// the render socket, too, with an error.
fn is_render(text: &str) -> bool {
    /// The only field that decides; others are skipped without memory for them.
    #[derive(serde::Deserialize)]
    struct Command {
        #[serde(rename = "COMMAND")]
        command: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_str::<Command>(text).map_or(true, |message| message.command.is_none())
}

/// Accepts an upgrade of an OSCQuery client and sends OSC packets when values it listens to change.
///
/// With `shared`, clients of the render socket connect to the same path. All are greeted in their way, which OSCQuery
/// clients ignore, because it is no command; a first message without `COMMAND` makes the connection one of the render
/// socket.
pub fn listen(socket: WebSocketUpgrade, links: Arc<AppState>, caller: Caller, shared: bool) -> Response {
    let shared = links.renders.clone().filter(|_| shared);
    let socket = if shared.is_some() { renders::session::bounded(socket) } else { bounded(socket) };
    socket.on_upgrade(move |mut socket| async move {
        if shared.is_some() && !renders::session::welcome(&mut socket).await {
            return;
        }
        let mut wire = Wire::new(socket);
        let mut board = fresh(&links);
        let mut paths: BTreeSet<String> = BTreeSet::new();
        let mut told: BTreeMap<String, u64> = BTreeMap::new();
        let mut look = tokio::time::interval(LISTEN_EVERY);
        let mut ending = links.ending.clone();
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let flow = tokio::select! {
                heard = wire.next() => match heard {
                    ControlFlow::Continue(Received::Text(text)) => {
                        links.sessions.tally.received.fetch_add(1, Relaxed);
                        if let Some(renders) = shared.clone()
                            && paths.is_empty()
                            && is_render(&text)
                        {
                            return renders::session::converse(wire.socket, renders, Some(text), caller.peer).await;
                        }
                        match command(&text).filter(|_| text.len() <= MOST_BYTES) {
                            Some(("LISTEN", path))
                                if paths.len() < MOST_LISTENED && links.vocabulary.with_values().contains(&path) =>
                            {
                                // The current value is sent first.
                                told.remove(&path);
                                paths.insert(path);
                            }
                            Some(("IGNORE", path)) => {
                                paths.remove(&path);
                            }
                            _ => {
                                links.sessions.tally.malformed.fetch_add(1, Relaxed);
                            }
                        }
                        ControlFlow::Continue(())
                    }
                    ControlFlow::Continue(_) => ControlFlow::Continue(()),
                    ControlFlow::Break(()) => ControlFlow::Break(()),
                },
                () = ending.comes() => wire.end(closing::stopping()),
                _ = look.tick() => {
                    let mut flow = wire.keep_alive().await;
                    if flow.is_break() {
                        break;
                    }
                    if !board.has_changed().unwrap_or(false) {
                        continue;
                    }
                    let state = board.borrow_and_update().clone();
                    for path in &paths {
                        let Some(entry) = state.get(path) else { continue };
                        if flow.is_break() || told.get(path) == Some(&entry.change) {
                            continue;
                        }
                        if !entry.osc().is_empty() {
                            flow = wire.send(Frame::Binary(entry.osc())).await;
                        }
                        told.insert(path.clone(), entry.change);
                    }
                    flow
                }
            };
            if flow.is_break() {
                break;
            }
        }
        wire.part(&caller).await;
    })
}

fn command(text: &str) -> Option<(&'static str, String)> {
    let message: Json = serde_json::from_str(text).ok()?;
    let path = message["DATA"].as_str()?.to_string();
    match message["COMMAND"].as_str()? {
        "LISTEN" => Some(("LISTEN", path)),
        "IGNORE" => Some(("IGNORE", path)),
        _ => None,
    }
}
