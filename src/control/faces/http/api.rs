//! The JSON protocol of `/api/ws`: what a client may ask, and what it is told.
//!
//! This is the conversation alone, without its connection: [`Conversation::take`] reads a message, the other methods
//! say what is to be sent. Requests carry an `id` of the client's choice that comes back with the answer; answers to
//! different requests may overtake each other (a load takes longer than a level).

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::control::commands::fault::Fault;
use crate::control::commands::request::{Answer, Line, Message, Origin, Request, When};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::Vocabulary;
use crate::control::commands::{glob, json};
use crate::control::publish::events::EventLog;
use crate::control::publish::snapshot::{self, State};

/// Requests of one client that may be under way.
const MOST_PENDING: usize = 256;
/// Calls that all of them together may come to: their answers must find room on the way back.
const MOST_CALLS: usize = 400;
/// Subscriptions of one client.
const MOST_SUBSCRIPTIONS: usize = 16;
/// Paths of one subscription.
const MOST_PATHS: usize = 32;
/// Values one request may ask for.
const MOST_VALUES: usize = 300;
/// Events told at a time.
const EVENTS_AT_A_TIME: usize = 64;

/// The operations, with what they take, for the schema and for error messages.
pub const OPERATIONS: &[(&str, &str)] = &[
    ("get", "path (may hold * and ?)"),
    ("set", "path, args"),
    ("call", "path, args"),
    ("list", "path (optional, may hold * and ?)"),
    ("describe", "path"),
    ("subscribe", "paths, rate (optional, 0.1 to 50 Hz), since (optional, number of an event)"),
    ("unsubscribe", "subscription (optional; all if left out)"),
    ("ping", "nothing"),
];

/// What becomes of a message.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// This is to be sent back.
    Reply(Json),
    /// This is to be done; the answer will come.
    Forward(Request),
}

struct Pending {
    id: Json,
    /// Calls whose end has not come yet.
    open: usize,
    /// Whether the answer is values by path instead of a list of messages.
    values: bool,
    messages: Vec<Message>,
    error: Option<Fault>,
}

struct Subscription {
    number: u64,
    paths: Vec<String>,
    every: Duration,
    due: Instant,
    /// The latest change it was told of.
    told: u64,
    /// The layout that `places` are of.
    layout: u64,
    /// Paths it wants and their places on the board.
    places: Vec<(usize, Arc<snapshot::Entry>)>,
    /// The event that is told next.
    cursor: u64,
}

impl Subscription {
    fn wants_events(&self) -> bool {
        self.paths.iter().any(|p| may_be_event(p))
    }

    fn wants_states(&self) -> bool {
        self.paths.iter().any(|p| may_be_state(p))
    }
}

/// A client's session on the WebSocket: its requests under way and its subscriptions.
pub struct Conversation {
    vocabulary: Arc<Vocabulary>,
    bulletin: Arc<EventLog>,
    session: u64,
    peer: SocketAddr,
    next_tag: u64,
    pending: HashMap<u64, Pending>,
    subscriptions: Vec<Subscription>,
    next_subscription: u64,
}

/// Whether a path (or a pattern, by what stands before its first wildcard) may be one of events.
fn may_be_event(path: &str) -> bool {
    let literal = path.split(['*', '?']).next().unwrap_or_default();
    ["/event/", "/log/", "/beat"].iter().any(|p| literal.starts_with(p) || p.starts_with(literal))
}

/// Whether it may be one of states, likewise.
fn may_be_state(path: &str) -> bool {
    let literal = path.split(['*', '?']).next().unwrap_or_default();
    !["/event/", "/log/", "/beat"].iter().any(|p| literal.starts_with(p))
}

fn reply(id: &Json, result: Json) -> Json {
    json!({ "id": id, "ok": true, "result": result })
}

/// The reply to a request that failed. It names the argument at fault, if there is one.
fn refusal(id: &Json, fault: &Fault) -> Json {
    let mut error = json!({ "message": fault.to_string() });
    if let Some(name) = fault.argument {
        error["argument"] = name.into();
    }
    json!({ "id": id, "ok": false, "error": error })
}

impl Conversation {
    /// With a client at `peer`.
    pub fn new(vocabulary: Arc<Vocabulary>, bulletin: Arc<EventLog>, session: u64, peer: SocketAddr) -> Conversation {
        Conversation {
            vocabulary,
            bulletin,
            session,
            peer,
            next_tag: 1,
            pending: HashMap::new(),
            subscriptions: Vec::new(),
            next_subscription: 1,
        }
    }

