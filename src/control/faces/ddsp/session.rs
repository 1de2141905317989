//! One client of the DDSP stream.
//!
//! The reading half of the socket (a task) parses messages and passes orders to the render thread. The render thread
//! renders a frame whenever one is due, and queues it if there is room. The writing half (a task) sends the queue. Only
//! the writing half ever waits for the client.
//!
//! A client hears A4 at a loudness of 0.5 until it sends pitches, as with the older server. It receives text messages
//! only after it has used a feature that server does not have: the older clients interpret every frame as audio.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::response::Response;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value as Json, json};
use tokio::sync::{mpsc, oneshot};

use super::monitor;
use super::protocol::{self, Format, Parsed, Shape, StreamCommand};
use super::{ClientPermit, Stall, StreamServer};
use crate::control::faces::closing;
use crate::ddsp::instrument::Instrument;
use crate::ddsp::stream::{Stream, Update, voices};
use crate::ddsp::voice::Voice;

/// Maximum size of a message in bytes.
const MOST_BYTES: usize = 256 * 1024;
/// Capacity of the queue of orders for the render thread.
const ORDERS: usize = 256;
/// Capacity of the queue of frames to send.
const FRAMES: usize = 8;
/// Lateness beyond which the render thread skips the frames that are due and restarts its clock.
const MOST_BEHIND: Duration = Duration::from_millis(100);
/// Maximum number of orders handled between two frames; the rest wait.
const ORDERS_A_FRAME: usize = 64;
/// Timeout for sending one frame, after which the client is considered gone. A client that merely stalls loses frames.
const SEND_WITHIN: Duration = Duration::from_secs(120);
/// Time the writing half has to stop.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// Pitch in Hz that a client hears until it sends pitches.
const FIRST_HZ: f64 = 440.0;
/// Loudness until a client sends another.
const FIRST_LOUDNESS: f64 = 0.5;

/// A message to the render thread.
enum RenderMessage {
    Update(Update, f64),
    /// The stream's new shape, with the model if the sample rate changes.
    Shape(Shape, Option<Instrument>),
    /// Voices of another instrument: for the client and, while it is monitored, for the speakers.
    Voices(Vec<Voice>, Option<Vec<Voice>>),
    /// Starts monitoring with a seat and the model of the instrument, or stops it.
    Monitor(Option<(monitor::Seat, Instrument)>),
    /// A message was read: in pull mode, a frame is due.
    Pull,
}

/// A message to the writing half.
enum Out {
    Frame(Bytes),
    Say(Json),
}

/// Upgrades a connection and serves it until it ends.
pub fn answer(socket: WebSocketUpgrade, studio: Arc<StreamServer>, place: ClientPermit, peer: SocketAddr) -> Response {
    socket
        .max_message_size(MOST_BYTES)
        .max_frame_size(MOST_BYTES)
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(1 << 20)
        .on_upgrade(move |socket| async move {
            tracing::info!("DDSP stream: {peer} connected");
            let dropped = serve(socket, studio, Arc::new(place), peer).await;
            let lost = if dropped > 0 { format!("; {dropped} frames were not read in time") } else { String::new() };
            tracing::info!("DDSP stream: {peer} disconnected{lost}");
        })
}

/// The reason why a connection ends.
enum End {
    /// The connection is lost, or the client reads nothing any more.
    Gone,
    /// The client has sent a close frame.
    Closed,
    /// The server closes the connection with this frame.
    Ours(CloseFrame),
}

