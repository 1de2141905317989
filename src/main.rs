//! Command line of the daemon: parses flags and subcommands and calls `grooved::daemon`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, CommandFactory, Parser, Subcommand};
use grooved::config::Config;
use grooved::control::commands::value::Value;
use grooved::control::conductor::pace::Sync;
use grooved::control::table;
use grooved::daemon::doctor;
use grooved::daemon::opening::{self, Opening};
use grooved::daemon::until::{Rest, Until};
use grooved::daemon::{
    Failure, LastShow, Options, OutputMode, is_same_file, last_show, live, media, older, render, safe_config,
    usage_code,
};
use grooved::daemon::{genomes, manual, sections, stretch, tune};
#[cfg(feature = "ddsp")]
use grooved::daemon::{models, perform};
use grooved::daemon::{play_set, run_plan};
use grooved::dsp::sinc::Quality;
use grooved::engine::method::Method;
use grooved::genome::{Address, is_address};
use grooved::output::{alsa, devices};
use grooved::stretch::curve::Curve;
use grooved::stretch::offline::StretchJob;
use grooved::system::{guard, log, realtime};
use indicatif::{ProgressBar, ProgressStyle};

#[path = "bin/grooved/flags.rs"]
mod flags;

use flags::{CardFlags, DeckFlags, Network};

#[global_allocator]
static ALLOCATOR: guard::GuardedAllocator = guard::GuardedAllocator;

/// Mix decks of stems straight to an ALSA card, controlled over OSC, HTTP and MIDI.
#[derive(Parser)]
#[command(name = "grooved", version, max_term_width = 110, args_override_self = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Configuration file; the flags below override its settings
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    network: Network,
    /// Allow loading files from this folder too; may be repeated
    #[arg(long = "media-root", value_name = "FOLDER")]
    media_roots: Vec<PathBuf>,
    #[command(flatten)]
    card: CardFlags,
    /// Destination of the sound: card, null, or wav:PATH
    #[arg(long, default_value = "card", value_parser = output_mode)]
    output: OutputMode,
    /// Render this many seconds offline to --output wav:PATH, then exit
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    render: Option<f64>,
    /// Play the demonstration set
    #[arg(long)]
    demo: bool,
    /// Start in safe mode: default settings, no saved state, an audible signal every 6 s, all controls available
    #[arg(long, conflicts_with_all = ["config", "demo", "a", "b", "c", "d", "render"])]
    safe: bool,
    #[command(flatten)]
    decks: DeckFlags,
    /// Base tempo in BPM [default: 120]
    #[arg(long)]
    bpm: Option<f64>,
    /// Beats per bar [default: 4]
    #[arg(long)]
    meter: Option<i64>,
    /// Log every beat
    #[arg(long)]
    watch: bool,
    /// Apply /deck_eq, /deck_eq_all and /deck_filter, which the older server ignored by default
    #[arg(long)]
    enable_filters: bool,
    /// Ignore /deck_eq, /deck_eq_all and /deck_filter (the default); wins over --enable-filters
    #[arg(long)]
    disable_filters: bool,
    /// Ignored; kept for compatibility
    #[arg(long)]
    optimized_filters: bool,
    /// Tempo change method: playback_rate, wsola (or audiotsm) or hq (or rubberband, unless that is built in)
    /// [default: playback_rate]
    #[arg(long, value_name = "METHOD")]
    stretch_method: Option<String>,
    /// Keep decks at a fixed tempo, independent of the clock (sync = "off")
    #[arg(long)]
    disable_time_stretch: bool,
    /// Log level: error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    log: Option<String>,
    #[arg(long, hide = true)]
    measure: bool,
    #[arg(long = "dummy_after", hide = true)]
    dummy_after: Option<f64>,
    #[arg(long = "dummy_args", hide = true, num_args = 0..)]
    dummy_args: Vec<String>,
    /// Movement and tempo table of the older server (bpm_config.json)
    #[arg(long = "bpm-config", value_name = "FILE")]
    bpm_config: Option<PathBuf>,
    /// Print a line and exit, to check that the command line is valid
    #[arg(long = "cli-sentinel", hide = true, num_args = 0..=1)]
    cli_sentinel: Option<Option<String>>,
}