    /// Reads a message.
    pub fn take(&mut self, text: &str) -> Step {
        let message: Json = match serde_json::from_str(text) {
            Ok(message @ Json::Object(_)) => message,
            Ok(_) => {
                let example = r#"expected a JSON object, as {"id":1,"op":"get","path":"/groove/master"}"#;
                return Step::Reply(refusal(&Json::Null, &Fault::refused(example)));
            }
            Err(error) => {
                return Step::Reply(refusal(&Json::Null, &Fault::refused(format!("this is not JSON: {error}"))));
            }
        };
        let id = message["id"].clone();
        if id.is_array() || id.is_object() {
            let fault = Fault::argument("id", "a list or an object", "a number or text");
            return Step::Reply(refusal(&Json::Null, &fault));
        }
        let result = match message["op"].as_str() {
            Some("get") => self.get(&id, &message),
            Some(op @ ("set" | "call")) => self.call(&id, &message, op == "set"),
            Some("list") => Ok(Step::Reply(reply(&id, self.list(message["path"].as_str().unwrap_or("*"))))),
            Some("describe") => self.describe(&message).map(|r| Step::Reply(reply(&id, r))),
            Some("subscribe") => self.subscribe(&message).map(|r| Step::Reply(reply(&id, r))),
            Some("unsubscribe") => self.unsubscribe(&message).map(|r| Step::Reply(reply(&id, r))),
            Some("ping") => Ok(Step::Reply(reply(&id, "pong".into()))),
            _ => {
                let known: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
                Err(Fault::argument("op", &message["op"], format!("one of {}", known.join(", "))))
            }
        };
        result.unwrap_or_else(|why| Step::Reply(refusal(&id, &why)))
    }