/// Serves a client, and returns the number of frames it did not read in time. Its permit is released when the reading
/// half, the render thread and the writing half have all ended.
async fn serve(mut socket: WebSocket, studio: Arc<StreamServer>, place: Arc<ClientPermit>, peer: SocketAddr) -> u64 {
    let (out, outbox) = mpsc::channel(FRAMES);
    let shape = Shape { format: Format::S16, frame_ms: studio.settings.frame_ms, rate: 48_000, pull: false };
    let dropped = Arc::new(AtomicU64::new(0));
    let first = build(studio.clone(), studio.settings.instrument.clone(), shape.rate).await;
    let (instrument, mut stream) = match first {
        Ok(made) => made,
        Err(why) => {
            closing::part(&mut socket, Some(closing::frame(close_code::ERROR, &why))).await;
            return 0;
        }
    };
    let greeting = Update { f0s: Some(vec![FIRST_HZ]), loudness: Some(vec![FIRST_LOUDNESS]), ..Update::default() };
    // An immediate update cannot fail.
    let _ = stream.update(greeting, 0.0);
    let (tell, told) = sync_channel(ORDERS);
    let texts = Arc::new(AtomicBool::new(false));
    let renderer = Renderer {
        stream,
        shape,
        told,
        out: out.clone(),
        texts: texts.clone(),
        dropped: dropped.clone(),
        studio: studio.clone(),
        owed: 0,
        seat: None,
        stall: place.stall.clone(),
    };
    let enter = studio.settings.enter;
    let held = place.clone();
    let started = std::thread::Builder::new().name("stream".into()).spawn(move || {
        enter();
        renderer.run();
        drop(held);
    });
    if let Err(error) = started {
        tracing::error!("DDSP stream: cannot start a thread for {peer}: {error}; connection closed");
        closing::part(&mut socket, Some(closing::frame(close_code::AGAIN, "cannot start a thread"))).await;
        return 0;
    }
    let (write, mut read) = socket.split();
    let (stop, stopped) = oneshot::channel();
    let mut sending = tokio::spawn(send(write, outbox, stopped));
    let name = studio.settings.instrument.clone();
    let mut ending = studio.settings.ending.clone();
    let mut reader = Reader {
        studio,
        name,
        instrument,
        shape,
        tell,
        out,
        texts,
        greeted: true,
        refused: false,
        peer,
        monitored: None,
    };
    let end = tokio::select! {
        end = reader.run(&mut read) => end,
        () = ending.comes() => End::Ours(closing::stopping()),
        () = place.stall.evicted() => {
            End::Ours(closing::frame(close_code::POLICY, "evicted for another client: frames are not being read"))
        }
        _ = &mut sending => return dropped.load(Relaxed),
    };
    // Stops the render thread.
    drop(reader);
    drop(stop);
    if let Ok(Ok(write)) = tokio::time::timeout(STOP_WITHIN, &mut sending).await
        && let Ok(mut socket) = write.reunite(read)
    {
        match end {
            End::Gone => {}
            End::Closed => closing::part(&mut socket, None).await,
            End::Ours(frame) => {
                tracing::info!("DDSP stream: {peer}: closed with {}: {}", frame.code, frame.reason.as_str());
                closing::part(&mut socket, Some(frame)).await;
            }
        }
    }
    sending.abort();
    drop(place);
    dropped.load(Relaxed)
}

/// Loads an instrument and builds its stream, on a thread that may block.
async fn build(studio: Arc<StreamServer>, name: String, rate: u32) -> Result<(Instrument, Box<Stream>), String> {
    let work = move || {
        let instrument = studio.settings.shelf.instrument(&name)?;
        let stream = Box::new(Stream::new(&instrument, studio.settings.voices, rate)?);
        Ok((instrument, stream))
    };
    tokio::task::spawn_blocking(work).await.map_err(|e| e.to_string())?
}

