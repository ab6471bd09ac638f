//! On any difference the entry stays as it is.

use serde_json::json;

use super::Newcomer;
use crate::common::mem0_stand_in::What;
use crate::common::service::Service;

#[test]
fn a_record_that_cannot_be_moved_leaves_the_entry_and_zep_alone() {
    let newcomer = Newcomer::new().remembers(3);
    newcomer.mem0.add(json!({"user_id": "jane", "memory": ""}));
    let before = newcomer.config();
    let outcome = newcomer.switch(&["--yes"]).ended(1);
    assert!(
        outcome.stdout.contains("Not everything can be moved"),
        "{}",
        outcome.stdout
    );
    newcomer.is_unchanged(&before);
    assert_eq!(newcomer.writes(), 0);
}

#[test]
fn a_source_that_fails_leaves_the_entry_and_zep_alone() {
    let newcomer = Newcomer::new().remembers(3);
    let before = newcomer.config();
    newcomer.mem0.fault("/v", usize::MAX, What::Status(401));
    let outcome = newcomer.switch(&["--yes"]);
    assert_ne!(outcome.code, 0, "{}", outcome.everything());
    newcomer.is_unchanged(&before);
    assert_eq!(newcomer.writes(), 0);
}

#[test]
fn a_refused_write_leaves_the_entry_as_it_is() {
    let newcomer = Newcomer::new().remembers(3);
    let before = newcomer.config();
    Service::of(&newcomer.zep).next(&json!({
        "method": "POST", "route": "/api/v2/threads/{thread_id}/messages",
        "fault": {"kind": "fail", "status": 400}, "times": 1_000,
    }));
    newcomer
        .switch(&["--yes", "--method", "direct"])
        .ended(1)
        .says("The entry was not changed");
    newcomer.is_unchanged(&before);
}

#[test]
fn what_is_not_as_in_mem0_leaves_the_entry_as_it_is() {
    let newcomer = Newcomer::new().remembers(3);
    let service = Service::of(&newcomer.zep);
    // Somebody else wrote to this session of Zep.
    service.call("POST", &["users"], Some(&json!({"user_id": "jane"})));
    let thread = json!({"thread_id": "jane-0", "user_id": "jane"});
    service.call("POST", &["threads"], Some(&thread));
    let messages = json!({"messages": [{
        "role": "user", "content": "not of mem0", "created_at": "2020-01-01T00:00:00Z",
    }]});
    service.call("POST", &["threads", "jane-0", "messages"], Some(&messages));
    let before = newcomer.config();
    let outcome = newcomer
        .switch(&["--yes"])
        .ended(1)
        .says("The entry was not changed");
    assert!(
        outcome.stdout.contains("message_count"),
        "{}",
        outcome.stdout
    );
    newcomer.is_unchanged(&before);
}
