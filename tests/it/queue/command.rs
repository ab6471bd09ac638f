//! `zep-mcp-server queue`, and what `doctor` says of it.

use serde_json::{Value, json};

use super::{away, connect, contents, entries, hurried, queue, queued};
use crate::common::program::World;
use crate::common::service::Service;
use crate::common::wait_until;

#[test]
fn what_waits_is_listed_shown_forgotten_and_sent() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    away(&service);
    for text in ["secret one", "secret two"] {
        queued(&mut client, json!({"user_id": "ann", "text": text}));
    }
    drop(client);
    let listed = entries(&world);
    assert_eq!(listed.len(), 2);
    assert!(!json!(listed).to_string().contains("secret"), "{listed:?}");
    assert_eq!(
        (&listed[0]["user_id"], &listed[0]["state"]),
        (&json!("ann"), &json!("waiting"))
    );
    let first = listed[0]["number"].to_string();
    let shown = queue(&world, &["show", &first]);
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains("secret one"),
        "{shown:?}"
    );
    let unasked = queue(&world, &["drop", &first]);
    assert_eq!(unasked.status.code(), Some(2), "{unasked:?}");
    let flushed = queue(&world, &["flush", "--wait", "1"]);
    assert_eq!(flushed.status.code(), Some(1), "{flushed:?}");
    wait_until("its claim is over", || {
        queue(&world, &["drop", &first, "--yes"]).status.success()
    });
    service.calm();
    wait_until("it is sent", || {
        queue(&world, &["flush", "--wait", "60"]).status.success()
    });
    assert_eq!(contents(&service.texts("ann")), ["secret two"]);
    let missing = queue(&world, &["show", &first]);
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
}

#[test]
fn what_zep_refuses_for_good_is_kept_and_told() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = connect(&world);
    away(&service);
    let id = queued(&mut client, json!({"user_id": "ann", "text": "has a cat"}));
    service.plan(&json!({"fail": [{"rate": 1.0, "status": 400}]}));
    let status = |client: &mut crate::common::program::Client| {
        client.call("get_event_status", json!({"event_id": id}))
    };
    wait_until("it is refused", || entries(&world)[0]["state"] == "refused");
    let event = status(&mut client);
    assert_eq!(event["status"], "FAILED", "{event}");
    assert!(event["reason"].is_string(), "{event}");
    service.calm();
    let doctor = hurried(&world).args(["doctor", "--json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let check = checks
        .iter()
        .find(|check| check["name"] == "queue")
        .unwrap();
    assert_eq!(check["state"], "failed", "{check}");
    // It does not hold up others.
    client.call("add_memory", json!({"user_id": "ann", "text": "has a dog"}));
    wait_until("it is sent", || entries(&world).len() == 1);
    assert_eq!(contents(&service.texts("ann")), ["has a dog"]);
    // A change of it is another try.
    client.call(
        "update_memory",
        json!({"memory_id": id, "text": "has a tomcat"}),
    );
    wait_until("it is sent", || entries(&world).is_empty());
    assert_eq!(service.texts("ann").len(), 2);
}
