//! What Prometheus reads, in the OpenMetrics text format.

use std::fmt::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::super::pace::{Number, Reserve};
use super::super::tally::Tally;
use super::super::vocabulary::deck_name;
use super::Links;
use crate::engine::DECKS;
use crate::output::report::{Cause, Histogram, State};
use crate::system::{guard, sensors, usage};

/// Names and values.
type Labels<'a> = Vec<(&'a str, String)>;

/// Collects everything when it is asked.
struct Everything(Arc<Links>);

impl std::fmt::Debug for Everything {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Everything")
    }
}

/// The text for a scrape. Realtime: no.
pub fn text(links: &Arc<Links>) -> String {
    let mut registry = Registry::with_prefix("grooved");
    registry.register_collector(Box::new(Everything(links.clone())));
    let mut out = String::new();
    // Writing into a string does not fail.
    let _ = text::encode(&mut out, &registry);
    out
}

/// Writes families of metrics, one after the other.
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

fn output(w: &mut Writer<'_>, links: &Links) -> Result<(), Error> {
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
    w.counter(
        "delivered_frames",
        "Frames delivered, to a card or to the silent clock",
        report.delivered.load(Relaxed),
    )?;
    w.counter("short_writes", "Writes that took less than they were given", report.short_writes.load(Relaxed))?;
    w.counter("suspends", "Suspends of the card", report.suspends.load(Relaxed))?;
    w.counter("cards_lost", "Cards that went away", report.lost.load(Relaxed))?;
    w.counter("cards_adopted", "Cards taken into use", report.adopted.load(Relaxed))?;
    w.gauge("card_playing", "Whether a card takes the sound", f64::from(u8::from(report.state() == State::Card)))?;
    w.gauge("card_drift_ppm", "The card's clock against the monotonic clock", report.drift_ppm())?;
    w.gauge(
        "latency_frames",
        "Frames between rendering and the converter",
        report.latency_frames.load(Relaxed) as f64,
    )?;
    w.gauge("period_frames", "Frames per period, as granted", report.period_frames.load(Relaxed) as f64)
}

fn engine(w: &mut Writer<'_>, links: &Links) -> Result<(), Error> {
    let telemetry = &links.telemetry;
    w.counter("starved_sources", "How often a stem's ring ran dry", telemetry.starved())?;
    w.counter("lost_events", "Events of the engine that found no room", telemetry.lost_events())?;
    w.counter("realtime_faults", "Blocking calls on a thread that may not block", guard::faults())?;
    w.counter("sample_time_frames", "Sample time: frames rendered, and frames lost", telemetry.time())?;
    w.gauge("tempo_bpm", "Tempo", telemetry.bpm())?;
    w.gauge("stems_playing", "Stems that sound", telemetry.stems.iter().filter(|s| s.is_playing()).count() as f64)?;
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

fn pace(w: &mut Writer<'_>, links: &Links) -> Result<(), Error> {
    let pace = &links.pace;
    type Pick = fn(&Reserve) -> &Number;
    let families: [(&str, &str, Pick); 4] = [
        ("stretch_reserve_seconds", "Stretched sound that is ready, by deck", |r| &r.ready),
        ("stretch_reserve_target_seconds", "Stretched sound that should be ready", |r| &r.target),
        ("stretch_cost_ratio", "Share of real time that stretching takes", |r| &r.cost),
        ("stretch_heard", "Whether what was stretched ahead of time is heard", |r| &r.heard),
    ];
    let decks = || pace.reserves.iter().enumerate();
    for (name, help, pick) in families {
        w.gauges(name, help, decks().map(|(d, r)| (label("deck", deck_name(d)), pick(r).get())))?;
    }
    w.counters(
        "stretch_underruns",
        "How often a reserve ran dry",
        decks().map(|(d, r)| (label("deck", deck_name(d)), r.underruns.load(Relaxed))),
    )?;
    w.gauge("movement", "The latest measurement of movement", pace.movement.get())?;
    w.gauge("movement_smoothed", "Movement over the window", pace.smoothed.get())?;
    w.gauge("movement_target_bpm", "Where movement leads the tempo", pace.target.get())?;
    w.counter("movement_refused", "Measurements of movement that were nonsense", pace.refused.load(Relaxed))
}

fn faces(w: &mut Writer<'_>, links: &Links) -> Result<(), Error> {
    let faces = [("osc", &*links.osc), ("http", &links.sessions.tally)];
    type Pick = fn(&Tally) -> u64;
    let families: [(&str, &str, Pick); 5] = [
        ("messages", "Packets or messages received", |t| t.received.load(Relaxed)),
        ("refused_strangers", "From where nobody may knock, or without the token", |t| t.strangers.load(Relaxed)),
        ("malformed_messages", "Not what the face speaks", |t| t.malformed.load(Relaxed)),
        ("dropped_messages", "Dropped because there were too many", |t| t.dropped.load(Relaxed)),
        ("unsent_answers", "Answers not sent: too many, or nobody took them", |t| t.muted.load(Relaxed)),
    ];
    for (name, help, pick) in families {
        w.counters(name, help, faces.iter().map(|(face, tally)| (label("face", *face), pick(tally))))?;
    }
    w.counter(
        "osc_kernel_drops",
        "OSC packets that came faster than they were read",
        usage::udp_drops(&links.osc_ports),
    )?;
    w.counters(
        "late_commands",
        "Done later than they were asked for",
        ["osc", "http", "own"].iter().zip(links.late.iter()).map(|(face, n)| (label("face", *face), n.load(Relaxed))),
    )?;
    w.gauge("sessions", "Open WebSocket sessions", links.sessions.count() as f64)?;
    let stream = &links.stream;
    w.gauge("stream_clients", "Clients of the DDSP stream", stream.clients.load(Relaxed) as f64)?;
    w.counter("stream_frames", "Frames made for clients of the DDSP stream", stream.frames.load(Relaxed))?;
    w.counter("stream_dropped_frames", "Frames that clients did not read in time", stream.dropped.load(Relaxed))?;
    w.counter("stream_late", "Times that frames were so late that the time was let go", stream.late.load(Relaxed))?;
    w.counter("stream_refused", "Connections to the DDSP stream that were refused", stream.refused.load(Relaxed))?;
    w.counter("midi_events", "MIDI events that meant something", links.midi.events.load(Relaxed))?;
    let Some(voices) = &links.voices else { return Ok(()) };
    w.gauge("voices_sounding", "Voices that sound", f64::from(voices.sounding.load(Relaxed)))?;
    w.gauge("voices_cost", "Share of real time the voices take", f64::from(voices.cost.load(Relaxed)) * 1e-6)?;
    w.counter("voices_underruns", "Times the voices' sound was late", voices.underruns.load(Relaxed))?;
    w.counter("voices_shed", "Voices let go of for lack of time", voices.shed.load(Relaxed))?;
    w.counter("voices_stolen", "Notes that gave way to others", voices.stolen.load(Relaxed))?;
    w.counter("voices_unplayed", "Notes that found no voice", voices.unplayed.load(Relaxed))
}

fn machine(w: &mut Writer<'_>, _: &Links) -> Result<(), Error> {
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
        w.gauge("throttled", "Whether the processor is slowed down", f64::from(u8::from(now)))?;
    }
    if let Some(now) = throttle.under_voltage {
        w.gauge("under_voltage", "Whether the supply is too weak", f64::from(u8::from(now)))?;
    }
    w.0.encode_descriptor("build", "What runs here", None, MetricType::Info)?
        .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])
}
