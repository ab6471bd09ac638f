//! `add_memory`: owner, place, answer, and what is not stored twice.

use serde_json::{Value, json};

use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(
    a_text_is_stored_and_the_answer_says_where,
    a_text_with_a_session_is_a_message_of_the_user,
    messages_go_to_their_session_in_order,
    messages_without_a_session_go_to_the_default_session,
    messages_are_stored_and_the_text_beside_them_is_not,
    run_id_is_another_name_of_session_id,
    who_is_meant_follows_the_arguments,
    an_agent_alone_has_a_memory_of_its_own,
    the_same_words_twice_are_kept_twice,
    a_repeated_idempotency_key_stores_nothing_twice,
    an_idempotency_key_continues_what_a_shorter_call_began,
    a_key_used_for_another_memory_is_refused_and_nothing_is_stored,
    what_mem0s_tool_takes_is_taken,
);

fn ids(answer: &Value) -> Vec<String> {
    let results = answer["results"].as_array().unwrap();
    let ids = results
        .iter()
        .map(|stored| stored["id"].as_str().unwrap().to_owned());
    ids.collect()
}

fn a_text_is_stored_and_the_answer_says_where(world: &World) {
    let mut client = world.connect();
    let text = "Prefers window seats ✈️";
    let added = client.call("add_memory", json!({"text": text, "user_id": "ann"}));
    let results = added["results"].as_array().unwrap();
    assert_eq!(results.len(), 1);
    assert_eq!(
        (&results[0]["memory"], &results[0]["event"]),
        (&json!(text), &json!("ADD"))
    );
    assert_eq!(
        (&added["user_id"], &added["session_id"]),
        (&json!("ann"), &Value::Null)
    );
    assert_eq!(added["backend"], world.backend());
    let (status, told) = if world.backend() == "zep" {
        ("PENDING", "extracting")
    } else {
        ("SUCCEEDED", "local file")
    };
    assert_eq!(added["status"], status);
    assert_eq!(added["event_id"], results[0]["id"]);
    let message = added["message"].as_str().unwrap();
    assert!(message.contains(told), "{message}");
    // An episode of its own, without a session.
    let found = client.search(json!({"query": "seats", "user_id": "ann", "scope": "episodes"}));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["memory"], &found[0]["kind"]),
        (&json!(text), &json!("episode"))
    );
    assert_eq!(
        (&found[0]["id"], &found[0]["session_id"]),
        (&results[0]["id"], &Value::Null)
    );
    let list = client.call("list_sessions", json!({"user_id": "ann"}));
    assert_eq!(list["total_count"], 0);
}

fn a_text_with_a_session_is_a_message_of_the_user(world: &World) {
    let mut client = world.connect();
    let arguments = json!({"text": "I slept well", "user_id": "ann", "session_id": "s"});
    let added = client.call("add_memory", arguments);
    assert_eq!(added["session_id"], "s");
    let read = client.read_session("ann", "s");
    assert_eq!(read.len(), 1);
    assert_eq!(
        (&read[0]["role"], &read[0]["content"]),
        (&json!("user"), &json!("I slept well"))
    );
    assert_eq!(json!(ids(&added)), json!([read[0]["id"]]));
}

