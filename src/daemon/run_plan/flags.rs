//! Command line of `grooved run-plan`: the flags of the older executor, and more.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use crate::daemon::failure::{Failure, older_usage as usage};
use crate::plans::range::Range;
use crate::plans::score::{LengthFrom, RateMode, Score, Wishes};

/// Longest fade in beats.
const LONGEST_FADE: f64 = 64.0;
/// Most bars of a section.
const MOST_BARS: u32 = 4096;
/// Longest section in seconds.
const LONGEST_S: f64 = 36_000.0;

/// Command line of `grooved run-plan`.
#[derive(Clone, Args)]
pub struct Flags {
    /// DJ plan (JSON), as the older generator writes it
    #[arg(value_name = "PLAN.json")]
    pub plan: PathBuf,
    #[command(flatten)]
    pub what: What,
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub lengths: Lengths,
    #[command(flatten)]
    pub show: Showing,
}

/// Flags of what is done, and with which sections.
#[derive(Clone, Args)]
pub struct What {
    /// What to do with the plan [default: interactive; full with --render]
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,
    /// Play these sections: N, N-, -N, A-B, or part of a key
    #[arg(long, value_name = "KEY|N|A-B", conflicts_with = "from", allow_hyphen_values = true)]
    pub section: Option<String>,
    /// Play from the N-th section to the end
    #[arg(long, value_name = "N", value_parser = at_least_one, allow_negative_numbers = true)]
    pub from: Option<u32>,
    /// Begin again after the last section
    #[arg(long = "loop", conflicts_with_all = ["render", "dry_run"])]
    pub again: bool,
    /// Refuse a text that is part of several keys, instead of taking the next one
    #[arg(long)]
    pub strict: bool,
}

/// Flags of the place where the plan is played.
#[derive(Clone, Args)]
#[command(next_help_heading = "Place")]
pub struct Place {
    /// Play it on a daemon that runs there
    #[arg(long, value_name = "HOST", conflicts_with_all = ["embedded", "render", "dry_run"])]
    pub host: Option<String>,
    /// OSC port of that daemon, or of one on this machine
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..), default_value_t = 57_120,
        conflicts_with_all = ["embedded", "render", "dry_run"])]
    pub port: u16,
    /// Play it with this process's own engine and card, even if a daemon runs on this machine
    #[arg(long, conflicts_with_all = ["render", "dry_run"])]
    pub embedded: bool,
    /// Render it into a WAV file (32-bit float), faster than real time; the same bytes every time
    #[arg(long, value_name = "OUT.wav", conflicts_with = "dry_run")]
    pub render: Option<PathBuf>,
    /// Folder in which stems are looked for besides the plan's and the current one; may be repeated
    #[arg(long, value_name = "DIR")]
    pub media: Vec<PathBuf>,
}

/// Flags of the sections' lengths and rates.
#[derive(Clone, Args)]
#[command(next_help_heading = "Sections")]
pub struct Lengths {
    /// Length of every section in bars
    #[arg(long, value_name = "N", value_parser = bars, allow_negative_numbers = true,
        conflicts_with_all = ["seconds", "length"])]
    bars: Option<u32>,
    /// Length of every section in seconds, rounded to whole bars
    #[arg(long, value_name = "S", value_parser = seconds, allow_negative_numbers = true, conflicts_with = "length")]
    seconds: Option<f64>,
    /// Stem that gives a section its length: first, longest or shortest [default: first]
    #[arg(long, value_name = "STEM", value_parser = LengthFrom::from_str)]
    length: Option<LengthFrom>,
    /// Fade from one section to the next, in beats (4) or seconds (2s) [default: as the plan says, else 1 beat]
    #[arg(long, value_name = "BEATS|S", allow_negative_numbers = true)]
    pub fade: Option<Fade>,
    /// How stems change their tempo: rate (like a record), stretch (pitch is kept) or auto (as the plan says)
    #[arg(long, value_name = "HOW", value_parser = RateMode::from_str, default_value = "auto")]
    pub rate_mode: RateMode,
}

/// Flags of the output.
#[derive(Clone, Args)]
#[command(next_help_heading = "Output")]
pub struct Showing {
    /// Print what would be played, and when
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object per line on standard output; answers to commands go to standard error
    #[arg(long)]
    pub json: bool,
}

