//! The configuration file.

use std::path::Path;

use grooved::config::Config;
use grooved::daemon::settings;

use super::Target;

/// Text as a configuration: parsed, validated, converted to settings, and compared.
pub const CONFIG: Target = Target { name: "config", run, seeds, words: WORDS };

const WORDS: &[&str] = &[
    "[output]",
    "[mixer]",
    "[media]",
    "[osc]",
    "[http]",
    "[state]",
    "[stretch]",
    "[movement]",
    "[[map]]",
    "[ddsp]",
    "[voices]",
    "[midi]",
    "[system]",
    "ports = [57120]",
    "buffer_size = ",
    "= true",
    "= 1e308",
    "= nan",
    "= -inf",
    "= 9223372036854775807",
    "\"\"\"",
    "'''",
    "\\u0000",
    "# ",
    "\n",
    ".",
    "{",
    "}",
    "2026-01-01T00:00:00Z",
    "0x7f",
];

/// Runs the target [`CONFIG`].
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let path = Path::new("fuzz.toml");
    match Config::parse(text, path) {
        Ok(config) => {
            let _ = settings(&config);
            let base = Config::default();
            let _ = base.needs_restart(&config);
            let _ = config.reloaded(&base).needs_restart(&config);
            let _ = (config.recordings(), config.instrument(), config.pairs(), config.ddsp.address());
        }
        Err(why) => {
            let why = why.to_string();
            let line = why.strip_prefix("fuzz.toml:").and_then(|rest| rest.split(':').next());
            let line: usize = line.and_then(|l| l.parse().ok()).unwrap_or(0);
            assert!((1..=text.lines().count() + 1).contains(&line), "{why}");
        }
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let whole = include_str!("../../config/grooved.toml");
    // One seed per section, because most of the file is comments.
    let bare: Vec<&str> = whole.lines().filter(|l| !l.starts_with('#') && !l.trim().is_empty()).collect();
    let bare = bare.join("\n");
    let mut seeds: Vec<Vec<u8>> = bare.split("\n[").skip(1).map(|s| format!("[{s}\n").into_bytes()).collect();
    seeds.push(bare.into_bytes());
    seeds.push(
        b"[[map]]\nsource = \"/dance/total_movement\"\ntarget = \"/groove/master\"\nline = [[0.0, 0.0], [1.0, 1.0]]\n"
            .to_vec(),
    );
    seeds.push(b"[output]\nbuffer_size = 3\n".to_vec());
    seeds
}
