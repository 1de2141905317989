//! The kinds of nodes: which take sound, which make it, what drives them, and within which spans.

/// Sane values of a number of a node or of what drives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    pub low: f64,
    pub high: f64,
    /// Whether equal ratios count as equal steps.
    pub by_ratio: bool,
}

const fn linear(low: f64, high: f64) -> Span {
    Span { low, high, by_ratio: false }
}

const fn ratio(low: f64, high: f64) -> Span {
    Span { low, high, by_ratio: true }
}

/// Outputs of the network below this frequency move slowly: at most 13 periods per second.
pub(super) const SLOW: f64 = 40.0;

/// The most cents by which sound detunes an oscillator.
pub(super) const MAX_DETUNE: f64 = 600.0;

/// Names of filters.
pub(super) const FILTERS: [&str; 8] =
    ["lowpass", "highpass", "bandpass", "notch", "allpass", "peaking", "lowshelf", "highshelf"];
/// Names of waveforms.
pub(super) const WAVEFORMS: [&str; 4] = ["sine", "triangle", "sawtooth", "square"];

/// Whether a node stands for an output of the network.
pub(super) fn is_network_output(name: &str) -> bool {
    name.ends_with("NetworkOutputNode")
}

/// Whether a node makes sound of its own, if what it needs is connected.
pub(super) fn is_sound_source(name: &str) -> bool {
    !needs(name).is_empty() || is_oscillator(name)
}

/// Whether a node is an oscillator.
pub(super) fn is_oscillator(name: &str) -> bool {
    matches!(name, "OscillatorNode" | "NoteOscillatorNode")
}

/// Whether a node passes on sound that is connected to it. `FeedbackDelayNode` is not among them: it is silent.
pub(super) fn takes_sound(name: &str) -> bool {
    matches!(name, "GainNode" | "FilterNode" | "DelayNode" | "CompressorNode" | "ConvolverNode" | "WaveShaperNode")
}

/// What network outputs must be connected to before a sound source sounds.
pub(super) fn needs(name: &str) -> &'static [&'static str] {
    match name {
        "AudioBufferSourceNode" => &["buffer"],
        "WavetableNode" => &["mix", "buffer"],
        "AdditiveNode" => &["partialBuffer", "partialGainEnvelope"],
        _ => &[],
    }
}

/// The audio parameters of a node, with the span in which a network output may drive each. A frequency that is driven
/// does not follow the pitch of a note, so that oscillators are driven by `detune` only; their `frequency` is there for
/// connections that exist.
pub(super) fn parameters(name: &str) -> &'static [(&'static str, Span)] {
    const GAIN: &[(&str, Span)] = &[("gain", linear(0.05, 1.0))];
    // All together stay well below half the sample rate: see `tame`.
    const FILTER: &[(&str, Span)] = &[
        ("frequency", ratio(80.0, 6000.0)),
        ("Q", ratio(0.5, 12.0)),
        ("detune", linear(-600.0, 600.0)),
        ("gain", linear(-12.0, 12.0)),
    ];
    // Short delays that move sound like a chorus or a comb filter, longer ones like an echo.
    const DELAY: &[(&str, Span)] = &[("delayTime", ratio(0.002, 0.8))];
    const COMPRESSOR: &[(&str, Span)] = &[
        ("threshold", linear(-50.0, -5.0)),
        ("knee", linear(1.0, 40.0)),
        ("ratio", ratio(1.5, 20.0)),
        ("attack", ratio(0.001, 0.2)),
        ("release", ratio(0.02, 0.8)),
    ];
    const OSCILLATOR: &[(&str, Span)] = &[("detune", linear(-60.0, 60.0)), ("frequency", ratio(30.0, 2000.0))];
    const BUFFER: &[(&str, Span)] = &[("detune", linear(-60.0, 60.0)), ("playbackRate", ratio(0.5, 2.0))];
    match name {
        "GainNode" => GAIN,
        "FilterNode" => FILTER,
        "DelayNode" => DELAY,
        "CompressorNode" => COMPRESSOR,
        "OscillatorNode" | "NoteOscillatorNode" => OSCILLATOR,
        "AudioBufferSourceNode" => BUFFER,
        _ => &[],
    }
}

/// The span of a number that a file gives for a node.
pub(super) fn number(name: &str, key: &str) -> Option<Span> {
    match (name, key) {
        (_, "noteOffset") => Some(linear(-24.0, 24.0)),
        ("PartialNetworkOutputNode", "frequency") => Some(ratio(100.0, 4000.0)),
        (_, "frequency") if is_network_output(name) => Some(ratio(0.2, 4000.0)),
        ("AudioBufferSourceNode", _) => None,
        _ => parameters(name).iter().find(|(n, _)| *n == key).map(|(_, span)| *span),
    }
}

impl Span {
    /// A number inside; `old` stays where it is if it is not.
    pub fn clamp(self, new: f64, old: f64) -> f64 {
        new.clamp(self.low.min(old), self.high.max(old))
    }
}
