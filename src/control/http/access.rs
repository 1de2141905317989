//! Who may knock.
//!
//! Whoever is on this machine, freely; others with the token, or everyone if the configuration says so in so many
//! words. A page from elsewhere that makes a browser ask on its behalf is turned away by its Origin, and one that
//! makes a name of its own point at this machine by the Host it asks for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use axum::http::{HeaderMap, StatusCode, header};
use subtle::ConstantTimeEq;

use super::super::connection::neighbourhood;
use super::super::tally::Tally;

/// Wrong tokens of an address before it gets 429 for a while, and how many are forgiven per second: ten, and a minute.
const PATIENCE: f64 = 10.0;
const FORGIVEN_PER_S: f64 = 10.0 / 60.0;
/// Addresses remembered for that.
const REMEMBERED: usize = 1024;

/// What a wrong token is answered with.
const WRONG_TOKEN: &str = "the token is wrong";

/// The rules.
#[derive(Debug, Default)]
pub struct Access {
    /// What others must present; `None`: nobody else gets in.
    pub token: Option<String>,
    /// Whether everyone may come in.
    pub open: bool,
    /// Origins of pages that may ask besides our own.
    pub origins: Vec<String>,
    /// Names of this machine.
    pub names: Vec<String>,
    offences: Mutex<HashMap<IpAddr, (f64, Instant)>>,
}

/// A knock that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Status.
    pub status: StatusCode,
    /// Why, and what would be right.
    pub why: String,
}

fn refused(status: StatusCode, why: impl Into<String>) -> Result<(), Refused> {
    Err(Refused { status, why: why.into() })
}

impl Access {
    /// By token, openness and further origins.
    pub fn new(token: Option<String>, open: bool, origins: Vec<String>) -> Access {
        let mut names = vec!["localhost".to_string()];
        if let Some(name) = crate::system::usage::host_name() {
            names.push(format!("{name}.local"));
            names.push(name);
        }
        Access { token, open, origins, names, offences: Mutex::default() }
    }

    /// Lets a request in, or says why not. `query` is the part of the address behind the question mark.
    pub fn judge(&self, peer: IpAddr, headers: &HeaderMap, query: &str, tally: &Tally) -> Result<(), Refused> {
        let now = Instant::now();
        let no = match self.weigh(peer.to_canonical(), headers, query) {
            // Whoever has the token gets in, whatever others of the same address have tried.
            Ok(()) => return Ok(()),
            Err(no) => no,
        };
        tally.strangers.fetch_add(1, Relaxed);
        tracing::warn!("HTTP from {peer} is refused: {}", no.why);
        // A token that is missing, or a page that may not ask, is no guess.
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
                    format!("a page of origin {origin:?} may not ask; http.origins in the configuration lists who may"),
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
                format!("{host:?} is no name of this machine; its address, or a token, would be right"),
            );
        }
        if self.open || peer.to_canonical().is_loopback() {
            return Ok(());
        }
        refused(
            StatusCode::UNAUTHORIZED,
            "a token is needed: 'Authorization: Bearer TOKEN', or ?token=TOKEN (http.token in the configuration)",
        )
    }

    /// Whether a Host is an address, or a name this machine goes by.
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

/// The token in `a=b&token=…`, with percent signs undone.
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
            // A wrong token is wrong even from here.
            ("127.0.0.1", vec![host, ("authorization", "Bearer x")], "", 401),
            // Pages: our own, a listed one, a foreign one, one from a file.
            ("127.0.0.1", vec![host, ("origin", "http://192.168.1.5:8080")], "", 200),
            ("127.0.0.1", vec![host, ("origin", "https://desk.example")], "", 200),
            ("127.0.0.1", vec![host, ("origin", "http://evil.example")], "", 403),
            ("127.0.0.1", vec![host, ("origin", "null")], "", 403),
            // A foreign name that points here.
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
        // A foreign page in somebody's browser, and clients that know of no token, are no guesses.
        for _ in 0..50 {
            assert_eq!(ask(&access, "10.0.0.9", &[host, ("origin", "http://evil.example")], ""), 403);
            assert_eq!(ask(&access, "10.0.0.9", &[host], ""), 401);
        }
        for _ in 0..PATIENCE as usize {
            assert_eq!(ask(&access, "10.0.0.9", &[host], "token=wrong"), 401);
        }
        assert_eq!(ask(&access, "10.0.0.9", &[host], "token=wrong"), 429);
        assert_eq!(ask(&access, "10.0.0.9", &[host], "token=right"), 200, "somebody else at the same address");
        assert_eq!(ask(&access, "10.0.0.8", &[host], "token=wrong"), 401, "others are not concerned");
        // The addresses of one IPv6 network are one guesser.
        let answers: Vec<u16> =
            (0..900).map(|k| ask(&access, &format!("2001:db8::{k:x}"), &[host], "token=wrong")).collect();
        assert_eq!(answers.iter().filter(|a| **a == 401).count(), PATIENCE as usize);
        assert_eq!(ask(&access, "2001:db8:0:1::1", &[host], "token=wrong"), 401);
    }
}
