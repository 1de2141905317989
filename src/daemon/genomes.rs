//! `grooved genomes`: lists, shows, imports, exports and renders the evolved sounds of a database.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use clap::{Args, Subcommand};
use flate2::read::MultiGzDecoder;
use indicatif::ProgressBar;
use serde::Deserialize;

use super::Failure;
use super::evolve::{self, Ancestry, Evolve};
use crate::config::genomes::DATABASE_VARIABLE;
use crate::genome::{self, Evaluation, Fault, Genome, Pitch, SAMPLE_RATE, Sound, Store, Yield};
use crate::media::wav::{Depth, WavWriter};

/// Database in the current folder, used if neither the flag nor the environment names one.
const DATABASE: &str = "genomes.sqlite";
/// Maximum size of an imported file in bytes.
const MAX_FILE: u64 = 4 << 20;
/// Maximum size of a decompressed genome in bytes that is searched for its id.
const MAX_JSON: u64 = 16 << 20;

/// Command line of `grooved genomes`.
#[derive(Args)]
pub struct Flags {
    /// Database of genomes [default: the environment variable DB_PATH, then genomes.sqlite]
    #[arg(long, value_name = "FILE", global = true)]
    database: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// List all genomes, one per line
    List,
    /// Show the nodes, connections and network outputs of a genome
    Show {
        /// Genome to show
        id: String,
    },
    /// Import genomes (JSON, or gzip of JSON); a genome with the same id is replaced
    Import {
        /// Files to import; the id is '_id' of the JSON, else the file name up to its first dot
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Export a genome as it is stored: gzip of JSON
    Export {
        /// Genome to export
        id: String,
        /// File to write [default: ID.json.gz]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Overwrite an existing file
        #[arg(long)]
        force: bool,
    },
    /// Render a genome to a mono WAV file at 48 kHz
    Render(Render),
    /// Breed generations of genomes, by votes and movement of the last one or else by an automatic judge
    Evolve(Evolve),
    /// Show runs of evolution, or the ancestors of a genome
    Ancestry(Ancestry),
}

#[derive(Args)]
struct Render {
    /// Genome to render
    id: String,
    /// WAV file to write (32-bit float)
    #[arg(value_name = "OUT.wav")]
    output: PathBuf,
    /// Duration in seconds, up to 600
    #[arg(long, value_name = "SECONDS", default_value_t = 4.0, allow_negative_numbers = true)]
    duration: f64,
    /// Pitch change in semitones, -120 to 120
    #[arg(long, value_name = "SEMITONES", default_value_t = 0.0, allow_hyphen_values = true)]
    note_delta: f64,
    /// Velocity, 0 to 1
    #[arg(long, default_value_t = 0.5, allow_negative_numbers = true)]
    velocity: f64,
    /// Write the sound as rendered, even if it exceeds full scale
    #[arg(long)]
    raw: bool,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        let text = fault.to_string();
        match fault {
            Fault::NotFound(_) | Fault::Argument { .. } => Failure::Usage(text),
            Fault::Database(_) => Failure::Io(text),
            _ => Failure::Data(text),
        }
    }
}

/// Runs `grooved genomes`. A render shows its progress on `bar`, in steps of a thousandth.
///
/// # Errors
/// If the database, a genome or a file cannot be read or written, or a genome cannot be rendered.
pub fn run(flags: &Flags, bar: &ProgressBar) -> Result<(), Failure> {
    let variable = || std::env::var_os(DATABASE_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    let database = flags.database.clone().or_else(variable).unwrap_or_else(|| DATABASE.into());
    let open = || Store::open(&database, 1);
    match &flags.action {
        Action::List => list(&open()?),
        Action::Show { id } => show(&open()?, id),
        Action::Import { files } => import(&database, files),
        Action::Evolve(flags) => evolve::evolve(&database, flags, bar),
        Action::Ancestry(flags) => evolve::ancestry(&database, flags),
        Action::Export { id, output, force } => export(&open()?, id, output.as_deref(), *force),
        Action::Render(order) => render(&open()?, order, bar),
    }
}

/// Returns `text` on one line: a damaged or hostile genome may contain any character.
fn line(text: &str) -> String {
    text.replace(char::is_control, "?")
}

/// Returns the number of nodes of each kind.
fn kinds(genome: &Genome) -> BTreeMap<&str, usize> {
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for node in &genome.patch.nodes {
        *kinds.entry(node.name.strip_suffix("Node").unwrap_or(&node.name)).or_default() += 1;
    }
    kinds
}

fn list(store: &Store) -> Result<(), Failure> {
    for entry in store.list()? {
        let about = match store.get(&entry.id) {
            Ok(genome) => {
                let kinds: Vec<_> = kinds(&genome).iter().map(|(kind, count)| format!("{count} {kind}")).collect();
                let (nodes, outputs) = (genome.patch.nodes.len(), genome.patch.sources.len());
                format!("{nodes:>3} nodes  {outputs:>3} network outputs  {}", kinds.join(", "))
            }
            Err(fault) => format!("error: {fault}"),
        };
        println!("{:<26}  {:>8} bytes  {}", line(&entry.id), entry.bytes, line(&about));
    }
    Ok(())
}

fn show(store: &Store, id: &str) -> Result<(), Failure> {
    let genome = store.get(id)?;
    let patch = &genome.patch;
    println!("nodes: {}", patch.nodes.len());
    kinds(&genome).iter().for_each(|(kind, count)| println!("  {count} {kind}"));
    let drives = patch.sources.iter().map(|source| source.drives.len()).sum::<usize>();
    println!("connections: {}", patch.wires.len() + drives);
    println!("network outputs: {}", patch.sources.len());
    for source in &patch.sources {
        let yields = match source.yields {
            Yield::Output(number) => format!("output {number}"),
            Yield::Noise(noise) => format!("{noise:?} noise").to_lowercase(),
        };
        println!("  {yields} at {} Hz", source.frequency);
    }
    Ok(())
}

/// Imports every file, even after a failure.
fn import(database: &Path, files: &[PathBuf]) -> Result<(), Failure> {
    let mut failed = 0;
    for file in files {
        match import_file(database, file) {
            Ok(id) => println!("{}: imported as {}", file.display(), line(&id)),
            Err(why) => {
                eprintln!("grooved: {}: {}", file.display(), line(&why));
                failed += 1;
            }
        }
    }
    match failed {
        0 => Ok(()),
        // The file's own line has given the reason.
        _ if files.len() == 1 => Err(Failure::Data("file was not imported".into())),
        _ => Err(Failure::Data(format!("{failed} of {} files were not imported", files.len()))),
    }
}

fn import_file(database: &Path, file: &Path) -> Result<String, String> {
    let mut data = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(MAX_FILE + 1).read_to_end(&mut data));
    if read.map_err(|e| format!("cannot be read: {e}"))? as u64 > MAX_FILE {
        return Err(format!("is too large: expected at most {} MiB", MAX_FILE >> 20));
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let id = own_id(&data).unwrap_or_else(|| name.split('.').next().unwrap_or_default().into());
    genome::import(database, &id, &data).map_err(|e| e.to_string())?;
    Ok(id)
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "_id")]
    id: String,
}

