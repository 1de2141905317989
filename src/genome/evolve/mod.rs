//! Evolution of genomes: first ones, mutation, crossover, selection, and an automatic judge of what sounds.
//!
//! The method is NEAT (Stanley and Miikkulainen, "Evolving Neural Networks through Augmenting Topologies", 2002),
//! applied to a genome's networks and to its audio graph alike. Everything follows from a seed: the same numbers on
//! every machine. Nothing here renders or stores genomes.
//!
//! - `genes`: a genome that can be changed; `stock`: from the format of files; `write`: into it
//! - `paths`: what of a graph is heard, fails or grows without limit
//! - `kinds`: the kinds of nodes, their parameters and spans; `marking`: names of genes that tell where they come from
//! - `seed`: first genomes
//! - `mutate`: chooses mutations; `neural`, `wiring`, `values`: those of networks, of the graph, of its numbers
//! - `cross`: crossover, and the distance of two genomes
//! - `breed`: species, selection and children
//! - `judge`: measures a sound
//! - `random`: random numbers

mod breed;
mod cross;
mod genes;
mod judge;
mod kinds;
mod marking;
mod mutate;
mod neural;
mod paths;
mod random;
mod seed;
mod stock;
mod values;
mod wiring;
mod write;

pub use breed::{Child, Member, breed};
pub use cross::{cross, distance};
pub use genes::{Cppn, GraphConnection, GraphNode, Neuron, OUT, Role, Stock, Synapse};
pub use judge::{Judgement, apart, judge};
pub use mutate::{Change, Rates, mutate};
pub use random::Random;
pub use write::Birth;
