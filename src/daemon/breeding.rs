//! The thread that keeps the run of evolution: chooses, breeds and counts, in the database of genomes.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use crate::control::conductor::services::{GenomeJob, GenomeResult, Presented};
use crate::genome::Fault;
use crate::genome::population::{Plan, Population};

/// Starts the thread; results go to `told`. The database is opened for the first job, and again after a failure.
///
/// # Errors
/// If the system cannot create the thread.
pub fn start(
    database: PathBuf,
    plan: Plan,
    told: impl Fn(GenomeResult) + Send + 'static,
) -> std::io::Result<Sender<GenomeJob>> {
    let (jobs, inbox) = channel();
    std::thread::Builder::new().name("evolution".into()).spawn(move || {
        let mut population = None;
        for job in inbox {
            // Each job has a result, whatever happens: others wait for it.
            let result = catch_unwind(AssertUnwindSafe(|| run(&database, &plan, &mut population, &job)));
            let result = result.unwrap_or_else(|_| Err(Fault::Request("the evolution of genomes failed".into())));
            if result.is_err() {
                population = None;
            }
            match (job, result) {
                (GenomeJob::Next, result) => {
                    told(GenomeResult::Next(
                        result
                            .map_err(|f| f.to_string())
                            .and_then(|next| next.ok_or_else(|| "there is no genome".to_string())),
                    ));
                }
                (GenomeJob::Vote { .. }, result) => {
                    told(GenomeResult::Voted(result.map(drop).map_err(|f| f.to_string())));
                }
                (GenomeJob::Heard { id, .. }, Err(fault)) => {
                    tracing::warn!("genome {id}: {fault}; movement not counted")
                }
                (GenomeJob::Heard { .. }, Ok(_)) => {}
            }
        }
    })?;
    Ok(jobs)
}

fn run(
    database: &std::path::Path,
    plan: &Plan,
    population: &mut Option<Population>,
    job: &GenomeJob,
) -> Result<Option<Presented>, Fault> {
    // A file that was removed or replaced is not written any more.
    if population.as_ref().is_some_and(|population| !population.records().is_current()) {
        *population = None;
    }
    let population = match population {
        Some(population) => population,
        None => population.insert(Population::open(database, plan)?),
    };
    match job {
        GenomeJob::Next => {
            let next = population.next(&Arc::default())?;
            let sound = population.sound();
            Ok(Some(Presented {
                id: next.id,
                generation: next.generation,
                place: next.place,
                size: population.plan().size,
                duration_s: sound.duration,
                velocity: sound.velocity,
                peak: next.peak,
            }))
        }
        GenomeJob::Vote { id, likes, dislikes } => population.records().vote(id, *likes, *dislikes).map(|()| None),
        GenomeJob::Heard { id, heard_s, sensed_s, movement } => {
            population.records().heard(id, *heard_s, *sensed_s, *movement).map(|()| None)
        }
    }
}
