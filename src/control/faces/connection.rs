//! Shared by the TCP interfaces: accepting, limiting and serving connections, error responses and address ranges.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::control::faces::lobby::Lobby;
#[cfg(doc)]
use crate::control::faces::lobby::Visitor;
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

/// Timeout for the head of a request.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum size of the head of a request in bytes.
const HEAD_BYTES: usize = 16 * 1024;

/// Accepts the next connection; retries on errors, which are logged with `face` as the subject.
pub async fn next(listener: &TcpListener, face: &str) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Messages are small (a level, 20 ms of audio), and delaying them to fill a packet would be noticeable.
                let _ = stream.set_nodelay(true);
                return (stream, peer);
            }
            Err(error) => {
                // Most likely out of file descriptors; retry, since other connections will end.
                tracing::warn!("{face}: cannot accept connections: {error}; retrying");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

/// Serves a connection of `peer` in a new task, for `longest` at most. It stays in the lobby until the [`Visitor`] that
/// every request carries as an extension is let in.
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
        // Errors concern only the client. The timeout ends connections that read nothing and would otherwise hold their
        // permit forever; it does not apply to upgraded connections.
        let _ = tokio::time::timeout(longest, connection).await;
    });
    lobby.enter(&visitor, neighbourhood(peer.ip()), task.abort_handle());
}

/// Maximum time for which a connection is drained after its end.
const LINGER: Duration = Duration::from_secs(1);
/// Maximum number of bytes drained from a connection after its end.
const LINGER_BYTES: usize = 4 << 20;
/// Maximum number of connections drained at a time; further ones are closed at once.
const MOST_LINGERING: usize = 64;

/// A TCP stream that is drained for a moment when it is dropped.
///
/// The kernel resets a connection that is closed with unread bytes, and the reset may overtake the last data sent: the
/// answer to a request that was too long, or a close frame.
struct Lingering(Option<TcpStream>);

impl Lingering {
    fn new(stream: TcpStream) -> Lingering {
        Lingering(Some(stream))
    }

    /// Returns the stream, which is present until drop.
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

/// Returns an error response with a JSON body.
pub fn problem(status: StatusCode, why: &str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], json!({ "error": why }).to_string()).into_response()
}

/// Returns the response (426) to a plain request where a WebSocket is expected.
pub fn upgrade_required(why: &str) -> Response {
    let mut response = problem(StatusCode::UPGRADE_REQUIRED, why);
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}

/// Returns the address ranges allowed by default: this machine and private networks.
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

/// Returns the address by which limits are counted: for IPv6 only the first 64 bits, which identify a network.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => IpAddr::from((u128::from(v6) >> 64 << 64).to_be_bytes()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::commands::allow::is_allowed;

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
