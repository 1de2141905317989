//! The JSON protocol of `/api/ws`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use grooved::control::commands::request::{Answer, Message};
use grooved::control::commands::value::Value;
use grooved::control::commands::vocabulary::Vocabulary;
use grooved::control::faces::http::api::{Conversation, Step};
use grooved::control::publish::events::EventLog;
use grooved::control::publish::snapshot::{State, StateSnapshot};
use grooved::control::table;

use super::Target;

/// A conversation, one message per line. Forwarded requests are answered; states and events are sent after each line.
pub const API: Target = Target { name: "api", run, seeds, words: WORDS };

const WORDS: &[&str] = &[
    "{\"id\":1,\"op\":\"get\",\"path\":\"/groove/master\"}",
    "\"op\":\"set\"",
    "\"op\":\"call\"",
    "\"op\":\"list\"",
    "\"op\":\"describe\"",
    "\"op\":\"subscribe\"",
    "\"op\":\"unsubscribe\"",
    "\"op\":\"ping\"",
    "\"args\":[",
    "\"paths\":[",
    "\"rate\":50",
    "\"since\":0",
    "\"subscription\":1",
    "\"/event/*\"",
    "\"/log/*\"",
    "\"/meter/*\"",
    "\"/*\"",
    "\"/groove/deck/*/level\"",
    "null",
    "true",
    "1e308",
    "18446744073709551615",
    "[",
    "]",
    "{",
    "}",
    ",",
    "?",
    "*",
    "\n",
];

static VOCABULARY: LazyLock<Arc<Vocabulary>> = LazyLock::new(|| table::table(true, 2).vocabulary());

/// Two consecutive states; the second lacks one value of the first.
static STATES: LazyLock<[Arc<State>; 2]> = LazyLock::new(|| {
    let board = StateSnapshot::default();
    let look = board.look();
    let mut values: BTreeMap<String, Vec<Value>> =
        VOCABULARY.with_values().iter().take(60).map(|p| (p.clone(), vec![Value::Float(0.5), "x".into()])).collect();
    [0, 1].map(|k| {
        values.insert("/groove/master".into(), vec![Value::Int(k)]);
        if k == 1 {
            values.pop_last();
        }
        board.write(k as u64, values.clone());
        look.borrow().clone()
    })
});

/// Runs the target [`API`].
pub fn run(data: &[u8]) {
    let bulletin = Arc::new(EventLog::default());
    let peer = SocketAddr::from(([127, 0, 0, 1], 9));
    let mut conversation = Conversation::new(VOCABULARY.clone(), bulletin.clone(), 1, peer);
    let mut now = Instant::now();
    for (k, line) in String::from_utf8_lossy(data).lines().enumerate() {
        match conversation.take(line) {
            Step::Reply(json) => assert!(json["ok"].is_boolean(), "{json}"),
            Step::Forward(request) => {
                assert!(!request.calls.is_empty());
                let to = request.origin.expect("it is from a session");
                // Every third request remains unanswered.
                for call in request.calls.iter().filter(|_| k % 3 != 2) {
                    let end = if k % 2 == 0 { "/done" } else { "/fail" };
                    let messages = vec![
                        Message::new(call.address.clone(), call.args.clone()),
                        Message::new(end, vec![Value::from(call.address.as_str()), "argument 'x' is wrong".into()]),
                    ];
                    conversation.answered(Answer { to, messages, push: false, fault: None });
                }
            }
        }
        bulletin.post("/event/fuzz", vec![Value::Int(k as i64)]);
        now += Duration::from_secs(10);
        if conversation.wants_states() {
            for text in conversation.states(now, &STATES[k % 2]) {
                assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{text}");
            }
        }
        // Events are sent a limited number at a time; one was posted for each line.
        for _ in 0..=k {
            if !conversation.has_news() {
                break;
            }
            conversation.events();
        }
        assert!(!conversation.has_news());
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let lines = [
        r#"{"id":1,"op":"get","path":"/groove/master"}"#,
        r#"{"id":"a","op":"get","path":"/groove/deck/*/level"}"#,
        r#"{"id":2,"op":"set","path":"/groove/deck/a/level","args":[0.5]}"#,
        r#"{"id":3,"op":"call","path":"/groove/stem/play","args":[100,1.0,0.8,true]}"#,
        r#"{"op":"call","path":"/groove/tempo","args":120}"#,
        r#"{"id":4,"op":"list","path":"/groove/deck/*"}"#,
        r#"{"id":5,"op":"describe","path":"/groove/deck/a/level"}"#,
        r#"{"id":6,"op":"subscribe","paths":["/groove/master","/meter/*","/event/*"],"rate":50,"since":0}"#,
        r#"{"id":7,"op":"subscribe","paths":"*"}"#,
        r#"{"id":8,"op":"unsubscribe","subscription":1}"#,
        r#"{"id":9,"op":"ping"}"#,
    ];
    let mut seeds: Vec<Vec<u8>> = lines.iter().map(|l| l.as_bytes().to_vec()).collect();
    seeds.push(lines.join("\n").into_bytes());
    seeds
}
