//! Several ids mean their intersection, never their union; where that cannot be separated, nothing
//! is deleted.

use serde_json::{Value, json};

use super::{add, add_all, listed};
use crate::common::on_both_backends;
use crate::common::program::{Client, World};
use crate::common::service::Service;

on_both_backends!(
    an_agents_memories_of_a_user_go_and_the_rest_stays,
    all_ids_must_fit_at_once,
    a_shared_conversation_is_refused_and_nothing_goes,
    an_app_alone_is_the_default_users,
    a_long_turn_counts_whole,
);

/// Every combination of an agent and an app, as a text and in a conversation of its own.
fn furnish(client: &mut Client, user: &str) {
    for agent in [None, Some("bot"), Some("other")] {
        for app in [None, Some("shop"), Some("bank")] {
            let call = json!({"text": "Marker", "user_id": user, "agent_id": agent, "app_id": app});
            add(client, call.clone());
            let mut turn = call;
            turn["session_id"] = json!(format!("s {agent:?} {app:?}"));
            for _ in 0..2 {
                add(client, turn.clone());
            }
        }
    }
}

/// How many texts and messages an agent and an app have.
fn of(client: &mut Client, user: &str, agent: &str, app: &str) -> usize {
    let memories = listed(client, user);
    let is = |memory: &&Value| memory["agent_id"] == agent && memory["app_id"] == app;
    memories.iter().filter(is).count()
}

fn removed(sessions: u64, messages: u64, memories: u64) -> Value {
    json!({"entity": false, "sessions": sessions, "messages": messages, "memories": memories, "facts": 0})
}

fn an_agents_memories_of_a_user_go_and_the_rest_stays(world: &World) {
    let mut client = world.connect();
    furnish(&mut client, "ann");
    furnish(&mut client, "bob");
    add(&mut client, json!({"text": "Marker", "agent_id": "bot"}));
    assert_eq!(listed(&mut client, "ann").len(), 27);
    let deleted = client.call(
        "delete_all_memories",
        json!({"user_id": "ann", "agent_id": "bot"}),
    );
    assert_eq!(deleted["removed"], removed(3, 6, 3), "{deleted}");
    let left = listed(&mut client, "ann");
    assert_eq!(left.len(), 18);
    assert!(left.iter().all(|memory| memory["agent_id"] != "bot"));
    assert_eq!(
        client.call("list_sessions", json!({"user_id": "ann"}))["total_count"],
        6
    );
    assert_eq!(listed(&mut client, "bob").len(), 27);
    assert_eq!(
        client
            .search(json!({"query": "marker", "agent_id": "bot"}))
            .len(),
        1
    );
    let deleted = client.call(
        "delete_all_memories",
        json!({"user_id": "ann", "app_id": "shop"}),
    );
    assert_eq!(deleted["removed"], removed(2, 4, 2), "{deleted}");
    assert_eq!(listed(&mut client, "ann").len(), 12);
    assert_eq!(listed(&mut client, "bob").len(), 27);
}

fn all_ids_must_fit_at_once(world: &World) {
    let mut client = world.connect();
    furnish(&mut client, "ann");
    let both = json!({"user_id": "ann", "agent_id": "bot", "app_id": "shop"});
    assert_eq!(
        client.call("delete_all_memories", both)["removed"],
        removed(1, 2, 1)
    );
    assert_eq!(listed(&mut client, "ann").len(), 24);
    assert_eq!(of(&mut client, "ann", "bot", "shop"), 0);
    assert_eq!(
        (
            of(&mut client, "ann", "bot", "bank"),
            of(&mut client, "ann", "other", "shop")
        ),
        (3, 3)
    );
    let session = "s Some(\"bot\") Some(\"bank\")";
    let of_another = json!({"user_id": "ann", "run_id": session, "agent_id": "other"});
    assert_eq!(
        client.call("delete_all_memories", of_another)["removed"],
        removed(0, 0, 0)
    );
    let of_all = json!({"user_id": "ann", "run_id": session, "agent_id": "bot", "app_id": "bank"});
    assert_eq!(
        client.call("delete_all_memories", of_all)["removed"],
        removed(1, 2, 0)
    );
    // Its text belongs to no conversation.
    assert_eq!(of(&mut client, "ann", "bot", "bank"), 1);
    assert_eq!(listed(&mut client, "ann").len(), 22);
}

