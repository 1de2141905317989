//! Access control of HTTP.
//!
//! Clients on this machine have free access; others need the token, unless the configuration explicitly opens access
//! to everyone. Cross-site requests are rejected by their Origin header, DNS rebinding (a foreign name that resolves to
//! this machine) by the Host header.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use axum::http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq;

use crate::control::faces::connection::neighbourhood;
use crate::control::publish::counters::Tally;

/// Wrong tokens an address may send in a burst; further ones are answered with 429.
const PATIENCE: f64 = 10.0;
/// Rate at which wrong tokens are forgiven, per second: ten a minute.
const FORGIVEN_PER_S: f64 = 10.0 / 60.0;
/// Maximum number of addresses for which wrong tokens are counted.
const REMEMBERED: usize = 1024;

/// Error message for a wrong token.
const WRONG_TOKEN: &str = "the token is wrong";

/// The access rules.
#[derive(Debug, Default)]
pub struct Access {
    /// The token that other machines must present; `None` rejects them.
    pub token: Option<String>,
    /// Whether access is open to everyone, without a token.
    pub open: bool,
    /// Accepted values of the Origin header besides our own.
    pub origins: Vec<String>,
    /// Names of this machine accepted in the Host header.
    pub names: Vec<String>,
    offences: Mutex<HashMap<IpAddr, (f64, Instant)>>,
}

/// A rejected request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// HTTP status.
    pub status: StatusCode,
    /// The reason, with what is expected.
    pub why: String,
}

fn refused(status: StatusCode, why: impl Into<String>) -> Result<(), Refused> {
    Err(Refused { status, why: why.into() })
}

impl Access {
    /// Creates the rules from the token, open access and additional origins; determines this machine's names.
    pub fn new(token: Option<String>, open: bool, origins: Vec<String>) -> Access {
        let mut names = vec!["localhost".to_string()];
        if let Some(name) = crate::system::usage::host_name() {
            names.push(format!("{name}.local"));
            names.push(name);
        }
        Access { token, open, origins, names, offences: Mutex::default() }
    }

    /// Accepts or rejects a request. `query` is the query string of its URL, without the question mark.
    pub fn judge(&self, peer: IpAddr, headers: &HeaderMap, query: &str, tally: &Tally) -> Result<(), Refused> {
        let now = Instant::now();
        let no = match self.weigh(peer.to_canonical(), headers, query) {
            // The correct token is accepted regardless of wrong ones from the same address.
            Ok(()) => return Ok(()),
            Err(no) => no,
        };
        tally.strangers.fetch_add(1, Relaxed);
        tracing::warn!("HTTP: rejected {peer}: {}", no.why);
        // Only wrong tokens count as guesses, not missing ones or foreign origins.
        if no.why == WRONG_TOKEN && !peer.to_canonical().is_loopback() {
            let household = neighbourhood(peer);
            if self.is_tired_of(household, now) {
                return refused(StatusCode::TOO_MANY_REQUESTS, "too many wrong tokens; wait a minute");
            }
            self.remember(household, now);
        }
        Err(no)
    }

    fn weigh(&self, peer: IpAddr, headers: &HeaderMap, query: &str) -> Result<(), Refused> {
        let text = |name: header::HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
        let host = text(header::HOST).unwrap_or_default();
        if let Some(origin) = text(header::ORIGIN) {
            let own = ["http://", "https://"].iter().any(|scheme| origin.strip_prefix(scheme) == Some(host));
            if !(own || self.origins.iter().any(|o| o == origin)) {
                return refused(
                    StatusCode::FORBIDDEN,
                    format!("origin {origin:?} is not allowed; add it to http.origins in the configuration"),
                );
            }
        }
        let presented = text(header::AUTHORIZATION).and_then(|v| v.strip_prefix("Bearer ")).map(str::to_string);
        let presented = presented.or_else(|| token_in(query));
        if let (Some(wanted), Some(got)) = (&self.token, &presented) {
            return match bool::from(wanted.as_bytes().ct_eq(got.trim().as_bytes())) {
                true => Ok(()),
                false => refused(StatusCode::UNAUTHORIZED, WRONG_TOKEN),
            };
        }
        if !self.is_own_name(host) {
            return refused(
                StatusCode::FORBIDDEN,
                format!("Host {host:?} is not a name of this machine; use its address, or send the token"),
            );
        }
        if self.open || peer.to_canonical().is_loopback() {
            return Ok(());
        }
        refused(
            StatusCode::UNAUTHORIZED,
            "token required: send 'Authorization: Bearer TOKEN' or ?token=TOKEN (http.token in the configuration)",
        )
    }

    /// Returns whether a Host header holds an address or a name of this machine.
    fn is_own_name(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        bare.parse::<IpAddr>().is_ok() || self.names.iter().any(|n| n.eq_ignore_ascii_case(name))
    }

