//! mem0 Platform in use: each write happens once, and an error says what became of it.

use secrecy::SecretString;
use serde_json::{Value, json};
use zep_mcp_server::memory::mem0::{Addition, Mem0, Named};
use zep_mcp_server::sources::mem0::LiveMem0;
use zep_mcp_server::zep::Outcome;

use crate::common::mem0_stand_in::{KEY, StandIn, What};

const ADD: &str = "POST /v3/memories/add/";
/// More often than anything is tried.
const ALWAYS: usize = usize::MAX;

fn live(url: &str) -> LiveMem0 {
    LiveMem0::new(url, &SecretString::from(KEY)).expect("an address and a key")
}

fn of_ann(text: &str) -> Addition {
    Addition {
        of: vec![("user_id", "ann".into())],
        messages: vec![("user".into(), text.into())],
        infer: true,
        ..Addition::default()
    }
}

/// What happens to an answer after the request was carried out.
fn losses() -> [What; 5] {
    [
        What::Lost,
        What::StatusAfter(503),
        What::Html,
        What::Truncated,
        What::BrokenOff,
    ]
}

#[tokio::test]
async fn an_addition_names_its_event_and_its_memories_where_they_are_made_at_once() {
    let mem0 = StandIn::start();
    let live = live(&mem0.url);
    let first = live.add(&of_ann("a seat on the aisle")).await.unwrap();
    assert_eq!(first.status.as_deref(), Some("PENDING"));
    assert_eq!(first.memories, []);
    let event = live.event(first.event.as_deref().unwrap()).await.unwrap();
    assert_eq!(event["status"], "SUCCEEDED");
    assert_eq!(event["results"][0]["data"]["memory"], "a seat on the aisle");
    let as_it_is = Addition {
        metadata: json!({"n": 1}).as_object().unwrap().clone(),
        timestamp: Some(1_735_689_600),
        infer: false,
        ..of_ann("a green card")
    };
    let second = live.add(&as_it_is).await.unwrap();
    assert_ne!(second.event, first.event);
    let [(id, text)] = &second.memories[..] else {
        panic!("{second:?}")
    };
    assert_eq!(text, "a green card");
    assert_eq!(live.memory(id).await.unwrap()["metadata"], json!({"n": 1}));
    let bodies: Vec<Value> = mem0
        .calls_to("/v3/memories/add/")
        .into_iter()
        .map(|call| call.body)
        .collect();
    let messages = |text: &str| json!([{"role": "user", "content": text}]);
    assert_eq!(
        bodies,
        [
            json!({"messages": messages("a seat on the aisle"), "user_id": "ann"}),
            json!({"messages": messages("a green card"), "user_id": "ann", "metadata": {"n": 1},
                   "timestamp": 1_735_689_600, "infer": false}),
        ]
    );
}

#[tokio::test]
async fn memories_are_listed_searched_changed_and_deleted_where_they_are() {
    let mem0 = StandIn::start();
    let live = live(&mem0.url);
    let seat = mem0.add(json!({"user_id": "ann", "memory": "a seat on the aisle"}));
    let card = mem0.add(json!({"user_id": "ann", "run_id": "r", "memory": "a green card"}));
    mem0.add(json!({"user_id": "ann", "memory": "a seat", "expiration_date": "2020-01-01"}));
    mem0.add(json!({"user_id": "ben", "memory": "a seat on the aisle"}));
    let anns = json!({"user_id": "ann"});
    let page = live.memories(&anns, 1, 1).await.unwrap();
    assert_eq!((page.count, page.has_next), (Some(2), true));
    assert_eq!(page.items[0]["id"], json!(card));
    let behind = live.memories(&anns, 3, 1).await.unwrap();
    assert!(behind.items.is_empty() && !behind.has_next);
    let found = live.search(" aisle seat ", &anns, 5, None).await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0]["id"], &found[0]["score"]),
        (&json!(seat), &json!(1.0))
    );
    live.update(&seat, Some("a window"), None).await.unwrap();
    assert_eq!(live.memory(&seat).await.unwrap()["memory"], "a window");
    live.delete(&seat).await.unwrap();
    let gone = live.memory(&seat).await.unwrap_err();
    assert!(gone.is_not_found() && gone.outcome == Outcome::Refused);
    assert!(live.delete(&seat).await.unwrap_err().is_not_found());
    let run = [("user_id", "ann".to_owned()), ("run_id", "r".to_owned())];
    live.delete_all(&run).await.unwrap();
    assert!(live.memory(&card).await.unwrap_err().is_not_found());
    let ben = Named {
        kind: "user",
        id: "ben".into(),
    };
    live.delete_entity(&ben).await.unwrap();
    let left = mem0.state().memories.len();
    assert_eq!(left, 1, "the one that expired");
}

