//! OSCQuery: the tree of controls for editors and other programs.
//!
//! Follows the OSCQuery proposal (github.com/Vidvox/OSCQueryProposal): every path returns its node, `?ATTRIBUTE` only
//! that attribute, and `?HOST_INFO` the server's features and its OSC port. Clients receive changed values over a
//! WebSocket after sending LISTEN. The tree is also served at the root, where clients expect it.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json, json};

use super::{AppState, as_json, problem};
use crate::control::commands::value::Value;
use crate::control::commands::vocabulary::{Arg, Control, Default, Kind, Vocabulary, deck_name};

/// Attributes that can be queried individually.
const ATTRIBUTES: &[&str] =
    &["FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT", "CLIPMODE"];

/// Returns whether a control exists at `path` or below it.
pub fn has(vocabulary: &Vocabulary, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let below = format!("{path}/");
    !path.is_empty() && vocabulary.concrete().iter().any(|a| a == path || a.starts_with(&below))
}

/// Answers a request for the node at `path`, for one of its attributes (`query`), or for HOST_INFO.
pub async fn answer(links: &AppState, path: &str, query: Option<&str>, headers: &HeaderMap) -> Response {
    let attribute = query
        .unwrap_or_default()
        .split('&')
        .find(|part| !part.is_empty() && !part.starts_with("token="))
        .map(|part| part.split('=').next().unwrap_or(part));
    if attribute == Some("HOST_INFO") {
        return as_json(&host_info(links, headers));
    }
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    if path != "/" && !has(&links.vocabulary, path) {
        return problem(StatusCode::NOT_FOUND, &format!("{path}: {}", links.vocabulary.unknown(path)));
    }
    let values = now(links).await;
    let node = tree(&links.vocabulary, path, &values);
    match attribute {
        None => as_json(&node),
        Some(name) if ATTRIBUTES.contains(&name) => match node.get(name) {
            Some(value) => as_json(&json!({ name: value })),
            // As the proposal requires for an attribute that the node lacks.
            None => StatusCode::NO_CONTENT.into_response(),
        },
        Some(name) => problem(
            StatusCode::BAD_REQUEST,
            &format!("unknown attribute {name}: expected HOST_INFO or one of {}", ATTRIBUTES.join(", ")),
        ),
    }
}

/// Returns the current values. Subscribing makes the conductor write a new snapshot, which takes a few milliseconds.
async fn now(links: &AppState) -> BTreeMap<String, Vec<Value>> {
    let mut board = links.board.look();
    board.mark_unchanged();
    let _ = tokio::time::timeout(Duration::from_millis(500), board.changed()).await;
    let state = board.borrow().clone();
    state.entries.iter().map(|e| (e.path.clone(), e.values.clone())).collect()
}

fn host_info(links: &AppState, headers: &HeaderMap) -> Json {
    // The client reached us by this host name, so it can reach us by it again.
    let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().unwrap_or(80)),
        None => (host, 80u16),
    };
    let ip = name.trim_start_matches('[').trim_end_matches(']');
    let extensions: Map<String, Json> =
        ["ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT", "CLIPMODE", "TYPE", "LISTEN"]
            .iter()
            .map(|name| ((*name).to_string(), Json::Bool(true)))
            .collect();
    let mut info = json!({
        "NAME": "grooved",
        "EXTENSIONS": extensions,
        "OSC_PORT": links.osc_ports.first(),
        "OSC_TRANSPORT": "UDP",
        "WS_PORT": port,
    });
    // If omitted, they default to the host of the request, which is correct for host names.
    if ip.parse::<std::net::IpAddr>().is_ok() {
        info["OSC_IP"] = ip.into();
        info["WS_IP"] = ip.into();
    }
    info
}

/// Returns the node at `path` with everything below it. Realtime: no.
pub fn tree(vocabulary: &Vocabulary, path: &str, values: &BTreeMap<String, Vec<Value>>) -> Json {
    let mut root = container("/");
    let below = if path == "/" { "/".to_string() } else { format!("{path}/") };
    for address in vocabulary.concrete() {
        if *address != path && !address.starts_with(&below) {
            continue;
        }
        let Some((control, _)) = vocabulary.find(address) else { continue };
        let mut node = &mut root;
        let mut full = String::new();
        for part in address.split('/').skip(1) {
            full.push('/');
            full.push_str(part);
            if node["CONTENTS"].is_null() {
                node["CONTENTS"] = json!({});
            }
            let contents = &mut node["CONTENTS"];
            if contents[part].is_null() {
                contents[part] = container(&full);
            }
            node = &mut contents[part];
        }
        describe(node, control, values.get(address));
    }
    let mut node = &root;
    for part in path.split('/').filter(|p| !p.is_empty()) {
        node = &node["CONTENTS"][part];
    }
    node.clone()
}

fn container(path: &str) -> Json {
    json!({ "FULL_PATH": path, "ACCESS": 0, "CONTENTS": {} })
}

fn describe(node: &mut Json, control: &Control, values: Option<&Vec<Value>>) {
    node["DESCRIPTION"] = control.doc.into();
    // A bit mask: 1 is readable, 2 is writable.
    node["ACCESS"] = if control.readable { 3 } else { 2 }.into();
    // A node's types are those of its values, which do not include the duration of a move to them.
    let of_value = |a: &&Arg| !control.readable || a.default != Default::Keep;
    let args: Vec<&Arg> = control.args.iter().filter(|a| a.kind != Kind::Rest).filter(of_value).collect();
    if node["CONTENTS"].as_object().is_some_and(Map::is_empty)
        && let Some(object) = node.as_object_mut()
    {
        object.remove("CONTENTS");
    }
    if args.is_empty() {
        // A command without arguments: an impulse.
        node["TYPE"] = "I".into();
        return;
    }
    node["TYPE"] = args.iter().map(|a| type_tag(a.kind)).collect::<String>().into();
    node["RANGE"] = args.iter().map(|a| range(a.kind)).collect();
    node["UNIT"] = args.iter().map(|a| Json::from(a.unit)).collect();
    node["CLIPMODE"] =
        args.iter().map(|a| Json::from(if matches!(a.kind, Kind::Clamped(..)) { "both" } else { "none" })).collect();
    if let Some(values) = values {
        node["VALUE"] = crate::control::commands::json::list(values);
    }
}

fn type_tag(kind: Kind) -> char {
    match kind {
        Kind::Int(..) => 'i',
        Kind::Flag => 'i',
        Kind::Float(..) | Kind::Clamped(..) => 'f',
        Kind::Each(_) => 'i',
        Kind::Text | Kind::Deck | Kind::Band | Kind::Choice(_) | Kind::Rest => 's',
    }
}

fn range(kind: Kind) -> Json {
    match kind {
        Kind::Int(min, max) => json!({ "MIN": min, "MAX": max }),
        Kind::Float(min, max) | Kind::Clamped(min, max) => json!({ "MIN": min, "MAX": max }),
        Kind::Flag => json!({ "MIN": 0, "MAX": 1 }),
        Kind::Deck => json!({ "VALS": (0..crate::engine::DECKS).map(deck_name).collect::<Vec<_>>() }),
        Kind::Each(max) => json!({ "MIN": 1, "MAX": max }),
        Kind::Band => json!({ "VALS": ["low", "mid", "high"] }),
        Kind::Choice(words) => json!({ "VALS": words }),
        Kind::Text | Kind::Rest => Json::Null,
    }
}
