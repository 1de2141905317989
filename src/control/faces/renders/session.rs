//! One client of the render socket.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use futures_util::StreamExt;
use tokio::sync::mpsc;

use super::job::Job;
use super::messages::{Reply, Request};
use super::{MOST_BYTES, Renders};
use crate::control::faces::closing;
use crate::genome::Fault;

/// Timeout for sending one frame; a client that reads nothing for this long is considered gone.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// Bytes per second that a client has to take at least of a large frame.
const SLOWEST: u64 = 100_000;
/// Interval between pings.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Replies that wait for the client; when it is full, its renders wait.
const QUEUE: usize = 8;

/// Limits a WebSocket's messages to the sizes of this protocol.
pub fn bounded(socket: WebSocketUpgrade) -> WebSocketUpgrade {
    socket.max_message_size(MOST_BYTES).max_frame_size(MOST_BYTES).read_buffer_size(8 * 1024).write_buffer_size(0)
}

/// Greets a client; false if it is gone.
pub async fn welcome(socket: &mut WebSocket) -> bool {
    let text = Message::Text(Reply::welcome().text().into());
    matches!(tokio::time::timeout(SEND_WITHIN, socket.send(text)).await, Ok(Ok(())))
}

/// Serves a client that was greeted; `first` is a message that was received already. Its renders stop when it goes.
pub async fn converse(mut socket: WebSocket, renders: Arc<Renders>, first: Option<String>, peer: SocketAddr) {
    let (replies, mut outgoing) = mpsc::channel::<Vec<Message>>(QUEUE);
    let mut jobs: Vec<Job> = Vec::new();
    let mut ending = renders.ending.clone();
    let mut ping = tokio::time::interval_at(tokio::time::Instant::now() + PING_EVERY, PING_EVERY);
    let mut heard = first;
    tracing::debug!("render socket: {peer} connected");
    let last = loop {
        if let Some(text) = heard.take() {
            jobs.retain(|job| !job.is_over());
            if let Some(reply) = hear(&text, &renders, &replies, &mut jobs).await
                && !send(&mut socket, reply).await
            {
                break None;
            }
        }
        tokio::select! {
            frame = socket.next() => match frame {
                Some(Ok(Message::Text(text))) => heard = Some(text.as_str().to_string()),
                Some(Ok(Message::Close(_))) | None => break None,
                Some(Ok(_)) => {}
                Some(Err(error)) => break closing::fault(error),
            },
            Some(reply) = outgoing.recv() => {
                // What belongs together is sent without anything in between.
                if !send_all(&mut socket, reply).await {
                    break None;
                }
            }
            _ = ping.tick() => {
                if !send(&mut socket, Message::Ping(Vec::new().into())).await {
                    break None;
                }
            }
            () = ending.comes() => break Some(closing::stopping()),
        }
    };
    jobs.clear();
    outgoing.close();
    closing::part(&mut socket, last).await;
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    let size = if let Message::Binary(bytes) = &message { bytes.len() } else { 0 };
    let within = SEND_WITHIN + Duration::from_secs(size as u64 / SLOWEST);
    matches!(tokio::time::timeout(within, socket.send(message)).await, Ok(Ok(())))
}

async fn send_all(socket: &mut WebSocket, messages: Vec<Message>) -> bool {
    for message in messages {
        if !send(socket, message).await {
            return false;
        }
    }
    true
}

/// Does what a message asks for; returns an error to send at once.
async fn hear(
    text: &str,
    renders: &Arc<Renders>,
    replies: &mpsc::Sender<Vec<Message>>,
    jobs: &mut Vec<Job>,
) -> Option<Message> {
    let longest = renders.longest;
    let owned = text.to_string();
    let turn = renders.reading.acquire().await;
    // A genome in the message may take a while to compile.
    let read = tokio::task::spawn_blocking(move || Request::read(&owned, longest)).await;
    drop(turn);
    let failed = |fault: Fault, id: Option<&serde_json::Value>| {
        Some(Message::Text(Reply::Error { message: fault.to_string(), request_id: id }.text().into()))
    };
    match read {
        Ok(Ok(Request::Render(order))) => {
            let id = order.request_id.clone();
            match Job::start(*order, renders, replies.clone()) {
                Ok(job) => {
                    jobs.push(job);
                    None
                }
                Err(fault) => failed(fault, id.as_ref()),
            }
        }
        Ok(Ok(Request::Position(position, id))) => {
            jobs.iter().filter(|job| id.is_none() || job.request_id == id).for_each(|job| job.note(position));
            None
        }
        Ok(Err((fault, id))) => failed(fault, id.as_ref()),
        Err(_) => failed(Fault::Request("the message could not be read".into()), None),
    }
}
