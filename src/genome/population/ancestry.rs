//! Who descends from whom: as indented text, and as a drawing (SVG).

use std::collections::{HashMap, HashSet};
use std::fmt::Write;

use super::records::Candidate;

/// Pixels between generations and between members of one.
const STEP: (usize, usize) = (34, 22);
/// Pixels around the drawing.
const MARGIN: usize = 60;
/// Generations and members that are drawn apart.
const MOST_PLACES: usize = 10_000;
/// Lines of a text.
const MOST_LINES: usize = 200;

fn summary(member: &Candidate) -> String {
    let mut text = format!("{}  score {:.2}", member.id, member.score);
    if member.likes + member.dislikes > 0 {
        let _ = write!(text, ", votes +{} -{}", member.likes, member.dislikes);
    }
    if let Some(movement) = member.movement {
        let _ = write!(text, ", movement {movement:.3}");
    }
    if !member.changes.is_empty() {
        let _ = write!(text, "  ({})", member.changes.replace(',', ", "));
    }
    text
}

/// The ancestors of a genome, one line each, parents below and indented; a genome that was shown before is not followed
/// again. At most 200 lines.
pub fn tree(everyone: &[Candidate], id: &str) -> String {
    let by_id: HashMap<&str, &Candidate> = everyone.iter().map(|m| (m.id.as_str(), m)).collect();
    let (mut text, mut seen, mut lines) = (String::new(), HashSet::new(), 0);
    // Depth and genome; the last one is next.
    let mut open = vec![(0, id)];
    while let Some((depth, id)) = open.pop() {
        if lines == MOST_LINES {
            text += "…\n";
            break;
        }
        lines += 1;
        let indent = "  ".repeat(depth);
        let Some(member) = by_id.get(id) else {
            let _ = writeln!(text, "{indent}{id}");
            continue;
        };
        let is_known = !seen.insert(id);
        let _ = writeln!(text, "{indent}{}{}", summary(member), if is_known { " …" } else { "" });
        if !is_known {
            open.extend(member.parents.iter().rev().map(|parent| (depth + 1, parent.as_str())));
        }
    }
    text
}

/// Draws a run as SVG: a column per generation, a circle per genome (darker with a higher score), a line to each
/// parent; the ancestors of `chosen` are red.
pub fn drawing(everyone: &[Candidate], chosen: Option<&str>) -> String {
    let by_id: HashMap<&str, &Candidate> = everyone.iter().map(|m| (m.id.as_str(), m)).collect();
    let mut line = HashSet::new();
    let mut open: Vec<&str> = chosen.into_iter().collect();
    while let Some(id) = open.pop() {
        if let Some(member) = by_id.get(id).filter(|_| line.insert(id)) {
            open.extend(member.parents.iter().map(String::as_str));
        }
    }
    let place = |k: usize| k.min(MOST_PLACES);
    let at = |m: &Candidate| (MARGIN + STEP.0 * place(m.generation as usize), MARGIN + STEP.1 * place(m.place));
    let most = |what: fn(&Candidate) -> usize| everyone.iter().map(what).max().unwrap_or(0).min(MOST_PLACES);
    let (width, height) =
        (2 * MARGIN + STEP.0 * most(|m| m.generation as usize), 2 * MARGIN + STEP.1 * most(|m| m.place));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"10\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for member in everyone {
        let (x, y) = at(member);
        for parent in member.parents.iter().filter_map(|p| by_id.get(p.as_str())) {
            let (px, py) = at(parent);
            let is_chosen = line.contains(member.id.as_str());
            let (colour, stroke) = if is_chosen { ("#c22", 1.6) } else { ("#bbb", 0.6) };
            let _ = writeln!(
                svg,
                "<line x1=\"{px}\" y1=\"{py}\" x2=\"{x}\" y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"{stroke}\"/>"
            );
        }
    }
    for member in everyone {
        let (x, y) = at(member);
        let shade = (230.0 - 210.0 * member.score.clamp(0.0, 1.0)) as u8;
        let edge = if line.contains(member.id.as_str()) { "#c22" } else { "#666" };
        let _ = writeln!(
            svg,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"5\" fill=\"rgb({shade},{shade},{shade})\" stroke=\"{edge}\"><title>{}\
             </title></circle>",
            escaped(&summary(member))
        );
    }
    for generation in (0..=most(|m| m.generation as usize)).step_by(5) {
        let x = MARGIN + STEP.0 * generation;
        let _ = writeln!(svg, "<text x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{generation}</text>", MARGIN / 2);
    }
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn family() -> Vec<Candidate> {
        let member = |id: &str, generation, place, parents: &[&str]| Candidate {
            parents: parents.iter().map(|p| (*p).to_string()).collect(),
            changes: if parents.is_empty() { String::new() } else { "weights,<neuron>".into() },
            score: 0.5,
            ..Candidate::new(id.into(), generation, place)
        };
        vec![
            member("a", 0, 0, &[]),
            member("b", 0, 1, &[]),
            member("c", 1, 0, &["b", "a"]),
            member("d", 1, 1, &["a"]),
            member("e", 2, 0, &["c", "d"]),
        ]
    }

    #[test]
    fn a_tree_shows_each_ancestor_below_its_child_and_follows_it_once() {
        let text = tree(&family(), "e");
        let ids: Vec<&str> = text.lines().map(|l| l.split("  score").next().unwrap()).collect();
        assert_eq!(ids, ["e", "  c", "    b", "    a", "  d", "    a"]);
        assert!(text.lines().nth(5).unwrap().ends_with('…') && text.contains("(weights, <neuron>)"), "{text}");
        assert_eq!(tree(&family(), "unknown"), "unknown\n");
        // Parents that are their own ancestors end, too.
        let mut circle = family();
        circle[0].parents.push("e".into());
        assert!(tree(&circle, "e").lines().count() < 12);
    }

    #[test]
    fn a_drawing_has_a_circle_for_each_genome_and_marks_the_line_of_the_chosen_one() {
        let svg = drawing(&family(), Some("d"));
        assert_eq!((svg.matches("<circle").count(), svg.matches("<line").count()), (5, 5));
        assert_eq!(svg.matches("stroke=\"#c22\"").count(), 3, "two genomes and the line between them");
        assert!(svg.contains("&lt;neuron&gt;") && svg.ends_with("</svg>\n"));
        assert!(drawing(&[], None).contains("<svg"));
    }
}