#[tokio::test]
async fn an_addition_that_may_have_arrived_is_not_sent_again() {
    for loss in losses() {
        let mem0 = StandIn::start();
        mem0.fault(ADD, ALWAYS, loss.clone());
        let error = live(&mem0.url).add(&of_ann("once")).await.unwrap_err();
        assert_eq!(error.outcome, Outcome::Unknown, "{loss:?}: {error}");
        assert_eq!(mem0.calls_to("/add/").len(), 1, "{loss:?}");
        assert_eq!(mem0.state().memories.len(), 1, "{loss:?}");
    }
}

#[tokio::test]
async fn a_deletion_that_may_have_arrived_is_sent_again_and_what_is_gone_is_no_error() {
    for loss in losses() {
        let mem0 = StandIn::start();
        let id = mem0.add(json!({"user_id": "ann"}));
        mem0.fault("DELETE", 1, loss.clone());
        live(&mem0.url).delete(&id).await.expect("a deletion");
        assert_eq!(mem0.calls_to("/v1/memories/").len(), 2, "{loss:?}");
    }
}

#[tokio::test]
async fn an_addition_waits_out_a_short_rate_limit_and_is_not_sent_at_a_long_one() {
    let mem0 = StandIn::start();
    mem0.fault(ADD, 1, What::Limited(Some(1)));
    live(&mem0.url).add(&of_ann("once")).await.expect("added");
    mem0.fault(ADD, 1, What::Limited(Some(60)));
    let error = live(&mem0.url).add(&of_ann("never")).await.unwrap_err();
    assert_eq!((error.outcome, error.status), (Outcome::NotSent, Some(429)));
    assert_eq!(error.retry_after.map(|wait| wait.as_secs()), Some(60));
    assert_eq!(mem0.state().memories.len(), 1);
}

#[tokio::test]
async fn what_could_not_be_sent_and_what_was_refused_are_told_apart() {
    let nobody = live("http://127.0.0.1:1");
    let error = nobody.add(&of_ann("never")).await.unwrap_err();
    assert_eq!((error.outcome, error.status), (Outcome::NotSent, None));
    let mem0 = StandIn::start();
    let error = live(&mem0.url).add(&Addition::default()).await.unwrap_err();
    assert_eq!((error.outcome, error.status), (Outcome::Refused, Some(400)));
    mem0.fault("GET", ALWAYS, What::Status(503));
    let error = live(&mem0.url).memory("one").await.unwrap_err();
    assert_eq!((error.outcome, error.status), (Outcome::Unknown, Some(503)));
}

#[tokio::test]
async fn a_deletion_of_many_names_whose() {
    let mem0 = StandIn::start();
    mem0.add(json!({"user_id": "ann"}));
    let live = live(&mem0.url);
    live.delete_all(&[]).await.unwrap_err();
    live.delete_all(&[("user_id", "*".into())])
        .await
        .unwrap_err();
    let everybody = Named {
        kind: "user",
        id: "*".into(),
    };
    live.delete_entity(&everybody).await.unwrap_err();
    assert!(mem0.calls_to("").is_empty());
}

#[tokio::test]
async fn the_entities_of_all_pages_are_listed_and_kinds_that_are_new_are_left_out() {
    let mem0 = StandIn::start();
    for n in 0..5 {
        mem0.add(json!({"user_id": "ann", "run_id": format!("r{n}")}));
    }
    mem0.state().entities.push(("team", "all".into()));
    mem0.state().entities_a_page = 2;
    let mut listed = live(&mem0.url).entities().await.unwrap();
    listed.sort();
    let kinds: Vec<_> = listed.iter().map(|entity| entity.kind).collect();
    assert_eq!(kinds, ["run", "run", "run", "run", "run", "user"]);
}
