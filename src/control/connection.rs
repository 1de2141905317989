//! What faces have in common at the door: who is a neighbour, and connections taken, bounded and answered.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};

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

/// Answers a connection in a task of its own, for `longest` at most; `held` is let go when it ends.
pub fn answer(stream: TcpStream, router: Router, longest: Duration, held: impl Send + 'static) {
    let service = TowerToHyperService::new(router);
    tokio::spawn(async move {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(PATIENCE)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // How a connection ends is its client's affair; when it ends at last, ours: one that takes nothing would keep
        // its place for ever. (What was upgraded is not held up by this.)
        let _ = tokio::time::timeout(longest, connection).await;
        drop(held);
    });
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