/// Runs the writing half until the client does not accept a frame, the queue is closed, or it is stopped. Returns its
/// half of the socket.
async fn send(
    mut write: SplitSink<WebSocket, Message>,
    mut outbox: mpsc::Receiver<Out>,
    mut stopped: oneshot::Receiver<()>,
) -> SplitSink<WebSocket, Message> {
    loop {
        let out = tokio::select! {
            biased;
            _ = &mut stopped => return write,
            out = outbox.recv() => out,
        };
        let message = match out {
            Some(Out::Frame(bytes)) => Message::Binary(bytes),
            Some(Out::Say(json)) => Message::Text(json.to_string().into()),
            None => return write,
        };
        tokio::select! {
            biased;
            _ = &mut stopped => return write,
            sent = tokio::time::timeout(SEND_WITHIN, write.send(message)) => match sent {
                Ok(Ok(())) => {}
                _ => return write,
            },
        }
    }
}

/// The reading half.
struct Reader {
    studio: Arc<StreamServer>,
    /// Name or path by which the instrument was requested.
    name: String,
    instrument: Instrument,
    shape: Shape,
    tell: SyncSender<RenderMessage>,
    out: mpsc::Sender<Out>,
    /// Whether the client is known to accept text messages.
    texts: Arc<AtomicBool>,
    /// Whether the client still hears the initial note, because it has not sent pitches.
    greeted: bool,
    /// Whether an invalid message without a reply was logged; this is logged only once.
    refused: bool,
    peer: SocketAddr,
    /// Sample rate of the speakers in Hz, while the client is monitored.
    monitored: Option<u32>,
}

impl Reader {
    async fn run(&mut self, read: &mut SplitStream<WebSocket>) -> End {
        while let Some(message) = read.next().await {
            let flow = match message {
                Ok(Message::Text(text)) => self.hear(text.as_str()).await,
                Ok(Message::Close(_)) => return End::Closed,
                // Binary messages are ignored, as in the older server; the WebSocket layer answers pings.
                Ok(_) => ControlFlow::Continue(()),
                Err(error) => return closing::fault(error).map_or(End::Gone, End::Ours),
            };
            if flow.is_break() {
                return End::Ours(closing::frame(close_code::ERROR, "the stream can no longer be rendered"));
            }
        }
        End::Gone
    }

    async fn hear(&mut self, text: &str) -> ControlFlow<()> {
        let json = protocol::parse(text);
        if json.as_ref().is_ok_and(protocol::is_new) {
            self.texts.store(true, Relaxed);
        }
        let heard = json.and_then(|json| protocol::read(&json, self.studio.settings.voices, &self.shape));
        self.end_greeting(heard.as_ref().map_or(&[], |h| &h.orders)).await?;
        match heard {
            Ok(Parsed { orders, notes }) => {
                for note in notes {
                    self.say(json!({ "note": note })).await?;
                }
                for order in orders {
                    self.obey(order).await?;
                }
            }
            Err(wrong) => {
                if !self.texts.load(Relaxed) && !std::mem::replace(&mut self.refused, true) {
                    let why: String = wrong.to_json()["error"].as_str().unwrap_or_default().chars().take(200).collect();
                    tracing::info!("DDSP stream: {}: {why}; such messages are ignored", self.peer);
                }
                self.say(wrong.to_json()).await?;
            }
        }
        if self.shape.pull { self.pass(RenderMessage::Pull).await } else { ControlFlow::Continue(()) }
    }

    /// Ends the initial note once the client is known to accept text messages, or sends pitches, which replace it.
    async fn end_greeting(&mut self, orders: &[StreamCommand]) -> ControlFlow<()> {
        let pitched =
            orders.iter().any(|o| matches!(o, StreamCommand::Update(u, after) if u.f0s.is_some() && *after <= 0.0));
        if self.greeted && pitched {
            self.greeted = false;
        } else if self.greeted && self.texts.load(Relaxed) {
            self.greeted = false;
            let silence = Update { f0s: Some(Vec::new()), ..Update::default() };
            self.pass(RenderMessage::Update(silence, 0.0)).await?;
        }
        ControlFlow::Continue(())
    }

