//! Breeds children of a population: species, fitness sharing, selection (Stanley and Miikkulainen 2002, section 3.3).

use super::cross::{cross, distance};
use super::genes::Stock;
use super::mutate::{Change, Rates, mutate};
use super::random::Random;
use super::seed;

/// Genomes nearer to each other than this are of one species: nine of ten siblings are, strangers are not.
const NEAR: f64 = 0.9;
/// By this factor the limit grows until there are not too many species.
const WIDER: f64 = 1.25;
/// The share of a species that has children. Stanley's is 0.2, for species of dozens.
const SURVIVORS: f64 = 0.4;
/// The share of children that have two parents, as in NEAT.
const CROSSED: f64 = 0.75;
/// Of these, the share whose second parent is of another species. Stanley's is 0.001, in populations of 150; here
/// populations have a dozen members, and the graphs of different species have much to exchange.
const FOREIGN: f64 = 0.05;
/// The share of crossed children that are mutated too.
const MUTATED: f64 = 0.8;

/// A genome of a population.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its name in [`Child::parents`].
    pub id: &'a str,
    pub stock: &'a Stock,
    /// At least 0; smaller and undefined numbers count as 0. Only ratios matter.
    pub fitness: f64,
}

/// A genome that was bred.
#[derive(Clone, Debug, PartialEq)]
pub struct Child {
    pub stock: Stock,
    /// Ids of its parents, the fitter one first: none, one or two.
    pub parents: Vec<String>,
    /// How it differs from its parent, or from the crossover of its parents.
    pub changes: Vec<Change>,
}

/// Members of one species, the fittest first.
type Species<'m, 'a> = Vec<&'m Member<'a>>;

fn fitness(member: &Member) -> f64 {
    if member.fitness.is_finite() { member.fitness.max(0.0) } else { 0.0 }
}

/// Sorts members into species: each joins the first one whose fittest member is near.
fn species<'m, 'a>(members: &'m [Member<'a>]) -> Vec<Species<'m, 'a>> {
    let mut sorted: Vec<&Member> = members.iter().collect();
    sorted.sort_by(|a, b| fitness(b).total_cmp(&fitness(a)).then_with(|| a.id.cmp(b.id)));
    // With more, most species would have one member, and no crossover.
    let most = members.len().div_ceil(2);
    let mut near = NEAR;
    loop {
        let mut found: Vec<Species> = Vec::new();
        for member in &sorted {
            match found.iter_mut().find(|s| distance(s[0].stock, member.stock) < near) {
                Some(species) => species.push(member),
                None => found.push(vec![member]),
            }
        }
        if found.len() <= most || near > 1e6 {
            return found;
        }
        near *= WIDER;
    }
}

/// How many children each species has: in proportion to its mean fitness, which is the sum of fitness that is shared
/// within the species.
fn quotas(species: &[Species], count: usize) -> Vec<usize> {
    let mean = |s: &Species| s.iter().map(|m| fitness(m)).sum::<f64>() / s.len() as f64;
    let means: Vec<f64> = species.iter().map(mean).collect();
    let sum: f64 = means.iter().sum();
    let share = |mean: &f64| if sum > 0.0 && sum.is_finite() { mean / sum } else { 1.0 / species.len() as f64 };
    let exact: Vec<f64> = means.iter().map(|m| share(m) * count as f64).collect();
    let mut quotas: Vec<usize> = exact.iter().map(|e| *e as usize).collect();
    // The rest goes to the largest remainders.
    let mut order: Vec<usize> = (0..species.len()).collect();
    order.sort_by(|a, b| (exact[*b] - exact[*b].floor()).total_cmp(&(exact[*a] - exact[*a].floor())));
    let left = count.saturating_sub(quotas.iter().sum());
    order.iter().cycle().take(left).for_each(|at| quotas[*at] += 1);
    quotas
}

/// One of the fitter members of a species: the better of two that are drawn.
fn parent<'m, 'a>(species: &Species<'m, 'a>, random: &mut Random) -> Option<&'m Member<'a>> {
    let survivors = (species.len() as f64 * SURVIVORS).ceil() as usize;
    let survivors = &species[..survivors.max(2).min(species.len())];
    // They are sorted: the smaller place is the fitter one.
    survivors.get(random.below(survivors.len()).min(random.below(survivors.len()))).copied()
}

/// The second parent of a child of a species: another member, or rarely one of another species.
fn second<'m, 'a>(all: &[Species<'m, 'a>], own: usize, first: &str, random: &mut Random) -> Option<&'m Member<'a>> {
    let others: Vec<usize> = (0..all.len()).filter(|s| *s != own).collect();
    if all[own].len() < 2 || random.chance(FOREIGN) {
        return parent(&all[*random.pick(&others)?], random);
    }
    // The same member twice would be no crossover.
    (0..8).find_map(|_| parent(&all[own], random).filter(|m| m.id != first))
}

