//! Merging and comparing configurations.

use std::path::Path;

use toml::{Table, Value};

use super::fault::line_of_key;
use super::{Config, ConfigError, Media};

impl Config {
    /// Merges the file `path` over `base`, which supplies the settings that `path` omits. Returns the merged text,
    /// without comments.
    ///
    /// # Errors
    /// If either file cannot be read or parsed, or a merged setting is out of range. Range errors name `path`.
    pub fn merge(path: &Path, base: &Path) -> Result<String, ConfigError> {
        let (over, under) = (Config::text_of(path)?, Config::text_of(base)?);
        Config::parse_unchecked(&over, path)?;
        Config::parse_unchecked(&under, base)?;
        let table = |text: &str| text.parse::<Table>().map_err(|e| ConfigError::wrong(path, 1, e.to_string()));
        let mut whole = table(&under)?;
        for (section, settings) in table(&over)? {
            match (whole.get_mut(&section), settings) {
                (Some(Value::Table(below)), Value::Table(above)) => below.extend(above),
                (_, settings) => drop(whole.insert(section, settings)),
            }
        }
        let text = toml::to_string(&whole).map_err(|e| ConfigError::wrong(path, 1, e.to_string()))?;
        let config = Config::parse_unchecked(&text, path)?;
        config
            .check()
            .map_err(|(key, what)| ConfigError::wrong(path, line_of_key(&over, key), format!("{key}: {what}")))?;
        Ok(text)
    }

    /// Returns this configuration with those settings of `other` that can change while the daemon runs.
    pub fn reloaded(&self, other: &Config) -> Config {
        let mut now = self.clone();
        now.media = Media { max_stems: self.media.max_stems, ..other.media.clone() };
        now.movement = other.movement.clone();
        now.maps.clone_from(&other.maps);
        now.stretch = other.stretch.clone();
        now.osc.horizon_s = other.osc.horizon_s;
        let (mixer, live) = (&mut now.mixer, &other.mixer);
        (mixer.filters, mixer.tempo_glide_s, mixer.group_wait_s) =
            (live.filters, live.tempo_glide_s, live.group_wait_s);
        now
    }

    /// Returns the settings of `other` that differ and need a restart, as dotted keys.
    pub fn needs_restart(&self, other: &Config) -> Vec<String> {
        let like = self.reloaded(other);
        let (Ok(ours), Ok(theirs)) = (Table::try_from(&like), Table::try_from(other)) else {
            return Vec::new();
        };
        let empty = Table::new();
        let within = |table: &Table, section: &str, key: &str| {
            table.get(section).and_then(Value::as_table).and_then(|t| t.get(key)).cloned()
        };
        theirs
            .iter()
            .flat_map(|(section, settings)| {
                let keys = settings.as_table().unwrap_or(&empty).keys();
                keys.map(move |key| (section, key))
            })
            .filter(|(section, key)| within(&ours, section, key) != within(&theirs, section, key))
            .map(|(section, key)| format!("{section}.{key}"))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Config {
        Config::parse(text, Path::new("x.toml")).unwrap()
    }

    #[test]
    fn what_is_left_out_comes_from_the_base() {
        let folder = std::env::temp_dir().join(format!("grooved-layers-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (over, base) = (folder.join("over.toml"), folder.join("base.toml"));
        std::fs::write(&base, "[http]\nauth = \"open\"\nport = 9000\n[osc]\nports = [1, 2]\n").unwrap();
        std::fs::write(&over, "[output]\nbuffer_size = 256\n[http]\nbind = \"0.0.0.0\"\nport = 9001\n").unwrap();
        let merged = parse(&Config::merge(&over, &base).unwrap());
        assert_eq!(
            (merged.output.buffer_size, merged.http.port, merged.osc.ports.as_slice()),
            (256, 9001, &[1, 2][..])
        );
        assert_eq!(merged.http.auth, super::super::Auth::Open);
        // Errors name the upper file and its lines.
        std::fs::write(&over, "\n[output]\nbuffer_size = 3\n").unwrap();
        let fault = Config::merge(&over, &base).unwrap_err().to_string();
        assert!(fault.contains("over.toml:3: output.buffer_size: 3 is out of range"), "{fault}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_takes_a_restart_is_named() {
        let now = parse("");
        let live =
            "[movement]\ntempo = false\n[mixer]\nfilters = true\n[media]\nmemory_mb = 99\n[osc]\nhorizon_s = 9.0\n";
        assert_eq!(now.needs_restart(&parse(live)), Vec::<String>::new());
        assert_eq!(now.reloaded(&parse(live)), parse(live));
        let other = parse("[output]\nbuffer_size = 256\n[http]\nport = 9000\n[media]\nmax_stems = 9\n");
        let mut waiting = now.needs_restart(&other);
        waiting.sort();
        assert_eq!(waiting, ["http.port", "media.max_stems", "output.buffer_size"]);
    }
}
