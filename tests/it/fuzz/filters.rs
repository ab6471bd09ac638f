//! Filters: what is not understood is refused, and what is understood can be evaluated.

use std::collections::BTreeSet;

use proptest::prelude::*;
use serde_json::{Value, json};
use zep_mcp_server::memory::filter::{Candidate, Filter};
use zep_mcp_server::memory::model::{Owner, UserId};

use super::{corpus, faulty_json, fuzz};
use crate::common::filters::{filter, readable_filter};

#[test]
fn a_filter_is_refused_or_means_something() {
    let seeds = corpus("filters")
        .iter()
        .map(|seed| serde_json::from_slice::<Value>(seed).unwrap())
        .collect();
    let inputs = prop_oneof![faulty_json(seeds), filter(), readable_filter()];
    let user = UserId::new("ann").unwrap();
    let owner = Owner::User(user.clone());
    let metadata = json!({"mood": "calm", "n": [1, null, {"a": 1.5}]});
    let metadata = metadata.as_object().unwrap();
    let written = |input: &Value| input.to_string().into_bytes();
    fuzz("filters", 500, &inputs, written, |input| {
        let Value::Object(raw) = input else {
            return Ok(());
        };
        match Filter::parse(Some(raw)) {
            Err(wrong) => prop_assert!(!wrong.to_string().is_empty()),
            Ok(filter) => {
                filter.reach(&user);
                filter.within(&owner);
                let (_, _): (Option<BTreeSet<String>>, _) = (filter.sessions(), filter.ids());
                filter.created_between();
                filter.matches(&Candidate {
                    ids: &["x"],
                    text: "Ann likes rain",
                    user: Some("ann"),
                    agent: None,
                    app: Some("app"),
                    run: None,
                    created_at: Some(jiff::Timestamp::UNIX_EPOCH),
                    updated_at: None,
                    memory_type: None,
                    role: None,
                    actor: None,
                    categories: &["weather"],
                    metadata,
                });
            }
        }
        Ok(())
    });
}
