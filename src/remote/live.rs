//! A connection to the daemon's `/api/ws`.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

/// WebSocket connection to the daemon's JSON interface.
pub struct Live {
    socket: WebSocket<TcpStream>,
    next: u64,
}

/// Result of waiting for a message.
#[derive(Debug)]
pub enum LiveMessage {
    /// A message was received.
    Json(Json),
    /// No message within the timeout.
    Nothing,
}

impl Live {
    /// Connects to the daemon. From another machine, `token` is required unless `http.auth` is "open".
    ///
    /// # Errors
    /// If the connection cannot be established or is rejected.
    pub fn connect(host: &str, port: u16, token: Option<&str>, timeout: Duration) -> Result<Live, String> {
        let hint =
            format!("check that grooved is running with http.port {port}, or choose another port with --http-port");
        Ok(Live { socket: connect(host, port, "/api/ws", token, timeout, &hint)?, next: 1 })
    }

    /// Sends a request without waiting for its reply. Returns the request's ID.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn say(&mut self, mut request: Json) -> Result<u64, String> {
        let id = self.next;
        self.next += 1;
        request["id"] = json!(id);
        self.socket.send(Message::text(request.to_string())).map_err(|e| format!("connection lost: {e}"))?;
        Ok(id)
    }

    /// Waits up to `timeout` for the next message.
    ///
    /// # Errors
    /// If the connection is closed or lost, or the message is not JSON.
    pub fn hear(&mut self, timeout: Duration) -> Result<LiveMessage, String> {
        self.socket
            .get_ref()
            .set_read_timeout(Some(timeout.max(Duration::from_millis(1))))
            .map_err(|e| e.to_string())?;
        match self.socket.read() {
            Ok(Message::Text(text)) => serde_json::from_str(&text).map(LiveMessage::Json).map_err(|e| e.to_string()),
            Ok(Message::Close(_)) => Err("the daemon closed the connection".into()),
            Ok(_) => Ok(LiveMessage::Nothing),
            Err(tungstenite::Error::Io(e))
                if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) =>
            {
                Ok(LiveMessage::Nothing)
            }
            Err(e) => Err(format!("connection lost: {e}")),
        }
    }

    /// Subscribes to paths, with at most `rate` updates per second and events from number `since` on.
    ///
    /// # Errors
    /// If the connection is lost.
    pub fn subscribe(&mut self, paths: &[&str], rate: f64, since: Option<u64>) -> Result<(), String> {
        let mut request = json!({ "op": "subscribe", "paths": paths, "rate": rate });
        if let Some(since) = since {
            request["since"] = since.into();
        }
        self.say(request).map(drop)
    }
}

/// Opens a WebSocket. `hint` is appended to the error if the connection is refused.
///
/// # Errors
/// If the host is unknown or unreachable, the token is invalid, or the daemon rejects the connection.
pub fn connect(
    host: &str,
    port: u16,
    path: &str,
    token: Option<&str>,
    timeout: Duration,
    hint: &str,
) -> Result<WebSocket<TcpStream>, String> {
    let peer = (host, port)
        .to_socket_addrs()
        .map_err(|e| format!("--host {host}: {e}"))?
        .next()
        .ok_or_else(|| format!("--host {host}: no such host"))?;
    let stream = TcpStream::connect_timeout(&peer, timeout).map_err(|e| match e.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            format!("nothing listens on {peer}; {hint}")
        }
        _ => format!("{peer}: {e}"),
    })?;
    let _ = stream.set_nodelay(true);
    stream.set_read_timeout(Some(timeout)).map_err(|e| e.to_string())?;
    let shown = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
    let mut request = format!("ws://{shown}:{port}{path}").into_client_request().map_err(|e| e.to_string())?;
    if let Some(token) = token {
        let value =
            format!("Bearer {token}").parse().map_err(|_| "--token: contains characters not allowed in a header")?;
        request.headers_mut().insert("authorization", value);
    }
    let (socket, _) = tungstenite::client(request, stream).map_err(|e| match e {
        tungstenite::HandshakeError::Failure(tungstenite::Error::Http(answer)) => {
            let why = answer.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            let why = serde_json::from_str::<Json>(&why)
                .ok()
                .and_then(|j| Some(j["error"].as_str()?.to_string()))
                .unwrap_or(why);
            format!("{peer} rejected the connection ({}): {why}", answer.status().as_u16())
        }
        other => format!("{peer}: {other}"),
    })?;
    Ok(socket)
}
