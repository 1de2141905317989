//! Measures the time from an OSC datagram to its effect in the rendered stream, end to end: a real daemon, real UDP,
//! and its own recording. The delay of the device's buffer is not included.

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::time::Duration;

use grooved::control::commands::packet;
use grooved::control::commands::request::Message;
use grooved::control::commands::value::Value;
use grooved::media::decode::Decoder;
use grooved::system::time::{monotonic_ns, sleep_until};

const RATE: f64 = 48_000.0;

/// Length of the instruments' hop, in milliseconds.
#[cfg(feature = "ddsp")]
const HOP_MS: f64 = 10.0;

/// The parameter that is changed.
#[derive(Clone, Copy)]
enum What {
    /// The master gain.
    Master,
    /// The loudness of a voice that was silent for this many milliseconds before.
    #[cfg(feature = "ddsp")]
    Voice(u64),
    /// A note of a genome, which is rendered then, or has been.
    #[cfg(feature = "ddsp")]
    Genome { rendered: bool },
}

/// Genomes that are played: instruments of as many parts.
#[cfg(feature = "ddsp")]
const GENOMES: i64 = 12;

fn main() {
    if std::env::args().any(|a| a == "--list") {
        return;
    }
    for period in [64, 256, 1024] {
        tell("the master gain", What::Master, period, 0.0);
    }
    // A voice continues for 0.3 s after it has fallen silent, hop by hop; then it rests, and starts immediately.
    #[cfg(feature = "ddsp")]
    for period in [64, 256, 1024] {
        tell("a running voice", What::Voice(120), period, 2.0 * HOP_MS);
        tell("a resting voice", What::Voice(450), period, 2.0 * HOP_MS);
    }
    #[cfg(feature = "ddsp")]
    for period in [64, 1024] {
        tell("a genome's note", What::Genome { rendered: false }, period, 60.0);
        tell("a cached note", What::Genome { rendered: true }, period, 2.0 * HOP_MS);
    }
}

/// Measures and prints a line; `beyond` is the allowed delay beyond a period, in milliseconds.
fn tell(name: &str, what: What, period: usize, beyond: f64) {
    let mut late = measure(what, period);
    late.sort_by(f64::total_cmp);
    let at = |q: f64| late[((late.len() - 1) as f64 * q) as usize];
    let most = period as f64 / RATE * 1e3 + beyond;
    println!(
        "{name:<17} period {period:>4} ({:5.2} ms): {} datagrams, min {:5.2} ms, median {:5.2}, 99 % {:5.2}, \
         max {:5.2}; later than {most:.1} ms: {}",
        period as f64 / RATE * 1e3,
        late.len(),
        at(0.0),
        at(0.5),
        at(0.99),
        at(1.0),
        late.iter().filter(|ms| **ms > most).count()
    );
}

