//! The terminal view: decks, meters, tempo, underruns and the log, for 80 × 24 characters over a slow connection.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use serde_json::Value as Json;

use super::live::{Live, LiveMessage};

/// Redraws per second: smooth enough, with little traffic.
const RATE: f64 = 8.0;
/// Number of log lines kept.
const LOG: usize = 200;
/// Time without a message after which the view reports it.
const STALE: Duration = Duration::from_secs(2);

/// State of the view.
pub struct View {
    values: BTreeMap<String, Vec<Json>>,
    log: VecDeque<(String, String)>,
    heard: Instant,
    trouble: Option<String>,
}

impl Default for View {
    fn default() -> Self {
        View { values: BTreeMap::new(), log: VecDeque::new(), heard: Instant::now(), trouble: None }
    }
}

impl View {
    /// Updates the view with a message from the daemon.
    pub fn take(&mut self, message: &Json) {
        self.heard = Instant::now();
        match message["push"].as_str() {
            Some("state") => {
                for (path, values) in message["values"].as_object().into_iter().flatten() {
                    match values.as_array() {
                        Some(values) => drop(self.values.insert(path.clone(), values.clone())),
                        None => drop(self.values.remove(path)),
                    }
                }
            }
            Some("event") => {
                let level = message["path"].as_str().unwrap_or_default().trim_start_matches("/log/").to_string();
                self.log.push_front((level, message["values"][0].as_str().unwrap_or_default().to_string()));
                self.log.truncate(LOG);
            }
            _ => {}
        }
    }

    fn number(&self, path: &str, k: usize) -> f64 {
        self.values.get(path).and_then(|v| v.get(k)).and_then(Json::as_f64).unwrap_or(0.0)
    }

    fn text(&self, path: &str, k: usize) -> &str {
        self.values.get(path).and_then(|v| v.get(k)).and_then(Json::as_str).unwrap_or_default()
    }

