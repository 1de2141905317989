//! Metrics for Prometheus, in the OpenMetrics text format.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::AppState;
use crate::control::commands::vocabulary::deck_name;
use crate::control::publish::counters::Tally;
use crate::control::publish::gauges::{Number, Reserve};
use crate::engine::DECKS;
use crate::output::report::{Cause, Histogram, State};
use crate::system::{guard, sensors, usage};

/// Names and values of a metric's labels.
type Labels<'a> = Vec<(&'a str, String)>;

/// Collector of all metrics; reads their values at each scrape.
struct Everything(Arc<AppState>);

impl std::fmt::Debug for Everything {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Everything")
    }
}

/// Renders all metrics for a scrape. Realtime: no.
pub fn text(links: &Arc<AppState>) -> String {
    let mut registry = Registry::with_prefix("grooved");
    registry.register_collector(Box::new(Everything(links.clone())));
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = text::encode(&mut out, &registry);
    out
}

/// Writes metric families to the encoder.
struct Writer<'e>(DescriptorEncoder<'e>);

impl Writer<'_> {
    fn counters<'a, N: EncodeCounterValue>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a>, N)>,
    ) -> Result<(), Error> {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, N, u64>(&value, None)?;
        }
        Ok(())
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> Result<(), Error> {
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        metric.encode_counter::<NoLabelSet, u64, u64>(&value, None)
    }

    fn gauges<'a>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (Labels<'a>, f64)>,
    ) -> Result<(), Error> {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (labels, value) in values {
            family.encode_family(&labels)?.encode_gauge(&value)?;
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str, value: f64) -> Result<(), Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> Result<(), Error> {
        let buckets: Vec<(f64, u64)> = histogram.buckets().collect();
        let count = buckets.iter().map(|(_, n)| n).sum();
        let mut metric = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        metric.encode_histogram::<NoLabelSet>(histogram.sum_seconds(), count, &buckets, None)
    }
}

fn label<'a>(name: &'a str, value: impl Into<String>) -> Labels<'a> {
    vec![(name, value.into())]
}

impl Collector for Everything {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let mut w = Writer(encoder);
        output(&mut w, &self.0)?;
        engine(&mut w, &self.0)?;
        pace(&mut w, &self.0)?;
        faces(&mut w, &self.0)?;
        machine(&mut w, &self.0)
    }
}

fn output(w: &mut Writer<'_>, links: &AppState) -> Result<(), Error> {
    let report = &links.report;
    w.histogram("render_seconds", "Time to render one period", &report.load.render)?;
    w.histogram("wakeup_lateness_seconds", "How late the audio thread was woken", &report.load.wakeup)?;
    let causes = || Cause::ALL.into_iter();
    w.counters(
        "xruns",
        "Underruns by cause",
        causes().map(|c| (label("cause", c.name()), report.episodes[c as usize].load(Relaxed))),
    )?;
    w.counters(
        "lost_frames",
        "Frames lost in underruns, by cause",
        causes().map(|c| (label("cause", c.name()), report.lost_frames[c as usize].load(Relaxed))),
    )?;
    w.counter("delivered_frames", "Frames delivered to a card or rendered silently", report.delivered.load(Relaxed))?;
    w.counter("short_writes", "Writes that accepted fewer frames than offered", report.short_writes.load(Relaxed))?;
    w.counter("suspends", "Suspends of the card", report.suspends.load(Relaxed))?;
    w.counter("cards_lost", "Cards that were lost", report.lost.load(Relaxed))?;
    w.counter("cards_adopted", "Cards opened for playback", report.adopted.load(Relaxed))?;
    w.gauge("card_playing", "Whether a card is playing", f64::from(u8::from(report.state() == State::Card)))?;
    w.gauge("card_drift_ppm", "Drift of the card's clock against the monotonic clock", report.drift_ppm())?;
    w.gauge(
        "latency_frames",
        "Frames between rendering and the converter",
        report.latency_frames.load(Relaxed) as f64,
    )?;
    w.gauge("period_frames", "Frames per period, as negotiated", report.period_frames.load(Relaxed) as f64)
}

fn engine(w: &mut Writer<'_>, links: &AppState) -> Result<(), Error> {
    let telemetry = &links.telemetry;
    w.counter("starved_sources", "Times a stem's ring ran dry", telemetry.starved())?;
    w.counter("lost_events", "Engine events lost because their ring was full", telemetry.lost_events())?;
    w.counter("realtime_faults", "Blocking calls on realtime threads", guard::faults())?;
    w.counter("sample_time_frames", "Sample time: frames rendered plus frames lost", telemetry.time())?;
    w.gauge("tempo_bpm", "Tempo", telemetry.bpm())?;
    w.gauge("stems_playing", "Playing stems", telemetry.stems.iter().filter(|s| s.is_playing()).count() as f64)?;
    w.gauges(
        "deck_rms",
        "Mean level of a deck over 0.3 s (linear)",
        (0..DECKS).map(|d| (label("deck", deck_name(d)), f64::from(telemetry.decks[d].rms()))),
    )?;
    w.gauges(
        "output_rms",
        "Mean level of an output channel over 0.3 s (linear)",
        telemetry.outputs.iter().enumerate().map(|(k, cell)| (label("channel", k.to_string()), f64::from(cell.rms()))),
    )?;
    w.counters(
        "limited_samples",
        "Samples that reached the limiter",
        telemetry.outputs.iter().enumerate().map(|(k, cell)| (label("channel", k.to_string()), cell.clips())),
    )
}