/// Returns the times in milliseconds from sending to the rendering of the first changed frame.
fn measure(what: What, period: usize) -> Vec<f64> {
    let folder = std::env::temp_dir().join(format!("grooved-latency-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a scratch folder");
    let out = folder.join("out.wav");
    // Constant samples at unity gain: the recording shows the master gain itself.
    let ones = folder.join("ones.wav");
    let mut writer = grooved::media::wav::WavWriter::create(&ones, 2, 48_000, grooved::media::wav::Depth::Float)
        .expect("a WAV file");
    writer.write(&vec![0.5; 2 * 48_000]).expect("a WAV file");
    writer.finish().expect("a WAV file");
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    std::fs::write(
        folder.join("g.toml"),
        format!("[ddsp]\nmodels = \"{models}\"\nlisten = \"off\"\ninstrument = \"flute\"\n"),
    )
    .expect("a configuration");
    let database = folder.join("genomes.sqlite");
    let port = UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a port").port();
    #[cfg(feature = "ddsp")]
    if matches!(what, What::Genome { .. }) {
        genomes(&database);
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_grooved"));
    if database.exists() {
        command.env("DB_PATH", &database);
    }
    let mut daemon = command
        .current_dir(&folder)
        .env("STATE_DIRECTORY", &folder)
        // A deep reserve does not delay the rendering of the next period, but keeps a busy machine from losing time,
        // which the recording would lack.
        .args(["--log", "warn", "--port", &port.to_string(), "--buffer-size", &period.to_string(), "--periods", "32"])
        .args(["--config", "g.toml", "--http-port", "0", "--output", &format!("wav:{}", out.display())])
        .args(if matches!(what, What::Master) { &["--a", "ones.wav", "--vol", "1"][..] } else { &[] })
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the daemon starts");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(("127.0.0.1", port)).expect("a socket");
    socket.set_read_timeout(Some(Duration::from_millis(500))).expect("a timeout");
    let send = |address: &str, args: Vec<Value>| {
        let _ = socket.send(&packet::encode(&[Message::new(address, args)]).expect("a message"));
    };
    let status = || -> Option<(f64, f64)> {
        send("/get_status", vec![]);
        let mut buffer = [0; 65_536];
        for _ in 0..10 {
            let n = socket.recv(&mut buffer).ok()?;
            let clock = packet::messages(&buffer[..n]).ok()?.into_iter().find(|m| m.address == "/status/clock");
            if let Some(clock) = clock {
                return Some((clock.args[0].as_float()?, clock.args[1].as_float()?));
            }
        }
        None
    };
    while status().is_none() {}
    #[cfg(feature = "ddsp")]
    if matches!(what, What::Genome { .. }) {
        let names: Vec<String> = genomes(&database).into_iter().map(|id| format!("genome:{id}?duration=0.3")).collect();
        for (part, name) in (1..=GENOMES).zip(names) {
            send("/groove/instrument/swap", vec![name.as_str().into(), Value::Int(part)]);
        }
        std::thread::sleep(Duration::from_secs(4));
    }
    send("/groove/master", vec![Value::Float(0.5)]);
    std::thread::sleep(Duration::from_millis(500));
    // Rendering proceeds in steps: a period is rendered at once, and frames − time × rate is greatest just after a
    // step. The maximum over many queries locates the steps.
    let mut edge = f64::MIN;
    let mut sent = Vec::new();
    let mut level = 0.5;
    let mut next = monotonic_ns();
    let (tries, pause, hold) = match what {
        What::Master => (300u64, 30, 0),
        #[cfg(feature = "ddsp")]
        What::Voice(pause) => (60, pause, 100),
        #[cfg(feature = "ddsp")]
        What::Genome { .. } => (60, 450, 100),
    };
    for k in 0..tries {
        // Times unrelated to the period, far enough apart that each change is distinct.
        next += pause * 1_000_000 + (k.wrapping_mul(2_654_435_761) % 17_000_000);
        sleep_until(next);
        level = if level == 0.5 { 0.25 } else { 0.5 };
        sent.push(monotonic_ns());
        match what {
            What::Master => send("/groove/master", vec![Value::Float(level)]),
            #[cfg(feature = "ddsp")]
            What::Voice(_) => send("/groove/voice/1/loudness", vec![Value::Float(0.9)]),
            #[cfg(feature = "ddsp")]
            What::Genome { rendered } => {
                let (part, turn) = (1 + k as i64 % GENOMES, k as i64 / GENOMES);
                // Further apart than the notes that are rendered ahead.
                let note = 40.5 + if rendered { 0.0 } else { 3.3 * turn as f64 };
                send("/groove/note/on", vec![Value::Float(note), Value::Float(127.0), Value::Int(part)]);
            }
        }
        if let Some((frames, ns)) = status() {
            edge = edge.max(frames - ns * 1e-9 * RATE);
        }
        if hold > 0 {
            next += hold * 1_000_000;
            sleep_until(next);
            match what {
                #[cfg(feature = "ddsp")]
                What::Genome { .. } => send("/groove/note/all_off", vec![]),
                _ => send("/groove/voice/1/loudness", vec![Value::Float(0.0)]),
            }
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    let _ = Command::new("kill").arg(daemon.id().to_string()).status();
    let _ = daemon.wait();
    let mut decoder = Decoder::open(&out).expect("the recording");
    let frames = decoder.info().frames as usize;
    let (mut left, mut right) = (vec![0.0; frames], vec![0.0; frames]);
    decoder.read(&mut left, &mut right).expect("the recording");
    let _ = std::fs::remove_dir_all(&folder);
    let changes: Vec<usize> = match what {
        // Frames at which the level changes from one of its two values to the other.
        What::Master => {
            let mut still = 0;
            let leaves = |i: &usize| {
                let rests = if left[*i] == left[*i - 1] { still + 1 } else { 0 };
                std::mem::replace(&mut still, rests) > 480 && rests == 0 && left[*i - 1] > 0.1
            };
            (1..frames).filter(leaves).collect()
        }
        // Frames that end a silence.
        #[cfg(feature = "ddsp")]
        What::Voice(_) | What::Genome { .. } => {
            let mut silent = 0;
            let ends = |i: &usize| {
                let before = if left[*i] == 0.0 { silent + 1 } else { 0 };
                std::mem::replace(&mut silent, before) > 480 && left[*i] != 0.0
            };
            (0..frames).filter(ends).collect()
        }
    };
    let mut changes = changes.into_iter().map(|frame| {
        // The period that contains the frame was rendered when the step to its end occurred.
        let end = (frame / period + 1) * period;
        (end as f64 - edge) / RATE * 1e9
    });
    // Each datagram has the first change after it; the fades of the start and the end belong to none.
    sent.iter().filter_map(|sent| Some((changes.find(|ns| *ns > *sent as f64)? - *sent as f64) * 1e-6)).collect()
}

/// Fills a database with genomes of the tests, and returns those that sound from their first frames on.
#[cfg(feature = "ddsp")]
fn genomes(database: &std::path::Path) -> Vec<String> {
    use grooved::genome::{Evaluation, Genome, Sound, import, render_whole};
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/genomes");
    let mut files: Vec<_> = std::fs::read_dir(folder).expect("the genomes").flatten().map(|f| f.path()).collect();
    files.sort();
    let mut sounding = Vec::new();
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(id) = name.strip_suffix(".json.gz") else { continue };
        let bytes = std::fs::read(&file).expect("a genome");
        import(database, id, &bytes).expect("a database");
        let sound = Sound { duration: 0.3, ..Sound::default() };
        let rendered = Genome::from_bytes(&bytes).and_then(|genome| render_whole(&genome, sound, Evaluation::Lazy));
        if rendered.is_ok_and(|sound| sound[..48].iter().any(|s| s.abs() > 1e-4)) {
            sounding.push(id.to_string());
        }
    }
    sounding
}
