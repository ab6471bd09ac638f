//! Nobody learns which sessions others have, not even by what it costs to ask for one.

use serde_json::json;
use zep_mcp_server::memory::access::Role;

use super::world::{Backend, Who, World};

#[tokio::test(flavor = "multi_thread")]
async fn another_users_session_costs_as_many_requests_as_none() {
    let world = World::new(Backend::Zep).await;
    for who in [Who::Alices(Role::Reader), Who::Everybodys] {
        let mut costs = Vec::new();
        for session in ["bob-talk", "not-here"] {
            for (tool, mut arguments) in [
                ("get_session", json!({})),
                ("search_memory", json!({"query": "crimson"})),
            ] {
                arguments["user_id"] = json!("alice");
                arguments["session_id"] = json!(session);
                world.listen();
                let outcome = world.call(who, tool, &arguments).await;
                let asked = world.asked();
                assert!(!asked.is_empty(), "it was not looked up");
                let here = |text: String| text.replace(session, "<session>");
                costs.push((
                    session,
                    here(outcome.text),
                    asked.into_iter().map(here).collect::<Vec<_>>(),
                ));
            }
        }
        let of = |session: &str| -> Vec<_> {
            let of_session = costs.iter().filter(|cost| cost.0 == session);
            of_session.map(|cost| (&cost.1, &cost.2)).collect()
        };
        assert_eq!(of("bob-talk"), of("not-here"));
    }
}