#[derive(Subcommand)]
enum Command {
    /// List sound cards with their formats, rates and period ranges
    Devices,
    /// Check this machine for causes of dropouts and suggest fixes
    Doctor,
    /// Test buffer sizes under the current load and recommend one; put other flags first: grooved --device 1 tune
    Tune {
        /// Duration of each test in seconds
        #[arg(long, default_value_t = 10.0)]
        seconds: f64,
        /// Sizes to test, in frames
        #[arg(long, value_delimiter = ',', default_values_t = tune::SIZES)]
        sizes: Vec<usize>,
        /// Write the recommended size to the file given with --config
        #[arg(long)]
        write: bool,
    },
    /// Change a file's tempo or key and write a WAV file; the result is bit-identical every time
    Stretch(Stretch),
    /// Measure each tempo change method on this machine for two seconds and recommend one
    StretchCheck,
    /// Check a configuration file
    CheckConfig {
        /// File to check
        #[arg(default_value = "config/grooved.toml")]
        file: PathBuf,
        /// Base file with values for the settings this one omits
        #[arg(long, value_name = "BASE")]
        over: Option<PathBuf>,
        /// Write the merged configuration to this file
        #[arg(long, value_name = "FILE", requires = "over")]
        merged: Option<PathBuf>,
    },
    /// Check audio files by decoding each one completely
    CheckMedia {
        /// Files to check
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Check instruments (.onnx) against the contract in models/README.md and time one step of each
    #[cfg(feature = "ddsp")]
    CheckModel {
        /// Files to check
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Render a MIDI file with instruments to a WAV file
    #[cfg(feature = "ddsp")]
    RenderMidi(RenderInstruments),
    /// Render a table 'time,f0,loudness' (seconds, Hz, 0 to 1) with an instrument to a WAV file
    #[cfg(feature = "ddsp")]
    RenderControls(RenderInstruments),
    /// List, show, import, export, render and breed evolved sounds (genomes)
    Genomes(genomes::Flags),
    /// Cut mixable sections out of analysed tracks, bring them to one tempo and write a table of them
    Sections(Box<sections::Flags>),
    /// Play a table of parts, each mixed into the one before; put other flags first: grooved --device 1 play-set SET.csv
    PlaySet(play_set::Flags),
    /// Play a DJ plan, section after section; put other flags first: grooved --device 1 run-plan PLAN.json
    RunPlan(Box<run_plan::flags::Flags>),
    /// Print the man page of grooved, or of its configuration file
    #[command(hide = true)]
    Man {
        /// Print grooved.toml(5)
        #[arg(long)]
        config_file: bool,
    },
    /// Print the reference of all controls as it appears in docs/controls.md
    #[command(hide = true)]
    Reference,
    /// Render the demonstration set into its cache and print the folder
    #[command(hide = true)]
    MakeDemo,
}

#[derive(Args)]
struct Stretch {
    /// File to read: WAV, AIFF, FLAC, MP3, Ogg Vorbis, AAC, ALAC
    input: PathBuf,
    /// WAV file to write (32-bit float)
    output: PathBuf,
    /// Method: playback_rate, wsola or hq
    #[arg(long, default_value = "hq")]
    method: Method,
    /// Speed factor: 2 plays twice as fast
    #[arg(long, conflicts_with_all = ["from_bpm", "to_bpm", "curve"], allow_negative_numbers = true)]
    rate: Option<f64>,
    /// Tempo of the input file in BPM
    #[arg(long, requires = "to_bpm", conflicts_with = "curve")]
    from_bpm: Option<f64>,
    /// Target tempo in BPM
    #[arg(long, requires = "from_bpm")]
    to_bpm: Option<f64>,
    /// File of lines 'seconds,speed': speed over output time, interpolated linearly
    #[arg(long, value_name = "FILE")]
    curve: Option<PathBuf>,
    /// Pitch shift in semitones, -12 to 12
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true)]
    pitch: f64,
    /// Preserve formants when the pitch is shifted (hq only)
    #[arg(long)]
    formants: bool,
    /// Hide the progress bar
    #[arg(long)]
    quiet: bool,
}

