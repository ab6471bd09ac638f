//! A mem0 Platform that misbehaves.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use zep_mcp_server::sources::mem0::{Limits, Platform, PlatformSettings};
use zep_mcp_server::sources::{ReadError, Sink, Source, SourceItem};

use super::{Moved, add, migrate, stored, with_memories};
use crate::common::mem0_stand_in::{KEY, StandIn, What};
use crate::common::program::World;

/// More often than anything is tried.
const ALWAYS: usize = usize::MAX;
/// What is in the requests for the pages of a user's list.
const OF_ANN: &str = r#""user_id":"ann""#;
const PAGE_2: &str = "page=2";

/// Two users, the first with so many memories on pages of 200.
fn two_users(of_ann: usize) -> StandIn {
    let mem0 = with_memories("ann", of_ann);
    add(&mem0, "ben", 2);
    mem0
}

fn migrated(mem0: &StandIn) -> Moved {
    migrate(&World::embedded(), mem0, &[])
}

#[test]
fn what_happens_once_is_tried_again() {
    let faults = [
        What::Status(500),
        What::Limited(Some(1)),
        What::Limited(None),
        What::Html,
        What::Truncated,
        What::BrokenOff,
        What::Fields(json!({"results": {"a": 1}})),
        What::Fields(json!({"count": "many"})),
    ];
    std::thread::scope(|threads| {
        for what in faults {
            threads.spawn(move || {
                let mem0 = two_users(210);
                mem0.fault(PAGE_2, 1, what);
                migrated(&mem0).has_all(212);
            });
        }
    });
}

#[test]
fn one_broken_list_is_a_line_in_the_report_and_the_others_are_migrated() {
    let faults = [
        (What::Status(500), "mem0 failed (500)"),
        (What::Status(403), "refused the key (403)"),
        (What::Html, "it is HTML"),
        (What::Truncated, "breaks off"),
        (What::BrokenOff, "no answer"),
        (What::Huge(800 << 20), "larger than 64 MiB"),
        (What::Fields(json!({"results": "none"})), "not the JSON"),
        (
            What::Redirect("http://127.0.0.1:1/".into()),
            "another address",
        ),
        (
            What::Body("[".repeat(100_000)),
            "lists and objects within one another",
        ),
    ];
    std::thread::scope(|threads| {
        for (what, reason) in faults {
            threads.spawn(move || {
                let mem0 = two_users(210);
                mem0.fault(PAGE_2, ALWAYS, what);
                migrated(&mem0).lacks(202, "user ann, page 2", reason);
            });
        }
    });
}

#[test]
fn a_refused_key_fails_the_run_and_writes_nothing() {
    for on in ["/v1/ping/", "/v1/entities/", OF_ANN] {
        let mem0 = two_users(3);
        mem0.fault(on, ALWAYS, What::Status(401));
        let world = World::embedded();
        let moved = migrate(&world, &mem0, &[]);
        assert_ne!(moved.code, 0, "{on}");
        assert!(
            moved.stderr.contains("refused the key (401)"),
            "{}",
            moved.stderr
        );
        assert!(stored(&world, json!({"user_id": "ben"})).is_empty());
    }
}

#[test]
fn pages_that_contradict_each_other_are_no_success_and_no_endless_loop() {
    let next = json!({"next": "https://elsewhere.example/v3/memories/?page=7"});
    let faults = [
        // The same page twice, and again whenever it is asked for.
        (
            PAGE_2,
            What::Body(String::new()),
            "has no memory that the pages before",
        ),
        // A `next` that never ends.
        (OF_ANN, What::Fields(next), "announced by the page before"),
        (OF_ANN, What::Half, "memories were listed of the 210"),
    ];
    std::thread::scope(|threads| {
        for (on, what, reason) in faults {
            threads.spawn(move || {
                let mem0 = two_users(210);
                let what = match what {
                    What::Body(_) => What::Body(first_page(&mem0)),
                    what => what,
                };
                mem0.fault(on, ALWAYS, what);
                let moved = migrated(&mem0);
                assert_eq!(moved.report["success"], false, "{:#}", moved.report);
                let errors = moved.errors();
                assert!(errors[0].starts_with("user ann, page "), "{errors:#?}");
                assert!(errors[0].contains(reason), "{errors:#?}");
                assert!(mem0.calls_to("/v3/memories/").len() < 20);
            });
        }
    });
}

