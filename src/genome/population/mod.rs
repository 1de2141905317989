//! Evolution of a population of genomes, generation by generation, with its ancestry in their database.
//!
//! - `records`: the tables
//! - `ancestry`: who descends from whom, as text and as a drawing
//!
//! What was bred is rendered before it enters a generation: genomes that fail, are silent or unusable are replaced.

mod ancestry;
mod records;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use ancestry::{drawing, tree};
pub use records::{Candidate, Plan, Records};

use super::evolve::{Birth, Child, Judgement, Member, Random, Rates, Stock, apart, breed, judge};
use super::fault::Fault;
use super::read::Genome;
use super::render::{STACK, render_unless};
use super::sound::{Evaluation, Pitch, SAMPLE_RATE, Sound};

/// Score of the automatic judge below which a sound is not used.
const LEAST_SCORE: f64 = 0.25;
/// Distance of features below which two sounds of a generation are too alike.
const LEAST_APART: f64 = 0.02;
/// How often children are bred anew until a generation is full; after that, what can be heard at all is used.
const ROUNDS: usize = 8;
/// The fittest members, which live on unchanged.
const CHAMPIONS: usize = 2;
/// Renders at the same time.
const THREADS: usize = 4;
/// How many of the nearest sounds count for novelty (Lehman and Stanley 2011).
const NEAREST: usize = 5;

/// A run of evolution in a database.
pub struct Population {
    records: Records,
    plan: Plan,
    rates: Rates,
}

/// A genome with its sound's judgement.
type Judged = (Child, Judgement);

impl Population {
    /// Continues a run, or begins it as planned if there is none of that name. An existing run keeps its own plan.
    ///
    /// # Errors
    /// If the plan is not valid, or the database cannot be written.
    pub fn open(path: &Path, plan: &Plan) -> Result<Population, Fault> {
        plan.check()?;
        let records = Records::open(path)?;
        let plan = match records.plan(&plan.run)? {
            Some(known) => {
                // Anybody may have written it.
                known.check()?;
                known
            }
            None => {
                records.begin(plan)?;
                plan.clone()
            }
        };
        Ok(Population { records, plan, rates: Rates::default() })
    }

    /// How the run goes.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The tables.
    pub fn records(&self) -> &Records {
        &self.records
    }

    /// How a genome of the run sounds when it is presented.
    pub fn sound(&self) -> Sound {
        sound(self.plan.duration)
    }

    /// Begins the run with given genomes, which the first generation descends from; the others of it are bred from them.
    ///
    /// # Errors
    /// If the run has begun already, a genome cannot be read, or the database cannot be written.
    pub fn begin_with(&mut self, ids: &[String], stop: &Arc<AtomicBool>) -> Result<Vec<Candidate>, Fault> {
        let run = self.plan.run.clone();
        let begun =
            || Fault::Request(format!("run '{run}' has begun already; choose another name to begin with genomes"));
        if self.records.newest(&run)?.is_some() {
            return Err(begun());
        }
        let mut given = Vec::new();
        for id in ids.iter().take(self.plan.size) {
            let mut stock = self.records.stock(id)?;
            stock.repair();
            given.push((id, stock));
        }
        let mut random = Random::new(self.plan.seed);
        let parents: Vec<Member<'_>> = given.iter().map(|(id, stock)| Member { id, stock, fitness: 1.0 }).collect();
        let mut children: Vec<Child> = given
            .iter()
            .map(|(id, stock)| Child { stock: stock.clone(), parents: vec![(*id).clone()], changes: Vec::new() })
            .collect();
        let missing = self.plan.size.saturating_sub(children.len());
        children.extend(breed(&parents, 2 * missing, &mut random, &self.rates));
        let mut members = Vec::new();
        for (child, judgement) in audition(children, self.plan.duration, stop)? {
            let place = members.len();
            if place < self.plan.size && judgement.score() > 0.0 {
                members.push(member(format!("{run}-000-{place:02}"), 0, place, child, &judgement));
            }
        }
        if members.is_empty() {
            return Err(Fault::Request("none of these genomes can be heard".into()));
        }
        if !self.records.add(&run, &members)? {
            return Err(begun());
        }
        Ok(members.into_iter().map(|(candidate, _)| candidate).collect())
    }