#[cfg(feature = "ddsp")]
#[derive(Args)]
struct RenderInstruments {
    /// File to read: .mid or .csv
    input: PathBuf,
    /// WAV file to write (32-bit float)
    output: PathBuf,
    /// Instrument for all tracks (flute) or for one track, counted from 1 (2=cello) [default: from MIDI programs]
    #[arg(long, value_name = "NAME")]
    instrument: Vec<String>,
    /// Folder of instruments [default: models, then /usr/share/grooved/models]
    #[arg(long, value_name = "FOLDER")]
    models: Option<PathBuf>,
    /// Sample rate of the output in Hz
    #[arg(long = "rate", value_name = "HZ", default_value_t = 48_000)]
    sample_rate: u32,
    /// Voices per track
    #[arg(long, default_value_t = 8)]
    voices: usize,
    /// Output gain in dB
    #[arg(long, default_value_t = 0.0, allow_hyphen_values = true, value_name = "DB")]
    gain: f64,
    /// Hide the progress bar and the summary
    #[arg(long)]
    quiet: bool,
}

/// Default OSC port of groovectl.
const USUAL_PORT: u16 = 57_120;
/// Configuration file of the installed service.
const INSTALLED_CONFIG: &str = "/etc/grooved/grooved.toml";

fn output_mode(text: &str) -> Result<OutputMode, String> {
    match text.split_once(':') {
        None if text == "card" => Ok(OutputMode::Card),
        None if text == "null" => Ok(OutputMode::Null),
        Some(("wav", path)) if !path.is_empty() => Ok(OutputMode::Wav(path.into())),
        _ => Err("must be card, null or wav:PATH".into()),
    }
}