    fn numbered<'v>(&'v self, prefix: &'v str) -> impl Iterator<Item = (&'v str, &'v Vec<Json>)> {
        self.values.range(prefix.to_string()..).map_while(move |(p, v)| Some((p.strip_prefix(prefix)?, v)))
    }

    /// Draws the view.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let decks = self.decks();
        let outputs = self.numbered("/meter/output/").count().max(1) as u16;
        let [head, meters, middle, log] = Layout::vertical([
            Constraint::Length(4),
            Constraint::Length(outputs),
            Constraint::Length(decks.len() as u16),
            Constraint::Min(2),
        ])
        .areas(frame.area());
        frame.render_widget(Paragraph::new(self.head()), head);
        frame.render_widget(Paragraph::new(self.outputs(meters)), meters);
        frame.render_widget(Paragraph::new(decks), middle);
        frame.render_widget(Paragraph::new(self.lines(log)), log);
    }

    fn head(&self) -> Vec<Line<'_>> {
        let n = |path: &str, k: usize| self.number(path, k);
        let xruns = n("/status/xruns", 0);
        let state = match self.text("/status/output", 0) {
            "card" => Span::from("card").green(),
            "clock" => Span::from("no card (clock)").yellow(),
            "silent" => Span::from("NO CARD").red().bold(),
            _ => Span::from("…").dim(),
        };
        let counted = |what: &'static str, count: f64| {
            let text = format!("{what} {count:.0}");
            if count > 0.0 { Span::from(text).red() } else { Span::from(text) }
        };
        let gap = || Span::from("   ");
        let mut last = vec![
            Span::from(format!(
                "load {:.1} % (worst {:.1} %)   {:.1} MB   drift {:+.1} ppm",
                100.0 * n("/status/load", 0),
                100.0 * n("/status/load", 1),
                n("/status/load", 3),
                n("/status/output", 5)
            )),
            gap(),
        ];
        match &self.trouble {
            Some(why) => last.push(Span::from(why.as_str()).red()),
            None if self.heard.elapsed() > STALE => last.push(Span::from("no data").red()),
            None => last.push(Span::from("q: quit").dim()),
        }
        vec![
            Line::from(vec![
                Span::from(format!("grooved {}", self.text("/status/version", 0))).bold(),
                gap(),
                Span::from(format!("{:.2} BPM", n("/status/tempo", 0))).yellow().bold(),
                gap(),
                Span::from(format!("bar {:.0}.{:.0}", n("/status/beat", 1), n("/status/beat", 2))),
                gap(),
                state,
                gap(),
                Span::from(format!("latency {:.1} ms", n("/status/output", 4))),
            ]),
            Line::from(vec![
                counted("underruns", xruns),
                Span::from(format!(
                    " (late {:.0}, slow {:.0}, device {:.0}; {:.0} frames)",
                    n("/status/xruns", 2),
                    n("/status/xruns", 3),
                    n("/status/xruns", 4),
                    n("/status/xruns", 1)
                )),
                gap(),
                counted("starved", n("/status/faults", 0)),
                gap(),
                counted("late", n("/status/faults", 1)),
            ]),
            Line::from(last),
            self.crowd(),
        ]
    }

    /// Returns the line about movement; empty while movement does not control the tempo.
    fn crowd(&self) -> Line<'_> {
        let n = |k: usize| self.number("/status/movement", k);
        match self.text("/status/movement", 4) {
            "" | "base" => Line::default(),
            why => Line::from(vec![
                Span::from(format!("movement {:.3} (smoothed {:.3})   ", n(0), n(1))),
                Span::from(format!("{why}: to {:.1} BPM", n(2))).yellow(),
                Span::from(if n(5) > 0.0 { format!("   rejected {:.0}", n(5)) } else { String::new() }).red(),
            ]),
        }
    }

    /// Returns a deck's stretch state in short form; "!" marks a method that temporarily replaces the selected one.
    fn stretch(&self, deck: &str) -> Span<'_> {
        let path = format!("/status/stretch/{deck}");
        let (method, heard) = (self.text(&path, 0), self.text(&path, 1));
        match method {
            "" | "playback_rate" => Span::default(),
            _ if method != heard => Span::from(format!(" {heard}!")).yellow(),
            "wsola" => Span::from(" wsola"),
            _ => Span::from(format!(" {method:.4} {:.0}/{:.0} ms", self.number(&path, 3), self.number(&path, 4))),
        }
    }

    fn outputs(&self, area: Rect) -> Vec<Line<'_>> {
        let width = usize::from(area.width).saturating_sub(34).clamp(10, 60);
        self.numbered("/meter/output/")
            .map(|(channel, v)| {
                let at = |k: usize| v.get(k).and_then(Json::as_f64).unwrap_or(0.0);
                let mut spans = vec![Span::from(format!("out {:<2} ", channel.parse().unwrap_or(0) + 1))];
                spans.extend(bar(at(0), at(3), width));
                spans.push(Span::from(format!(" {} dB", decibels(at(3)))));
                if at(2) > 0.0 {
                    spans.push(Span::from(format!("  limited {}", at(2))).yellow());
                }
                Line::from(spans)
            })
            .collect()
    }

    fn decks(&self) -> Vec<Line<'_>> {
        let mut lines = vec![Line::default()];
        for deck in ["a", "b", "c", "d"] {
            let meter = format!("/meter/deck/{deck}");
            let mut spans = vec![Span::from(format!("{} ", deck.to_uppercase())).bold()];
            spans.extend(bar(self.number(&meter, 0), self.number(&meter, 2), 20));
            let band = |band: &str| {
                let percent = self.number(&format!("/groove/deck/{deck}/eq/{band}"), 0);
                if percent <= 0.0 { "kill".into() } else { format!("{percent:.0} %") }
            };
            spans.push(Span::from(format!(
                "  level {:.2}   low {:<5} mid {:<5} high {:<5}",
                self.number(&format!("/groove/deck/{deck}/level"), 0),
                band("low"),
                band("mid"),
                band("high")
            )));
            spans.push(self.stretch(deck));
            lines.push(Line::from(spans));
            let stems: Vec<String> = self
                .numbered("/status/buffer/")
                .filter(|(_, v)| v.get(1).and_then(Json::as_str) == Some(deck))
                .map(|(id, v)| {
                    let name = v.first().and_then(Json::as_str).unwrap_or_default();
                    let name: String = name.chars().take(14).collect();
                    match self.values.get(&format!("/status/player/{id}")) {
                        Some(player) => format!("{name} {}", clock(player.get(2))),
                        None => format!("({name})"),
                    }
                })
                .collect();
            // One line per deck, cut off at the edge.
            let text = if stems.is_empty() { "–".into() } else { stems.join("  ") };
            lines.push(Line::from(format!("  {text}")).style(Style::new().fg(Color::Gray)));
        }
        lines.push(Line::default());
        lines
    }

    fn lines(&self, area: Rect) -> Vec<Line<'_>> {
        self.log
            .iter()
            .take(usize::from(area.height))
            .map(|(level, text)| {
                let color = match level.as_str() {
                    "error" => Color::Red,
                    "warn" => Color::Yellow,
                    _ => Color::Gray,
                };
                Line::from(Span::from(format!("{level:<5} {text}")).style(Style::new().fg(color)))
            })
            .collect()
    }
}