/// Use of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Take commands from standard input
    Interactive,
    /// Play the plan from beginning to end
    Full,
    /// Print what the plan says
    Info,
    /// Print the sections in order of play
    List,
    /// Print what is wrong with it; exit code 1 if something cannot be played as it is
    Check,
}

/// A length of a fade.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fade {
    /// In beats.
    Beats(f64),
    /// In seconds.
    Seconds(f64),
}

impl Fade {
    /// Returns the fade in whole beats at a tempo.
    ///
    /// # Errors
    /// If it is longer than 64 beats.
    pub fn beats(self, bpm: f64) -> Result<f64, String> {
        let beats = match self {
            Fade::Beats(beats) => beats.round(),
            Fade::Seconds(seconds) => (seconds * bpm / 60.0).round(),
        };
        match beats <= LONGEST_FADE {
            true => Ok(beats),
            false => Err(format!("{beats} beats at {bpm} BPM: expected at most {LONGEST_FADE}")),
        }
    }
}

impl FromStr for Fade {
    type Err = String;

    fn from_str(text: &str) -> Result<Fade, String> {
        let shown = text.chars().take(40).collect::<String>();
        let wrong = || format!("'{shown}' is not a fade: expected beats (4) or seconds (2s), at most 64 beats");
        let (number, is_seconds) = match text.trim().strip_suffix(['s', 'S']) {
            Some(number) => (number.trim_end(), true),
            None => (text.trim(), false),
        };
        // Also "inf", "nan" and "1e3", which nobody means.
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(wrong());
        }
        let value: f64 = number.parse().map_err(|_| wrong())?;
        match is_seconds {
            true if value <= LONGEST_S => Ok(Fade::Seconds(value)),
            false if value <= LONGEST_FADE => Ok(Fade::Beats(value)),
            _ => Err(wrong()),
        }
    }
}

fn at_least_one(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "must be a whole number of at least 1".into())
}

fn bars(text: &str) -> Result<u32, String> {
    let bars = text.parse().ok().filter(|n| (1..=MOST_BARS).contains(n));
    bars.ok_or_else(|| format!("must be a whole number from 1 to {MOST_BARS}"))
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok().filter(|s: &f64| *s > 0.0 && *s <= LONGEST_S);
    seconds.ok_or_else(|| format!("must be a number above 0, and at most {LONGEST_S}"))
}

impl Flags {
    /// Returns what is done with the plan.
    pub fn mode(&self) -> Mode {
        self.what.mode.unwrap_or(if self.place.render.is_some() { Mode::Full } else { Mode::Interactive })
    }

    /// Checks what arguments mean together.
    ///
    /// # Errors
    /// If one of them would have no effect.
    pub fn check(&self) -> Result<(), Failure> {
        let chosen = [("--section", self.what.section.is_some()), ("--from", self.what.from.is_some())];
        let played = [
            ("--loop", self.what.again),
            ("--embedded", self.place.embedded),
            ("--render", self.place.render.is_some()),
            ("--dry-run", self.show.dry_run),
        ];
        match self.what.mode {
            Some(mode @ (Mode::Info | Mode::List | Mode::Check)) => {
                let name = mode.to_possible_value().map(|value| value.get_name().to_string()).unwrap_or_default();
                match chosen.iter().chain(&played).find(|(_, is_given)| *is_given) {
                    Some((flag, _)) => {
                        Err(usage(format!("{flag}: --mode {name} plays nothing; leave one of them out")))
                    }
                    None => Ok(()),
                }
            }
            Some(Mode::Interactive) if self.place.render.is_some() => {
                Err(usage("--render: a render takes no commands; expected --mode full or none".into()))
            }
            _ => Ok(()),
        }
    }

    /// Returns what is wished for; `bpm` is the plan's tempo.
    ///
    /// # Errors
    /// If the fade is too long at that tempo.
    pub fn wishes(&self, bpm: f64) -> Result<Wishes, Failure> {
        let fade = self.lengths.fade.map(|fade| fade.beats(bpm)).transpose();
        Ok(Wishes {
            rate_mode: self.lengths.rate_mode,
            length_from: self.lengths.length.unwrap_or_default(),
            bars: self.lengths.bars.map(f64::from),
            seconds: self.lengths.seconds,
            fade: fade.map_err(|e| usage(format!("--fade: {e}")))?,
        })
    }

