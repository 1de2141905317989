//! Plans that are damaged in every way that three hundred throws of a dice find.

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use serde_json::{Value, json};

use crate::common::Scratch;
use crate::run::run_plan;
use crate::written::{Dice, section, stamp, text};

/// Plans that are tried, and how many at a time.
const PLANS: usize = 300;
const WORKERS: usize = 2;
/// Most lines on standard error: some for each of the four stems and the two sections.
const LINES: usize = 16;

/// A plan with all fields there are.
fn whole() -> String {
    let all = json!({"start": 0.1, "end": 0.9, "volume": 0.5, "loop": true, "needs_timestretch": true});
    text(&[
        section("00_verse").with("bars", 1).with("gain", 0.9).with("fade", 2).stem("bass", "stamp0.wav").stem_with(
            "drums",
            "stamp1.wav",
            &all,
        ),
        section("01_outro").with("seconds", 1.6).stem("bass", "stamp1.wav").stem("vocals", "none.wav"),
    ])
}

/// Values that are no good for most fields.
fn odd_values() -> Vec<Value> {
    let mut odd = vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e308),
        json!(-1e308),
        json!(5e-324),
        json!(0.24),
        json!(4.01),
        json!(18_446_744_073_709_551_615u64),
        json!(i64::MIN),
        json!(""),
        json!("NaN"),
        json!("inf"),
        json!("-0.5"),
        json!("\u{0}"),
        json!("\u{feff}\u{202e}\u{1b}[2J"),
        json!("../../../../etc/passwd"),
        json!("/dev/zero"),
        json!("."),
        json!([]),
        json!({}),
        json!([1, "2", null]),
        json!({"stems": {"a": {"file": "stamp0.wav"}}}),
        json!({"song": "x", "file": "stamp0.wav", "pitch_shift": "1e999"}),
    ];
    odd.push(json!("x".repeat(70_000)));
    odd.push((0..60).fold(json!(1), |inner, _| json!([inner])));
    odd
}

/// Replaces, removes or renames something at a random place.
fn change(value: &mut Value, dice: &mut Dice, odd: &[Value]) {
    let goes_deeper = dice.below(5) > 0;
    match value {
        Value::Object(map) if goes_deeper && !map.is_empty() => {
            let key = map.keys().nth(dice.below(map.len())).unwrap().clone();
            match dice.below(8) {
                0 => drop(map.remove(&key)),
                1 => {
                    let moved = map.remove(&key).unwrap();
                    let names = ["", "-1_x", "99999999999999999999_y", "00", "é_0\u{301}", "stems", "\u{0}"];
                    map.insert(names[dice.below(names.len())].into(), moved);
                }
                _ => change(map.get_mut(&key).unwrap(), dice, odd),
            }
        }
        Value::Array(list) if goes_deeper && !list.is_empty() => {
            let k = dice.below(list.len());
            change(&mut list[k], dice, odd);
        }
        other => *other = odd[dice.below(odd.len())].clone(),
    }
}

/// Damages bytes.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    let words: [&[u8]; 12] =
        [b"{", b"}", b"[", b"]", b"\"", b",", b"NaN", b"1e999", b"-", b"\\ud800", b"\xff\xfe", b"\xef\xbb\xbf"];
    for _ in 0..1 + dice.below(4) {
        let (a, b) = (dice.below(bytes.len()), dice.below(bytes.len()));
        let (from, to) = (a.min(b), a.max(b));
        match dice.below(6) {
            0 => bytes.truncate(a),
            1 => drop(bytes.drain(from..to)),
            2 => {
                let piece = bytes[from..to].to_vec();
                bytes.splice(a..a, piece);
            }
            3 if !bytes.is_empty() => bytes[a] ^= 1 << dice.below(8),
            4 if !bytes.is_empty() => bytes[a] = dice.below(256) as u8,
            _ => drop(bytes.splice(a..a, words[dice.below(words.len())].iter().copied())),
        }
    }
}

/// Returns damaged plan number `k`.
fn damaged(k: usize, whole: &Value, odd: &[Value]) -> Vec<u8> {
    let mut dice = Dice(k as u64 * 77 + 5);
    dice.roll();
    let mut plan = whole.clone();
    if k % 3 < 2 {
        for _ in 0..1 + dice.below(3) {
            change(&mut plan, &mut dice, odd);
        }
    }
    let mut bytes = plan.to_string().into_bytes();
    if k % 3 == 2 {
        damage(&mut bytes, &mut dice);
    }
    bytes
}