    fn path<'m>(&self, message: &'m Json) -> Result<&'m str, Fault> {
        match message["path"].as_str() {
            Some(path) if path.starts_with('/') => Ok(path),
            _ => Err(Fault::argument("path", &message["path"], "a path such as /groove/master")),
        }
    }

    fn forward(&mut self, id: &Json, calls: Vec<Message>, values: bool) -> Result<Step, Fault> {
        let calls_open: usize = self.pending.values().map(|p| p.open).sum();
        if self.pending.len() >= MOST_PENDING || calls_open + calls.len() > MOST_CALLS {
            let limit = format!("{MOST_PENDING} requests, or {MOST_CALLS} values, are under way; wait for answers");
            return Err(Fault::refused(limit));
        }
        let tag = self.next_tag;
        self.next_tag += 1;
        let open = calls.len();
        self.pending.insert(tag, Pending { id: id.clone(), open, values, messages: Vec::new(), error: None });
        let origin = Origin { line: Line::Session(self.session), peer: self.peer, tag };
        Ok(Step::Forward(Request { origin: Some(origin), when: When::Now, calls }))
    }

    fn get(&mut self, id: &Json, message: &Json) -> Result<Step, Fault> {
        let path = self.path(message)?;
        let paths: Vec<String> = if glob::is_pattern(path) {
            self.vocabulary.with_values().iter().filter(|a| glob::matches(path, a)).cloned().collect()
        } else {
            vec![path.into()]
        };
        match paths.len() {
            0 => Err(Fault::argument("path", format!("{path:?}"), "the path of a value").hint("\"list\" lists them")),
            n if n > MOST_VALUES => {
                let got = format!("{path:?}, which matches {n} values");
                Err(Fault::argument("path", got, format!("at most {MOST_VALUES}")))
            }
            _ => {
                let calls = paths.into_iter().map(|p| Message::new("/groove/get", vec![Value::from(p)])).collect();
                self.forward(id, calls, true)
            }
        }
    }

    fn call(&mut self, id: &Json, message: &Json, set: bool) -> Result<Step, Fault> {
        let path = self.path(message)?;
        let wrong = |what: &Json| Fault::argument("args", what, "a list of numbers and texts, as in [0.5, \"power\"]");
        let args = match &message["args"] {
            Json::Null => Vec::new(),
            Json::Array(items) => {
                items.iter().map(|item| json::to_value(item).ok_or_else(|| wrong(item))).collect::<Result<_, _>>()?
            }
            one => vec![json::to_value(one).ok_or_else(|| wrong(one))?],
        };
        if glob::is_osc_pattern(path) {
            return Err(Fault::argument("path", format!("{path:?}"), "one path, without wildcards"));
        }
        let (control, _) = self.vocabulary.find(path).ok_or_else(|| self.vocabulary.unknown(path))?;
        if set && !control.readable {
            let fault = Fault::argument("path", format!("{path:?}"), "a control with a value, not an action");
            return Err(fault.hint("use \"call\""));
        }
        self.forward(id, vec![Message::new(path, args)], false)
    }

    fn list(&self, pattern: &str) -> Json {
        let controls: Vec<Json> = self
            .vocabulary
            .all()
            .iter()
            .filter(|c| glob::matches(pattern, c.address))
            .map(|c| json::control(c))
            .collect();
        let streams: Vec<Json> =
            self.vocabulary.streams().iter().filter(|s| glob::matches(pattern, s.path)).map(json::stream).collect();
        json!({ "controls": controls, "streams": streams })
    }

    fn describe(&self, message: &Json) -> Result<Json, Fault> {
        let path = self.path(message)?;
        if let Some((control, _)) = self.vocabulary.find(path) {
            return Ok(json::control(control));
        }
        let stream = self.vocabulary.streams().iter().find(|s| s.path == path || s.is_instance(path));
        stream.map(json::stream).ok_or_else(|| self.vocabulary.unknown(path))
    }

    fn subscribe(&mut self, message: &Json) -> Result<Json, Fault> {
        let wrong = |got: String| {
            let expected = format!(r#"a list of 1 to {MOST_PATHS} paths, as in ["/meter/*", "/event/*"]"#);
            Fault::argument("paths", got, expected)
        };
        let paths: Vec<String> = match &message["paths"] {
            Json::String(one) => vec![one.clone()],
            Json::Array(many) => many.iter().filter_map(|p| p.as_str().map(str::to_string)).collect(),
            other => return Err(wrong(other.to_string())),
        };
        if paths.is_empty() || paths.len() > MOST_PATHS || paths.iter().any(|p| p.len() > 200) {
            return Err(wrong(format!("a list of {}", paths.len())));
        }
        for path in &paths {
            let known = glob::is_pattern(path)
                || self.vocabulary.with_values().iter().any(|a| a == path)
                || self.vocabulary.streams().iter().any(|s| s.path == path || s.is_instance(path));
            if !known {
                return Err(Fault::argument("paths", format!("{path:?}"), "paths of values, states or events"));
            }
        }
        let rate = match &message["rate"] {
            Json::Null => 10.0,
            given => match given.as_f64() {
                Some(rate) if (0.1..=50.0).contains(&rate) => rate,
                _ => return Err(Fault::argument("rate", given, "a number from 0.1 to 50 (Hz)")),
            },
        };
        let since = match &message["since"] {
            Json::Null => None,
            given => match given.as_u64() {
                Some(number) => Some(number),
                None => return Err(Fault::argument("since", given, "the number of an event")),
            },
        };
        if self.subscriptions.len() >= MOST_SUBSCRIPTIONS {
            let limit = format!("{MOST_SUBSCRIPTIONS} subscriptions are running, which is the limit");
            return Err(Fault::refused(limit).hint("unsubscribe some"));
        }
        // A number that has not been reached is from an earlier life of the daemon: then all that is kept is news.
        let next = self.bulletin.next();
        let since = since.map(|number| if number > next { 0 } else { number });
        let number = self.next_subscription;
        self.next_subscription += 1;
        self.subscriptions.push(Subscription {
            number,
            paths,
            every: Duration::from_secs_f64(1.0 / rate).max(snapshot::EVERY),
            due: Instant::now(),
            told: 0,
            layout: 0,
            places: Vec::new(),
            cursor: since.unwrap_or(next),
        });
        Ok(json!({ "subscription": number, "next_event": next, "life": self.bulletin.life() }))
    }

    fn unsubscribe(&mut self, message: &Json) -> Result<Json, Fault> {
        let before = self.subscriptions.len();
        match &message["subscription"] {
            Json::Null => self.subscriptions.clear(),
            given => {
                let number = given.as_u64();
                self.subscriptions.retain(|s| Some(s.number) != number);
                if self.subscriptions.len() == before {
                    let known: Vec<String> = self.subscriptions.iter().map(|s| s.number.to_string()).collect();
                    let expected = format!("a running subscription ([{}])", known.join(", "));
                    return Err(Fault::argument("subscription", given, expected));
                }
            }
        }
        Ok(json!({ "ended": before - self.subscriptions.len() }))
    }

    /// Reads an answer; gives back what is complete now.
    pub fn answered(&mut self, answer: Answer) -> Vec<Json> {
        let tag = answer.to.tag;
        let Some(pending) = self.pending.get_mut(&tag) else {
            // A request that is answered can still be told that it was late.
            return answer.messages.iter().map(push_message).collect();
        };
        let fault = answer.fault;
        for message in answer.messages {
            match message.address.as_str() {
                "/done" => {
                    pending.open = pending.open.saturating_sub(1);
                    if message.args.len() > 1 {
                        pending.messages.push(Message::new(message.args[0].as_text(), message.args[1..].to_vec()));
                    }
                }
                "/synced" => {
                    pending.open = pending.open.saturating_sub(1);
                    pending.messages.push(message);
                }
                "/fail" => {
                    pending.open = pending.open.saturating_sub(1);
                    pending.error = Some(fault.clone().unwrap_or_else(|| Fault::refused("the call failed")));
                }
                _ => pending.messages.push(message),
            }
        }
        if pending.open > 0 {
            return Vec::new();
        }
        let Some(done) = self.pending.remove(&tag) else { return Vec::new() };
        vec![match done.error {
            Some(why) => refusal(&done.id, &why),
            None if done.values => {
                let values: serde_json::Map<String, Json> =
                    done.messages.into_iter().map(|m| (m.address, json::list(&m.args))).collect();
                reply(&done.id, Json::Object(values))
            }
            None => {
                let messages: Vec<Json> =
                    done.messages.iter().map(|m| json!({ "path": m.address, "values": json::list(&m.args) })).collect();
                reply(&done.id, Json::Array(messages))
            }
        }]
    }

    /// Whether it wants to know what happens.
    pub fn wants_events(&self) -> bool {
        self.subscriptions.iter().any(Subscription::wants_events)
    }

    /// Whether something has happened that it was not told.
    pub fn has_news(&self) -> bool {
        let next = self.bulletin.next();
        self.subscriptions.iter().any(|s| s.wants_events() && s.cursor < next)
    }

    /// Whether it wants to know how things are.
    pub fn wants_states(&self) -> bool {
        self.subscriptions.iter().any(Subscription::wants_states)
    }

    /// The next events it wants, oldest first for each subscription; there may be more.
    pub fn events(&mut self) -> Vec<String> {
        let mut out = Vec::new();
        for s in self.subscriptions.iter_mut().filter(|s| s.wants_events()) {
            let batch = self.bulletin.since(s.cursor, EVENTS_AT_A_TIME);
            if batch.missed > 0 {
                let gap = json!({
                    "push": "gap", "subscription": s.number, "missed": batch.missed, "from": s.cursor,
                });
                out.push(gap.to_string());
            }
            s.cursor = batch.next;
            for event in batch.events {
                if s.paths.iter().any(|p| glob::matches(p, &event.path)) {
                    out.push(format!("{{\"push\":\"event\",\"subscription\":{},{}}}", s.number, event.json()));
                }
            }
        }
        out
    }

    /// When the next state is due.
    pub fn next_state(&self) -> Option<Instant> {
        self.subscriptions.iter().filter(|s| s.wants_states()).map(|s| s.due).min()
    }

    /// Lets subscriptions that are due wait until `until`: there is nothing to tell yet.
    pub fn postpone(&mut self, until: Instant) {
        self.subscriptions.iter_mut().for_each(|s| s.due = s.due.max(until));
    }

    /// What has changed for the subscriptions that are due.
    pub fn states(&mut self, now: Instant, state: &State) -> Vec<String> {
        let due = self.subscriptions.iter_mut().filter(|s| s.due <= now && s.wants_states());
        due.filter_map(|s| {
            s.due = (s.due + s.every).max(now);
            s.push(state)
        })
        .collect()
    }
}

