//! Plans as `grooved run-plan` renders and plays them, measured in their sound.
//!
//! Renders and recordings of a daemon are measured by the same code. The plans in `tests/data/plans` are those of the
//! older generator; all others are made up here, at a tempo at which beats are whole frames.

mod common;

#[path = "plans/beside.rs"]
mod beside;
#[path = "plans/broken.rs"]
mod broken;
#[path = "plans/by_hand.rs"]
mod by_hand;
#[path = "plans/data.rs"]
mod data;
#[path = "plans/exact.rs"]
mod exact;
#[path = "plans/fades.rs"]
mod fades;
#[path = "plans/live.rs"]
mod live;
#[path = "plans/measure.rs"]
mod measure;
#[path = "plans/model.rs"]
mod model;
#[path = "plans/odds.rs"]
mod odds;
#[path = "plans/options.rs"]
mod options;
#[path = "plans/run.rs"]
mod run;
#[path = "plans/sounds.rs"]
mod sounds;
#[path = "plans/typed.rs"]
mod typed;
#[path = "plans/written.rs"]
mod written;