fn main() -> ExitCode {
    if std::env::var_os("GROOVED_STRICT").is_some_and(|v| v == "1") {
        guard::be_strict();
    }
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let _ = error.print();
        // Help and version are not errors.
        std::process::exit(if error.use_stderr() { usage_code() } else { 0 });
    });
    alsa::quieten();
    // An export that nobody listens to goes on.
    if cli.command.as_ref().is_some_and(|command| !matches!(command, Command::Sections(_))) {
        realtime::end_on_broken_pipe();
    }
    match go(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("grooved: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn go(mut cli: Cli) -> Result<(), Failure> {
    if let Some(Command::Sections(flags)) = &mut cli.command {
        return sections::run(flags);
    }
    match &cli.command {
        Some(Command::Devices) => {
            print!("{}", devices::table());
            return Ok(());
        }
        Some(Command::CheckConfig { file, over, merged }) => {
            match over {
                None => drop(Config::read(file)?),
                Some(base) => {
                    let text = Config::merge(file, base)?;
                    if let Some(to) = merged {
                        std::fs::write(to, text).map_err(|e| Failure::Io(format!("--merged {}: {e}", to.display())))?;
                    }
                }
            }
            println!("{}: ok", file.display());
            return Ok(());
        }
        Some(Command::Man { config_file: true }) => {
            print!("{}", manual::config_page(env!("CARGO_PKG_VERSION")));
            return Ok(());
        }
        Some(Command::Man { .. }) => {
            return clap_mangen::Man::new(Cli::command())
                .render(&mut std::io::stdout())
                .map_err(|e| Failure::Io(format!("man page: {e}")));
        }
        Some(Command::Reference) => {
            print!("{}", table::reference());
            return Ok(());
        }
        Some(Command::MakeDemo) => {
            let folder = opening::demo_folder();
            opening::make_demo(&folder).map_err(|e| Failure::Io(format!("{}: {e}", folder.display())))?;
            println!("{}", folder.display());
            return Ok(());
        }
        #[cfg(feature = "ddsp")]
        Some(Command::CheckModel { files }) => return check_files(files, models::check),
        Some(Command::CheckMedia { files }) => return check_files(files, media::check),
        #[cfg(feature = "ddsp")]
        Some(Command::RenderMidi(args)) => return render_instruments(args, true),
        #[cfg(feature = "ddsp")]
        Some(Command::RenderControls(args)) => return render_instruments(args, false),
        Some(Command::Tune { seconds, sizes, write }) => return tune(&cli, *seconds, sizes, *write),
        Some(Command::Doctor) => {
            // Without --config, the installed service is what is meant.
            let installed = Some(PathBuf::from(INSTALLED_CONFIG)).filter(|file| cli.config.is_none() && file.exists());
            return see_doctor(&configuration(&Cli { config: cli.config.clone().or(installed), ..cli })?);
        }
        Some(Command::StretchCheck) => {
            let output = configuration(&cli)?.output;
            print!("{}", stretch::check(output.sample_rate, output.buffer_size));
            return Ok(());
        }
        Some(Command::Stretch(args)) => return stretch_file(args),
        Some(Command::Genomes(flags)) => return genomes::run(flags, &progress_bar(false)),
        Some(Command::PlaySet(flags)) => return perform_rest(&cli, configuration(&cli)?, play_set::run(flags)?),
        Some(Command::RunPlan(flags)) => {
            let config = configuration(&cli)?;
            let rest = run_plan::start::run(flags, &config)?;
            return perform_rest(&cli, config, rest);
        }
        Some(Command::Sections(_)) | None => {}
    }
    if cli.cli_sentinel.is_some() {
        println!("grooved {}: command line is valid; nothing started", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    let (config, remarks) = configured(&cli)?;
    realtime::economise_heap();
    log::start(&config.system.log);
    remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
    match (cli.enable_filters, cli.disable_filters) {
        (_, true) => tracing::info!("--disable-filters: /deck_eq, /deck_eq_all and /deck_filter are ignored"),
        (true, false) => tracing::info!("--enable-filters: /deck_eq, /deck_eq_all and /deck_filter take effect"),
        (false, false) => {}
    }
    if cli.safe {
        tracing::warn!(
            "safe mode: default configuration, no saved state, a signal every 6 s; to try the show again: \
             'systemctl reset-failed grooved; systemctl start grooved'"
        );
    }
    let mut opening = opening_of(&cli)?;
    let mut show = LastShow::None;
    if opening.is_empty() {
        if cli.render.is_none() {
            show = last_show(&config);
        }
        if config.state.demo && !matches!(show, LastShow::Show(_)) {
            opening = demo()?;
        }
    } else if config.state.restore {
        tracing::info!("files given on the command line: not restoring the previous session");
    }
    for file in opening.missing() {
        let is = if file.is_dir() { "is a folder" } else { "does not exist" };
        let why = format!("file '{}' {is}", file.display());
        // A render without the file would be wrong; a show goes on without it, as in the older server.
        if cli.render.is_some() {
            return Err(Failure::Usage(why));
        }
        tracing::error!("{why}: its deck stays empty");
    }
    opening.leave_out_missing();
    if let OutputMode::Wav(output) = &cli.output {
        [&cli.decks.a, &cli.decks.b, &cli.decks.c, &cli.decks.d, &cli.decks.c_preload]
            .into_iter()
            .flatten()
            .try_for_each(|file| keep_apart("--output", output, file))?;
    }
    let (config_path, output, measure) = (cli.config.clone(), cli.output.clone(), cli.measure);
    let options = Options { config, config_path, output, opening, show, measure, until: Until::Signal };
    match (cli.render, &options.output) {
        (Some(seconds), OutputMode::Wav(path)) if seconds > 0.0 && seconds <= 86_400.0 => {
            render::render(&options, seconds, &path.clone())
        }
        (Some(_), OutputMode::Wav(_)) => Err(Failure::Usage("--render: must be above 0 and up to 86400 s".into())),
        (Some(_), _) => Err(Failure::Usage("--render writes a file: --output wav:PATH is required".into())),
        (None, _) => {
            if cli.demo {
                greet(&options);
            }
            live::run(options, Arc::new(move || configuration(&cli)))
        }
    }
}

/// Plays or renders a set or a plan with this process's own engine.
fn perform_rest(cli: &Cli, mut config: Config, rest: Rest) -> Result<(), Failure> {
    let (opening, until, port, render) = match rest {
        Rest::Done => return Ok(()),
        Rest::Play { opening, until, port } => (opening, until, port, None),
        Rest::Render { opening, until, out, seconds } => (opening, until, None, Some((out, seconds))),
    };
    if let Some(port) = port {
        config.osc.ports = vec![port];
    }
    realtime::economise_heap();
    // The driver of a plan reports what happens.
    let is_driven = matches!(until, Until::Driver(_)) && cli.log.is_none();
    log::start(if is_driven { "warn" } else { &config.system.log });
    let (config_path, output) = (cli.config.clone(), cli.output.clone());
    let options = Options { config, config_path, output, opening, show: LastShow::None, measure: false, until };
    match render {
        Some((output, seconds)) => render::render(&options, seconds, &output),
        None => live::run(options, {
            let flags = Cli { command: None, config: cli.config.clone(), ..Cli::parse_from(["grooved"]) };
            Arc::new(move || configuration(&flags))
        }),
    }
}

/// Returns a usage error if `output` is the same file as `input`, which would be overwritten while it is read.
fn keep_apart(what: &str, output: &Path, input: &Path) -> Result<(), Failure> {
    match is_same_file(output, input) {
        true => Err(Failure::Usage(format!("{what}: '{}' is an input file; choose another name", output.display()))),
        false => Ok(()),
    }
}

/// Runs `grooved stretch`.
fn stretch_file(args: &Stretch) -> Result<(), Failure> {
    let curve = match (&args.curve, args.from_bpm.zip(args.to_bpm)) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file)
                .map_err(|e| Failure::Usage(format!("--curve: file '{}' cannot be read: {e}", file.display())))?;
            Curve::parse(&text).map_err(|e| Failure::Usage(format!("--curve: '{}': {e}", file.display())))?
        }
        (None, Some((from, to))) if from > 0.0 && to > 0.0 => Curve::constant(to / from),
        (None, Some(_)) => return Err(Failure::Usage("--from-bpm, --to-bpm: must be above 0".into())),
        (None, None) => Curve::constant(args.rate.unwrap_or(1.0)),
    };
    if !(-12.0..=12.0).contains(&args.pitch) {
        return Err(Failure::Usage("--pitch: must be between -12 and 12 semitones".into()));
    }
    let order = StretchJob {
        method: args.method,
        curve,
        pitch: args.pitch,
        formants: args.formants,
        quality: Quality::Standard,
    };
    order.check().map_err(Failure::Usage)?;
    keep_apart("OUTPUT", &args.output, &args.input)?;
    let bar = progress_bar(args.quiet);
    stretch::stretch(&args.input, &args.output, &order, |share| bar.set_position((share * 1_000.0) as u64))?;
    bar.finish_and_clear();
    Ok(())
}

