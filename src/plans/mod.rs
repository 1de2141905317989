//! DJ plans: remixes in sections, each a handful of stems that sound together, played one after another.
//!
//! - [`document`]: the plan as its file says
//! - [`score`]: what will be played: lengths, fades, files, rates and volumes
//! - [`range`]: which sections of a score a text means
//!
//! `json` reads the file, `order` arranges its sections, and `remarks` collects what is unusual about it.
//!
//! Nothing here reads files, sends messages or knows the engine. Whatever a plan says, memory and time stay bounded:
//! its size, sections and stems are limited, and so are the remarks.

pub mod document;
mod json;
mod order;
pub mod range;
mod remarks;
pub mod score;

#[cfg(test)]
mod samples;
