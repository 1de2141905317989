//! The man page of the configuration file, made from the file's own comments.

use std::fmt::Write;

/// The configuration file as shipped: every setting with its default and a comment.
const FILE: &str = include_str!("../../config/grooved.toml");

/// Text as troff shows it: nothing of it is taken for a request or an escape.
fn escaped(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Whether a line sets something: `#key = value`, or the same without the mark of a comment.
fn setting(line: &str) -> Option<&str> {
    let line = line.strip_prefix('#').unwrap_or(line);
    let (key, _) = line.split_once(" = ")?;
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    is_key.then_some(line)
}

/// A section's name: `[output]`, or `#[[map]]`, which may occur several times.
fn section(line: &str) -> Option<&str> {
    let line = line.strip_prefix('#').unwrap_or(line);
    (line.starts_with('[') && line.ends_with(']')).then_some(line)
}

/// Returns grooved.toml(5) as troff. `version` is the daemon's.
pub fn config_page(version: &str) -> String {
    let mut out = format!(
        ".TH grooved.toml 5 \"\" \"grooved {version}\"\n.SH NAME\ngrooved.toml \\- configuration of grooved(1)\n.SH \
         DESCRIPTION\n"
    );
    let mut comment: Vec<&str> = Vec::new();
    for line in FILE.lines().map(str::trim_end) {
        if let Some(name) = section(line) {
            let _ = writeln!(out, ".SH \"{}\"", escaped(name));
            flush(&mut out, &mut comment);
        } else if let Some(setting) = setting(line) {
            let _ = writeln!(out, ".TP\n.B {}", escaped(setting));
            flush(&mut out, &mut comment);
        } else if let Some(text) = line.strip_prefix("# ") {
            comment.push(text);
        } else if line.is_empty() {
            paragraph(&mut out, &mut comment);
        }
    }
    paragraph(&mut out, &mut comment);
    out.push_str(".SH SEE ALSO\n.BR grooved (1),\n.BR groovectl (1)\n");
    out
}

/// Writes a comment that stands apart; what is indented is an example, line by line.
fn paragraph(out: &mut String, comment: &mut Vec<&str>) {
    let mut example = false;
    if !comment.is_empty() {
        out.push_str(".PP\n");
    }
    for text in comment.drain(..) {
        if text.starts_with(' ') != example {
            example = !example;
            out.push_str(if example { ".nf\n" } else { ".fi\n" });
        }
        let _ = writeln!(out, "{}", escaped(text));
    }
    if example {
        out.push_str(".fi\n");
    }
}

fn flush(out: &mut String, comment: &mut Vec<&str>) {
    for text in comment.drain(..) {
        let _ = writeln!(out, "{}", escaped(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_paragraph() {
        let page = config_page("1.0");
        let settings = FILE.lines().filter(|l| setting(l).is_some()).count();
        assert!(settings > 60, "{settings}");
        assert_eq!(page.matches("\n.TP\n.B ").count(), settings);
        for wanted in [".SH \"[output]\"\n", ".B buffer_size = 1024\nFrames per period, 16 to 8192."] {
            assert!(page.contains(wanted), "{wanted:?} is not in\n{page}");
        }
        // A line that begins with a dot or a quotation mark would be a request.
        let requests = [".TH", ".SH", ".TP", ".PP", ".B ", ".BR", ".nf", ".fi"];
        let known = |line: &str| !line.starts_with(['.', '\'']) || requests.iter().any(|r| line.starts_with(r));
        assert!(page.lines().all(known));
    }
}
