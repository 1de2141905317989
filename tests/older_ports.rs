//! OSC ports shared with another program that listens with SO_REUSEPORT, whichever starts first.

mod common;

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
use std::process::{Child, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use common::{Daemon, Scratch, free_port, grooved, i, python};

/// Listener of the older set player.
struct Listener {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Listener {
    fn start(port: u16) -> Listener {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/listener.py");
        let mut child =
            python().args([script, &port.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "listening");
        Listener { child, out }
    }

    /// Stops the listener; returns the number of packets it received.
    fn stop(mut self) -> usize {
        std::thread::sleep(Duration::from_millis(200));
        drop(self.child.stdin.take());
        let mut count = String::new();
        self.out.read_to_string(&mut count).unwrap();
        self.child.wait().unwrap();
        count.trim().parse().unwrap()
    }
}

/// Sends one packet each from forty sockets.
fn send_forty(port: u16) {
    for _ in 0..40 {
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"/x\0\0,\0\0\0", ("127.0.0.1", port)).unwrap();
    }
}

/// Starts a daemon on two ports; requests use the second.
fn daemon(scratch: &Scratch, first: u16, second: u16) -> Daemon {
    std::fs::write(scratch.path("g.toml"), format!("[osc]\nports = [{first}, {second}]\n")).unwrap();
    let mut command = grooved();
    command.current_dir(&scratch.0).args(["--config", "g.toml", "--output", "null", "--http-port", "0"]);
    command.args(["--ddsp-listen", "off"]);
    Daemon::spawn(scratch, command, second)
}

fn wait_for(daemon: &Daemon, words: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    while !daemon.log().contains(words) {
        assert!(Instant::now() < end, "{words:?} is not in the log:\n{}", daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_listener_that_was_there_first_keeps_its_port() {
    let scratch = Scratch::new("port-second");
    let (first, second) = (free_port(), free_port());
    let listener = Listener::start(first);
    let daemon = daemon(&scratch, first, second);
    wait_for(&daemon, &format!("UDP port {first}"));
    send_forty(first);
    assert_eq!(listener.stop(), 40);
    assert!(daemon.log().contains(&format!("OSC on UDP port {second}\n")), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn a_listener_that_starts_later_gets_its_port_and_gives_it_back() {
    let scratch = Scratch::new("port-first");
    let (first, second) = (free_port(), free_port());
    let daemon = daemon(&scratch, first, second);
    let listener = Listener::start(first);
    wait_for(&daemon, &format!("another program now listens on UDP port {first}"));
    send_forty(first);
    assert_eq!(daemon.client().status("buffers", 0), i(0), "the second port still works");
    assert_eq!(listener.stop(), 40);
    wait_for(&daemon, &format!("the other program has released UDP port {first}"));
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    client.send_to(b"/sync\0\0\0,\0\0\0", ("127.0.0.1", first)).unwrap();
    assert!(client.recv(&mut [0; 64]).is_ok(), "packets arrive here again");
    daemon.stop();
}