    /// The next genome that has not been heard; breeds a generation if all have been. Setting `stop` ends it early.
    ///
    /// # Errors
    /// Those of [`Population::advance`].
    pub fn next(&mut self, stop: &Arc<AtomicBool>) -> Result<Candidate, Fault> {
        for _ in 0..2 {
            if let Some(newest) = self.records.newest(&self.plan.run)? {
                let members = self.records.members(&self.plan.run, Some(newest))?;
                if let Some(next) = members.into_iter().find(|m| m.heard_s <= 0.0) {
                    return Ok(next);
                }
            }
            self.advance(stop, &mut |_| {})?;
        }
        Err(Fault::Database("a new generation has no members".into()))
    }

    /// Breeds and stores the next generation: by votes and movement if the last one has any, otherwise by the automatic
    /// judge and novelty. `told` learns how many members there are so far. Setting `stop` ends it with nothing stored.
    ///
    /// # Errors
    /// If it is stopped, a genome cannot be read, or the database cannot be written.
    pub fn advance(&mut self, stop: &Arc<AtomicBool>, told: &mut dyn FnMut(usize)) -> Result<Vec<Candidate>, Fault> {
        let run = self.plan.run.clone();
        let newest = self.records.newest(&run)?;
        let everyone = self.records.members(&run, None)?;
        let generation = newest.map_or(0, |g| g + 1);
        // Each generation has numbers of its own, so that a run that was interrupted goes on as it would have.
        let seed = self.plan.seed.wrapping_add(u64::from(generation).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut random = Random::new(seed);
        // A genome that somebody has deleted has no children.
        let (before, stocks): (Vec<&Candidate>, Vec<Stock>) = everyone
            .iter()
            .filter(|m| Some(m.generation) == newest)
            .filter_map(|m| Some((m, self.records.stock(&m.id).ok()?)))
            .unzip();
        let fitness = fitness(&before, &everyone);
        let parents: Vec<Member<'_>> = before
            .iter()
            .zip(&stocks)
            .zip(&fitness)
            .map(|((member, stock), fitness)| Member { id: &member.id, stock, fitness: *fitness })
            .collect();
        let mut order: Vec<usize> = (0..parents.len()).collect();
        order.sort_by(|a, b| fitness[*b].total_cmp(&fitness[*a]).then(a.cmp(b)));
        let mut members: Vec<(Candidate, Stock)> = Vec::new();
        let id = |place: usize| format!("{run}-{generation:03}-{place:02}");
        for at in order.into_iter().take(CHAMPIONS.min(self.plan.size)) {
            let (old, place) = (before[at], members.len());
            let champion = Candidate {
                parents: vec![old.id.clone()],
                changes: "unchanged".into(),
                score: old.score,
                features: old.features,
                peak: old.peak,
                ..Candidate::new(id(place), generation, place)
            };
            members.push((champion, stocks[at].clone()));
        }
        let mut spare: Vec<Judged> = Vec::new();
        for _ in 0..ROUNDS {
            let missing = self.plan.size.saturating_sub(members.len());
            if missing == 0 {
                break;
            }
            let children = breed(&parents, missing, &mut random, &self.rates);
            for (child, judgement) in audition(children, self.plan.duration, stop)? {
                let features = judgement.features();
                let is_known = members.iter().any(|(m, _)| apart(&m.features, &features) < LEAST_APART);
                if judgement.score() >= LEAST_SCORE && !is_known {
                    let place = members.len();
                    members.push(member(id(place), generation, place, child, &judgement));
                } else if judgement.score() > 0.0 {
                    spare.push((child, judgement));
                }
            }
            told(members.len());
        }
        spare.sort_by(|a, b| b.1.score().total_cmp(&a.1.score()));
        for (child, judgement) in spare.into_iter().take(self.plan.size.saturating_sub(members.len())) {
            let place = members.len();
            members.push(member(id(place), generation, place, child, &judgement));
        }
        if members.is_empty() {
            return Err(Fault::Request("no genome that was bred can be heard".into()));
        }
        if !self.records.add(&run, &members)? {
            tracing::info!("run '{run}': another program has bred generation {generation}; it is used");
            return self.records.members(&run, self.records.newest(&run)?);
        }
        told(members.len());
        Ok(members.into_iter().map(|(candidate, _)| candidate).collect())
    }
}

fn sound(duration: f64) -> Sound {
    Sound { duration, note_delta: Pitch::Semitones(0.0), velocity: 0.7 }
}

fn member(id: String, generation: u32, place: usize, child: Child, judgement: &Judgement) -> (Candidate, Stock) {
    let changes: Vec<String> = child.changes.iter().map(ToString::to_string).collect();
    let candidate = Candidate {
        parents: child.parents,
        changes: changes.join(","),
        score: judgement.score(),
        features: judgement.features(),
        peak: judgement.peak,
        ..Candidate::new(id, generation, place)
    };
    (candidate, child.stock)
}

/// Renders and judges genomes, on several threads; those that fail are left out. Keeps the order.
fn audition(children: Vec<Child>, duration: f64, stop: &Arc<AtomicBool>) -> Result<Vec<Judged>, Fault> {
    let results: Mutex<Vec<(usize, Judgement)>> = Mutex::default();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(child) = children.get(at) else { return };
            if let Ok(judgement) = hear(&child.stock, duration, stop) {
                results.lock().unwrap_or_else(PoisonError::into_inner).push((at, judgement));
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let thread = std::thread::Builder::new().name("evolution".into()).stack_size(STACK);
            thread.spawn_scoped(scope, work).map_err(|e| Fault::Request(format!("no thread for the render: {e}")))?;
        }
        Ok::<(), Fault>(())
    })?;
    if stop.load(Ordering::Acquire) {
        return Err(Fault::Stopped);
    }
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(at, _)| *at);
    let mut judgements = results.into_iter().peekable();
    let judged = children.into_iter().enumerate().filter_map(|(at, child)| {
        let (_, judgement) = judgements.next_if(|(k, _)| *k == at)?;
        Some((child, judgement))
    });
    Ok(judged.collect())
}