/// Returns a level bar from −60 to 0 dB, `width` characters wide, with a mark at `hold`. Levels are linear.
fn bar(level: f64, hold: f64, width: usize) -> Vec<Span<'static>> {
    let place = |x: f64| ((1.0 + x.max(1e-9).log10() / 3.0).clamp(0.0, 1.0) * width as f64).round() as usize;
    let (full, mark) = (place(level).min(width), place(hold));
    let cells = |from: usize, to: usize, color: Color| {
        let cell = |k: usize| match k {
            k if mark > 0 && k + 1 == mark => '|',
            k if k < full => '#',
            _ => '.',
        };
        Span::from((from..to).map(cell).collect::<String>()).style(Style::new().fg(color))
    };
    let (warm, hot) = (width * 8 / 10, width * 95 / 100);
    vec![cells(0, warm, Color::Green), cells(warm, hot, Color::Yellow), cells(hot, width, Color::Red)]
}

fn decibels(level: f64) -> String {
    if level > 1e-5 { format!("{:6.1}", 20.0 * level.log10()) } else { "  −inf".into() }
}

fn clock(seconds: Option<&Json>) -> String {
    let seconds = seconds.and_then(Json::as_f64).unwrap_or(0.0);
    format!("{}:{:02}", seconds as u64 / 60, seconds as u64 % 60)
}

/// Shows the view until `q`, Escape or Ctrl-C. Calls `connect` at the start, and again whenever the connection is lost.
///
/// # Errors
/// If the first connection fails, or there is no terminal.
pub fn run(mut connect: impl FnMut() -> Result<Live, String>) -> Result<(), String> {
    let subscribe = |live: &mut Live| {
        live.subscribe(&["/status/*", "/meter/*", "/groove/deck/*"], RATE, None)?;
        live.subscribe(&["/log/*"], RATE, Some(0))
    };
    // Connect before switching the screen, so that a wrong host or token is reported in plain text.
    let mut first = connect()?;
    subscribe(&mut first)?;
    let mut live = Some(first);
    let mut terminal =
        ratatui::try_init().map_err(|e| format!("watch requires a terminal ({e}); 'groovectl status' does not"))?;
    let mut view = View::default();
    let mut retry = Instant::now();
    let result = loop {
        if let Err(error) = terminal.draw(|frame| view.draw(frame)) {
            break Err(error.to_string());
        }
        let until = Instant::now() + Duration::from_secs_f64(1.0 / RATE);
        while Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            match &mut live {
                Some(connection) => match connection.hear(left) {
                    Ok(LiveMessage::Json(message)) => view.take(&message),
                    Ok(LiveMessage::Nothing) => {}
                    Err(why) => {
                        live = None;
                        view.values.clear();
                        view.trouble = Some(why);
                        retry = Instant::now() + Duration::from_secs(1);
                    }
                },
                None => {
                    std::thread::sleep(left);
                    if Instant::now() >= retry {
                        retry = Instant::now() + Duration::from_secs(2);
                        live = connect().ok();
                        if let Some(connection) = &mut live {
                            view = View::default();
                            let _ = subscribe(connection);
                        }
                    }
                }
            }
        }
        if quits() {
            break Ok(());
        }
    };
    ratatui::restore();
    result
}