    async fn obey(&mut self, order: StreamCommand) -> ControlFlow<()> {
        match order {
            StreamCommand::Update(update, after) => self.pass(RenderMessage::Update(update, after)).await,
            StreamCommand::Monitor(wanted) => self.monitor(wanted).await,
            StreamCommand::Hello => {
                let hello = self.hello().await;
                self.say(hello).await
            }
            StreamCommand::Reshape(shape) => {
                let model = if shape.rate == self.shape.rate {
                    None
                } else {
                    let (studio, name) = (self.studio.clone(), self.name.clone());
                    match tokio::task::spawn_blocking(move || studio.settings.shelf.instrument(&name)).await {
                        Ok(Ok(model)) => Some(model),
                        Ok(Err(why)) => return self.say(json!({ "error": why, "field": "rate" })).await,
                        Err(_) => return ControlFlow::Break(()),
                    }
                };
                self.shape = shape;
                if shape.pull && self.monitored.is_some() {
                    self.monitor(false).await?;
                }
                self.pass(RenderMessage::Shape(shape, model)).await
            }
            StreamCommand::Instrument(name) => {
                if name == self.name {
                    return ControlFlow::Continue(());
                }
                let (studio, rate) = (self.studio.clone(), self.shape.rate);
                let (asked, monitored) = (name.clone(), self.monitored);
                let work = move || {
                    let instrument = studio.settings.shelf.instrument(&name)?;
                    let make = |rate| voices(&instrument, studio.settings.voices, rate);
                    let (here, there) = (make(rate)?, monitored.map(make).transpose()?);
                    Ok::<_, String>((instrument, here, there))
                };
                match tokio::task::spawn_blocking(work).await {
                    Ok(Ok((instrument, voices, there))) => {
                        (self.instrument, self.name) = (instrument, asked);
                        self.pass(RenderMessage::Voices(voices, there)).await
                    }
                    Ok(Err(why)) => {
                        self.say(json!({ "error": format!("instrument: {why}"), "field": "instrument" })).await
                    }
                    Err(_) => ControlFlow::Break(()),
                }
            }
        }
    }

