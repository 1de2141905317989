//! What can be subscribed to besides the controls' own values: states that are pushed as they change, and events.

use crate::control::commands::stream_path::Stream;

/// The rows.
pub static STREAMS: &[Stream] = &[
    Stream { path: "/status/version", fields: &["version"], doc: "The daemon's version." },
    Stream { path: "/status/sample_rate", fields: &["sample_rate (Hz)"], doc: "Frames per second." },
    Stream { path: "/status/tempo", fields: &["bpm", "base_bpm"], doc: "The tempo as it is at this moment." },
    Stream {
        path: "/status/movement",
        fields: &[
            "raw",
            "smoothed",
            "target (BPM)",
            "tempo (BPM)",
            "reason (base, movement, holding, drifting, manual)",
            "refused",
        ],
        doc: "What the crowd does to the tempo, and how many of its numbers were nonsense.",
    },
    Stream {
        path: "/status/stretch/{deck}",
        fields: &[
            "method",
            "heard",
            "level (emergency, urgent, normal, relaxed)",
            "reserve (ms)",
            "target (ms)",
            "cost (of real time)",
            "underruns",
        ],
        doc: "How a deck's tempo is changed, what of it is heard at the moment, and the reserve of `hq`.",
    },
    Stream {
        path: "/status/voices",
        fields: &["voices", "sounding", "stolen", "unplayed", "underruns", "shed", "cost (of real time)"],
        doc: "Instruments on the speakers: how many sound, notes that gave way or found no voice, times the sound was \
              late, voices that were let go for that, and the worker's share of real time.",
    },
    Stream {
        path: "/status/set",
        fields: &["state", "place (from 1)", "tracks", "file", "table"],
        doc: "The set: `none`, `reading`, `loaded`, `loading`, `playing`, `held`, `fading`, `over` or `stopped`; the track that \
              sounds, or fades in.",
    },
    Stream {
        path: "/status/set/played",
        fields: &["number", "deck", "file", "loaded (s)", "began (s)", "left (s)", "ended (s)", "line"],
        doc: "Answer to `/groove/set/played`: a track that was played, in seconds after the first was loaded; 0 for what \
              has not happened yet.",
    },
    Stream {
        path: "/status/plan",
        fields: &[
            "state",
            "section (from 1)",
            "sections",
            "name",
            "bar (from 1)",
            "bars",
            "held",
            "fade (beats)",
            "BPM",
            "plan",
            "missing stems",
        ],
        doc: "The plan: `none`, `reading`, `loaded`, `loading`, `playing`, `over` or `stopped`; the section that sounds.",
    },
    Stream {
        path: "/status/midi",
        fields: &["events", "lost", "devices", "names"],
        doc: "What MIDI has brought, and the devices that are connected.",
    },
    Stream {
        path: "/status/beat",
        fields: &["beat", "bar (from 1)", "in_bar (from 1)"],
        doc: "Where the beat clock is.",
    },
    Stream { path: "/status/buffers", fields: &["count", "megabytes"], doc: "Loaded stems." },
    Stream {
        path: "/status/buffer/{id}",
        fields: &["name", "deck", "megabytes", "seconds", "state (loading, ready)"],
        doc: "A stem.",
    },
    Stream { path: "/status/players", fields: &["count"], doc: "Stems that play." },
    Stream {
        path: "/status/player/{id}",
        fields: &["name", "deck", "position (s)", "volume", "rate", "loop"],
        doc: "A stem that plays.",
    },
    Stream { path: "/status/levels", fields: &["a", "b", "c", "d"], doc: "Deck levels." },
    Stream { path: "/status/master", fields: &["gain"], doc: "Master gain." },
    Stream {
        path: "/status/xruns",
        fields: &["episodes", "lost_frames", "late", "slow", "device"],
        doc: "Underruns since the start, and how many of which cause.",
    },
    Stream {
        path: "/status/output",
        fields: &[
            "state (card, silent, clock)",
            "period (frames)",
            "buffer (frames)",
            "latency (frames)",
            "latency (ms)",
            "drift (ppm)",
            "cards_lost",
            "cards_adopted",
        ],
        doc: "Where the sound goes.",
    },
    Stream {
        path: "/status/clock",
        fields: &["sample_time", "monotonic (ns)"],
        doc: "Sample time, and when that was.",
    },
    Stream {
        path: "/status/load",
        fields: &["mean (of a period)", "worst (of a period)", "worst_wake (ms)", "resident (MB)"],
        doc: "How hard the machine works.",
    },
    Stream {
        path: "/status/faults",
        fields: &["starved", "late", "refused", "lost_events", "realtime", "short_writes", "suspends"],
        doc: "What went wrong, counted.",
    },
    Stream {
        path: "/status/record",
        fields: &["state (on, off)", "file", "seconds", "missing_frames"],
        doc: "The recording.",
    },
    Stream {
        path: "/meter/output/{channel}",
        fields: &["peak", "rms", "clips", "hold"],
        doc: "An output channel's meter (linear, 1 is full scale); `hold` is the highest peak of two seconds.",
    },
    Stream {
        path: "/meter/deck/{deck}",
        fields: &["peak", "rms", "hold"],
        doc: "A deck's meter, both channels together.",
    },
    Stream { path: "/beat", fields: &["beat", "bar", "in_bar", "bpm"], doc: "Event: a beat." },
    Stream {
        path: "/event/stem/{what}",
        fields: &["id", "name", "deck"],
        doc: "Event: a stem was `loaded`, `failed` (with the reason instead of the deck), `started`, `ended`, \
              `starved`, `resumed` or `unloaded` (just the id).",
    },
    Stream { path: "/event/xrun", fields: &["cause", "episodes", "frames"], doc: "Event: frames were lost." },
    Stream { path: "/event/device", fields: &["what (lost, adopted)"], doc: "Event: a card went or came." },
    Stream {
        path: "/event/record/{what}",
        fields: &["file", "seconds, or the reason", "missing_frames"],
        doc: "Event: a recording was `started`, `finished` or `failed`.",
    },
    Stream {
        path: "/event/movement",
        fields: &["reason", "from (BPM)", "to (BPM)", "seconds"],
        doc: "Event: the crowd, or its absence, set another target for the tempo.",
    },
    Stream {
        path: "/event/genome",
        fields: &["id", "generation", "place", "population"],
        doc: "Event: a genome of the run of evolution is presented.",
    },
    Stream {
        path: "/event/set/{what}",
        fields: &["place (from 1)", "deck", "file"],
        doc: "Events of the set: a `track` begins, or is `skipped` because it cannot be played; the set is `over` \
              (without values).",
    },
    Stream {
        path: "/event/plan/{what}",
        fields: &["section (from 1)", "name, or stem", "seconds, or reason", "decks"],
        doc: "Events of the plan: a `section` begins (with its name, length and decks), a stem is `missing`; the plan is \
              `over` (without values).",
    },
    Stream {
        path: "/event/stretch/{what}",
        fields: &["deck", "count, or method", "level"],
        doc: "Event: a reserve ran dry (`underrun`), or a deck fell back to another method or returned (`fallback`).",
    },
    Stream {
        path: "/event/clamped",
        fields: &["deck", "wanted (× speed)", "played (× speed)"],
        doc: "Event: a deck's method cannot play as fast, or as slowly, as is wanted.",
    },
    Stream { path: "/event/refused", fields: &["reason"], doc: "Event: the engine refused a command." },
    Stream {
        path: "/log/{level}",
        fields: &["text"],
        doc: "Event: a line of the log (error, warn, info, and debug or trace if the log is set to them).",
    },
];