/// Returns whether a key that quits was pressed.
fn quits() -> bool {
    while event::poll(Duration::ZERO).unwrap_or(false) {
        if let Ok(Event::Key(key)) = event::read()
            && key.kind == KeyEventKind::Press
        {
            let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
            if ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                return true;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    #[test]
    fn everything_fits_on_eighty_by_twenty_four() {
        let mut view = View::default();
        let mut values = json!({
            "/status/version": ["0.1.0"], "/status/tempo": [126.5, 120.0], "/status/beat": [17.2, 5, 2],
            "/status/xruns": [3, 4096, 3, 0, 0], "/status/faults": [0, 1], "/status/load": [0.02, 0.11, 0.3, 23.4],
            "/status/output": ["card", 1024, 3072, 3072, 64.0, -12.5, 0, 1],
            "/meter/output/0": [0.5, 0.2, 0, 0.7], "/meter/output/1": [0.4, 0.2, 7, 0.6],
        });
        for (k, deck) in ["a", "b", "c", "d"].iter().enumerate() {
            values[format!("/meter/deck/{deck}")] = json!([0.1, 0.1, 0.2]);
            values[format!("/groove/deck/{deck}/level")] = json!([0.8]);
            for band in ["low", "mid", "high"] {
                values[format!("/groove/deck/{deck}/eq/{band}")] = json!([if k == 1 { 0.0 } else { 50.0 }]);
            }
            values[format!("/status/buffer/{}", 100 + 1000 * k)] = json!(["drums", deck, 1.4, 32.0, "ready"]);
        }
        values["/status/movement"] = json!([0.42, 0.4, 128.0, 126.5, "movement", 3]);
        values["/status/stretch/a"] = json!(["hq", "hq", "normal", 43.0, 85.3, 0.02, 0]);
        values["/status/stretch/b"] = json!(["hq", "wsola", "emergency", 0.0, 2000.0, 1.02, 3]);
        values["/status/player/100"] = json!(["drums", "a", 75.0, 0.8, 1.0, 1]);
        view.take(&json!({ "push": "state", "values": values }));
        view.take(&json!({ "push": "event", "path": "/log/warn", "values": ["underrun: 1 late"] }));
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let screen = terminal.backend().to_string();
        for part in [
            "126.50 BPM",
            "bar 5.2",
            "card",
            "underruns 3",
            "starved 0",
            "out 1",
            "out 2",
            "limited 7",
            "A #",
            "kill",
            "50 %",
            "drums 1:15",
            "(drums)",
            "warn  underrun: 1 late",
            "q: quit",
            "movement 0.420 (smoothed 0.400)   movement: to 128.0 BPM   rejected 3",
            "high 50 %  hq 43/85 ms",
            "high kill  wsola!",
        ] {
            assert!(screen.contains(part), "{part} is not on\n{screen}");
        }
        view.take(&json!({ "push": "state", "values": { "/status/player/100": null } }));
        terminal.draw(|frame| view.draw(frame)).unwrap();
        assert!(!terminal.backend().to_string().contains("drums 1:"));
    }
}
