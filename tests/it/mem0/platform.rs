//! mem0 Platform: whose memories are read, with which requests.

use serde_json::{Value, json};

use super::{add, migrate, run, stored, with_memories};
use crate::common::mem0_stand_in::{KEY, StandIn};
use crate::common::program::World;

#[test]
fn each_memory_arrives_once_though_several_entities_list_it() {
    let mem0 = StandIn::start();
    for n in 0..5 {
        mem0.add(json!({"user_id": "ann", "agent_id": "bot", "app_id": "web",
                        "run_id": format!("r{n}")}));
    }
    mem0.add(json!({"agent_id": "bot"}));
    mem0.add(json!({"run_id": "r0"}));
    mem0.add(json!({"app_id": "web", "user_id": "ben"}));
    mem0.state().entities.push(("user", "cid".to_owned()));
    let world = World::embedded();
    let moved = migrate(&world, &mem0, &[]);
    moved.has_all(8);
    assert_eq!(moved.warnings(), Vec::<String>::new());
    // Also a user without memories, and the one that stands in for the run.
    assert_eq!(moved.report["users_migrated"], 4, "{:#}", moved.report);
    let again = migrate(&world, &mem0, &[]);
    assert_eq!(again.report["memories_migrated"], 0, "{:#}", again.report);
    assert_eq!(again.report["success"], true, "{:#}", again.report);
}

#[test]
fn the_requests_are_those_of_mem0s_client_and_no_more_than_needed() {
    let mem0 = with_memories("ann", 401);
    for n in 0..30 {
        mem0.add(json!({"user_id": "ben", "run_id": format!("run {n}")}));
    }
    let world = World::embedded();
    migrate(&world, &mem0, &[]).has_all(431);
    let lists = mem0.calls_to("/v3/memories/");
    let of = |user: &str| -> Vec<_> {
        let filters = json!({"filters": {"user_id": user}, "show_expired": true});
        lists.iter().filter(|call| call.body == filters).collect()
    };
    let pages: Vec<_> = of("ann").iter().map(|call| call.query.clone()).collect();
    let wanted = |page: &str| {
        [
            ("page".to_owned(), page.to_owned()),
            ("page_size".into(), "200".into()),
        ]
    };
    assert_eq!(
        pages,
        [wanted("1").into(), wanted("2").into(), wanted("3").into()]
    );
    assert_eq!(of("ben").len(), 1);
    for call in &lists {
        assert_eq!(call.header("authorization"), format!("Token {KEY}"));
        assert_eq!(call.header("content-type"), "application/json");
    }
    let of_runs = lists
        .iter()
        .filter(|call| call.body.to_string().contains("run 1"));
    assert_eq!(
        of_runs.count(),
        0,
        "all memories have a user: no run need be read"
    );
}

#[test]
fn only_the_named_users_are_read() {
    let mem0 = with_memories("ann", 3);
    add(&mem0, "ben", 2);
    mem0.add(json!({"user_id": "*"}));
    let world = World::embedded();
    migrate(&world, &mem0, &["--user", "ben"]).has_all(2);
    assert!(mem0.calls_to("/v1/entities/").is_empty());
    assert_eq!(mem0.calls_to("/v3/memories/").len(), 1);
    assert!(stored(&world, json!({"user_id": "ann"})).is_empty());
}

#[test]
fn memories_of_no_listed_entity_are_found() {
    let mem0 = with_memories("ann", 3);
    add(&mem0, "hidden", 2);
    mem0.state().unlisted.push("hidden".to_owned());
    let world = World::embedded();
    migrate(&world, &mem0, &[]).has_all(5);
    assert_eq!(stored(&world, json!({"user_id": "hidden"})).len(), 2);
}

#[test]
fn entities_on_several_pages_are_all_read() {
    let mem0 = StandIn::start();
    for n in 0..25 {
        mem0.add(json!({"user_id": format!("u{n}")}));
    }
    mem0.state().entities_a_page = 10;
    let world = World::embedded();
    migrate(&world, &mem0, &[]).has_all(25);
    assert_eq!(mem0.calls_to("/v1/entities/").len(), 3);
}

#[test]
fn expired_and_replaced_memories_stay_gone_and_so_do_their_turns() {
    let turns = |text: &str| json!([{"role": "user", "content": text}]);
    let mem0 = StandIn::start();
    mem0.add(json!({"user_id": "ann", "memory": "live", "input": turns("said live")}));
    mem0.add(
        json!({"user_id": "ann", "memory": "old", "expiration_date": "2020-01-01",
                    "input": turns("said old")}),
    );
    mem0.add(
        json!({"user_id": "ann", "memory": "worse", "replaced_by": "x",
                    "input": turns("said worse")}),
    );
    let world = World::embedded();
    let moved = migrate(&world, &mem0, &["--history"]);
    moved.has_all(2);
    assert_eq!(moved.report["expired"], 2, "{:#}", moved.report);
    assert_eq!(mem0.calls_to("/history/").len(), 1);
    let world = World::embedded();
    migrate(&world, &mem0, &["--history", "--include-expired"]).has_all(6);
}

#[test]
fn original_turns_come_back_once_and_in_order() {
    let mem0 = StandIn::start();
    let turns: Vec<Value> = (0..6)
        .map(|n| {
            let role = if n % 2 == 0 { "user" } else { "assistant" };
            json!({"role": role, "content": format!("turn {n}")})
        })
        .collect();
    // Three memories of one conversation, one of another.
    for _ in 0..3 {
        mem0.add(json!({"user_id": "ann", "run_id": "monday", "input": turns}));
    }
    mem0.add(json!({"user_id": "ann", "run_id": "tuesday", "input": turns[..2]}));
    let world = World::embedded();
    migrate(&world, &mem0, &["--history"]).has_all(4 + 6 + 2);
    let mut agent = world.connect();
    let monday = agent.read_session("ann", "monday");
    let said: Vec<_> = monday
        .iter()
        .filter_map(|turn| turn["content"].as_str())
        .filter(|text| text.starts_with("turn"))
        .collect();
    assert_eq!(
        said,
        ["turn 0", "turn 1", "turn 2", "turn 3", "turn 4", "turn 5"]
    );
}

#[test]
fn the_key_of_mem0s_command_line_is_found_with_its_address() {
    let mem0 = with_memories("ann", 2);
    let world = World::embedded();
    let config = world.directory().join(".mem0");
    std::fs::create_dir(&config).unwrap();
    let account = json!({"platform": {"api_key": KEY, "base_url": mem0.url}});
    std::fs::write(config.join("config.json"), account.to_string()).unwrap();
    let mut command = world.command();
    let output = command
        .args(["migrate", "--from", "mem0", "--all", "--json"])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["memories_migrated"], 2, "{report:#}");
}

#[test]
fn plain_http_leads_to_this_machine_only() {
    let world = World::embedded();
    let moved = run(&world, "http://mem0.example", "mem0", &[]);
    assert_eq!(moved.code, 2);
    assert!(moved.stderr.contains("plain http"), "{}", moved.stderr);
}