/// Returns a progress bar of 1000 steps, hidden if `quiet`.
fn progress_bar(quiet: bool) -> ProgressBar {
    let bar = if quiet { ProgressBar::hidden() } else { ProgressBar::new(1_000) };
    bar.set_style(
        ProgressStyle::with_template("{wide_bar} {percent:>3} %  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    bar
}

/// Runs `grooved render-midi` (`midi`) or `grooved render-controls`.
#[cfg(feature = "ddsp")]
fn render_instruments(args: &RenderInstruments, midi: bool) -> Result<(), Failure> {
    let orders = perform::Orders {
        instruments: args.instrument.clone(),
        models: args.models.clone(),
        sample_rate: args.sample_rate,
        voices: args.voices,
        gain_db: args.gain,
    };
    keep_apart("OUTPUT", &args.output, &args.input)?;
    let bar = progress_bar(args.quiet);
    let progress = |share| bar.set_position((share * 1_000.0) as u64);
    let done = match midi {
        true => perform::midi(&args.input, &args.output, &orders, progress)?,
        false => perform::controls(&args.input, &args.output, &orders, progress)?,
    };
    bar.finish_and_clear();
    done.remarks.iter().for_each(|remark| eprintln!("grooved: file '{}': {remark}", args.input.display()));
    if !args.quiet {
        done.players.iter().for_each(|line| println!("{line}"));
        println!("{:.1} s, peak {:.1} dBFS", done.seconds, 20.0 * f64::from(done.peak.max(1e-10)).log10());
    }
    if done.stolen > 0 {
        eprintln!(
            "grooved: {} notes cut off a sounding voice; use --voices {} or more to keep them all",
            done.stolen,
            args.voices + 4
        );
    }
    if done.peak > 1.0 {
        let over = 20.0 * f64::from(done.peak).log10();
        eprintln!(
            "grooved: peak is {over:.1} dB above full scale, which a float file can hold; use --gain {:.0} to avoid it",
            (args.gain - over).floor()
        );
    }
    Ok(())
}

/// Runs `grooved check-model` or `grooved check-media`. Checks every file, even after a failure.
fn check_files<E: std::fmt::Display>(
    files: &[PathBuf],
    check: impl Fn(&Path) -> Result<String, E>,
) -> Result<(), Failure> {
    let mut wrong = 0;
    for file in files {
        match check(file) {
            Ok(report) => println!("{report}"),
            Err(why) => {
                eprintln!("grooved: {why}");
                wrong += 1;
            }
        }
    }
    match wrong {
        0 => Ok(()),
        // The file's own line has given the reason.
        _ if files.len() == 1 => Err(Failure::Data("file cannot be played".into())),
        _ => Err(Failure::Data(format!("{wrong} of {} files cannot be played", files.len()))),
    }
}

/// Runs `grooved doctor`. Exits with 1 if a check failed.
fn see_doctor(config: &Config) -> Result<(), Failure> {
    let findings = doctor::examine(config);
    findings.iter().for_each(|finding| println!("{finding}"));
    match findings.iter().filter(|f| f.grade == doctor::Grade::Wrong).count() {
        0 => Ok(()),
        ill => Err(Failure::Ill(ill)),
    }
}

/// Runs `grooved tune`.
fn tune(cli: &Cli, seconds: f64, sizes: &[usize], write: bool) -> Result<(), Failure> {
    let config = configuration(cli)?;
    if !(1.0..=3_600.0).contains(&seconds) {
        return Err(Failure::Usage("--seconds: must be between 1 and 3600".into()));
    }
    if sizes.is_empty() || sizes.iter().any(|s| !(16..=8192).contains(s)) {
        return Err(Failure::Usage("--sizes: expected frame counts from 16 to 8192, such as 64,128,256".into()));
    }
    if write && cli.config.is_none() {
        return Err(Failure::Usage("--write requires --config FILE before 'tune'".into()));
    }
    let plays = cli.demo || !opening_of(cli)?.is_empty() || config.state.restore;
    let flags: Vec<String> = std::env::args().skip(1).take_while(|a| a != "tune").collect();
    match tune::run(&flags, plays, sizes, seconds)? {
        None => println!("None of these sizes is stable. Try larger ones, or see docs/tuning.md."),
        Some(size) => match (&cli.config, write) {
            (Some(path), true) => {
                tune::write(path, size)?;
                println!("Wrote buffer_size = {size} to {}.", path.display());
            }
            _ => println!("--buffer-size {size} is stable, with a safety factor of 2."),
        },
    }
    Ok(())
}

/// Returns the configuration file overridden by flags. Logs remarks about flags as warnings.
fn configuration(cli: &Cli) -> Result<Config, Failure> {
    let (config, remarks) = configured(cli)?;
    remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
    Ok(config)
}

/// Returns the configuration file overridden by flags, and remarks about flags that were adjusted or ignored.
fn configured(cli: &Cli) -> Result<(Config, Vec<String>), Failure> {
    let mut remarks = Vec::new();
    let mut config = match &cli.config {
        Some(path) => Config::read(path)?,
        None if cli.safe => safe_config(),
        None => Config::default(),
    };
    fn set<T: Clone>(field: &mut T, flag: &Option<T>) {
        if let Some(value) = flag {
            *field = value.clone();
        }
    }
    if let Some(port) = cli.network.http_port {
        config.http.port = port;
    }
    if let Some(port) = cli.network.port {
        config.osc.ports = vec![port];
    }
    set(&mut config.ddsp.listen, &cli.network.ddsp_listen);
    set(&mut config.ddsp.frame_ms, &cli.network.frame_ms);
    set(&mut config.output.device, &cli.card.device);
    set(&mut config.output.buffer_size, &cli.card.buffer_size);
    set(&mut config.output.periods, &cli.card.periods);
    set(&mut config.output.sample_rate, &cli.card.sample_rate);
    set(&mut config.mixer.bpm, &cli.bpm);
    set(&mut config.mixer.meter, &cli.meter);
    set(&mut config.mixer.stretch_method, &cli.stretch_method);
    set(&mut config.system.log, &cli.log);
    if cli.disable_time_stretch {
        config.mixer.sync = Sync::Off.name().into();
    }
    for (k, level) in cli.decks.ab.iter().flatten().enumerate() {
        config.mixer.levels[k] = *level;
    }
    for (k, level) in cli.decks.levels.iter().flatten().enumerate() {
        config.mixer.levels[k] = *level;
    }
    if let Some(host) = &cli.network.host {
        config.osc.bind = older::bind_address(host).map_err(Failure::Usage)?.to_string();
    }
    config.media.roots.extend(cli.media_roots.iter().cloned());
    if let Some(file) = &cli.bpm_config
        && let Err(why) = older::bpm_config(file, &mut config)
    {
        remarks.push(format!("--bpm-config: file '{}' {why}; using the table in [movement]", file.display()));
    }
    if cli.enable_filters {
        config.mixer.filters = true;
    }
    if cli.disable_filters {
        config.mixer.filters = false;
    }
    config.check().map_err(|(key, what)| {
        // Apart from these two, flags are named like their keys.
        let flag = match key {
            "ddsp.listen" => "ddsp-listen".into(),
            "mixer.levels" if cli.decks.levels.is_none() => "ab".into(),
            _ => key.rsplit('.').next().unwrap_or(key).replace('_', "-"),
        };
        Failure::Usage(format!("--{flag}: {what}"))
    })?;
    Ok((config, remarks))
}

/// Returns the opening of the demonstration set. Renders the set first if it does not exist yet.
fn demo() -> Result<Opening, Failure> {
    let folder = opening::demo_folder();
    let failed = |e| Failure::Io(format!("{}: {e}", folder.display()));
    if !folder.is_dir() {
        eprintln!("Rendering the demonstration set (once, a few seconds) …");
    }
    if !opening::has_demo(&folder) {
        // In a process of its own, so that its memory, and the fragmentation of its heap, end with it.
        let mut child = std::env::current_exe().map(std::process::Command::new).map_err(failed)?;
        let done = child.arg("make-demo").stdout(std::process::Stdio::null()).status().map_err(failed)?;
        if !done.success() {
            return Err(failed(std::io::Error::other("the demonstration set could not be rendered")));
        }
    }
    Ok(opening::demo_opening(&folder))
}

/// Returns the opening given by the flags: the demonstration set, safe mode's signal, or the files of the decks.
fn opening_of(cli: &Cli) -> Result<Opening, Failure> {
    let mut opening = match (cli.demo, cli.safe) {
        (true, _) => demo()?,
        (_, true) => {
            opening::safe_opening(&std::env::temp_dir()).map_err(|e| Failure::Io(format!("safe mode: {e}")))?
        }
        _ => Opening::default(),
    };
    let mut remarks = Vec::new();
    let mut clamped =
        |flag, value, min, max| older::clamped(flag, value, min, max, &mut remarks).map_err(Failure::Usage);
    let (rate, volume) = (clamped("rate", cli.decks.rate, 0.25, 4.0)?, clamped("vol", cli.decks.vol, 0.0, 4.0)?);
    remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
    if cli.decks.c_at.is_some_and(|at| !(0.0..=86_400.0).contains(&at)) {
        return Err(Failure::Usage("--c_at: must be between 0 and 86400 s".into()));
    }
    let mut deck = |id: i64, file: &Option<PathBuf>, at_once: bool| -> Result<(), Failure> {
        if let Some(file) = file {
            if let Some(name) = file.to_str().filter(|name| is_address(name)) {
                Address::parse(name).map_err(|fault| Failure::Usage(fault.to_string()))?;
            }
            opening.load(id, file, "");
            if at_once {
                opening.call("/groove/stem/play", vec![Value::Int(id), rate.into(), volume.into(), Value::Int(1)]);
            }
        }
        Ok(())
    };
    deck(100, &cli.decks.a, true)?;
    deck(1100, &cli.decks.b, true)?;
    deck(2100, &cli.decks.c_preload.clone().or(cli.decks.c.clone()), false)?;
    deck(3100, &cli.decks.d, true)?;
    if let Some(seconds) = cli.decks.c_at {
        opening.call(
            "/groove/at",
            vec![seconds.into(), "/groove/stem/play".into(), Value::Int(2100), rate.into(), volume.into()],
        );
    }
    if let Some(seconds) = cli.dummy_after {
        let mut args = vec![seconds.into(), "/dummy".into()];
        args.extend(cli.dummy_args.iter().map(|a| Value::from(a.as_str())));
        opening.call("/groove/at", args);
    }
    if cli.watch {
        opening.call("/groove/clock/print", vec![Value::Int(1)]);
    }
    Ok(opening)
}

/// Prints a short introduction for somebody who has just typed `make run`.
fn greet(options: &Options) {
    let port = options.config.osc.ports.first().copied().unwrap_or(USUAL_PORT);
    let program = std::env::current_exe().ok().and_then(|p| p.parent().map(Path::to_path_buf));
    let ctl = program.map_or("groovectl".into(), |p| p.join("groovectl").display().to_string());
    let ctl = std::env::current_dir()
        .ok()
        .and_then(|here| ctl.strip_prefix(&format!("{}/", here.display())).map(str::to_string))
        .unwrap_or(ctl);
    let ctl = if port == USUAL_PORT { ctl } else { format!("{ctl} --port {port}") };
    eprintln!(
        "\nDeck A is audible, deck B plays in parallel. Send OSC to UDP port {port}, for example:\n\n  \
         {ctl} send /crossfade 1.0 power 8     crossfade to deck B within eight seconds\n  \
         {ctl} deck/b/eq/low 0                cut its bass (50 restores it)\n  \
         {ctl} send /set_tempo 132             speed everything up, including pitch\n\n\
         '{ctl} status' shows the state. Press Ctrl-C to fade out and quit.\n"
    );
}