/// Breeds `count` children. Species share children by their mean fitness; within a species, the fitter 40 % have
/// children, of which 75 % have two parents and the others are only mutated. No child is equal to its first parent. No
/// member is among the children: who keeps the best does so. Without members, the children are first genomes.
pub fn breed(members: &[Member], count: usize, random: &mut Random, rates: &Rates) -> Vec<Child> {
    if members.is_empty() {
        let first = |_| Child { stock: seed::minimal(random), parents: Vec::new(), changes: Vec::new() };
        return (0..count).map(first).collect();
    }
    let species = species(members);
    let mut children = Vec::with_capacity(count);
    for (own, quota) in quotas(&species, count).into_iter().enumerate() {
        for _ in 0..quota {
            let Some(first) = parent(&species[own], random) else { continue };
            let other = if random.chance(CROSSED) { second(&species, own, first.id, random) } else { None };
            let Some(other) = other else {
                let mut stock = first.stock.clone();
                let changes = mutate(&mut stock, random, rates);
                children.push(Child { stock, parents: vec![first.id.into()], changes });
                continue;
            };
            let (fitter, other) = if fitness(other) > fitness(first) { (other, first) } else { (first, other) };
            let mut stock = cross(fitter.stock, other.stock, random);
            let is_copy = stock == *fitter.stock || stock == *other.stock;
            let changes =
                if is_copy || random.chance(MUTATED) { mutate(&mut stock, random, rates) } else { Vec::new() };
            children.push(Child { stock, parents: vec![fitter.id.into(), other.id.into()], changes });
        }
    }
    children
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::write::Birth;
    use super::*;
    use crate::genome::read::Genome;

    fn population(families: u64, each: u64) -> Vec<(String, Stock)> {
        let mut all = Vec::new();
        for family in 0..families {
            let parent = Stock::minimal(&mut Random::new(family));
            for child in 0..each {
                let mut stock = parent.clone();
                mutate(&mut stock, &mut Random::new(child), &Rates::default());
                all.push((format!("{family}-{child}"), stock));
            }
        }
        all
    }

    fn members(population: &[(String, Stock)], fitness: impl Fn(&str) -> f64) -> Vec<Member<'_>> {
        population.iter().map(|(id, stock)| Member { id, stock, fitness: fitness(id) }).collect()
    }

    #[test]
    fn families_are_species_and_the_fitter_one_has_more_children() {
        let population = population(3, 5);
        let members = members(&population, |id| if id.starts_with('1') { 0.8 } else { 0.1 });
        let species = species(&members);
        assert!((3..=7).contains(&species.len()), "{}", species.len());
        assert!(species.iter().all(|one| one.iter().all(|m| m.id[..1] == one[0].id[..1])));
        let children = breed(&members, 40, &mut Random::new(1), &Rates::default());
        assert_eq!(children.len(), 40);
        let mut counts = BTreeMap::new();
        children.iter().for_each(|c| *counts.entry(c.parents[0][..1].to_string()).or_insert(0) += 1);
        assert!((28..=36).contains(&counts["1"]) && counts["0"] >= 2 && counts["2"] >= 2, "{counts:?}");
        let crossed = children.iter().filter(|c| c.parents.len() == 2).count();
        assert!((22..=38).contains(&crossed), "{crossed}");
        for child in &children {
            Genome::from_json(&child.stock.to_json("a", &Birth::default())).unwrap();
            assert!(child.stock.is_audible());
            assert!(child.parents.len() == 2 || !child.changes.is_empty());
            assert!(population.iter().all(|(_, stock)| *stock != child.stock));
        }
    }

    #[test]
    fn fitness_may_be_anything_and_one_member_is_enough() {
        let population = population(2, 3);
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            let members = members(&population, |_| value);
            assert_eq!(breed(&members, 7, &mut Random::new(1), &Rates::default()).len(), 7);
        }
        let one = members(&population[..1], |_| 1.0);
        let children = breed(&one, 5, &mut Random::new(1), &Rates::default());
        assert!(children.len() == 5 && children.iter().all(|c| c.parents == ["0-0"]));
        assert!(breed(&one, 0, &mut Random::new(1), &Rates::default()).is_empty());
    }

    #[test]
    fn children_follow_from_the_seed_and_without_members_are_first_genomes() {
        let population = population(2, 4);
        let members = members(&population, |id| id.len() as f64);
        let run = |seed| breed(&members, 12, &mut Random::new(seed), &Rates::default());
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
        let first = breed(&[], 3, &mut Random::new(1), &Rates::default());
        assert!(first.len() == 3 && first.iter().all(|c| c.parents.is_empty() && c.stock.is_audible()));
        assert_ne!(first[0], first[1]);
    }
}