    /// Returns the sections to be played: those of --section or --from, else all.
    ///
    /// # Errors
    /// If there are no such sections.
    pub fn range(&self, score: &Score) -> Result<Range, Failure> {
        let (flag, text) = match (&self.what.section, self.what.from) {
            (Some(text), _) => ("--section", text.trim().to_string()),
            (None, Some(from)) if from as usize > score.sections.len() => {
                return Err(usage(format!("--from {from}: the plan has {} sections", score.sections.len())));
            }
            (None, Some(from)) => ("--from", format!("{from}-")),
            (None, None) => ("--section", String::new()),
        };
        let range = score.range(&text, None).map_err(|e| usage(format!("{flag}: {e}")))?;
        match &range.remark {
            Some(remark) if self.what.strict => Err(usage(format!("{flag}: {remark} (--strict)"))),
            _ => Ok(range),
        }
    }

    /// Returns whether sections are named on the command line: then interactive mode begins with them.
    pub fn names_sections(&self) -> bool {
        self.what.section.is_some() || self.what.from.is_some() || self.what.again
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        flags: Flags,
    }

    fn parse(line: &str) -> Result<Flags, String> {
        let words = std::iter::once("run-plan").chain(line.split_whitespace());
        Cli::try_parse_from(words).map(|cli| cli.flags).map_err(|e| e.to_string())
    }

    #[test]
    fn older_command_lines_are_understood() {
        let flags = parse("p.json --host localhost --port 57120 --mode full").unwrap();
        assert_eq!(
            (flags.mode(), flags.place.host.as_deref(), flags.place.port),
            (Mode::Full, Some("localhost"), 57120)
        );
        assert_eq!(parse("p.json").unwrap().mode(), Mode::Interactive);
        assert_eq!(parse("p.json --render x.wav").unwrap().mode(), Mode::Full);
    }

    #[test]
    fn contradictions_name_their_argument() {
        for (line, named) in [
            ("p --bars 4 --seconds 3", "--bars"),
            ("p --bars 4 --length first", "--bars"),
            ("p --seconds 4 --length longest", "--seconds"),
            ("p --length middle", "--length"),
            ("p --bars 0", "--bars"),
            ("p --bars -1", "--bars"),
            ("p --seconds nan", "--seconds"),
            ("p --host h --render o.wav", "--host"),
            ("p --host h --embedded", "--host"),
            ("p --port 1 --embedded", "--port"),
            ("p --port 0", "--port"),
            ("p --fade -1", "--fade"),
            ("p --fade inf", "--fade"),
            ("p --fade 65", "--fade"),
            ("p --fade s", "--fade"),
            ("p --from 0", "--from"),
            ("p --from 2 --section 3", "--"),
            ("p --loop --render o.wav", "--loop"),
            ("p --mode loud", "--mode"),
            ("p --rate-mode loud", "--rate-mode"),
        ] {
            let error = parse(line).err().unwrap_or_else(|| panic!("{line}: accepted"));
            assert!(error.contains(named), "{line}: {error}");
        }
        for line in ["p --mode info --dry-run", "p --mode list --section 1", "p --mode check --render o.wav"] {
            let error = parse(line).unwrap().check().unwrap_err();
            assert!(error.code() == 2 && error.to_string().contains("plays nothing"), "{line}: {error}");
        }
    }

    #[test]
    fn fades_are_beats_or_seconds() {
        let fade = |text: &str| text.parse::<Fade>().and_then(|fade| fade.beats(120.0));
        assert_eq!(
            ["4", "2s", " 1.5 s ", "0", "0s", "2.6", "32S"].map(|t| fade(t).unwrap()),
            [4., 4., 3., 0., 0., 3., 64.]
        );
        for wrong in ["", "s", "-1", "1e1", "4 beats", "33s", "64.6", ".", "1.2.3", "∞"] {
            assert!(fade(wrong).is_err(), "{wrong}");
        }
        let flags = parse("p --fade 2s --bars 8 --rate-mode stretch").unwrap();
        let wishes = flags.wishes(90.0).unwrap();
        assert_eq!((wishes.fade, wishes.bars, wishes.rate_mode), (Some(3.0), Some(8.0), RateMode::Stretch));
        assert!(parse("p --fade 30s").unwrap().wishes(180.0).unwrap_err().to_string().starts_with("--fade: 90 beats"));
    }
}