impl Subscription {
    /// Finds its paths on the board anew. Returns those that are there no more.
    fn find(&mut self, state: &State) -> Vec<Arc<snapshot::Entry>> {
        let wants = |entry: &snapshot::Entry| self.paths.iter().any(|p| glob::matches(p, &entry.path));
        let found = state.entries.iter().enumerate().filter(|(_, e)| wants(e)).map(|(k, e)| (k, e.clone())).collect();
        let before = std::mem::replace(&mut self.places, found);
        self.layout = state.layout;
        before.into_iter().map(|(_, entry)| entry).filter(|entry| state.get(&entry.path).is_none()).collect()
    }

    /// What it has not been told of, as a push; `None`: nothing.
    fn push(&mut self, state: &State) -> Option<String> {
        let gone = if self.layout == state.layout { Vec::new() } else { self.find(state) };
        let mut text =
            format!("{{\"push\":\"state\",\"subscription\":{},\"time\":{},\"values\":{{", self.number, state.time);
        let empty = text.len();
        let mut add = |member: &str| {
            if text.len() > empty {
                text.push(',');
            }
            text.push_str(member);
        };
        for (place, _) in &self.places {
            if let Some(entry) = state.entries.get(*place).filter(|entry| entry.change > self.told) {
                add(entry.json());
            }
        }
        for entry in gone {
            // A stem that was unloaded, a player that stopped.
            add(&format!("{}:null", Json::from(entry.path.as_str())));
        }
        self.told = state.change;
        let changed = text.len() > empty;
        text.push_str("}}");
        changed.then_some(text)
    }
}

