//! Genomes against the renders of the older service. The data were made with its program; see their manifest.

mod common;

use std::io::Read;
use std::path::{Path, PathBuf};

use common::{Daemon, Scratch, free_tcp_port, grooved, python};
use grooved::genome::{self, Evaluation, Genome, Pitch, Sound};

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/genomes")
}

fn inflate(path: &Path) -> Vec<u8> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(file).read_to_end(&mut out).unwrap();
    out
}

struct Case {
    id: String,
    genome: Genome,
    sound: Sound,
    /// The older service's samples, or none where it failed.
    expected: Option<Vec<f32>>,
}

fn cases() -> Vec<Case> {
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(data().join("manifest.json")).unwrap()).unwrap();
    let items = manifest["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            let id = item["id"].as_str().unwrap().to_string();
            let number = |key: &str| item["params"][key].as_f64().unwrap();
            let genome = std::fs::read(data().join(format!("{id}.json.gz"))).unwrap();
            let expected = item.get("error").is_none().then(|| {
                let bytes = inflate(&data().join(format!("{id}.raw.f32.gz")));
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
            });
            let sound = Sound {
                duration: number("duration"),
                note_delta: Pitch::Semitones(number("noteDelta")),
                velocity: number("velocity"),
            };
            Case { genome: Genome::from_bytes(&genome).unwrap_or_else(|e| panic!("{id}: {e}")), id, sound, expected }
        })
        .collect()
}

#[test]
fn every_genome_sounds_as_in_the_older_service_whether_lazy_or_eager() {
    let mut faults = Vec::new();
    for case in cases() {
        for evaluation in [Evaluation::Eager, Evaluation::Lazy] {
            let rendered = genome::render_whole(&case.genome, case.sound, evaluation);
            let line = match (&case.expected, rendered) {
                (None, Err(e)) => {
                    println!("{} {evaluation:?}: {e}", case.id);
                    continue;
                }
                (None, Ok(_)) => "rendered: the older service fails".to_string(),
                (Some(_), Err(e)) => e.to_string(),
                (Some(expected), Ok(rendered)) => {
                    let same = expected.len() == rendered.len();
                    let far = expected.iter().zip(&rendered).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                    let equal = expected.iter().zip(&rendered).filter(|(a, b)| a == b).count();
                    println!("{} {evaluation:?}: {far:e}, {equal} of {} equal", case.id, expected.len());
                    if same && far <= 1e-6 {
                        continue;
                    }
                    format!("{} frames of {}, up to {far:e} away", rendered.len(), expected.len())
                }
            };
            faults.push(format!("{} {evaluation:?}: {line}", case.id));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn a_batch_render_is_the_raw_render_normalised() {
    let manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(data().join("manifest.json")).unwrap()).unwrap();
    for (case, item) in cases().into_iter().zip(manifest["items"].as_array().unwrap()) {
        let Some(mut sound) = case.expected else { continue };
        genome::normalise(&mut sound);
        let peak = sound.iter().fold(0.0f32, |m, s| m.max(s.abs()));
        let expected = item["normPeak"].as_f64().unwrap();
        assert!((f64::from(peak) - expected).abs() < 1e-7, "{}: {peak} and {expected}", case.id);
    }
}

/// A small genome: a network with one output that drives a gain, and an oscillator through it.
fn small(weight: f64, parameter: &str, extra: &str) -> String {
    let neuron = |gid: u32, kind: &str, activation: &str| {
        format!(r#"{{"gid":"{gid}","nodeType":"{kind}","activationFunction":"{activation}"}}"#)
    };
    let neurons = [
        neuron(0, "Bias", "NullFn"),
        neuron(1, "Input", "NullFn"),
        neuron(2, "Input", "NullFn"),
        neuron(3, "Output", "Linear"),
    ];
    format!(
        r#"{{"genome":{{"waveNetwork":{{"offspring":{{"nodes":[{}],"connections":[
        {{"gid":"c","weight":{weight:e},"sourceID":"1","targetID":"3"}}]}}}},
        "asNEATPatch":{{"nodes":[{{"name":"OutNode","id":0}},{{"name":"OscillatorNode","id":"o","type":"sine","frequency":220}},
        {{"name":"GainNode","id":"g","gain":0.5}},{{"name":"NetworkOutputNode","id":"n","type":"0","frequency":3}}],
        "connections":[{{"id":"1","sourceNode":"o","targetNode":"g","weight":1}},
        {{"id":"2","sourceNode":"g","targetNode":0}},
        {{"id":"3","sourceNode":"n","targetNode":"g","targetParameter":"{parameter}","targetParameterRange":[0,1]}}{extra}]}}}}}}"#,
        neurons.join(",")
    )
}