/// Renders a genome as it is presented, and judges its sound.
fn hear(stock: &Stock, duration: f64, stop: &Arc<AtomicBool>) -> Result<Judgement, Fault> {
    let genome = Genome::from_json(&stock.to_json("x", &Birth::default()))?;
    let whole = render_unless(&genome, sound(duration), Evaluation::Lazy, stop)?;
    Ok(judge(&whole, SAMPLE_RATE))
}

/// Fitness of a generation's members.
///
/// If any has votes, or movement was measured, the audience decides: 1 plus likes minus dislikes (at least 0.05), times
/// the movement relative to the generation's mean (0.1 to 4, squared). Otherwise the automatic judge's score times 0.3
/// plus novelty, the mean distance to the nearest sounds of the whole run.
fn fitness(members: &[&Candidate], everyone: &[Candidate]) -> Vec<f64> {
    let moves: Vec<f64> = members.iter().filter_map(|m| m.movement).collect();
    let mean = moves.iter().sum::<f64>() / moves.len().max(1) as f64;
    if mean > 0.0 || members.iter().any(|m| m.likes + m.dislikes > 0) {
        let audience = |m: &&Candidate| {
            let votes = (1.0 + f64::from(m.likes) - f64::from(m.dislikes)).max(0.05);
            let moved = m.movement.filter(|_| mean > 0.0).map_or(1.0, |moved| (moved / mean).clamp(0.1, 4.0));
            votes * moved * moved
        };
        return members.iter().map(audience).collect();
    }
    let novelty = |member: &Candidate| {
        let others = everyone.iter().filter(|other| other.id != member.id && other.changes != "unchanged");
        let mut distances: Vec<f64> = others.map(|other| apart(&member.features, &other.features)).collect();
        distances.sort_by(f64::total_cmp);
        distances.truncate(NEAREST);
        distances.iter().sum::<f64>() / distances.len().max(1) as f64
    };
    members.iter().map(|m| m.score * (0.3 + novelty(m))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: (u64, usize, f64) = (11, 6, 0.5);

    /// A folder that is removed when it is dropped.
    struct Folder(std::path::PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let folder = std::env::temp_dir().join(format!("grooved-population-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Folder(folder)
        }

        fn open(&self, name: &str) -> Population {
            let (seed, size, duration) = PLAN;
            let plan = Plan { run: "test".into(), seed, size, duration };
            Records::create(&self.0.join(name)).unwrap();
            Population::open(&self.0.join(name), &plan).unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn advance(population: &mut Population) -> Vec<Candidate> {
        population.advance(&Arc::default(), &mut |_| {}).unwrap()
    }

    #[test]
    fn a_run_is_reproducible_also_if_it_was_interrupted_and_descends_from_itself() {
        let folder = Folder::new("same");
        let mut whole = folder.open("a.sqlite");
        let first: Vec<Vec<Candidate>> = (0..3).map(|_| advance(&mut whole)).collect();
        let second: Vec<Vec<Candidate>> = (0..3).map(|_| advance(&mut folder.open("b.sqlite"))).collect();
        assert_eq!(first, second);
        for member in first.iter().flatten() {
            let (a, b) = (whole.records().stock(&member.id), folder.open("b.sqlite").records().stock(&member.id));
            assert_eq!(a.unwrap(), b.unwrap());
        }
        for (generation, members) in first.iter().enumerate() {
            assert_eq!(members.len(), 6);
            assert!(members.iter().all(|m| m.generation as usize == generation && m.peak > 0.0 && m.score > 0.0));
            let ids: Vec<&str> = first[generation.saturating_sub(1)].iter().map(|m| m.id.as_str()).collect();
            for member in members {
                assert_eq!(member.parents.is_empty(), generation == 0, "{member:?}");
                assert!(member.parents.iter().all(|p| ids.contains(&p.as_str())), "{member:?}");
            }
        }
        // What was bred is what is rendered.
        let stored = crate::genome::Store::open(&folder.0.join("a.sqlite"), 4).unwrap();
        let member = &first[2][3];
        let sound =
            super::super::render::render_whole(&stored.get(&member.id).unwrap(), whole.sound(), Evaluation::Lazy);
        let peak = sound.unwrap().iter().fold(0.0f64, |peak, s| peak.max(f64::from(s.abs())));
        assert!((peak - member.peak).abs() < 1e-6);
    }

    #[test]
    fn each_genome_is_presented_once_and_votes_decide_who_lives_on() {
        let folder = Folder::new("votes");
        let mut population = folder.open("a.sqlite");
        let stop = Arc::default();
        let mut presented = Vec::new();
        for _ in 0..6 {
            let next = population.next(&stop).unwrap();
            assert_eq!(population.next(&stop).unwrap().id, next.id, "it has not been heard yet");
            population.records().heard(&next.id, 2.0, 0.0, 0.0).unwrap();
            presented.push(next.id);
        }
        assert_eq!(presented, (0..6).map(|k| format!("test-000-{k:02}")).collect::<Vec<_>>());
        population.records().vote(&presented[4], 3, 0).unwrap();
        population.records().vote(&presented[1], 1, 0).unwrap();
        for other in [0, 2, 3, 5] {
            population.records().vote(&presented[other], 0, 1).unwrap();
        }
        let next = population.next(&stop).unwrap();
        let children = population.records().members("test", Some(1)).unwrap();
        assert_eq!((next.id.as_str(), next.generation), ("test-001-00", 1));
        assert_eq!((&children[0].parents[0], &children[1].parents[0]), (&presented[4], &presented[1]));
        let of_liked = children.iter().flat_map(|c| &c.parents).filter(|p| **p == presented[4]).count();
        assert!(of_liked >= 2, "{children:?}");
        let why = population.records().vote("nobody", 1, 0).unwrap_err().to_string();
        assert!(why.starts_with("genome 'nobody' belongs to no run"), "{why}");
        let (member, run) = population.records().member(&presented[4]).unwrap();
        assert_eq!((member.likes, member.dislikes, member.heard_s, run.as_str()), (3, 0, 2.0, "test"));
    }

    #[test]
    fn a_generation_that_another_program_has_bred_stays() {
        let folder = Folder::new("two");
        let (mut one, mut two) = (folder.open("a.sqlite"), folder.open("a.sqlite"));
        let members = advance(&mut one);
        one.records().vote(&members[0].id, 5, 0).unwrap();
        let again: Vec<(Candidate, Stock)> =
            members.iter().map(|m| (m.clone(), one.records().stock(&m.id).unwrap())).collect();
        assert!(!two.records.add("test", &again).unwrap());
        assert_eq!(one.records().member(&members[0].id).unwrap().0.likes, 5);
        // A genome that was deleted has no children, and the run goes on.
        let database = rusqlite::Connection::open(folder.0.join("a.sqlite")).unwrap();
        database.execute("DELETE FROM genomes WHERE id = ?1", [&members[0].id]).unwrap();
        assert!(advance(&mut two).iter().all(|m| !m.parents.contains(&members[0].id)));
        database.execute("UPDATE runs SET size = 1", []).unwrap();
        let plan = Plan { run: "test".into(), seed: 1, size: 6, duration: 1.0 };
        let why = Population::open(&folder.0.join("a.sqlite"), &plan).map(drop).unwrap_err().to_string();
        assert!(why.starts_with("argument 'population' is 1"), "{why}");
    }

    #[test]
    fn a_run_begins_with_given_genomes() {
        let folder = Folder::new("given");
        let mut population = folder.open("a.sqlite");
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/genomes/01KSFIX007.json.gz");
        crate::genome::import(&folder.0.join("a.sqlite"), "mine", &std::fs::read(fixture).unwrap()).unwrap();
        let stop = Arc::default();
        assert_eq!(population.begin_with(&["no".into()], &stop).unwrap_err(), Fault::NotFound("no".into()));
        let members = population.begin_with(&["mine".into()], &stop).unwrap();
        assert!(members.len() > 1 && members.iter().all(|m| m.parents == ["mine"] || m.parents.len() == 2));
        assert!(population.begin_with(&["mine".into()], &stop).unwrap_err().to_string().contains("has begun already"));
        assert_eq!(advance(&mut population)[0].generation, 1);
    }

    #[test]
    fn fitness_follows_votes_and_movement_and_otherwise_the_judge() {
        let member = |place: usize, likes: u32, movement: Option<f64>, score: f64, brightness: f64| Candidate {
            likes,
            movement,
            score,
            features: [brightness, 0.0, 0.0, 0.0, 0.0, 0.0],
            ..Candidate::new(place.to_string(), 0, place)
        };
        let of = |members: &[Candidate]| fitness(&members.iter().collect::<Vec<_>>(), members);
        assert_eq!(of(&[member(0, 2, None, 0.1, 0.0), member(1, 0, None, 0.9, 0.5)]), [3.0, 1.0]);
        let moved = of(&[member(0, 0, Some(0.3), 0.1, 0.0), member(1, 0, Some(0.1), 0.9, 0.5)]);
        assert!((moved[0] - 2.25).abs() < 1e-9 && (moved[1] - 0.25).abs() < 1e-9, "{moved:?}");
        // Of two with the same score, the one that sounds unlike the others is fitter.
        let judged = of(&[member(0, 0, None, 0.5, 0.1), member(1, 0, None, 0.5, 0.12), member(2, 0, None, 0.5, 0.9)]);
        assert!(judged[2] > 1.3 * judged[0] && judged[0] > 0.0, "{judged:?}");
    }

    #[test]
    fn a_stopped_generation_leaves_nothing_and_a_wrong_plan_is_refused() {
        let folder = Folder::new("stop");
        let mut population = folder.open("a.sqlite");
        let stopped = population.advance(&Arc::new(AtomicBool::new(true)), &mut |_| {});
        assert_eq!(stopped.unwrap_err(), Fault::Stopped);
        assert_eq!(population.records().newest("test").unwrap(), None);
        let plan = Plan { run: "test".into(), seed: 99, size: 9, duration: 1.0 };
        let again = Population::open(&folder.0.join("a.sqlite"), &plan).unwrap();
        assert_eq!((again.plan().seed, again.plan().size), (PLAN.0, PLAN.1), "a run keeps its plan");
        for (run, size, duration, told) in
            [("a-b", 6, 1.0, "run"), ("", 6, 1.0, "run"), ("a", 3, 1.0, "population"), ("a", 6, f64::NAN, "duration")]
        {
            let plan = Plan { run: run.into(), seed: 1, size, duration };
            let why = plan.check().unwrap_err().to_string();
            assert!(why.starts_with(&format!("argument '{told}'")), "{why}");
        }
    }
}