/// Returns the id that stands in the JSON of a genome.
fn own_id(data: &[u8]) -> Option<String> {
    let named: Result<Named, _> = if data.starts_with(&[0x1f, 0x8b]) {
        serde_json::from_reader(BufReader::new(MultiGzDecoder::new(data).take(MAX_JSON)))
    } else {
        serde_json::from_slice(data)
    };
    named.ok().map(|named| named.id).filter(|id| !id.is_empty())
}

/// Returns a usage error if `output` is the database, which would be overwritten.
fn keep_apart(store: &Store, output: &Path) -> Result<(), Failure> {
    match (output.canonicalize(), store.path().canonicalize()) {
        (Ok(output), Ok(database)) if output == database => {
            Err(Failure::Usage(format!("'{}' is the database: expected another file", output.display())))
        }
        _ => Ok(()),
    }
}

fn export(store: &Store, id: &str, output: Option<&Path>, force: bool) -> Result<(), Failure> {
    let data = store.data(id)?;
    if output.is_none() && id.contains('/') {
        return Err(Failure::Usage(format!("genome '{id}': its id is no file name: expected --output FILE")));
    }
    let output = output.map_or_else(|| format!("{id}.json.gz").into(), Path::to_path_buf);
    keep_apart(store, &output)?;
    let opened = File::options().write(true).create(force).truncate(force).create_new(!force).open(&output);
    opened.and_then(|mut file| file.write_all(&data)).map_err(|e| match e.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Failure::Usage(format!("file '{}' exists: expected --force or another name", output.display()))
        }
        _ => Failure::Io(format!("{}: {e}", output.display())),
    })?;
    println!("{}: {} bytes", output.display(), data.len());
    Ok(())
}

fn render(store: &Store, order: &Render, bar: &ProgressBar) -> Result<(), Failure> {
    let note_delta = Pitch::Semitones(order.note_delta);
    let sound = Sound { duration: order.duration, note_delta, velocity: order.velocity };
    sound.check()?;
    keep_apart(store, &order.output)?;
    let genome = store.get(&order.id)?;
    let (send, receive) = mpsc::channel::<Vec<f32>>();
    let (frames, progress, mut done) = (sound.frames(), bar.clone(), 0usize);
    let sink = Box::new(move |block: &[f32]| {
        done += block.len();
        progress.set_position((done * 1_000 / frames) as u64);
        send.send(block.to_vec()).is_ok()
    });
    let begun = Instant::now();
    let thread = std::thread::Builder::new()
        .name("render".into())
        .stack_size(genome::STACK)
        .spawn(move || genome::render(&genome, sound, Evaluation::Lazy, sink, &Arc::default()))
        .map_err(|e| Failure::Io(format!("cannot start a thread: {e}")))?;
    let rendered = thread.join().unwrap_or_else(|_| Err(Fault::Graph("its thread panicked".into())));
    let took = begun.elapsed().as_secs_f64();
    bar.finish_and_clear();
    rendered?;
    let mut samples: Vec<f32> = receive.try_iter().flatten().collect();
    let raw_peak = peak(&samples);
    if !order.raw {
        genome::normalise(&mut samples);
    }
    let written = WavWriter::create(&order.output, 1, SAMPLE_RATE, Depth::Float).and_then(|mut writer| {
        writer.write(&samples)?;
        writer.finish()
    });
    written.map_err(|e| Failure::Io(format!("{}: {e}", order.output.display())))?;
    let seconds = samples.len() as f64 / f64::from(SAMPLE_RATE);
    let level = match 20.0 * f64::from(raw_peak.max(1e-10)).log10() {
        level if level < -80.0 => "silent".to_string(),
        level if level > 0.0 && !order.raw => format!("peak {level:+.1} dBFS, normalised"),
        level => format!("peak {level:.1} dBFS"),
    };
    println!("{}: {seconds:.2} s, {level}, {:.1} × real time", order.output.display(), seconds / took.max(1e-9));
    Ok(())
}

fn peak(samples: &[f32]) -> f32 {
    samples.iter().fold(0.0f32, |peak, s| peak.max(s.abs()))
}
