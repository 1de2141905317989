//! Calls that are under way.
//!
//! A request is done in slices of [`SLICE`] calls. Between two of them the conductor's loop lets time pass, so that a
//! request that expands to thousands of calls delays neither beats nor the engine's signs of life. The calls of one
//! request still reach the engine together: nothing is flushed while a request is half done.

use std::collections::VecDeque;

use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Message, Origin};
use crate::control::commands::vocabulary::Vocabulary;

/// Calls that are done at a time.
pub const SLICE: usize = 64;
/// Controls that one address pattern may match.
pub const MOST_MATCHES: usize = 512;
/// The longest address pattern, in bytes.
const MOST_PATTERN: usize = 256;
/// What matching a pattern against every address costs, in calls, roughly.
pub const PATTERN_COST: usize = 16;

/// Calls of one request that are still to be done.
struct Batch {
    origin: Option<Origin>,
    /// The sample they are for; `None` is now.
    at: Option<u64>,
    calls: VecDeque<Message>,
}

/// Requests under way, oldest first.
#[derive(Default)]
pub struct Work {
    batches: VecDeque<Batch>,
}

/// A call that is to be done now.
pub struct Step {
    /// Who made it.
    pub origin: Option<Origin>,
    /// The sample it is for; `None` is now.
    pub at: Option<u64>,
    /// The call.
    pub call: Message,
}

impl Work {
    /// Queues the calls of a request behind those under way.
    pub fn push(&mut self, origin: Option<Origin>, calls: Vec<Message>, at: Option<u64>) {
        if !calls.is_empty() {
            self.batches.push_back(Batch { origin, at, calls: calls.into() });
        }
    }

    /// Whether no calls are waiting.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    /// Takes the next call of the oldest request.
    pub fn take(&mut self) -> Option<Step> {
        let batch = self.batches.front_mut()?;
        let call = batch.calls.pop_front()?;
        Some(Step { origin: batch.origin, at: batch.at, call })
    }

    /// Puts calls in front of those that are left of the oldest request.
    pub fn put_in_front(&mut self, calls: impl DoubleEndedIterator<Item = Message>) {
        if let Some(batch) = self.batches.front_mut() {
            calls.rev().for_each(|call| batch.calls.push_front(call));
        }
    }

    /// Ends the oldest request if all its calls are done; returns whether it did.
    pub fn end_finished(&mut self) -> bool {
        let finished = self.batches.front().is_some_and(|b| b.calls.is_empty());
        if finished {
            self.batches.pop_front();
        }
        finished
    }
}

/// The addresses that an address pattern matches.
///
/// # Errors
/// If it is too long, not a pattern, or matches none or too many.
pub fn matches(vocabulary: &Vocabulary, pattern: &str) -> Result<Vec<String>, Fault> {
    if pattern.len() > MOST_PATTERN {
        return Err(Fault::refused(format!(
            "the address pattern has {} bytes; at most {MOST_PATTERN} are allowed",
            pattern.len()
        )));
    }
    let matcher =
        rosc::address::Matcher::new(pattern).map_err(|_| Fault::refused("this is not a valid address pattern"))?;
    let mut found = Vec::new();
    for address in vocabulary.concrete() {
        if rosc::address::OscAddress::new(address.clone()).is_ok_and(|a| matcher.match_address(&a)) {
            found.push(address.clone());
        }
    }
    match found.len() {
        0 => Err(Fault::refused("no control matches this pattern")),
        n if n > MOST_MATCHES => {
            Err(Fault::refused(format!("this pattern matches {n} controls; at most {MOST_MATCHES} are allowed")))
        }
        _ => Ok(found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Conductor;
    use super::super::rig::conductor;
    use super::*;
    use crate::control::commands::packet;
    use crate::control::commands::request::{Line, Request, When};
    use crate::control::commands::value::Value;
    use crate::engine::{Block, GRID};

    fn request(calls: Vec<Message>) -> Request {
        let origin = Origin { line: Line::Osc(0), peer: ([10, 0, 0, 1], 9000).into(), tag: 0 };
        Request { origin: Some(origin), when: When::Now, calls }
    }

    #[test]
    fn a_request_that_expands_to_thousands_of_calls_is_done_in_slices() {
        let (_engine, mut conductor) = conductor();
        conductor.accept(request(vec![Message::new("/groove/*/*/*", vec![]); 8]));
        conductor.accept(request(vec![Message::new("/sync", vec![7i64.into()])]));
        let (mut slices, mut answers) = (0, 0);
        while conductor.has_work() {
            conductor.work();
            let made = conductor.take_answers().len();
            assert!(made <= SLICE + PATTERN_COST, "{made} answers of one slice");
            (slices, answers) = (slices + 1, answers + made);
        }
        assert!(answers > 300 && slices > 5, "{answers} answers in {slices} slices");
    }

    /// Such a request once filled the queue beyond the point where work stops, and nothing crossed while it was half done.
    #[test]
    fn a_request_that_is_more_than_the_engine_takes_at_once_blocks_nothing() {
        let (mut engine, mut conductor) = conductor();
        let mut block = Block::new(2, GRID);
        let origin = Origin { line: Line::Osc(0), peer: ([10, 0, 0, 1], 9000).into(), tag: 0 };
        let call = Message::new("/deck_levels", vec![Value::Float(1.0); 4]);
        conductor.schedule_at(0.1, Some(origin), vec![call; 1_000]).unwrap();
        let mut turn = |conductor: &mut Conductor| {
            conductor.tick();
            if conductor.has_work() && !conductor.is_behind() {
                conductor.work();
            }
            engine.render(&mut block);
        };
        for _ in 0..500 {
            turn(&mut conductor);
        }
        assert!(!conductor.has_work() && !conductor.is_behind());
        conductor.take_answers();
        conductor.accept(request(vec![Message::new("/sync", vec![7i64.into()])]));
        for _ in 0..100 {
            turn(&mut conductor);
        }
        let answers = conductor.take_answers();
        assert!(answers.iter().any(|a| a.messages[0].address == "/synced"), "{answers:?}");
    }

    #[test]
    fn what_a_pattern_may_cost_is_bounded() {
        let (_engine, mut conductor) = conductor();
        let mut why = |address: &str| {
            conductor.handle(request(vec![Message::new(address, vec![])]));
            let answers = conductor.take_answers();
            assert_eq!(answers.len(), 1);
            answers[0].messages[0].args[1].as_text()
        };
        assert!(why("/{a,b").contains("not a valid address pattern"));
        assert!(why("/groove/*/nothing").contains("no control matches"));
        assert!(why(&format!("/{}*", "a".repeat(300))).contains("302 bytes; at most 256"));
    }

    #[test]
    fn schedules_that_schedule_schedules_are_refused() {
        let (_engine, mut conductor) = conductor();
        let nested = |levels: usize| {
            let at = || [Value::Float(1.0), Value::from("/groove/at")];
            let mut args: Vec<Value> = (1..levels).flat_map(|_| at()).collect();
            args.extend([Value::Float(1.0), Value::from("/groove/tempo"), Value::Float(120.0)]);
            packet::messages(&packet::encode(&[Message::new("/groove/at", args)]).unwrap()).unwrap()
        };
        for (levels, wanted) in [(1, "/done"), (5, "/done"), (6, "/fail"), (2_000, "/fail")] {
            conductor.handle(request(nested(levels)));
            let answers = conductor.take_answers();
            assert_eq!(answers[0].messages[0].address, wanted, "{levels} levels: {answers:?}");
        }
    }
}