fn pace(w: &mut Writer<'_>, links: &AppState) -> Result<(), Error> {
    let pace = &links.pace;
    type Pick = fn(&Reserve) -> &Number;
    let families: [(&str, &str, Pick); 4] = [
        ("stretch_reserve_seconds", "Stretched audio ready ahead of the playhead, by deck", |r| &r.ready),
        ("stretch_reserve_target_seconds", "Target of the stretch reserve, by deck", |r| &r.target),
        ("stretch_cost_ratio", "Processing time of stretching relative to real time, by deck", |r| &r.cost),
        ("stretch_heard", "Whether audio stretched ahead of time is being played, by deck", |r| &r.heard),
    ];
    let decks = || pace.reserves.iter().enumerate();
    for (name, help, pick) in families {
        w.gauges(name, help, decks().map(|(d, r)| (label("deck", deck_name(d)), pick(r).get())))?;
    }
    w.counters(
        "stretch_underruns",
        "Times a stretch reserve ran dry, by deck",
        decks().map(|(d, r)| (label("deck", deck_name(d)), r.underruns.load(Relaxed))),
    )?;
    w.gauge("movement", "The latest measurement of movement", pace.movement.get())?;
    w.gauge("movement_smoothed", "Movement averaged over the window", pace.smoothed.get())?;
    w.gauge("movement_target_bpm", "Target tempo set by movement", pace.target.get())?;
    w.counter("movement_refused", "Invalid measurements of movement", pace.refused.load(Relaxed))
}

fn faces(w: &mut Writer<'_>, links: &AppState) -> Result<(), Error> {
    let faces = [("osc", &*links.osc), ("http", &links.sessions.tally)];
    type Pick = fn(&Tally) -> u64;
    let families: [(&str, &str, Pick); 5] = [
        ("messages", "Packets or messages received", |t| t.received.load(Relaxed)),
        ("refused_strangers", "Rejected: address not allowed, or no valid token", |t| t.strangers.load(Relaxed)),
        ("malformed_messages", "Packets or messages that violate the protocol", |t| t.malformed.load(Relaxed)),
        ("dropped_messages", "Messages or connections dropped by a limit", |t| t.dropped.load(Relaxed)),
        ("unsent_answers", "Answers not sent: over the limit, or not read", |t| t.muted.load(Relaxed)),
    ];
    for (name, help, pick) in families {
        w.counters(name, help, faces.iter().map(|(face, tally)| (label("face", *face), pick(tally))))?;
    }
    w.counter(
        "osc_kernel_drops",
        "OSC packets dropped by the kernel because the receive buffer was full",
        usage::udp_drops(&links.osc_ports),
    )?;
    w.counters(
        "late_commands",
        "Commands executed later than requested",
        ["osc", "http", "own"].iter().zip(links.late.iter()).map(|(face, n)| (label("face", *face), n.load(Relaxed))),
    )?;
    w.gauge("sessions", "Open WebSocket sessions", links.sessions.count() as f64)?;
    let stream = &links.stream;
    w.gauge("stream_clients", "Clients of the DDSP stream", stream.clients.load(Relaxed) as f64)?;
    w.counter("stream_frames", "Frames rendered for clients of the DDSP stream", stream.frames.load(Relaxed))?;
    w.counter("stream_dropped_frames", "Frames that clients did not read in time", stream.dropped.load(Relaxed))?;
    w.counter("stream_late", "Times the DDSP stream's clock was reset for lateness", stream.late.load(Relaxed))?;
    w.counter("stream_refused", "Connections to the DDSP stream that were rejected", stream.refused.load(Relaxed))?;
    w.counter("midi_events", "MIDI events that were handled", links.midi.events.load(Relaxed))?;
    let Some(voices) = &links.voices else { return Ok(()) };
    w.gauge("voices_sounding", "Sounding voices", f64::from(voices.sounding.load(Relaxed)))?;
    w.gauge("voices_cost", "Voice render time / real time", f64::from(voices.cost.load(Relaxed)) * 1e-6)?;
    w.counter("voices_underruns", "Times the voices' audio was late", voices.underruns.load(Relaxed))?;
    w.counter("voices_shed", "Voices released to relieve overload", voices.shed.load(Relaxed))?;
    w.counter("voices_stolen", "Notes ended to free a voice for another", voices.stolen.load(Relaxed))?;
    w.counter("voices_unplayed", "Notes not played for lack of a voice", voices.unplayed.load(Relaxed))
}

fn machine(w: &mut Writer<'_>, _: &AppState) -> Result<(), Error> {
    w.gauge("resident_bytes", "Resident memory", usage::resident_bytes() as f64)?;
    w.counters(
        "thread_cpu_seconds",
        "Processor time by thread",
        usage::thread_seconds().into_iter().map(|(name, seconds)| (label("thread", name), seconds)),
    )?;
    if let Some(celsius) = sensors::temperature_celsius() {
        w.gauge("temperature_celsius", "Temperature of the processor", celsius)?;
    }
    let throttle = sensors::throttling();
    if let Some(now) = throttle.throttled {
        w.gauge("throttled", "Whether the processor is throttled", f64::from(u8::from(now)))?;
    }
    if let Some(now) = throttle.under_voltage {
        w.gauge("under_voltage", "Whether the supply voltage is too low", f64::from(u8::from(now)))?;
    }
    w.0.encode_descriptor("build", "Version of the daemon", None, MetricType::Info)?
        .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
}
