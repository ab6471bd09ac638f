//! A call that is repeated with its key while Zep does not say what is stored.

use serde_json::json;

use crate::common::program::{Client, World};
use crate::common::service::Service;

#[test]
fn a_repeat_that_cannot_look_does_not_say_that_nothing_is_stored() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = Client::connect(world.unqueued().env("ZEP_TIMEOUT_SECS", "5"));
    for (n, place) in [json!({"session_id": "s"}), json!({})]
        .into_iter()
        .enumerate()
    {
        let mut arguments = place;
        arguments["text"] = json!("Likes tea");
        arguments["user_id"] = json!("jane");
        arguments["idempotency_key"] = json!(format!("key-{n}"));
        client.call("add_memory", arguments.clone());
        for fault in [
            json!({"rate": 1.0, "status": 503}),
            json!({"rate": 1.0, "status": 401}),
        ] {
            service.plan(&json!({ "fail": [fault] }));
            // A server that has resolved no session yet, and one that has.
            let mut other = Client::connect(world.unqueued().env("ZEP_TIMEOUT_SECS", "5"));
            for client in [&mut other, &mut client] {
                let refused = client.refused("add_memory", arguments.clone());
                assert_eq!(refused["error"], "partly_stored", "{refused}");
                assert_eq!(refused["in_doubt"], true);
                assert_eq!(refused["stored_count"], 0);
                assert_eq!(refused["idempotency_key"], arguments["idempotency_key"]);
            }
            service.calm();
        }
        let again = client.call("add_memory", arguments);
        assert_eq!(again["results"].as_array().unwrap().len(), 1);
    }
    assert_eq!(service.messages("s").len(), 1);
    assert_eq!(service.texts("jane").len(), 1);
}