fn fault_of(json: &str) -> String {
    let sound = Sound { duration: 0.1, note_delta: Pitch::Semitones(0.0), velocity: 1.0 };
    let rendered = Genome::from_bytes(json.as_bytes())
        .and_then(|genome| genome::render_whole(&genome, sound, Evaluation::Lazy).map(drop));
    rendered.expect_err("an error").to_string()
}

#[test]
fn a_bad_genome_yields_one_error_that_names_the_place() {
    let sound = Sound { duration: 0.1, note_delta: Pitch::Semitones(0.0), velocity: 1.0 };
    let good = Genome::from_bytes(small(0.7, "gain", "").as_bytes()).unwrap();
    let rendered = genome::render_whole(&good, sound, Evaluation::Lazy).unwrap();
    assert_eq!(rendered.len(), 4_800);
    assert!(rendered.iter().any(|s| s.abs() > 0.1));
    // Connections of nodes that do not exist are dropped, as in the older service.
    let more = r#",{"id":"4","sourceNode":"x","targetNode":"g"},{"id":"5","sourceNode":"o","targetNode":"y"}"#;
    let dangling = Genome::from_bytes(small(0.7, "gain", more).as_bytes()).unwrap();
    assert_eq!(genome::render_whole(&dangling, sound, Evaluation::Lazy).unwrap(), rendered);

    for (json, expected) in [
        (small(1e300, "gain", ""), "connection '3': the network's output is not finite in frame"),
        (small(1.0, "colour", ""), "connection '3': the GainNode 'g' has no parameter 'colour'"),
        (
            small(1.0, "gain", r#",{"id":"4","sourceNode":"o","targetNode":"g","weight":1e39}"#),
            "connection '4': 'weight'",
        ),
        (small(1.0, "gain", "").replace("\"gain\":0.5", "\"gain\":1e60"), "node 'g' (GainNode): 'gain' is"),
        (small(1.0, "gain", "").replace("GainNode", "LoudNode"), "node 'g' (LoudNode): this kind of node is not known"),
        (small(1.0, "gain", "").replace("\"type\":\"0\"", "\"type\":\"9\""), "output 9: the network has 1 outputs"),
        (small(1.0, "gain", "").replace("Linear", "Loud"), "neuron '3' has the activation 'Loud'"),
        (small(1.0, "gain", "").replace("\"sourceID\":\"1\"", "\"sourceID\":\"8\""), "the neuron '8'"),
        ("[1".into(), "not JSON"),
        ("{\"a\":{}}".into(), "Genome data missing asNEATPatch. Top-level keys: [a]"),
    ] {
        let fault = fault_of(&json);
        assert!(fault.contains(expected), "{fault:?} lacks {expected:?}");
    }
}

#[test]
fn hostile_genomes_are_rejected_without_much_memory() {
    use std::io::Write;
    let pack = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let fault = |bytes: &[u8]| Genome::from_bytes(bytes).expect_err("an error").to_string();
    let bomb = pack(&vec![b' '; 200 << 20]);
    assert!(fault(&bomb).contains("size in bytes"), "a gzip bomb");
    let whole = std::fs::read(data().join("01KSFIX000.json.gz")).unwrap();
    for length in [0, 1, 10, whole.len() / 2, whole.len() - 1] {
        fault(&whole[..length]);
    }
    let many = r#"{"name":"GainNode","id":"NUMBER"},"#;
    let nodes: String = (0..100_000).map(|n| many.replace("NUMBER", &n.to_string())).collect();
    let crowd =
        small(1.0, "gain", "").replace(r#"{"name":"OutNode","id":0},"#, &(nodes + r#"{"name":"OutNode","id":0},"#));
    assert!(fault(crowd.as_bytes()).contains("number of nodes is 100004; at most 512"), "{}", fault(crowd.as_bytes()));
    let deep = "[".repeat(1_000_000);
    assert!(fault(deep.as_bytes()).contains("not JSON"));

    // Cycles of the audio graph are silent, as in a browser, and the longest chain of nodes fits the stack.
    let chain: String = (0..500).map(|n| format!(r#"{{"name":"GainNode","id":"k{n}"}},"#)).collect();
    let wires: String = (0..500)
        .map(|n| format!(r#",{{"id":"w{n}","sourceNode":"k{n}","targetNode":"k{}"}}"#, (n + 1) % 500))
        .collect();
    let cycle = small(1.0, "gain", &(wires + r#",{"id":"z","sourceNode":"o","targetNode":"k0"}"#))
        .replace(r#"{"name":"OutNode","id":0},"#, &(chain + r#"{"name":"OutNode","id":0},"#));
    let genome = Genome::from_bytes(cycle.as_bytes()).unwrap();
    let sound = Sound { duration: 0.1, note_delta: Pitch::Semitones(0.0), velocity: 1.0 };
    let run = move || genome::render_whole(&genome, sound, Evaluation::Lazy).map(|s| s.len());
    let thread = std::thread::Builder::new().stack_size(genome::STACK).spawn(run).unwrap();
    assert_eq!(thread.join().unwrap(), Ok(4_800));
}

#[test]
fn a_render_of_a_hostile_genome_stops_within_a_moment() {
    // As many signals on as large a network as are accepted.
    let neurons: String =
        (0..1_000).map(|n| format!(r#",{{"gid":"h{n}","nodeType":"Hidden","activationFunction":"Sine"}}"#)).collect();
    let chain: String = (0..1_000)
        .map(|n| {
            let source = if n == 0 { "1".to_string() } else { format!("h{}", n - 1) };
            format!(r#"{{"gid":"s{n}","weight":1.1,"sourceID":"{source}","targetID":"h{n}"}},"#)
        })
        .collect();
    let last = r#"{"gid":"e","weight":1,"sourceID":"h999","targetID":"3"},"#;
    let filters: String = (0..100).map(|n| format!(r#"{{"name":"FilterNode","id":"f{n}"}},"#)).collect();
    let drives: String = (0..100)
        .map(|n| format!(r#",{{"id":"d{n}","sourceNode":"n","targetNode":"f{n}","targetParameter":"frequency"}}"#))
        .collect();
    let json = small(0.7, "gain", &drives)
        .replace(
            r#""connections":[
        {"gid":"c""#,
            &format!(r#""connections":[{chain}{last}{{"gid":"c""#),
        )
        .replace(
            r#""nodeType":"Output","activationFunction":"Linear"}"#,
            &format!(r#""nodeType":"Output","activationFunction":"Linear"}}{neurons}"#),
        )
        .replace(r#"{"name":"OutNode","id":0},"#, &(filters + r#"{"name":"OutNode","id":0},"#));
    let genome = Genome::from_bytes(json.as_bytes()).unwrap();
    assert_eq!(genome.patch.nodes.len(), 102);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let setter = stop.clone();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(300));
        setter.store(true, std::sync::atomic::Ordering::Relaxed);
        std::time::Instant::now()
    });
    let sound = Sound { duration: 60.0, note_delta: Pitch::Semitones(0.0), velocity: 1.0 };
    let ended = genome::render(&genome, sound, Evaluation::Lazy, Box::new(|_| true), &stop);
    assert_eq!(ended, Err(genome::Fault::Stopped));
    println!("the render ended {:?} after it was stopped", thread.join().unwrap().elapsed());
}

#[test]
fn a_stopped_render_ends_early_and_lengths_that_are_no_multiple_of_a_block_are_complete() {
    let case = cases().swap_remove(0);
    let sound = Sound { duration: 60.0, ..case.sound };
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (setter, count) = (stop.clone(), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let counter = count.clone();
    let sink = Box::new(move |_: &[f32]| {
        if counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 10 {
            setter.store(true, std::sync::atomic::Ordering::Relaxed);
        }
        true
    });
    let ended = genome::render(&case.genome, sound, Evaluation::Lazy, sink, &stop);
    assert_eq!(ended, Err(genome::Fault::Stopped));
    assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 11);
    for frames in [2usize, 127, 128, 129, 4_801] {
        let sound = Sound { duration: frames as f64 / 48_000.0, ..case.sound };
        for evaluation in [Evaluation::Eager, Evaluation::Lazy] {
            assert_eq!(genome::render_whole(&case.genome, sound, evaluation).unwrap().len(), frames);
        }
    }
    for duration in [0.0, -1.0, 1e9, f64::NAN, f64::INFINITY] {
        let sound = Sound { duration, ..case.sound };
        let fault = genome::render_whole(&case.genome, sound, Evaluation::Lazy).unwrap_err().to_string();
        assert!(fault.starts_with("argument 'duration' is "), "{fault}");
    }
}

#[test]
fn older_clients_receive_every_genome_over_the_render_socket() {
    let scratch = Scratch::new("genomes");
    let (http, own) = (free_tcp_port(), free_tcp_port());
    let database = database(&scratch);
    std::fs::write(scratch.path("g.toml"), "[genomes]\nduration = 600.0\n").unwrap();
    let mut command = grooved();
    let port = common::free_port();
    command
        .current_dir(&scratch.0)
        .env("DB_PATH", &database)
        .env("PORT", own.to_string())
        .env("GROOVED_CONFINE", "1")
        .args(["--output", "null", "--ddsp-listen", "off", "--config", "g.toml"])
        .args(["--port", &port.to_string(), "--http-port", &http.to_string()]);
    let daemon = Daemon::spawn(&scratch, command, port);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/render_socket.py");
    let mut client = python();
    client.arg(script).args([http.to_string(), own.to_string()]).arg(data());
    // Another program writes to the database meanwhile.
    let (done, writing) =
        (std::sync::atomic::AtomicBool::new(false), std::fs::read(data().join("01KSFIX040.json.gz")).unwrap());
    let output = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                genome::import(&database, &format!("new{number}"), &writing).unwrap();
                number += 1;
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        });
        let output = client.output();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        output.unwrap()
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{said}");
    assert!(output.status.success() && said.contains("all of it"), "{said}\n{}", daemon.log());
    // The longest sound takes no more memory than short ones: it has 115 MB.
    let before = peak_kib(&daemon);
    let total = render_for(own, r#"{"type":"render","genomeId":"01KSFIX000","duration":600,"format":"f32"}"#);
    assert_eq!(total, 600 * 48_000);
    let more = peak_kib(&daemon) - before;
    assert!(more < 12_000, "600 s took {more} KiB more than 0.5 s");
    let log = daemon.log();
    assert_eq!(daemon.stop(), 0);
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
}

/// A database with all genomes of the tests.
fn database(scratch: &Scratch) -> PathBuf {
    let database = scratch.path("genomes.sqlite");
    for file in std::fs::read_dir(data()).unwrap().flatten().map(|f| f.path()) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if let Some(id) = name.strip_suffix(".json.gz") {
            genome::import(&database, id, &std::fs::read(&file).unwrap()).unwrap();
        }
    }
    database
}

/// Decodes a whole file.
fn decoded(path: &Path) -> [Vec<f32>; 2] {
    let mut decoder = grooved::media::decode::Decoder::open(path).unwrap();
    let frames = decoder.info().frames as usize;
    let (mut left, mut right) = (vec![0.0; frames], vec![0.0; frames]);
    assert_eq!(decoder.read(&mut left, &mut right).unwrap(), frames);
    [left, right]
}

#[test]
fn a_genome_is_a_stem_wherever_a_file_is() {
    let scratch = Scratch::new("genome-stem");
    let database = database(&scratch);
    let output = grooved()
        .current_dir(&scratch.0)
        .env("DB_PATH", &database)
        .args([
            "--a",
            "genome:01KSFIX000?duration=3&noteDelta=-5&velocity=0.9",
            "--render",
            "3",
            "--output",
            "wav:out.wav",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let genome = Genome::from_bytes(&std::fs::read(data().join("01KSFIX000.json.gz")).unwrap()).unwrap();
    let sound = Sound { duration: 3.0, note_delta: Pitch::Semitones(-5.0), velocity: 0.9 };
    let raw = genome::render_whole(&genome, sound, Evaluation::Eager).unwrap();
    let [left, right] = decoded(&scratch.path("out.wav"));
    assert_eq!(left, right);
    // The mix delays by a constant and fades in; what is compared begins after that.
    let part = &raw[20_000..120_000];
    let off = |lag: usize| {
        let mixed = &left[20_000 + lag..120_000 + lag];
        let gain = mixed.iter().zip(part).map(|(m, p)| m * p).sum::<f32>() / part.iter().map(|p| p * p).sum::<f32>();
        (mixed.iter().zip(part).map(|(m, p)| (m - gain * p).abs()).fold(0.0, f32::max), lag, gain)
    };
    let (apart, lag, gain) = (0..2_000).map(off).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
    assert!(apart < 1e-4 && gain > 0.5, "{apart} apart at a lag of {lag} and a gain of {gain}");

    for (wrong, code, told) in [
        ("genome:nosuch", 65, "'genome:nosuch' cannot be rendered: Genome nosuch not found"),
        ("genome:01KSFIX019", 65, "'genome:01KSFIX019' cannot be rendered: genome: connection"),
        ("genome:01KSFIX000?duration=300", 65, "at most 120 seconds (genomes.duration)"),
        ("genome:01KSFIX000?length=3", 64, "duration, noteDelta and velocity"),
    ] {
        let output = grooved()
            .current_dir(&scratch.0)
            .env("DB_PATH", &database)
            .args(["--a", wrong, "--render", "1", "--output", "wav:wrong.wav"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && said.contains(told), "{wrong}: {:?} {said}", output.status);
    }
}

#[test]
#[cfg(feature = "ddsp")]
fn genomes_are_instruments_of_notes_and_of_the_stream() {
    use common::{Sound as Recording, f, i, s};
    let scratch = Scratch::new("genome-notes");
    let (database, stream) = (database(&scratch), free_tcp_port());
    let port = common::free_port();
    // The stream begins with an instrument that is installed.
    let models = concat!(env!("CARGO_MANIFEST_DIR"), "/models");
    std::fs::write(scratch.path("g.toml"), format!("[ddsp]\nmodels = \"{models}\"\n")).unwrap();
    let mut command = grooved();
    command
        .current_dir(&scratch.0)
        .env("DB_PATH", &database)
        .env("GROOVED_CONFINE", "1")
        .args(["--output", "wav:out.wav", "--http-port", "0", "--port", &port.to_string(), "--config", "g.toml"])
        .args(["--ddsp-listen", &format!("127.0.0.1:{stream}")]);
    let daemon = Daemon::spawn(&scratch, command, port);
    let client = daemon.client();
    for (wrong, told) in [
        ("genome:nosuch", "'genome:nosuch' cannot be played: Genome nosuch not found"),
        ("genome:01KSFIX019", "'genome:01KSFIX019' cannot be played: genome: connection"),
        ("genome:a%00b", "Genome a?b not found"),
        ("genome:01KSFIX000?speed=2", "duration, noteDelta and velocity"),
    ] {
        let why = client.fails("/groove/instrument/swap", vec![s(wrong), i(3)]);
        assert!(why.contains(told), "{wrong}: {why}");
    }
    let name = "genome:01KSFIX000?duration=1&noteDelta=-12";
    client.done("/groove/instrument/swap", vec![s(name), i(3)]);
    for note in [57.0, 64.0, 57.0] {
        client.quiet("/groove/note/on", vec![f(note), f(127.0), i(3)]);
        std::thread::sleep(std::time::Duration::from_millis(1300));
    }
    // A client of the stream plays it as well.
    let socket = std::net::TcpStream::connect(("127.0.0.1", stream)).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut socket = tungstenite::client(format!("ws://127.0.0.1:{stream}/"), socket).unwrap().0;
    let play = format!(r#"{{"instrument":"{name}","f0s":[220],"loudness":0.8}}"#);
    socket.send(tungstenite::Message::text(play)).unwrap();
    let is_heard = |message| match message {
        tungstenite::Message::Binary(frames) => frames.iter().any(|byte| *byte != 0),
        _ => false,
    };
    assert!((0..600).any(|_| is_heard(socket.read().unwrap())), "{}", daemon.log());
    drop(socket);
    let log = daemon.log();
    assert_eq!(daemon.stop(), 0);
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");

    let heard = Recording::read(&scratch.path("out.wav"));
    let genome = Genome::from_bytes(&std::fs::read(data().join("01KSFIX000.json.gz")).unwrap()).unwrap();
    let mut from = 0;
    for semitones in [-24.0, -17.0, -24.0] {
        let sound = Sound { duration: 1.0, note_delta: Pitch::Semitones(semitones), velocity: 1.0 };
        let raw = genome::render_whole(&genome, sound, Evaluation::Lazy).unwrap();
        let begins = heard.onset(from).unwrap();
        let part = &raw[4_000..40_000];
        // Where the sound begins is known up to the frames that are nearly silent.
        let off = |lag: usize| {
            let mixed = &heard.left[begins + lag + 3_500..][..part.len()];
            let norm = part.iter().map(|p| p * p).sum::<f32>();
            let gain = mixed.iter().zip(part).map(|(m, p)| m * p).sum::<f32>() / norm;
            let apart = mixed.iter().zip(part).map(|(m, p)| (m - gain * p).abs()).fold(0.0, f32::max);
            (apart / gain.abs().max(1e-6), gain)
        };
        let (apart, gain) = (0..1_000).map(off).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
        let peak = part.iter().fold(0.0f32, |peak, p| peak.max(p.abs()));
        assert!(apart < 0.01 * peak && gain > 0.05, "{semitones}: {apart} beside {peak}, at a gain of {gain}");
        from = begins + 52_000;
    }
}

#[test]
fn genomes_are_bred_and_presented() {
    use common::{Sound as Recording, f, i, s};
    let scratch = Scratch::new("evolution");
    let genomes = |args: &[&str]| {
        let output = grooved().current_dir(&scratch.0).arg("genomes").args(args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), said)
    };
    let evolve = ["--seed", "5", "--population", "4", "--duration", "0.5", "--generations", "2"];
    for database in ["a.sqlite", "b.sqlite"] {
        let (code, said) = genomes(&[&["evolve", "--database", database, "--run", "show"][..], &evolve[..]].concat());
        assert!(code == 0 && said.contains("generation   1: 4 genomes"), "{said}");
        let file = format!("{database}.gz");
        assert_eq!(genomes(&["export", "show-001-03", "--database", database, "--output", &file]).0, 0);
    }
    assert_eq!(inflate(&scratch.path("a.sqlite.gz")), inflate(&scratch.path("b.sqlite.gz")), "the seed decides");
    let (_, said) = genomes(&["ancestry", "--database", "a.sqlite"]);
    assert!(said.contains("show") && said.contains("2 generations, 8 genomes"), "{said}");
    let (_, said) = genomes(&["ancestry", "show-001-03", "--database", "a.sqlite"]);
    assert!(said.starts_with("show-001-03") && said.contains("\n  show-000-0"), "{said}");
    let (code, _) = genomes(&["ancestry", "show-001-03", "--database", "a.sqlite", "--svg", "tree.svg"]);
    assert!(code == 0 && std::fs::read_to_string(scratch.path("tree.svg")).unwrap().matches("<circle").count() == 8);
    for (args, code, told) in [
        (&["ancestry", "nobody", "--database", "a.sqlite"][..], 65, "genome 'nobody' belongs to no run"),
        (&["ancestry", "--run", "none", "--database", "a.sqlite"], 64, "there is no run 'none'"),
        (&["ancestry", "--database", "none.sqlite"], 74, "none.sqlite: there is no such file"),
        (&["evolve", "--population", "1", "--database", "c.sqlite"], 64, "4 to 64 genomes"),
        (&["evolve", "--run", "a b", "--database", "c.sqlite"], 64, "letters, digits or underscores"),
    ] {
        let (got, said) = genomes(args);
        assert!(got == code && said.contains(told), "{args:?}: {got} {said}");
    }

    std::fs::write(scratch.path("g.toml"), "[genomes]\ndatabase = \"a.sqlite\"\n").unwrap();
    let daemon = Daemon::start(&scratch, &["--output", "wav:out.wav", "--config", "g.toml"]);
    let client = daemon.client();
    let why = client.fails("/groove/genome/like", vec![]);
    assert!(why.contains("no genome is presented"), "{why}");
    let next = || {
        let answers = client.ask("/groove/genome/next", vec![i(900)]);
        let done = answers.iter().find(|m| m.address == "/done").unwrap_or_else(|| panic!("{answers:?}"));
        (done.args[1].as_text(), done.args[2].as_int().unwrap())
    };
    for place in 0..4 {
        assert_eq!(next(), (format!("show-001-{place:02}"), 1));
        client.quiet("/dance/total_movement", vec![f(if place == 2 { 0.9 } else { 0.1 })]);
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        if place == 2 {
            client.done("/groove/genome/like", vec![]);
        }
    }
    client.done("/groove/genome/dislike", vec![s("show-001-00")]);
    // All of them have been heard: the next generation is bred.
    assert_eq!(next(), ("show-002-00".into(), 2));
    std::thread::sleep(std::time::Duration::from_millis(600));
    let log = daemon.log();
    assert_eq!(daemon.stop(), 0);
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    let (_, said) = genomes(&["ancestry", "show-002-00", "--database", "a.sqlite"]);
    let champion = said.lines().nth(1).unwrap_or_default();
    assert!(champion.contains("show-001-02") && champion.contains("votes +1 -0, movement 0."), "{said}");
    let heard = Recording::read(&scratch.path("out.wav"));
    assert!(heard.rms(0.0, heard.seconds()) > 1e-3, "they are heard");
}

#[test]
fn the_demonstration_sounds_and_its_sounds_differ() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("genomes");
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|f| f.path());
    let files: Vec<PathBuf> = files.filter(|f| f.extension().is_some_and(|e| e == "gz")).collect();
    assert_eq!(files.len(), 24);
    let mut features = Vec::new();
    for file in &files {
        let genome = Genome::from_bytes(&std::fs::read(file).unwrap()).unwrap();
        let sound = Sound { duration: 4.0, note_delta: Pitch::Semitones(0.0), velocity: 0.7 };
        let samples = genome::render_whole(&genome, sound, Evaluation::Lazy).unwrap();
        let judgement = genome::evolve::judge(&samples, 48_000);
        assert!(judgement.score() >= 0.5 && judgement.peak < 2.0, "{}: {judgement:?}", file.display());
        features.push(judgement);
    }
    for (k, one) in features.iter().enumerate() {
        let nearest = features[..k].iter().map(|other| one.apart(other)).fold(1.0, f64::min);
        assert!(nearest > 0.1, "{}: {nearest}", files[k].display());
    }
}

#[test]
fn the_command_line_client_saves_and_plays() {
    use std::os::unix::fs::PermissionsExt;
    let scratch = Scratch::new("genome-client");
    let (database, http) = (database(&scratch), free_tcp_port());
    let port = common::free_port();
    let mut command = grooved();
    command
        .current_dir(&scratch.0)
        .env("DB_PATH", &database)
        .env("GROOVED_CONFINE", "1")
        .args(["--output", "null", "--ddsp-listen", "off", "--port", &port.to_string()])
        .args(["--http-port", &http.to_string()]);
    let daemon = Daemon::spawn(&scratch, command, port);
    // In place of a sound card: what it is given goes into a file.
    let player = scratch.path("aplay");
    std::fs::write(&player, "#!/bin/sh\necho \"$@\" >arguments\ncat >played\n").unwrap();
    std::fs::set_permissions(&player, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", scratch.0.display(), std::env::var("PATH").unwrap());
    let groovectl = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_groovectl"));
        command.current_dir(&scratch.0).env("PATH", &path).args(["--http-port", &http.to_string()]).args(args);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), said)
    };
    let (code, said) = groovectl(&["genome", "01KSFIX000", "1", "--save", "x.wav", "--play"]);
    assert!(code == 0 && said.contains("1.00 s, first chunk after"), "{said}");
    let [saved, _] = decoded(&scratch.path("x.wav"));
    let played = std::fs::read(scratch.path("played")).unwrap();
    let (samples, rest) = played.as_chunks::<4>();
    assert!(rest.is_empty() && samples.iter().map(|s| f32::from_le_bytes(*s)).eq(saved.iter().copied()));
    let arguments = std::fs::read_to_string(scratch.path("arguments")).unwrap();
    assert!(arguments.contains("-f FLOAT_LE -c 1 -r 48000"), "{arguments}");
    for (args, code, told) in [
        (&["genome", "nosuch"][..], 1, "groovectl: Genome nosuch not found"),
        (&["genome", "next"], 64, "did you mean 'groovectl genome/next'?"),
    ] {
        let (got, said) = groovectl(args);
        assert!(got == code && said.contains(told), "{args:?}: {got} {said}");
    }
    assert_eq!(daemon.stop(), 0);
}

/// The most memory that the daemon has had resident.
fn peak_kib(daemon: &Daemon) -> i64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.child.id())).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Sends a request and returns the number of samples of the render.
fn render_for(port: u16, request: &str) -> u64 {
    let stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let mut socket = tungstenite::client(format!("ws://127.0.0.1:{port}/"), stream).unwrap().0;
    socket.send(tungstenite::Message::text(request)).unwrap();
    loop {
        if let tungstenite::Message::Text(text) = socket.read().unwrap() {
            let message: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert_ne!(message["type"], "error", "{message}");
            if message["type"] == "complete" {
                return message["totalSamples"].as_u64().unwrap();
            }
        }
    }
}
