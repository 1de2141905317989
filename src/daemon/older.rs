//! Flags of the older servers that are more than a setting.

use std::io::Write;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::Path;

use serde_json::Value as Json;

use crate::config::Config;

/// Line on standard output that launchers of the older servers wait for.
const READY: &str = "PYTHON AUDIO SERVER READY";

/// Writes the line that launchers of the older servers wait for. Errors are ignored: standard output may be closed.
pub fn announce() {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{READY}").and_then(|()| out.flush());
}

/// Returns the value of a flag clamped to its range, because the older server accepted any value. A clamped value adds
/// a line to `remarks`.
///
/// # Errors
/// If the value is not a finite number.
pub fn clamped(flag: &str, value: f64, min: f64, max: f64, remarks: &mut Vec<String>) -> Result<f64, String> {
    if !value.is_finite() {
        return Err(format!("--{flag}: {value} is not a number; must be between {min} and {max}"));
    }
    let used = value.clamp(min, max);
    if used != value {
        remarks.push(format!("--{flag}: {value} is outside {min} to {max}; using {used}"));
    }
    Ok(used)
}

/// Returns the address to bind for an IP address or a host name of this machine. Blocks while the name is resolved.
///
/// # Errors
/// If the name cannot be resolved.
pub fn bind_address(host: &str) -> Result<IpAddr, String> {
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Ok(address);
    }
    let found: Vec<IpAddr> = (host, 0)
        .to_socket_addrs()
        .map_err(|e| format!("--host: '{host}' is not an IP address or a known host name: {e}"))?
        .map(|a| a.ip())
        .collect();
    // Clients of the older servers send over IPv4.
    found.iter().find(|a| a.is_ipv4()).or(found.first()).copied().ok_or(format!("--host: '{host}' has no address"))
}

/// Imports the movement and tempo table of the older server's `bpm_config.json` into `config`.
///
/// Reads from its object `movement_bpm`: `movement_max_value`, `thresholds` and `bpm_targets` (`very_very_low`,
/// `very_low`, `low`, `medium`; `high_max`), and `smoothing.transition_time_seconds` as the length of a glide. Missing
/// values take that server's defaults. The server's other smoothing factors depend on its buffer size and have no
/// counterpart.
///
/// # Errors
/// If the file is unreadable or invalid; `config` is then unchanged.
pub fn bpm_config(path: &Path, config: &mut Config) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))?;
    let json: Json = serde_json::from_str(&text).map_err(|e| format!("is not JSON: {e}"))?;
    if !json.is_object() {
        return Err("does not contain an object with 'movement_bpm'".into());
    }
    let table = json.get("movement_bpm").unwrap_or(&json);
    let number = |group: Option<&str>, key: &str, default: f64| {
        let value = group.map_or(Some(table), |g| table.get(g)).and_then(|g| g.get(key));
        match value {
            None | Some(Json::Null) => Ok(default),
            Some(Json::String(text)) => text.trim().parse().map_err(|_| format!("'{key}' is {text:?}, not a number")),
            Some(value) => value.as_f64().ok_or_else(|| format!("'{key}' is {value}, not a number")),
        }
    };
    let threshold = |key, default| number(Some("thresholds"), key, default);
    let target = |key, default| number(Some("bpm_targets"), key, default);
    let mut steps = vec![
        (0.0, target("very_very_low", 105.0)?),
        (threshold("very_very_low", 0.02)?, target("very_low", 110.0)?),
        (threshold("very_low", 0.05)?, target("low", 115.0)?),
        (threshold("low", 0.10)?, target("medium", 118.0)?),
    ];
    let rise = (threshold("medium", 0.15)?, target("medium", 118.0)?);
    let line = vec![rise, (number(None, "movement_max_value", 0.60)?, target("high_max", 130.0)?)];
    // A band whose thresholds are equal is empty.
    let ends: Vec<f64> = steps.iter().skip(1).map(|s| s.0).chain([rise.0]).collect();
    let mut ends = ends.into_iter();
    steps.retain(|(from, _)| ends.next() != Some(*from));
    let mut trial = config.clone();
    trial.movement.steps = steps;
    trial.movement.line = line;
    trial.movement.glide_s = number(Some("smoothing"), "transition_time_seconds", 30.0)?;
    trial.check().map_err(|(key, what)| format!("{}: {what}", key.trim_start_matches("movement.")))?;
    config.movement = trial.movement;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        let file = std::env::temp_dir().join(format!("grooved-bpm-{}-{:p}.json", std::process::id(), text));
        std::fs::write(&file, text).unwrap();
        let mut config = Config::default();
        let result = bpm_config(&file, &mut config);
        std::fs::remove_file(&file).unwrap();
        result.map(|()| config)
    }

    #[test]
    fn the_older_servers_table_is_taken_over() {
        // Missing values take that server's defaults, which are also ours.
        assert_eq!(read("{}").unwrap(), Config::default());
        let config = read(
            r#"{"movement_bpm": {"movement_max_value": 0.8,
                "thresholds": {"very_very_low": 0.02, "very_low": 0.05, "low": 0.10, "medium": 0.10},
                "bpm_targets": {"very_very_low": 100, "very_low": "108", "low": 115, "medium": 118, "high_max": 140},
                "smoothing": {"transition_time_seconds": 12, "smoothing_factor_down": 0.92}}}"#,
        )
        .unwrap();
        // Its later table has no band between low and medium.
        assert_eq!(config.movement.steps, [(0.0, 100.0), (0.02, 108.0), (0.05, 115.0)]);
        assert_eq!(config.movement.line, [(0.10, 118.0), (0.8, 140.0)]);
        assert_eq!(config.movement.glide_s, 12.0);
    }

    #[test]
    fn a_wrong_table_is_named_and_changes_nothing() {
        for (text, part) in [
            ("", "is not JSON"),
            ("[1]", "does not contain an object"),
            (r#"{"movement_bpm": {"thresholds": {"low": "much"}}}"#, "'low' is \"much\""),
            (r#"{"movement_bpm": {"thresholds": {"low": 0.01}}}"#, "steps: "),
            (r#"{"movement_bpm": {"bpm_targets": {"high_max": 9000}}}"#, "line: "),
        ] {
            let why = read(text).unwrap_err();
            assert!(why.contains(part), "{why}");
        }
        let mut config = Config::default();
        assert!(bpm_config(Path::new("/not/there.json"), &mut config).unwrap_err().contains("cannot be read"));
        assert_eq!(config, Config::default());
    }

    #[test]
    fn flags_are_clamped_and_hosts_found() {
        let mut remarks = Vec::new();
        assert_eq!(clamped("vol", 0.5, 0.0, 4.0, &mut remarks), Ok(0.5));
        assert_eq!((clamped("vol", -1e-16, 0.0, 4.0, &mut remarks), remarks.len()), (Ok(0.0), 1));
        assert!(clamped("vol", f64::NAN, 0.0, 4.0, &mut remarks).unwrap_err().contains("not a number"));
        assert_eq!(bind_address("0.0.0.0").unwrap().to_string(), "0.0.0.0");
        assert_eq!(bind_address("[::1]").unwrap().to_string(), "::1");
        assert!(bind_address("localhost").unwrap().is_loopback());
        assert!(bind_address("no such host").unwrap_err().contains("--host: 'no such host'"));
    }
}