    fn remember(&self, peer: IpAddr, now: Instant) {
        let Ok(mut offences) = self.offences.lock() else { return };
        if offences.len() >= REMEMBERED
            && !offences.contains_key(&peer)
            && let Some(oldest) = offences.iter().min_by_key(|(_, (_, at))| *at).map(|(p, _)| *p)
        {
            offences.remove(&oldest);
        }
        let entry = offences.entry(peer).or_insert((0.0, now));
        entry.0 = level(entry, now) + 1.0;
        entry.1 = now;
    }

    fn is_tired_of(&self, peer: IpAddr, now: Instant) -> bool {
        self.offences.lock().is_ok_and(|o| o.get(&peer).is_some_and(|entry| level(entry, now) > PATIENCE - 1.0))
    }
}

fn level(entry: &(f64, Instant), now: Instant) -> f64 {
    (entry.0 - now.saturating_duration_since(entry.1).as_secs_f64() * FORGIVEN_PER_S).max(0.0)
}

/// Returns the percent-decoded token of a query string such as `a=b&token=…`.
fn token_in(query: &str) -> Option<String> {
    let raw = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
    let mut out = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.insert(header::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        map
    }

    fn ask(access: &Access, peer: &str, pairs: &[(&str, &str)], query: &str) -> u16 {
        match access.judge(peer.parse().unwrap(), &headers(pairs), query, &Tally::default()) {
            Ok(()) => 200,
            Err(no) => no.status.as_u16(),
        }
    }

    #[test]
    fn this_machine_is_free_others_need_the_token() {
        let access = Access::new(Some("se cret".into()), false, vec!["https://desk.example".into()]);
        let host = ("host", "192.168.1.5:8080");
        for (peer, pairs, query, status) in [
            ("127.0.0.1", vec![("host", "localhost:8080")], "", 200),
            ("::1", vec![("host", "[::1]:8080")], "", 200),
            ("::ffff:127.0.0.1", vec![host], "", 200),
            ("192.168.1.9", vec![host], "", 401),
            ("192.168.1.9", vec![host], "token=wrong", 401),
            ("192.168.1.9", vec![host], "a=b&token=se%20cret", 200),
            ("192.168.1.9", vec![host, ("authorization", "Bearer se cret")], "", 200),
            ("192.168.1.9", vec![host, ("authorization", "Basic se cret")], "", 401),
            // A wrong token is rejected even from this machine.
            ("127.0.0.1", vec![host, ("authorization", "Bearer x")], "", 401),
            // Origins: our own, a listed one, a foreign one, a local file.
            ("127.0.0.1", vec![host, ("origin", "http://192.168.1.5:8080")], "", 200),
            ("127.0.0.1", vec![host, ("origin", "https://desk.example")], "", 200),
            ("127.0.0.1", vec![host, ("origin", "http://evil.example")], "", 403),
            ("127.0.0.1", vec![host, ("origin", "null")], "", 403),
            // A foreign name that resolves to this machine.
            ("127.0.0.1", vec![("host", "evil.example:8080")], "", 403),
            ("127.0.0.1", vec![("host", "evil.example"), ("origin", "http://evil.example")], "", 403),
        ] {
            assert_eq!(ask(&access, peer, &pairs, query), status, "{peer} {pairs:?} {query}");
        }
    }

    #[test]
    fn without_a_token_nobody_else_gets_in_unless_it_is_open() {
        let host = [("host", "10.0.0.1")];
        assert_eq!(ask(&Access::new(None, false, vec![]), "10.0.0.9", &host, "token="), 401);
        assert_eq!(ask(&Access::new(None, true, vec![]), "10.0.0.9", &host, ""), 200);
    }

    #[test]
    fn only_wrong_tokens_count_and_the_right_one_is_always_taken() {
        let access = Access::new(Some("right".into()), false, vec![]);
        let host = ("host", "10.0.0.1");
        // Foreign pages and clients without a token do not count as guesses.
        for _ in 0..50 {
            assert_eq!(ask(&access, "10.0.0.9", &[host, ("origin", "http://evil.example")], ""), 403);
            assert_eq!(ask(&access, "10.0.0.9", &[host], ""), 401);
        }
        for _ in 0..PATIENCE as usize {
            assert_eq!(ask(&access, "10.0.0.9", &[host], "token=wrong"), 401);
        }
        assert_eq!(ask(&access, "10.0.0.9", &[host], "token=wrong"), 429);
        assert_eq!(ask(&access, "10.0.0.9", &[host], "token=right"), 200, "another client of the same address");
        assert_eq!(ask(&access, "10.0.0.8", &[host], "token=wrong"), 401, "other addresses are not affected");
        // All addresses of an IPv6 /64 network count as one.
        let answers: Vec<u16> =
            (0..900).map(|k| ask(&access, &format!("2001:db8::{k:x}"), &[host], "token=wrong")).collect();
        assert_eq!(answers.iter().filter(|a| **a == 401).count(), PATIENCE as usize);
        assert_eq!(ask(&access, "2001:db8:0:1::1", &[host], "token=wrong"), 401);
    }
}
