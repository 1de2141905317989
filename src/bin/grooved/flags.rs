//! Flags of the daemon, in groups.

use std::path::PathBuf;

/// Ports and addresses.
#[derive(clap::Args)]
pub struct Network {
    /// TCP port for the page, /api/ws, /oscquery and /metrics; 0 disables HTTP [default: 8080]
    #[arg(long, value_name = "PORT")]
    pub http_port: Option<u16>,
    /// Address or TCP port of the DDSP stream, or 'off' to disable it [default: 0.0.0.0:8765]
    #[arg(long, value_name = "ADDRESS")]
    pub ddsp_listen: Option<String>,
    /// Frame length of the DDSP stream in milliseconds [default: 20]
    #[arg(long, value_name = "MS")]
    pub frame_ms: Option<f64>,
    /// UDP port for OSC [default: 57120 and 57122]
    #[arg(long)]
    pub port: Option<u16>,
    /// Address to bind for OSC, or a host name of this machine [default: all addresses]
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
}

/// The sound card.
#[derive(clap::Args)]
pub struct CardFlags {
    /// ALSA name, or a number from 'grooved devices' [default: the first of USB, HAT, HDMI, headphones, 'default']
    #[arg(long)]
    pub device: Option<String>,
    /// Frames per period, 16 to 8192 [default: 1024]
    #[arg(long, value_name = "FRAMES")]
    pub buffer_size: Option<usize>,
    /// Periods in the card's buffer [default: 3]
    #[arg(long)]
    pub periods: Option<usize>,
    /// Sample rate: 44100, 48000 or 96000 [default: 48000]
    #[arg(long, value_name = "HZ")]
    pub sample_rate: Option<u32>,
}

/// What the decks play at the start.
#[derive(clap::Args)]
pub struct DeckFlags {
    /// File for deck A (buffer 100); here and below also genome:ID, the sound of a genome
    #[arg(long, value_name = "FILE")]
    pub a: Option<PathBuf>,
    /// File for deck B (buffer 1100)
    #[arg(long, value_name = "FILE")]
    pub b: Option<PathBuf>,
    /// File for deck C (buffer 2100); starts at --c_at or /schedule_c_at
    #[arg(long, value_name = "FILE")]
    pub c: Option<PathBuf>,
    /// File for deck D (buffer 3100)
    #[arg(long, value_name = "FILE")]
    pub d: Option<PathBuf>,
    /// Playback rate of these files
    #[arg(long, default_value_t = 1.0, allow_negative_numbers = true)]
    pub rate: f64,
    /// Volume of these files
    #[arg(long, default_value_t = 0.8, allow_negative_numbers = true)]
    pub vol: f64,
    /// Levels of decks A and B
    #[arg(long, num_args = 2, value_names = ["A", "B"])]
    pub ab: Option<Vec<f64>>,
    /// Levels of decks A, B, C and D
    #[arg(long, num_args = 4, value_names = ["A", "B", "C", "D"])]
    pub levels: Option<Vec<f64>>,
    /// Start deck C at this second
    #[arg(long = "c_at", value_name = "SECONDS", allow_negative_numbers = true)]
    pub c_at: Option<f64>,
    /// File to load on deck C without starting it
    #[arg(long = "c_preload", value_name = "FILE")]
    pub c_preload: Option<PathBuf>,
}