/// The first page of the first user, as the stand-in answers it.
fn first_page(mem0: &StandIn) -> String {
    let client = crate::common::http().build().unwrap();
    let ask = async {
        let body = json!({"filters": {"user_id": "ann"}}).to_string();
        let request = client
            .post(format!("{}/v3/memories/?page=1&page_size=200", mem0.url))
            .header("authorization", format!("Token {KEY}"))
            .body(body);
        request.send().await.unwrap().text().await.unwrap()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(ask)
}

#[test]
fn a_memory_added_between_pages_loses_none() {
    let mem0 = two_users(401);
    mem0.fault("page=1", 1, What::ThenAdd(json!({"user_id": "ann"})));
    migrated(&mem0).has_all(404);
}

#[test]
fn a_memory_deleted_between_pages_loses_no_other_and_does_not_come_back() {
    let mem0 = two_users(401);
    let newest = mem0.add(json!({"user_id": "ann", "memory": "to be deleted"}));
    mem0.fault("page=1", 1, What::ThenDelete(newest));
    let world = World::embedded();
    let moved = migrate(&world, &mem0, &["--user", "ann"]);
    moved.has_all(401);
    assert_eq!(moved.warnings().len(), 1, "{:#?}", moved.warnings());
    assert!(
        moved.warnings()[0].contains("1 memories had gone"),
        "{:#?}",
        moved.warnings()
    );
}

#[test]
fn an_entity_that_vanishes_while_it_is_read_is_named() {
    let mem0 = two_users(401);
    mem0.fault(OF_ANN, 1, What::ThenVanish);
    let moved = migrate(&World::embedded(), &mem0, &["--user", "ann"]);
    moved.lacks(0, "user ann, page 1", "vanished while it was read");
    let mem0 = two_users(3);
    mem0.fault(OF_ANN, ALWAYS, What::Status(404));
    migrated(&mem0).lacks(2, "user ann, page 1", "(404)");
}

#[test]
fn one_broken_memory_costs_no_other() {
    let mem0 = two_users(2);
    let page = json!({"count": 4, "next": null, "results": [
        {"id": "1", "memory": "good", "user_id": "ann"},
        "a text",
        {"id": "3", "memory": "of another", "user_id": "eve"},
        {"id": "4", "memory": "SURROGATE", "user_id": "ann"},
    ]});
    mem0.fault(
        OF_ANN,
        ALWAYS,
        What::Body(page.to_string().replace("SURROGATE", "\\ud800")),
    );
    let world = World::embedded();
    let moved = migrate(&world, &mem0, &[]);
    assert_eq!(moved.report["memories_migrated"], 3, "{:#}", moved.report);
    assert_eq!(moved.report["success"], false);
    let errors = moved.errors();
    for (index, reason) in [
        (1, "not an object"),
        (2, "another one than"),
        (3, "cannot be read"),
    ] {
        let line = &errors[index - 1];
        assert!(
            line.starts_with(&format!("user ann, page 1, results[{index}]")),
            "{errors:#?}"
        );
        assert!(line.contains(reason), "{errors:#?}");
    }
    assert!(stored(&world, json!({"user_id": "eve"})).is_empty());
}

#[test]
fn a_history_that_cannot_be_read_is_named() {
    let mem0 = StandIn::start();
    let lost = mem0.add(json!({"user_id": "ann"}));
    mem0.add(json!({"user_id": "ann"}));
    mem0.fault(&format!("{lost}/history"), ALWAYS, What::Status(500));
    let moved = migrate(&World::embedded(), &mem0, &["--history"]);
    moved.lacks(2, "user ann, page 1, results[1]", "mem0 failed (500)");
}

/// Counts what a source yields.
#[derive(Default)]
struct Counted {
    problems: Vec<String>,
}

impl Sink for Counted {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        if let SourceItem::Problem(problem) = item {
            self.problems
                .push(format!("{}: {}", problem.position, problem.defect));
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

/// Reads with little patience.
async fn read(mem0: &StandIn, timeout: Duration) -> (Result<(), ReadError>, Vec<String>) {
    let source = Platform::new(PlatformSettings {
        url: mem0.url.clone(),
        limits: Limits {
            timeout,
            patience: Duration::from_millis(1_500),
        },
        ..PlatformSettings::new(SecretString::from(KEY))
    })
    .unwrap();
    let reading = tokio::task::spawn_blocking(move || {
        let mut counted = Counted::default();
        let read = Box::new(source).read(&mut counted, &CancellationToken::new());
        (read, counted.problems)
    });
    reading.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_that_never_ends_and_a_slow_drip_end() {
    let limited = two_users(3);
    limited.fault(OF_ANN, ALWAYS, What::Limited(None));
    let asked_to_wait_long = two_users(3);
    asked_to_wait_long.fault(OF_ANN, ALWAYS, What::Limited(Some(86_400)));
    let dripping = two_users(3);
    dripping.fault(OF_ANN, ALWAYS, What::Drip);
    let begun = Instant::now();
    let (limited, long, dripped) = tokio::join!(
        read(&limited, Duration::from_secs(20)),
        read(&asked_to_wait_long, Duration::from_secs(20)),
        read(&dripping, Duration::from_millis(200)),
    );
    assert!(begun.elapsed() < Duration::from_secs(60));
    for ((read, problems), reason) in [
        (limited, "rate limit"),
        (long, "rate limit"),
        (dripped, "none within"),
    ] {
        read.unwrap();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].starts_with("user ann, page 1"), "{problems:#?}");
        assert!(problems[0].contains(reason), "{problems:#?}");
    }
}

#[test]
fn the_key_goes_to_no_other_host() {
    let elsewhere = StandIn::start();
    let mem0 = two_users(3);
    let next = format!("{}/v3/memories/?page=2", elsewhere.url);
    mem0.fault(OF_ANN, 1, What::Fields(json!({"next": next})));
    mem0.fault("ping", 1, What::Redirect(elsewhere.url.clone()));
    mem0.fault(
        "entities",
        1,
        What::Fields(json!({"next": format!("{}/v1/entities/?page=2", elsewhere.url)})),
    );
    let moved = migrated(&mem0);
    assert!(
        moved.report["memories_migrated"].as_u64() >= Some(5),
        "{:#}",
        moved.report
    );
    assert_eq!(elsewhere.state().calls.len(), 0);
    assert_ne!(moved.report, Value::Null);
}
