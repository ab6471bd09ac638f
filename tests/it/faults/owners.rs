//! A session keeps its owner when Zep's answers cannot be trusted.

use serde_json::json;

use crate::common::program::World;
use crate::common::service::Service;

#[test]
fn a_thread_whose_making_is_answered_with_nonsense_is_looked_at_before_it_is_written_to() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    let add = |user: &str| json!({"text": "mine", "user_id": user, "session_id": "monday"});
    client.call("add_memory", add("ann"));
    // Bob's server is told that the thread does not exist, and the answer to its creation says neither
    // that it exists now nor whose it is: as if Ann's was created in between.
    let threads = "/api/v2/threads";
    service.next(&json!([
        {"method": "GET", "path": "/api/v2/threads/monday/", "fault": {"kind": "fail", "status": 404}},
        {"method": "POST", "route": threads, "times": 3,
         "fault": {"kind": "garbage_answer", "body": "{\"status\":\"ok\"}"}},
    ]));
    client.call("add_memory", add("bob"));
    assert_eq!(service.messages("monday").len(), 1);
    assert_eq!(service.messages("monday::zm::bob").len(), 1);
}
