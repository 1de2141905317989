//! Replies and subscriptions to a port or host other than the sender's, as used by control surfaces.

mod common;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use common::{Client, Daemon, Scratch, f, i, s};

/// Returns a socket that only receives.
fn listener() -> (Client, i64) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = i64::from(socket.local_addr().unwrap().port());
    (Client { socket }, port)
}

/// Returns the addresses received up to `wanted`.
fn heard(listener: &Client, wanted: &str) -> Vec<String> {
    let end = Instant::now() + Duration::from_secs(5);
    let mut all = Vec::new();
    while Instant::now() < end {
        for message in listener.next(Duration::from_millis(500)).unwrap_or_default() {
            all.push(message.address);
        }
        if all.iter().any(|a| a == wanted) {
            return all;
        }
    }
    panic!("{wanted} did not come: {all:?}");
}

/// Waits until no more packets arrive.
fn quiet(listener: &Client) {
    let end = Instant::now() + Duration::from_secs(5);
    while listener.next(Duration::from_millis(300)).is_some() {
        assert!(Instant::now() < end, "it goes on");
    }
}

#[test]
fn subscriptions_go_where_they_are_sent_to() {
    let scratch = Scratch::new("recipients");
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let client = daemon.client();
    for to in ["port", "address"] {
        let (screen, port) = listener();
        let to = if to == "port" { i(port) } else { s(format!("127.0.0.1:{port}")) };
        client.done("/subscribe", vec![s("meters"), f(20.0), f(60.0), to.clone()]);
        heard(&screen, "/meter/output");
        assert!(client.next(Duration::from_millis(300)).is_none(), "the sender hears nothing of it");
        // A client that sends from a new port each time renews and ends the same subscription.
        daemon.client().done("/groove/subscribe", vec![s("meters"), f(10.0), f(60.0), to.clone()]);
        daemon.client().done("/unsubscribe", vec![s("meters"), to]);
        quiet(&screen);
    }
    for (to, why) in [
        (s("8.8.8.8:9000"), "osc.allow"),
        (s("stage.local:9000"), "neither a port nor an IP address"),
        (i(53), "below 1024"),
        (i(70_000), "no such port"),
        (s("224.0.0.1:9000"), "not the address of a host"),
    ] {
        let said = client.fails("/subscribe", vec![s("beats"), f(1.0), f(10.0), to]);
        assert!(said.contains(why), "{said}");
    }
    daemon.stop();
}

#[test]
fn answers_go_where_they_are_sent_to() {
    let scratch = Scratch::new("answers-to");
    let daemon = Daemon::start(&scratch, &["--output", "null"]);
    let (surface, other) = (daemon.client(), daemon.client());
    let (screen, port) = listener();
    surface.send("/subscribe", vec![s("answers"), f(1.0), f(60.0), i(port)]);
    heard(&screen, "/done");
    surface.send("/load_buffer", vec![i(1), s("no such file.wav")]);
    heard(&screen, "/fail");
    surface.send("/groove/get", vec![s("/groove/master")]);
    heard(&screen, "/groove/master");
    surface.send("/get_status", vec![]);
    heard(&screen, "/status/output");
    assert!(surface.next(Duration::from_millis(300)).is_none(), "the sender hears nothing of it");
    // Other clients are answered as usual.
    other.done("/test_tone", vec![]);
    surface.send("/unsubscribe", vec![s("answers")]);
    let answered = surface.next(Duration::from_secs(5)).unwrap();
    assert_eq!(answered[0].address, "/done");
    surface.done("/test_tone", vec![]);
    daemon.stop();
}