/// Plans that throws of a dice would hardly find.
fn extremes() -> Vec<Vec<u8>> {
    let many = |n: usize| {
        let sections: Vec<String> = (0..n).map(|k| format!("\"{k:04}_x\": {{\"bars\": 1}}")).collect();
        format!("{{\"sections\": {{{}}}}}", sections.join(", "))
    };
    let stems: Vec<String> =
        (0..100).map(|k| format!("\"s{k}\": {{\"song\": \"x\", \"file\": \"none.wav\"}}")).collect();
    vec![
        many(1_001).into_bytes(),
        many(20_000).into_bytes(),
        format!("{{\"sections\": {{\"00_a\": {{\"stems\": {{{}}}}}}}}}", stems.join(", ")).into_bytes(),
        "[".repeat(200_000).into_bytes(),
        "{\"sections\":".repeat(50_000).into_bytes(),
        vec![0; 1 << 20],
        [b"\xef\xbb\xbf", whole().as_bytes()].concat(),
        whole().encode_utf16().flat_map(u16::to_le_bytes).collect(),
        whole().replace("240.0", "1e999").into_bytes(),
        whole().replace("stamp", "\\u0000").into_bytes(),
        whole().replace("\"bars\": 1", "\"bars\": 1e300").into_bytes(),
        whole().replace("\"seconds\": 1.6", "\"seconds\": 1e12").into_bytes(),
        b"{\"sections\": {\"00_a\": {\"bars\": 2}, \"00_a\": {\"bars\": 3}}}".to_vec(),
    ]
}

/// Runs a damaged plan; returns what is wrong with how that ends.
fn attempt(scratch: &Scratch, path: &Path, mode: &[&str]) -> Result<(), String> {
    let ran = run_plan(scratch, path, mode);
    let lines = ran.err.lines().count();
    let is_well = matches!(ran.code, Some(0..=2)) && lines <= LINES && !ran.err.contains("panicked");
    if is_well {
        return Ok(());
    }
    let err: String = ran.err.chars().take(2_000).collect();
    Err(format!("{} {mode:?}: {:?} and {lines} lines\n{err}", path.display(), ran.code))
}

#[test]
fn damaged_plans_are_refused_or_played_as_far_as_they_go() {
    let scratch = Scratch::new("plans-broken");
    for k in 0..2 {
        stamp(&scratch, k, 5);
    }
    let (plan, odd) = (serde_json::from_str::<Value>(&whole()).unwrap(), odd_values());
    let mut plans: Vec<Vec<u8>> = (0..PLANS).map(|k| damaged(k, &plan, &odd)).collect();
    plans.extend(extremes());
    let (next, faults) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        loop {
            let k = next.fetch_add(1, Relaxed);
            let Some(bytes) = plans.get(k) else { return };
            let path = scratch.path(&format!("broken{k}.json"));
            std::fs::write(&path, bytes).unwrap();
            let modes: [&[&str]; 3] = [&["--mode", "check"], &["--dry-run"], &["--dry-run", "--json"]];
            match attempt(&scratch, &path, modes[k / 3 % 3]) {
                Ok(()) => drop(std::fs::remove_file(&path)),
                Err(fault) => faults.lock().unwrap().push(fault),
            }
        }
    };
    std::thread::scope(|scope| (0..WORKERS).for_each(|_| drop(scope.spawn(work))));
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} of {} plans:\n{}", faults.len(), plans.len(), faults.join("\n"));
}

#[test]
fn a_whole_plan_is_played_whatever_its_byte_order_mark() {
    let scratch = Scratch::new("plans-whole");
    for k in 0..2 {
        stamp(&scratch, k, 5);
    }
    for (name, mark) in [("plain.json", ""), ("marked.json", "\u{feff}")] {
        let path = scratch.path(name);
        std::fs::write(&path, format!("{mark}{}", whole())).unwrap();
        // One stem is missing.
        let ran = run_plan(&scratch, &path, &["--dry-run", "--json"]).ends_with(1, name);
        let lengths: Vec<f64> = ran.events("section").iter().map(|told| told["length"].as_f64().unwrap()).collect();
        assert_eq!(lengths, [1.0, 2.0], "{name}: {}", ran.out);
    }
}