    /// Starts or stops monitoring of the client on the speakers.
    async fn monitor(&mut self, wanted: bool) -> ControlFlow<()> {
        if !wanted {
            self.monitored = None;
            return self.pass(RenderMessage::Monitor(None)).await;
        }
        if self.monitored.is_some() {
            return ControlFlow::Continue(());
        }
        let refuse = |why: &str| json!({ "error": format!("monitor: {why}"), "field": "monitor" });
        let Some(monitor) = &self.studio.settings.monitor else {
            let why = "disabled by the configuration (ddsp.monitors and voices.polyphony)";
            return self.say(refuse(why)).await;
        };
        if self.shape.pull {
            return self.say(refuse("mode must be push, because in pull mode the stream has no clock")).await;
        }
        let Some(seat) = monitor.seat() else {
            return self.say(refuse("the maximum number of clients is already monitored (ddsp.monitors)")).await;
        };
        let (studio, name) = (self.studio.clone(), self.name.clone());
        match tokio::task::spawn_blocking(move || studio.settings.shelf.instrument(&name)).await {
            Ok(Ok(model)) => {
                self.monitored = Some(seat.rate());
                self.pass(RenderMessage::Monitor(Some((seat, model)))).await
            }
            Ok(Err(why)) => self.say(refuse(&why)).await,
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Sends a message to the render thread. While its queue is full, no more messages of the client are read.
    async fn pass(&mut self, told: RenderMessage) -> ControlFlow<()> {
        let mut told = told;
        loop {
            match self.tell.try_send(told) {
                Ok(()) => return ControlFlow::Continue(()),
                Err(TrySendError::Disconnected(_)) => return ControlFlow::Break(()),
                Err(TrySendError::Full(back)) => {
                    told = back;
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
        }
    }

    /// Sends the client a text message, if it accepts them.
    async fn say(&mut self, json: Json) -> ControlFlow<()> {
        if !self.texts.load(Relaxed) {
            return ControlFlow::Continue(());
        }
        match self.out.send(Out::Say(json)).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    async fn hello(&self) -> Json {
        let shelf = self.studio.settings.shelf.clone();
        let names = tokio::task::spawn_blocking(move || shelf.library.names()).await.unwrap_or_default();
        let (card, s) = (self.instrument.card(&self.name), &self.shape);
        json!({
            "hello": "grooved",
            "version": env!("CARGO_PKG_VERSION"),
            "format": if s.format == Format::S16 { "s16" } else { "f32" },
            "rate": s.rate,
            "frame": s.samples(),
            "frame_ms": s.frame_ms,
            "mode": if s.pull { "pull" } else { "push" },
            "channels": 1,
            "voices": self.studio.settings.voices,
            "monitor": self.studio.settings.monitor.is_some(),
            // Clients must not learn paths of files.
            "instrument": if self.name.contains('/') { self.instrument.title() } else { &self.name },
            "instruments": names,
            "pitch_range_hz": [hz(card.pitch_range.0), hz(card.pitch_range.1)],
            "loudness_range_dbfs": [card.loudness_range.0, card.loudness_range.1],
            "licence": card.licence,
        })
    }
}

fn hz(midi: f64) -> f64 {
    (44_000.0 * ((midi - 69.0) / 12.0).exp2()).round() / 100.0
}

/// The render thread.
struct Renderer {
    stream: Box<Stream>,
    shape: Shape,
    told: Receiver<RenderMessage>,
    out: mpsc::Sender<Out>,
    /// Whether the client is known to accept text messages.
    texts: Arc<AtomicBool>,
    dropped: Arc<AtomicU64>,
    studio: Arc<StreamServer>,
    /// Number of lost frames not yet reported to the client.
    owed: u64,
    /// Seat on the speakers, while the client is monitored.
    seat: Option<monitor::Seat>,
    /// Stall detector of the client.
    stall: Arc<Stall>,
}

impl Renderer {
    fn run(mut self) {
        let mut begun = Instant::now();
        let mut made = 0u64;
        // The first frame is due at once.
        loop {
            let reshaped = if self.shape.pull { self.pulled() } else { self.pushed(begun, made) };
            match reshaped {
                ControlFlow::Break(()) => return,
                ControlFlow::Continue(true) => (begun, made) = (Instant::now(), 0),
                ControlFlow::Continue(false) => {
                    made += 1;
                    let due = begun + self.time(made);
                    if !self.shape.pull && due.elapsed() > MOST_BEHIND {
                        self.studio.counts.late.fetch_add(1, Relaxed);
                        (begun, made) = (Instant::now(), 0);
                    }
                }
            }
        }
    }

    /// Returns the duration of a number of frames.
    fn time(&self, frames: u64) -> Duration {
        Duration::from_secs_f64(frames as f64 * self.shape.samples() as f64 / f64::from(self.shape.rate))
    }

    /// Handles orders until a frame is due, then renders and queues it. Returns `true`, without a frame, if the shape
    /// of the stream has changed.
    fn pushed(&mut self, begun: Instant, made: u64) -> ControlFlow<(), bool> {
        let due = begun + self.time(made);
        let mut obeyed = 0;
        loop {
            let left = due.saturating_duration_since(Instant::now());
            // A client that floods us with messages still gets its frames.
            if obeyed >= ORDERS_A_FRAME {
                std::thread::sleep(left);
                break;
            }
            match self.told.recv_timeout(left) {
                Ok(told) => {
                    obeyed += 1;
                    if self.obey(told)? {
                        return ControlFlow::Continue(true);
                    }
                }
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
            }
        }
        let frame = self.frame();
        let sent = self.out.try_send(Out::Frame(frame));
        self.stall.note(sent.is_ok());
        match sent {
            Ok(()) => self.confess(),
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.owed += 1;
                self.dropped.fetch_add(1, Relaxed);
                self.studio.counts.dropped.fetch_add(1, Relaxed);
            }
            Err(mpsc::error::TrySendError::Closed(_)) => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(false)
    }

    /// Waits for a message, then renders and sends its frame. Returns `true`, without a frame, when pull mode ends.
    fn pulled(&mut self) -> ControlFlow<(), bool> {
        loop {
            let Ok(told) = self.told.recv() else { return ControlFlow::Break(()) };
            if matches!(told, RenderMessage::Pull) {
                let frame = self.frame();
                // In pull mode the client sets the pace, so blocking is fine.
                return match self.out.blocking_send(Out::Frame(frame)) {
                    Ok(()) => ControlFlow::Continue(false),
                    Err(_) => ControlFlow::Break(()),
                };
            }
            if self.obey(told)? && !self.shape.pull {
                return ControlFlow::Continue(true);
            }
        }
    }

    /// Handles an order; returns whether the shape of the stream has changed.
    fn obey(&mut self, told: RenderMessage) -> ControlFlow<(), bool> {
        match told {
            RenderMessage::Update(update, after) => {
                if let Some(seat) = &self.seat {
                    seat.update(update.clone(), after);
                }
                if let Err(why) = self.stream.update(update, after) {
                    self.say(json!({ "error": format!("at: {why}"), "field": "at" }));
                }
                if self.stream.unplayed() > 0 {
                    let most = self.studio.settings.voices;
                    let note = format!("all {most} voices are in use: pitches wait, notes are dropped");
                    self.say(json!({ "note": note }));
                }
            }
            RenderMessage::Voices(voices, there) => {
                self.stream.swap(voices);
                if let (Some(seat), Some(there)) = (&self.seat, there) {
                    seat.swap(there);
                }
            }
            RenderMessage::Monitor(wanted) => {
                self.seat = None;
                let said = match wanted.map(|(seat, model)| (self.stream.resample(&model, seat.rate()), seat)) {
                    None => json!({ "monitor": false }),
                    Some((Ok(stream), seat)) => {
                        seat.begin(stream);
                        self.seat = Some(seat);
                        json!({ "monitor": true })
                    }
                    Some((Err(why), _)) => json!({ "error": format!("monitor: {why}"), "field": "monitor" }),
                };
                self.say(said);
            }
            RenderMessage::Shape(shape, model) => {
                if let Some(model) = model {
                    match self.stream.resample(&model, shape.rate) {
                        Ok(stream) => *self.stream = stream,
                        Err(_) => return ControlFlow::Break(()),
                    }
                }
                self.shape = shape;
                return ControlFlow::Continue(true);
            }
            // A pull requested before pull mode ended.
            RenderMessage::Pull => {}
        }
        ControlFlow::Continue(false)
    }

    fn frame(&mut self) -> Bytes {
        let mut sound = vec![0.0; self.shape.samples()];
        self.stream.fill(&mut sound);
        self.studio.counts.frames.fetch_add(1, Relaxed);
        let bytes: Vec<u8> = match self.shape.format {
            Format::S16 => {
                let sample = |s: &f32| (s.clamp(-1.0, 1.0) * 32_767.0).round() as i16;
                sound.iter().flat_map(|s| sample(s).to_le_bytes()).collect()
            }
            Format::F32 => sound.iter().flat_map(|s| s.to_le_bytes()).collect(),
        };
        bytes.into()
    }

    /// Reports lost frames to a client that reads again.
    fn confess(&mut self) {
        if self.owed > 0 && self.say(json!({ "dropped": self.owed, "note": "these frames were not read in time" })) {
            self.owed = 0;
        }
    }

    /// Sends the client a text message, if it accepts them and the queue has room; returns whether it was queued.
    fn say(&self, json: Json) -> bool {
        self.texts.load(Relaxed) && self.out.try_send(Out::Say(json)).is_ok()
    }
}
