//! Commands of the interactive mode.

use super::flags::Fade;

/// The commands: name, argument and what they do.
pub const COMMANDS: [(&str, &str, &str); 14] = [
    ("info", "", "what the plan says"),
    ("list", "", "its sections"),
    ("play", "N|TEXT|A-B", "plays a section again and again, or a range once; TEXT is part of a key"),
    ("full", "", "plays the whole plan"),
    ("next", "", "goes to the next section at the next bar"),
    ("back", "", "goes to the section before at the next bar"),
    ("hold", "[on|off]", "repeats the present section until it is let go"),
    ("fade", "S|plan", "fade between sections in beats (4) or seconds (2s), or as the plan says"),
    ("stop", "", "fades out"),
    ("status", "", "what the daemon plays"),
    ("load", "[PLAN]", "reads another plan, or this one again"),
    ("quit", "[--leave]", "fades out and ends; with --leave the plan goes on"),
    ("detach", "", "the same as quit --leave"),
    ("help", "", "this list"),
];

/// A command.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    Nothing,
    Info,
    List,
    Play(String),
    Full,
    Next,
    Back,
    Hold(Option<bool>),
    Fade(Option<Fade>),
    Stop,
    Status,
    Load(Option<String>),
    Quit { leave: bool },
    Help,
}

impl Command {
    /// Reads a typed line.
    ///
    /// # Errors
    /// If it is no command, or has other arguments than expected.
    pub fn parse(line: &str) -> Result<Command, String> {
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace).map_or((line, ""), |(name, rest)| (name, rest.trim()));
        let name = name.to_lowercase();
        let alone = |command: Command| match rest {
            "" => Ok(command),
            _ => Err(format!("{name}: expected nothing after it")),
        };
        match name.as_str() {
            "" => Ok(Command::Nothing),
            "info" => alone(Command::Info),
            "list" => alone(Command::List),
            "play" if rest.is_empty() => Err("play: expected the number of a section, or part of its key".into()),
            "play" => Ok(Command::Play(rest.into())),
            "full" => alone(Command::Full),
            "next" => alone(Command::Next),
            "back" => alone(Command::Back),
            "hold" => match rest.to_lowercase().as_str() {
                "" => Ok(Command::Hold(None)),
                "on" | "1" => Ok(Command::Hold(Some(true))),
                "off" | "0" => Ok(Command::Hold(Some(false))),
                _ => Err("hold: expected on, off or nothing after it".into()),
            },
            "fade" if rest.is_empty() => Err("fade: expected beats (4), seconds (2s) or plan".into()),
            "fade" if rest.eq_ignore_ascii_case("plan") => Ok(Command::Fade(None)),
            "fade" => rest.parse().map(|fade| Command::Fade(Some(fade))).map_err(|e| format!("fade: {e}")),
            "stop" => alone(Command::Stop),
            "status" => alone(Command::Status),
            "load" => Ok(Command::Load((!rest.is_empty()).then(|| rest.into()))),
            "quit" if rest.eq_ignore_ascii_case("--leave") => Ok(Command::Quit { leave: true }),
            "quit" if !rest.is_empty() => Err("quit: expected --leave or nothing after it".into()),
            "quit" => Ok(Command::Quit { leave: false }),
            "detach" => alone(Command::Quit { leave: true }),
            "help" => Ok(Command::Help),
            _ => {
                let shown: String = name.chars().take(40).collect();
                Err(format!(
                    "unknown command '{shown}'; expected one of {}",
                    COMMANDS.map(|(name, ..)| name).join(", ")
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_as_the_older_executor_did() {
        for (line, command) in [
            ("", Command::Nothing),
            (" \t ", Command::Nothing),
            ("INFO\r\n", Command::Info),
            (" Play  Verse two", Command::Play("Verse two".into())),
            ("play 3", Command::Play("3".into())),
            ("quit", Command::Quit { leave: false }),
            ("quit --leave", Command::Quit { leave: true }),
            ("detach", Command::Quit { leave: true }),
            ("hold", Command::Hold(None)),
            ("hold OFF", Command::Hold(Some(false))),
            ("fade 2s", Command::Fade(Some(Fade::Seconds(2.0)))),
            ("load", Command::Load(None)),
            ("LOAD My Plan.json ", Command::Load(Some("My Plan.json".into()))),
        ] {
            assert_eq!(Command::parse(line), Ok(command), "{line:?}");
        }
        for (line, why) in [
            ("loud", "unknown command 'loud'; expected one of info, list, play,"),
            ("play", "play: expected the number"),
            ("list all", "list: expected nothing"),
            ("fade", "fade: expected beats"),
            ("fade -1", "fade: '-1'"),
            ("hold 2", "hold: expected"),
            ("quit now", "quit: expected"),
        ] {
            let error = Command::parse(line).unwrap_err();
            assert!(error.starts_with(why), "{line}: {error}");
        }
        assert!(Command::parse(&"x".repeat(5_000)).unwrap_err().len() < 300);
    }

    #[test]
    fn each_listed_command_is_known() {
        for (name, ..) in COMMANDS {
            let line = if name == "play" || name == "fade" { format!("{name} 1") } else { name.into() };
            assert!(Command::parse(&line).is_ok(), "{name}");
        }
    }
}
