//! What faces have in common at the door: who is a neighbour, and connections taken, bounded and answered.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::lobby::Lobby;
#[cfg(doc)]
use super::lobby::Visitor;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Time a client has to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest head of a request.
const HEAD_BYTES: usize = 16 * 1024;

/// The next connection; `face` is who waits for it, for the log.
pub async fn next(listener: &TcpListener, face: &str) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // A level, or twenty milliseconds of sound; waiting for more to send with it would be felt.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                // Out of descriptors, most likely: those who are here will go.
                tracing::warn!("{face}: no connection can be taken: {error}");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Answers a connection of `peer` in a task of its own, for `longest` at most. It waits in the lobby until its
/// [`Visitor`], which every request has as an extension, is let in.
pub fn answer(stream: TcpStream, peer: SocketAddr, router: Router, longest: Duration, lobby: &Lobby) {
    let visitor = lobby.visitor();
    let service = TowerToHyperService::new(router.layer(Extension(visitor.clone())));
    let task = tokio::spawn(async move {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(Lingering::new(stream)), service)
            .with_upgrades();
        // How a connection ends is its client's affair; when it ends at last, ours: one that takes nothing would keep
        // its place for ever. (What was upgraded is not held up by this.)
        let _ = tokio::time::timeout(longest, connection).await;
    });
    lobby.enter(&visitor, neighbourhood(peer.ip()), task.abort_handle());
}

/// Time for which a connection is drained after its end, and how much of it.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 4 << 20;
/// Connections that are drained at a time; more are dropped at once.
const MOST_LINGERING: usize = 64;

/// A connection that is read on for a moment when it ends.
///
/// The kernel resets a connection that is closed with unread bytes, and the reset may overtake what was sent last: an
/// answer to a request that was too long, or a closing frame.
struct Lingering(Option<TcpStream>);

impl Lingering {
    fn new(stream: TcpStream) -> Lingering {
        Lingering(Some(stream))
    }

    /// The connection; it is there until this is dropped.
    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.0.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl AsyncRead for Lingering {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(cx, buf)
    }
}

impl AsyncWrite for Lingering {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(cx)
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        static PLACES: Semaphore = Semaphore::const_new(MOST_LINGERING);
        let (Some(mut stream), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current()) else { return };
        let Ok(place) = PLACES.try_acquire() else { return };
        runtime.spawn(async move {
            let drain = async {
                let mut rest = vec![0; 16 * 1024];
                let mut left = LINGER_BYTES;
                stream.shutdown().await?;
                while left > 0 {
                    match stream.read(&mut rest).await? {
                        0 => break,
                        bytes => left = left.saturating_sub(bytes),
                    }
                }
                io::Result::Ok(())
            };
            let _ = tokio::time::timeout(LINGER, drain).await;
            drop(place);
        });
    }
}

/// An error, as JSON.
pub fn problem(status: StatusCode, why: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "error": why }).to_string()).into_response()
}

/// The answer to a plain request where a WebSocket is wanted.
pub fn upgrade_required(why: &str) -> Response {
    let mut response = problem(StatusCode::UPGRADE_REQUIRED, why);
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// Who may knock by default: this machine and private networks.
pub fn private_ranges() -> Vec<IpNet> {
    [
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    ]
    .iter()
    .filter_map(|r| r.parse().ok())
    .collect()
}

/// What counts as one address: of IPv6 the first 64 bits, which are one household.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes()),
        other => other,
    }
}

/// Whether an address is within one of the ranges; IPv4 that came in through IPv6 counts as IPv4.
pub fn is_allowed(allow: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    allow.iter().any(|net| net.contains(&address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_ranges_let_neighbours_in_and_strangers_not() {
        let allow = private_ranges();
        for address in ["127.0.0.1", "192.168.1.7", "10.1.2.3", "::1", "::ffff:192.168.1.7", "fe80::1"] {
            assert!(is_allowed(&allow, address.parse().unwrap()), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "2001:db8::1", "::ffff:8.8.8.8"] {
            assert!(!is_allowed(&allow, address.parse().unwrap()), "{address}");
        }
    }
}
