//! `grooved genomes evolve` and `ancestry`: breeds genomes without an audience, and shows who descends from whom.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use indicatif::ProgressBar;

use super::Failure;
use crate::genome::population::{Candidate, Plan, Population, Records, drawing, tree};

/// Breeds generations of genomes.
#[derive(Args)]
pub struct Evolve {
    /// Name of the run to continue or to begin: letters, digits and underscores
    #[arg(long, default_value = "show")]
    run: String,
    /// Seed of a new run: the same seed breeds the same genomes [default: 1]
    #[arg(long)]
    seed: Option<u64>,
    /// Genomes of a generation in a new run, 4 to 64 [default: 12]
    #[arg(long, value_name = "GENOMES")]
    population: Option<usize>,
    /// Seconds of each sound in a new run, 0.5 to 20 [default: 4]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    duration: Option<f64>,
    /// Genomes that a new run begins with, besides what is bred from them [default: simple random ones]
    #[arg(long, value_name = "ID", num_args = 1..)]
    from: Vec<String>,
    /// Generations to breed, 1 to 100000
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    generations: u32,
}

/// Shows the runs of evolution, the newest generation of one, or the ancestors of a genome.
#[derive(Args)]
pub struct Ancestry {
    /// Genome whose ancestors to show
    id: Option<String>,
    /// Run of which to show a generation
    #[arg(long, conflicts_with = "id")]
    run: Option<String>,
    /// Generation of the run [default: the newest]
    #[arg(long, requires = "run")]
    generation: Option<u32>,
    /// Draw the whole run of ID or --run into an SVG file instead
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn say(line: &str) -> Result<(), Failure> {
    writeln!(std::io::stdout(), "{line}").map_err(|e| Failure::Io(format!("standard output: {e}")))
}

fn line(member: &Candidate) -> String {
    let votes = format!("{:+}", i64::from(member.likes) - i64::from(member.dislikes));
    let movement = member.movement.map_or("-".into(), |m| format!("{m:.3}"));
    format!(
        "{:<24} score {:.2}  votes {votes:>3}  movement {movement:>5}  {}",
        member.id,
        member.score,
        member.changes.replace(',', ", ")
    )
}

/// Runs `grooved genomes evolve`: one line per generation.
///
/// # Errors
/// If an argument is out of range, or the database cannot be written.
pub fn evolve(database: &Path, flags: &Evolve, bar: &ProgressBar) -> Result<(), Failure> {
    let plan = Plan {
        run: flags.run.clone(),
        seed: flags.seed.unwrap_or(1),
        size: flags.population.unwrap_or(12),
        duration: flags.duration.unwrap_or(4.0),
    };
    plan.check()?;
    Records::create(database)?;
    let mut population = Population::open(database, &plan)?;
    let own = population.plan().clone();
    if flags.seed.is_some_and(|seed| seed != own.seed)
        || flags.population.is_some_and(|size| size != own.size)
        || flags.duration.is_some_and(|duration| duration != own.duration)
    {
        let Plan { run, seed, size, duration } = &own;
        tracing::warn!("run '{run}': goes on as it began, with seed {seed}, {size} genomes and {duration} s");
    }
    let size = own.size;
    let stop = Arc::default();
    for done in 0..flags.generations {
        let share = |members: usize| {
            let part = f64::from(done) + members as f64 / size as f64;
            bar.set_position((part / f64::from(flags.generations) * 1000.0) as u64);
        };
        let members = match done {
            0 if !flags.from.is_empty() => population.begin_with(&flags.from, &stop)?,
            _ => population.advance(&stop, &mut |members| share(members))?,
        };
        let best = members.iter().max_by(|a, b| a.score.total_cmp(&b.score));
        let mean = members.iter().map(|m| m.score).sum::<f64>() / members.len() as f64;
        if let Some(best) = best {
            let line = format!(
                "generation {:>3}: {} genomes, mean score {mean:.2}, best {:.2} ({})",
                best.generation,
                members.len(),
                best.score,
                best.id
            );
            bar.suspend(|| say(&line))?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// Runs `grooved genomes ancestry`.
///
/// # Errors
/// If the database cannot be read, or has no such run or genome.
pub fn ancestry(database: &Path, flags: &Ancestry) -> Result<(), Failure> {
    let records = Records::read(database)?;
    let of_genome = flags.id.as_ref().map(|id| records.member(id)).transpose()?;
    let run = flags.run.clone().or(of_genome.map(|(_, run)| run));
    let Some(run) = run else {
        if flags.svg.is_some() {
            return Err(Failure::Usage("--svg: expected the id of a genome or --run NAME, whose run is drawn".into()));
        }
        let runs = records.runs()?;
        for run in &runs {
            let members = records.members(run, None)?;
            let generations = members.last().map_or(0, |m| m.generation + 1);
            say(&format!("{run:<24} {generations} generations, {} genomes", members.len()))?;
        }
        if runs.is_empty() {
            say("no run of evolution; 'grooved genomes evolve' begins one")?;
        }
        return Ok(());
    };
    let everyone = records.members(&run, None)?;
    if everyone.is_empty() {
        return Err(Failure::Usage(format!("--run: there is no run '{run}'; 'grooved genomes ancestry' lists them")));
    }
    if let Some(file) = &flags.svg {
        std::fs::write(file, drawing(&everyone, flags.id.as_deref()))
            .map_err(|e| Failure::Io(format!("{}: {e}", file.display())))?;
        return say(&format!("{}: {} genomes of {run}", file.display(), everyone.len()));
    }
    match &flags.id {
        Some(id) => say(tree(&everyone, id).trim_end()),
        None => {
            let newest = everyone.last().map_or(0, |m| m.generation);
            let wanted = flags.generation.unwrap_or(newest);
            if wanted > newest {
                return Err(Failure::Usage(format!("--generation: run '{run}' has generations 0 to {newest}")));
            }
            everyone.iter().filter(|m| m.generation == wanted).try_for_each(|m| say(&line(m)))
        }
    }
}
