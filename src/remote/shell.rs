//! Controls by name on the command line: full paths, help and completion, all from the vocabulary.

use std::fmt::Write;

use crate::control::commands::glob;
use crate::control::commands::vocabulary::{Control, Vocabulary, distance};

/// Returns the full path of a control: `deck/a/level` is short for `/groove/deck/a/level`.
pub fn full_path(name: &str) -> String {
    if name.starts_with('/') { name.into() } else { format!("/groove/{name}") }
}

/// Returns the help text of a control.
pub fn help(control: &Control) -> String {
    let mut out = format!("{}\n  {}\n", control.address, control.doc);
    for arg in control.all_args() {
        let _ = writeln!(out, "  {}", arg.describe().replace("**", ""));
    }
    if !control.same_as.is_empty() {
        let _ = writeln!(out, "  Same as {}.", control.same_as);
    }
    out
}

/// Returns one line for each control whose path matches the pattern, or contains it if it has no wildcards.
pub fn list(vocabulary: &Vocabulary, pattern: &str) -> String {
    let pattern = if glob::is_pattern(pattern) { pattern.to_string() } else { format!("*{pattern}*") };
    let mut out = String::new();
    for control in vocabulary.all().iter().filter(|c| glob::matches(&pattern, c.address)) {
        let usage = control.usage();
        // The first clause; a full stop within it, as in `mixer.filters`, does not end it.
        let ends = [". ", "; ", ": "].iter().filter_map(|end| control.doc.find(end)).min();
        let doc = control.doc[..ends.unwrap_or(control.doc.len())].trim_end_matches('.');
        let _ = writeln!(out, "{usage:<64} {doc}");
    }
    out
}

/// Returns the paths that begin with `word`, in short form if `word` is short.
pub fn complete(vocabulary: &Vocabulary, word: &str) -> Vec<String> {
    let full = full_path(word);
    let short = |path: &String| match word.starts_with('/') {
        true => Some(path.clone()),
        false => path.strip_prefix("/groove/").map(str::to_string),
    };
    vocabulary.concrete().iter().filter(|p| p.starts_with(&full)).filter_map(short).collect()
}

/// Returns the completion script for `bash`, `zsh` or `fish`, or `None` for another shell.
pub fn script(shell: &str, commands: &[String]) -> Option<String> {
    let words = commands.join(" ");
    Some(match shell {
        "bash" => format!(
            "_groovectl() {{\n  local word=\"${{COMP_WORDS[COMP_CWORD]}}\"\n  COMPREPLY=($(compgen -W \"{words} \
             $(groovectl complete \"$word\" 2>/dev/null)\" -- \"$word\"))\n}}\ncomplete -o default -F _groovectl \
             groovectl\n"
        ),
        "zsh" => format!(
            "#compdef groovectl\n_groovectl() {{\n  local -a found\n  found=({words} \
             ${{(f)\"$(groovectl complete \"$PREFIX\" 2>/dev/null)\"}})\n  compadd -a found\n}}\ncompdef _groovectl \
             groovectl\n"
        ),
        "fish" => format!(
            "complete -c groovectl -n __fish_use_subcommand -a '{words}'\n\
             complete -c groovectl -f -a '(groovectl complete (commandline -ct) 2>/dev/null)'\n"
        ),
        _ => return None,
    })
}

/// The name that a mistyped word is nearest to, if they differ in about a third of its letters at most.
pub fn nearest<'n>(word: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let (away, name) = names.map(|name| (distance(word, name), name)).min()?;
    (away <= (word.len() + 1) / 3).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::table;

    #[test]
    fn a_mistyped_command_is_recognised_and_another_word_is_not() {
        let names = ["status", "watch", "meter", "log"];
        assert_eq!(nearest("stauts", names.into_iter()), Some("status"));
        assert_eq!(nearest("wacth", names.into_iter()), Some("watch"));
        assert_eq!(nearest("tempo", names.into_iter()), None);
        assert_eq!(nearest("deck/a/level", names.into_iter()), None);
    }

    #[test]
    fn names_are_completed_short_and_long() {
        let vocabulary = table::vocabulary(false);
        assert_eq!(
            complete(&vocabulary, "deck/a/eq/"),
            ["deck/a/eq/low", "deck/a/eq/mid", "deck/a/eq/high"].map(str::to_string)
        );
        assert_eq!(complete(&vocabulary, "/set_t"), ["/set_tempo"]);
        assert!(list(&vocabulary, "crossfade").lines().count() >= 3);
        let (control, _) = vocabulary.find("/groove/master").unwrap();
        assert!(help(control).contains("level f 0…4 linear"), "{}", help(control));
    }
}