fn push_message(message: &Message) -> Json {
    json!({ "push": "message", "path": message.address, "values": json::list(&message.args) })
}

/// The protocol as a JSON schema, with every control and stream.
pub fn schema(vocabulary: &Vocabulary) -> Json {
    let scalar = json!({ "type": ["number", "string", "boolean"] });
    let values = json!({ "type": "array", "items": { "type": ["number", "string", "null"] } });
    let id = json!({ "type": ["number", "string", "null"] });
    let path = json!({ "type": "string", "pattern": "^/" });
    let request = |op: &str, properties: Json, required: Json| {
        let mut all = json!({ "id": id, "op": { "const": op } });
        if let (Json::Object(all), Json::Object(more)) = (&mut all, properties) {
            all.extend(more);
        }
        json!({ "title": op, "type": "object", "properties": all, "required": required })
    };
    let args = json!({ "anyOf": [scalar, { "type": "array", "items": scalar }] });
    let paths = json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "grooved /api/ws",
        "description": "Requests a client sends, and what it gets: answers with the id of their request, and pushes.",
        "anyOf": [{ "$ref": "#/$defs/request" }, { "$ref": "#/$defs/answer" }, { "$ref": "#/$defs/push" }],
        "$defs": {
            "request": { "oneOf": [
                request("get", json!({ "path": path }), json!(["op", "path"])),
                request("set", json!({ "path": path, "args": args }), json!(["op", "path"])),
                request("call", json!({ "path": path, "args": args }), json!(["op", "path"])),
                request("list", json!({ "path": { "type": "string" } }), json!(["op"])),
                request("describe", json!({ "path": path }), json!(["op", "path"])),
                request(
                    "subscribe",
                    json!({
                        "paths": paths,
                        "rate": { "type": "number", "minimum": 0.1, "maximum": 50 },
                        "since": { "type": "integer", "minimum": 0 },
                    }),
                    json!(["op", "paths"]),
                ),
                request("unsubscribe", json!({ "subscription": { "type": "integer" } }), json!(["op"])),
                request("ping", json!({}), json!(["op"])),
            ] },
            "answer": { "oneOf": [
                {
                    "type": "object",
                    "properties": { "id": id, "ok": { "const": true }, "result": {} },
                    "required": ["id", "ok", "result"],
                },
                {
                    "type": "object",
                    "properties": {
                        "id": id,
                        "ok": { "const": false },
                        "error": {
                            "type": "object",
                            "properties": { "message": { "type": "string" }, "argument": { "type": "string" } },
                            "required": ["message"],
                        },
                    },
                    "required": ["id", "ok", "error"],
                },
            ] },
            "push": { "oneOf": [
                {
                    "title": "state",
                    "type": "object",
                    "properties": {
                        "push": { "const": "state" },
                        "subscription": { "type": "integer" },
                        "time": { "type": "integer" },
                        "values": { "type": "object", "additionalProperties": { "anyOf": [values, { "type": "null" }] } },
                    },
                    "required": ["push", "subscription", "time", "values"],
                },
                {
                    "title": "event",
                    "type": "object",
                    "properties": {
                        "push": { "const": "event" },
                        "subscription": { "type": "integer" },
                        "number": { "type": "integer" },
                        "at": { "type": "number" },
                        "path": path,
                        "values": values,
                    },
                    "required": ["push", "number", "at", "path", "values"],
                },
                {
                    "title": "gap",
                    "type": "object",
                    "properties": {
                        "push": { "const": "gap" },
                        "subscription": { "type": "integer" },
                        "missed": { "type": "integer" },
                        "from": { "type": "integer" },
                    },
                    "required": ["push", "missed"],
                },
                {
                    "title": "message",
                    "type": "object",
                    "properties": { "push": { "const": "message" }, "path": path, "values": values },
                    "required": ["push", "path", "values"],
                },
            ] },
        },
        "x-controls": vocabulary.all().iter().map(|c| json::control(c)).collect::<Vec<_>>(),
        "x-streams": vocabulary.streams().iter().map(json::stream).collect::<Vec<_>>(),
    })
}