fn messages_go_to_their_session_in_order(world: &World) {
    let mut client = world.connect();
    // More than one request holds.
    let turns: Vec<Value> = (0..75)
        .map(|n| {
            let role = ["user", "assistant"][n % 2];
            json!({"role": role, "content": format!("Turn {n}")})
        })
        .collect();
    let arguments = json!({"messages": turns, "user_id": "ann", "session_id": "s"});
    let added = client.call("add_memory", arguments);
    let read = client.read_session("ann", "s");
    assert_eq!(read.len(), turns.len());
    for (message, turn) in read.iter().zip(&turns) {
        assert_eq!(
            (&message["role"], &message["content"]),
            (&turn["role"], &turn["content"])
        );
    }
    let read_ids: Vec<_> = read
        .iter()
        .map(|message| message["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids(&added), read_ids);
    let times: Vec<jiff::Timestamp> = read
        .iter()
        .map(|message| message["created_at"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
}

fn messages_without_a_session_go_to_the_default_session(world: &World) {
    let mut client = world.connect();
    for user in ["ann", "bob"] {
        let turn = json!([{"role": "user", "content": format!("I am {user}")}]);
        let added = client.call("add_memory", json!({"messages": turn, "user_id": user}));
        assert_eq!(added["session_id"], "default");
    }
    for user in ["ann", "bob"] {
        let read = client.read_session(user, "default");
        assert_eq!(read.len(), 1);
        assert_eq!(read[0]["content"], format!("I am {user}"));
    }
}

fn messages_are_stored_and_the_text_beside_them_is_not(world: &World) {
    let mut client = world.connect();
    let added = client.call(
        "add_memory",
        json!({
            "text": "A summary about walnuts",
            "messages": [{"role": "user", "content": "I bought bread"}],
            "user_id": "ann",
        }),
    );
    let message = added["message"].as_str().unwrap();
    assert!(message.contains("`text` was not"), "{message}");
    assert_eq!(ids(&added).len(), 1);
    assert_eq!(client.read_session("ann", "default").len(), 1);
    for scope in ["facts", "episodes"] {
        let found = client.search(json!({"query": "walnuts", "user_id": "ann", "scope": scope}));
        assert!(found.is_empty(), "{found:?}");
    }
}

fn run_id_is_another_name_of_session_id(world: &World) {
    let mut client = world.connect();
    let add = |id: Value| {
        let mut arguments = json!({"text": "Once more", "user_id": "ann"});
        arguments
            .as_object_mut()
            .unwrap()
            .extend(id.as_object().unwrap().clone());
        arguments
    };
    client.call("add_memory", add(json!({"run_id": "r"})));
    client.call("add_memory", add(json!({"session_id": "r"})));
    client.call(
        "add_memory",
        add(json!({"session_id": "r", "run_id": " r "})),
    );
    assert_eq!(client.read_session("ann", "r").len(), 3);
    let found = client.search(json!({"query": "once", "user_id": "ann", "run_id": "r"}));
    assert_eq!(found.len(), 3);
    let conflict = add(json!({"session_id": "r", "run_id": "q"}));
    client.refuses_argument("add_memory", conflict, "run_id");
    client.refuses_argument(
        "search_memory",
        json!({"query": "x", "run_id": "a", "session_id": "b"}),
        "run_id",
    );
    assert_eq!(client.read_session("ann", "r").len(), 3);
    assert_eq!(
        client.call("list_sessions", json!({"user_id": "ann"}))["total_count"],
        1
    );
}

fn who_is_meant_follows_the_arguments(world: &World) {
    let mut command = world.command();
    command.env("MEM0_DEFAULT_USER_ID", "dora");
    let mut client = crate::common::program::Client::connect(&mut command);
    let mut owner = |arguments: Value| {
        let mut all = json!({"text": "Likes figs"});
        all.as_object_mut()
            .unwrap()
            .extend(arguments.as_object().unwrap().clone());
        let added = client.call("add_memory", all);
        let of = |key: &str| added[key].as_str().map(str::to_owned);
        (of("user_id"), of("agent_id"), of("session_id"))
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(owner(json!({})), (some("dora"), None, None));
    assert_eq!(owner(json!({"app_id": "shop"})), (some("dora"), None, None));
    assert_eq!(
        owner(json!({"agent_id": "cook"})),
        (None, some("cook"), None)
    );
    assert_eq!(
        owner(json!({"agent_id": "cook", "run_id": "r"})),
        (some("dora"), None, some("r"))
    );
    assert_eq!(
        owner(json!({"session_id": "r"})),
        (some("dora"), None, some("r"))
    );
    assert_eq!(
        owner(json!({"agent_id": "cook", "user_id": "ann"})),
        (some("ann"), None, None)
    );
    assert_eq!(
        owner(json!({"user_id": " ann "})),
        (some("ann"), None, None)
    );
    assert_eq!(client.read_session("dora", "r").len(), 2);
    assert_eq!(client.call("list_sessions", json!({}))["user_id"], "dora");
    assert_eq!(client.search(json!({"query": "figs"})).len(), 4);
    assert_eq!(
        client
            .search(json!({"query": "figs", "user_id": "ann"}))
            .len(),
        2
    );
    assert_eq!(
        client
            .search(json!({"query": "figs", "agent_id": "cook"}))
            .len(),
        1
    );
    // Beside a user, an agent and an app are marks that find the memories again.
    let mut found = |arguments: Value| client.search(arguments).len();
    assert_eq!(
        found(json!({"query": "figs", "user_id": "ann", "agent_id": "cook"})),
        1
    );
    assert_eq!(
        found(json!({"query": "figs", "user_id": "dora", "agent_id": "cook"})),
        1
    );
    assert_eq!(found(json!({"query": "figs", "app_id": "shop"})), 1);
    assert_eq!(
        found(json!({"query": "figs", "user_id": "ann", "app_id": "shop"})),
        0
    );
}

fn an_agent_alone_has_a_memory_of_its_own(world: &World) {
    let mut client = world.connect();
    let added = client.call(
        "add_memory",
        json!({
            "messages": [
                {"role": "user", "content": "Be brief with figs", "name": "Ann"},
                {"role": "coach", "content": "Figs it is"},
            ],
            "agent_id": "cook/1",
            "metadata": {"tier": 2},
        }),
    );
    assert_eq!(
        (&added["user_id"], &added["session_id"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(added["agent_id"], "cook/1");
    let found = client.search(json!({"query": "figs", "agent_id": "cook/1", "scope": "episodes"}));
    assert_eq!(found.len(), 2);
    for memory in &found {
        assert!(ids(&added).contains(&memory["id"].as_str().unwrap().to_owned()));
        assert_eq!(
            (&memory["kind"], &memory["user_id"]),
            (&json!("episode"), &Value::Null)
        );
        assert_eq!(memory["metadata"], json!({"tier": 2}));
    }
    assert!(
        client
            .search(json!({"query": "figs", "agent_id": "cook"}))
            .is_empty()
    );
    assert!(client.search(json!({"query": "figs"})).is_empty());
}

fn the_same_words_twice_are_kept_twice(world: &World) {
    let mut client = world.connect();
    let ok = json!({"role": "user", "content": "ok", "created_at": "2024-05-01T10:00:00Z"});
    let arguments = json!({"messages": [ok, ok], "user_id": "ann", "session_id": "s"});
    client.call("add_memory", arguments.clone());
    client.call("add_memory", arguments);
    assert_eq!(client.read_session("ann", "s").len(), 4);
    for _ in 0..2 {
        client.call("add_memory", json!({"text": "ok", "user_id": "ann"}));
    }
    let found = client.search(json!({"query": "ok", "user_id": "ann", "scope": "episodes"}));
    assert_eq!(found.len(), 6);
}

fn a_repeated_idempotency_key_stores_nothing_twice(world: &World) {
    let long = "The lighthouse keeper counted the ships. ".repeat(300);
    let calls = [
        json!({"messages": [{"role": "user", "content": long}, {"role": "user", "content": "ok"},
            {"role": "user", "content": "ok"}], "user_id": "ann", "session_id": "s"}),
        json!({"text": "ok", "user_id": "ann", "session_id": "s"}),
        json!({"text": long, "user_id": "ann"}),
        json!({"text": "ok", "agent_id": "cook"}),
    ];
    let mut first = world.connect();
    let answers: Vec<Value> = calls
        .iter()
        .enumerate()
        .map(|(n, call)| {
            let mut call = call.clone();
            call["idempotency_key"] = json!(format!("key-{n}"));
            let answer = first.call("add_memory", call.clone());
            assert_eq!(first.call("add_memory", call), answer);
            answer
        })
        .collect();
    assert!(first.close().code == Some(0));
    // Another process knows only what is stored.
    let mut second = world.connect();
    for (n, (call, answer)) in calls.iter().zip(&answers).enumerate() {
        let mut call = call.clone();
        call["idempotency_key"] = json!(format!("key-{n}"));
        assert_eq!(second.call("add_memory", call), *answer);
    }
    let read = second.read_session("ann", "s");
    let contents: Vec<_> = read
        .iter()
        .map(|message| message["content"].as_str().unwrap())
        .collect();
    assert_eq!(contents, [long.as_str(), "ok", "ok", "ok"]);
    let page = second.call("get_session", json!({"user_id": "ann", "session_id": "s"}));
    assert_eq!(page["total_count"], 4 + 3, "a part was stored twice");
    let own = second.search(json!({"query": "ok", "agent_id": "cook", "scope": "episodes"}));
    assert_eq!(own.len(), 1);
    let texts =
        second.search(json!({"query": "lighthouse", "user_id": "ann", "scope": "episodes"}));
    let texts: Vec<_> = texts
        .iter()
        .filter(|memory| memory["kind"] == "episode")
        .collect();
    assert_eq!(texts.len(), 1);
}

fn an_idempotency_key_continues_what_a_shorter_call_began(world: &World) {
    let mut client = world.connect();
    let turn = |n: usize| json!({"role": "user", "content": format!("Turn {n}")});
    let mut call = json!({"user_id": "ann", "session_id": "s", "idempotency_key": "k"});
    call["messages"] = json!([turn(0), turn(1)]);
    let begun = ids(&client.call("add_memory", call.clone()));
    call["messages"] = (0..40).map(turn).collect();
    let all = ids(&client.call("add_memory", call));
    assert_eq!(all[..2], begun);
    let read = client.read_session("ann", "s");
    let contents: Vec<_> = read
        .iter()
        .map(|message| message["content"].clone())
        .collect();
    assert_eq!(
        contents,
        (0..40)
            .map(|n| json!(format!("Turn {n}")))
            .collect::<Vec<_>>()
    );
}

fn a_key_used_for_another_memory_is_refused_and_nothing_is_stored(world: &World) {
    let mut client = world.connect();
    for place in [json!({"session_id": "s"}), json!({})] {
        let mut call = json!({"user_id": "ann", "idempotency_key": "k", "text": "Likes tea"});
        call.as_object_mut()
            .unwrap()
            .extend(place.as_object().unwrap().clone());
        client.call("add_memory", call.clone());
        call["text"] = json!("Likes coffee");
        client.refuses_argument("add_memory", call, "idempotency_key");
    }
    assert_eq!(client.read_session("ann", "s").len(), 1);
    assert!(
        client
            .search(json!({"user_id": "ann", "query": "coffee"}))
            .is_empty()
    );
}

fn what_mem0s_tool_takes_is_taken(world: &World) {
    let mut client = world.connect();
    let added = client.call(
        "add_memory",
        json!({
            "text": "Vegetarian since 2019",
            "messages": null,
            "user_id": "ann",
            "agent_id": null,
            "app_id": null,
            "run_id": null,
            "metadata": null,
            "enable_graph": true,
        }),
    );
    assert_eq!(ids(&added).len(), 1);
    let empty = json!({"text": "No nuts", "messages": [], "enable_graph": false, "metadata": {}});
    assert_eq!(ids(&client.call("add_memory", empty)).len(), 1);
}
