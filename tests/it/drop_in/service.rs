//! The emulator's control interface: the requests it received, and its behaviour.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::common::program::World;

/// The requests that it received during some work, by `METHOD route`.
pub fn requests(world: &World, what: impl FnOnce()) -> BTreeMap<String, u64> {
    ask(world, "POST", "reset-stats", None);
    what();
    let stats = ask(world, "GET", "stats", None);
    serde_json::from_value(stats["requests"].clone()).unwrap()
}

/// Changes one behaviour of the emulator.
pub fn behave(world: &World, behavior: &Value) {
    ask(world, "PATCH", "behavior", Some(behavior));
}

fn ask(world: &World, method: &str, what: &str, body: Option<&Value>) -> Value {
    let address = world.address().trim_start_matches("http://");
    let body = body.map_or_else(String::new, Value::to_string);
    let mut line = TcpStream::connect(address).unwrap();
    write!(
        line,
        "{method} /_emulator/{what} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    line.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
    serde_json::from_str(body).unwrap()
}
