//! Calls that are under way.
//!
//! A request is done in slices of [`SLICE`] calls. Between two of them the conductor's loop lets time pass, so that a
//! request that expands to thousands of calls delays neither beats nor the engine's signs of life. What belongs to one
//! request still crosses to the engine together: nothing is flushed while a request is half done.

use std::collections::VecDeque;

use super::super::packet::is_pattern;
use super::super::request::{Message, Origin};
use super::super::vocabulary::Fault;
use super::Conductor;

/// Calls that are done at a time.
pub const SLICE: usize = 64;
/// Controls that one address pattern may match.
pub const MOST_MATCHES: usize = 512;
/// The longest address pattern, in bytes.
const MOST_PATTERN: usize = 256;
/// Matching a pattern against every address takes as long as so many calls, roughly.
const PATTERN_COST: usize = 16;

/// Calls of one request that are still to be done.
struct Batch {
    origin: Option<Origin>,
    /// The sample they are for; `None` is now.
    at: Option<u64>,
    calls: VecDeque<Message>,
}

/// Requests under way, oldest first.
#[derive(Default)]
pub(super) struct Work {
    batches: VecDeque<Batch>,
    /// Whether the oldest has begun.
    halfway: bool,
}

impl Work {
    /// Whether the oldest request has begun and is not yet done.
    pub(super) fn is_halfway(&self) -> bool {
        self.halfway
    }
}

impl Conductor {
    /// Queues the calls of a request behind those under way.
    pub(super) fn enqueue(&mut self, origin: Option<Origin>, calls: Vec<Message>, at: Option<u64>) {
        if !calls.is_empty() {
            self.work.batches.push_back(Batch { origin, at, calls: calls.into() });
        }
    }

    /// Whether calls are waiting to be done; [`Conductor::work`] does some of them.
    pub fn has_work(&self) -> bool {
        !self.work.batches.is_empty()
    }

    /// Does the next slice of calls.
    pub fn work(&mut self) {
        let mut spent = 0;
        while spent < SLICE {
            let Some(batch) = self.work.batches.front_mut() else { break };
            let (origin, at) = (batch.origin, batch.at);
            if let Some(call) = batch.calls.pop_front() {
                self.work.halfway = true;
                if is_pattern(&call.address) {
                    spent += PATTERN_COST;
                    self.expand(origin, call);
                } else {
                    spent += 1;
                    self.call(origin, call, at);
                }
            }
            if self.work.batches.front().is_some_and(|b| b.calls.is_empty()) {
                self.work.batches.pop_front();
                self.work.halfway = false;
                self.flush();
            }
        }
    }

    /// Does everything that is queued, for callers that have no loop of their own: offline renders and tests.
    pub fn finish_work(&mut self) {
        while self.has_work() {
            self.work();
        }
        self.flush();
    }

    /// Replaces an address pattern by calls of every control it matches, in front of what is queued.
    fn expand(&mut self, origin: Option<Origin>, message: Message) {
        let matches = self.matches(&message.address);
        let addresses = match matches {
            Ok(addresses) => addresses,
            Err(fault) => return self.fail(origin, &message.address, &fault),
        };
        let Some(batch) = self.work.batches.front_mut() else { return };
        for address in addresses.into_iter().rev() {
            batch.calls.push_front(Message::new(address, message.args.clone()));
        }
    }

    fn matches(&self, pattern: &str) -> Result<Vec<String>, Fault> {
        if pattern.len() > MOST_PATTERN {
            return Err(Fault(format!(
                "the address pattern has {} bytes; at most {MOST_PATTERN} are allowed",
                pattern.len()
            )));
        }
        let matcher =
            rosc::address::Matcher::new(pattern).map_err(|_| Fault("this is not a valid address pattern".into()))?;
        let mut found = Vec::new();
        for address in self.vocabulary.concrete() {
            if rosc::address::OscAddress::new(address.clone()).is_ok_and(|a| matcher.match_address(&a)) {
                found.push(address.clone());
            }
        }
        match found.len() {
            0 => Err(Fault("no control matches this pattern".into())),
            n if n > MOST_MATCHES => {
                Err(Fault(format!("this pattern matches {n} controls; at most {MOST_MATCHES} are allowed")))
            }
            _ => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::packet;
    use super::super::super::request::{Line, Request, When};
    use super::super::super::value::Value;
    use super::super::tests::rig;
    use super::*;

    fn request(calls: Vec<Message>) -> Request {
        let origin = Origin { line: Line::Osc(0), peer: ([10, 0, 0, 1], 9000).into(), tag: 0 };
        Request { origin: Some(origin), when: When::Now, calls }
    }

    #[test]
    fn a_request_that_expands_to_thousands_of_calls_is_done_in_slices() {
        let (_engine, mut conductor) = rig();
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

    #[test]
    fn what_a_pattern_may_cost_is_bounded() {
        let (_engine, mut conductor) = rig();
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
        let (_engine, mut conductor) = rig();
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