fn a_shared_conversation_is_refused_and_nothing_goes(world: &World) {
    let mut client = world.connect();
    let say = |client: &mut Client, agent: Value| {
        add(
            client,
            json!({"text": "Marker", "user_id": "ann", "session_id": "shared", "agent_id": agent}),
        );
    };
    say(&mut client, json!("bot"));
    add(
        &mut client,
        json!({"text": "Marker", "user_id": "ann", "agent_id": "bot"}),
    );
    add(
        &mut client,
        json!({"text": "Marker", "user_id": "ann", "session_id": "own", "agent_id": "bot"}),
    );
    for with in [json!("other"), Value::Null] {
        say(&mut client, with);
        let all = listed(&mut client, "ann").len();
        for scope in [
            json!({"user_id": "ann", "agent_id": "bot"}),
            json!({"user_id": "ann", "agent_id": "bot", "run_id": "shared"}),
        ] {
            let error = client.refused("delete_all_memories", scope);
            assert_eq!(error["error"], "shared_scope", "{error}");
            let detail = error["detail"].as_str().unwrap();
            assert!(
                detail.contains("`shared`") && detail.contains("nothing was deleted"),
                "{detail}"
            );
        }
        assert_eq!(listed(&mut client, "ann").len(), all);
        assert_eq!(
            client.call("list_sessions", json!({"user_id": "ann"}))["total_count"],
            2
        );
    }
    // Unshared parts can be deleted on their own.
    let own = json!({"user_id": "ann", "agent_id": "bot", "run_id": "own"});
    assert_eq!(
        client.call("delete_all_memories", own)["removed"],
        removed(1, 1, 0)
    );
}

fn an_app_alone_is_the_default_users(world: &World) {
    let mut client = world.connect();
    furnish(&mut client, "ann");
    furnish(&mut client, "mem0-mcp");
    assert_eq!(
        client.call("delete_all_memories", json!({"app_id": "shop"}))["removed"],
        removed(3, 6, 3)
    );
    let mut with_the_app = removed(3, 6, 3);
    with_the_app["entity"] = json!(true);
    assert_eq!(
        client.call("delete_entities", json!({"app_id": "bank"}))["removed"],
        with_the_app
    );
    assert_eq!(listed(&mut client, "mem0-mcp").len(), 9);
    assert_eq!(listed(&mut client, "ann").len(), 27);
}

fn a_long_turn_counts_whole(world: &World) {
    let mut client = world.connect();
    let said = json!([{"role": "user", "content": "Marker words. ".repeat(900)}, {"role": "user", "content": "ok"}]);
    let call = json!({"messages": said, "user_id": "ann", "session_id": "s", "agent_id": "bot"});
    add_all(&mut client, call);
    let scope = json!({"user_id": "ann", "agent_id": "bot"});
    assert_eq!(
        client.call("delete_all_memories", scope)["removed"],
        removed(1, 5, 0)
    );
}

#[test]
fn a_turn_deleted_before_blocks_no_purge() {
    let world = World::emulated_with(&["--episode-deletion", "keeps-message"]);
    let service = Service::of(&world);
    let mut client = world.connect();
    let said = json!([{"role": "user", "content": "One"}, {"role": "user", "content": "Two"}]);
    let call = json!({"messages": said, "user_id": "ann", "session_id": "s", "agent_id": "bot"});
    let ids = add_all(&mut client, call);
    assert_eq!(
        client.call("delete_memory", json!({"memory_id": ids[0]}))["removed"],
        "facts_only"
    );
    assert_eq!(service.messages("s").len(), 2);
    let scope = json!({"user_id": "ann", "agent_id": "bot"});
    assert_eq!(
        client.call("delete_all_memories", scope)["removed"],
        removed(1, 2, 0)
    );
    assert!(service.threads().is_empty());
}

#[test]
fn a_message_that_another_client_put_into_a_conversation_makes_it_shared() {
    let world = World::emulated();
    let service = Service::of(&world);
    let mut client = world.connect();
    add(
        &mut client,
        json!({"text": "Marker", "user_id": "ann", "session_id": "s", "agent_id": "bot"}),
    );
    let said =
        json!({"messages": [{"role": "user", "content": "hi", "metadata": {"agent_id": "bot"}}]});
    assert!(
        service
            .call("POST", &["threads", "s", "messages"], Some(&said))
            .0
            < 300
    );
    let scope = json!({"user_id": "ann", "agent_id": "bot"});
    assert_eq!(
        client.refused("delete_all_memories", scope)["error"],
        "shared_scope"
    );
    assert_eq!(service.messages("s").len(), 2);
}
