//! The same rules for what only programs that use the library can do.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Map;
use zep_mcp_server::memory::access::{Allowed, Grant, Role};
use zep_mcp_server::memory::import::Imported;
use zep_mcp_server::memory::profile::Profile;
use zep_mcp_server::memory::{Error, MemoryService};
use zep_mcp_server::memory::{
    access::Caller,
    model::{AgentId, Owner, Place, RecordId, SessionId, TimeOrigin, UserId, Uuid},
};
use zep_mcp_server::zep::ThreadId;

use super::world::{Backend, World};

fn caller(role: Role) -> Caller {
    Caller::Granted(Arc::new(Grant {
        role,
        users: Allowed::These(BTreeSet::from([UserId::new("alice").unwrap()])),
        agents: Allowed::These(BTreeSet::from([AgentId::new("coach").unwrap()])),
        apps: Allowed::These(BTreeSet::new()),
    }))
}

fn imported() -> Imported {
    Imported {
        id: RecordId::new("record-1").unwrap(),
        speaker: None,
        content: "from before".into(),
        created_at: Timestamp::UNIX_EPOCH,
        time: TimeOrigin::Given,
        updated: None,
        kind: None,
        source: "test".into(),
        run: None,
        instead_of: None,
        agent: None,
        app: None,
        metadata: Map::new(),
    }
}

/// Tries everything on one owner; returns whether each was allowed.
async fn everything(memories: &MemoryService, caller: &Caller, owner: &Owner) -> Vec<bool> {
    let mut allowed = Vec::new();
    let mut note = |outcome: Result<(), Error>| {
        if let Err(error) = &outcome {
            assert_eq!(error.code(), "forbidden", "{error}");
        }
        allowed.push(outcome.is_ok());
    };
    match owner {
        Owner::User(user) => {
            let session = SessionId::new("imported").unwrap();
            note(memories.user(caller, user).await.map(drop));
            let profile = Profile::default();
            note(
                memories
                    .ensure_user(caller, user, &profile, &[], None)
                    .await
                    .map(drop),
            );
            note(memories.sessions_of(caller, user).await.map(drop));
            note(
                memories
                    .make_session(caller, user, &session)
                    .await
                    .map(drop),
            );
            let thread = session.plain_thread();
            note(memories.scan_thread(caller, user, &thread).map(drop));
        }
        Owner::Graph(graph) => {
            note(memories.has_graph(caller, graph).await.map(drop));
            note(memories.ensure_graph(caller, graph).await.map(drop));
        }
    }
    note(memories.scan_graph(caller, owner).map(drop));
    note(memories.delete_doubles(caller, owner, &[]).await);
    let turn = memories.import_turn(caller, owner).await;
    // Released: the next call waits for it.
    note(turn.map(drop));
    let turn = memories
        .import_turn(&Caller::Operator, owner)
        .await
        .unwrap();
    let place = Place::Graph(owner.clone());
    note(
        memories
            .import(caller, &turn, &place, vec![imported()], None)
            .await,
    );
    allowed
}

#[tokio::test]
async fn migrations_need_an_operator_for_the_owner() {
    let world = World::new(Backend::Embedded).await;
    let user = |id: &str| Owner::User(UserId::new(id).unwrap());
    let graph = |id: &str| Owner::Graph(AgentId::new(id).unwrap().graph());
    for role in Role::ALL {
        for (owner, hers) in [
            (user("alice"), true),
            (graph("coach"), true),
            (user("bob"), false),
            (graph("spy"), false),
        ] {
            let allowed = everything(&world.memories, &caller(role), &owner).await;
            let expected = hers && role == Role::Operator;
            assert!(
                allowed.iter().all(|allowed| *allowed == expected),
                "{role} {owner}: {allowed:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_thread_is_read_for_its_real_owner_not_for_the_named_one() {
    for backend in [Backend::Embedded, Backend::Zep] {
        let world = World::new(backend).await;
        let alice = UserId::new("alice").unwrap();
        let bobs = ThreadId::new("bob-talk").unwrap();
        let caller = caller(Role::Operator);
        let mut scan = world.memories.scan_thread(&caller, &alice, &bobs).unwrap();
        let error = scan.next().await.unwrap_err();
        assert_eq!(error.code(), "not_yours", "{error}");
    }
}

#[tokio::test]
async fn duplicates_of_other_owners_are_not_deleted() {
    for backend in [Backend::Embedded, Backend::Zep] {
        let world = World::new(backend).await;
        let before = world.everything_of("bob").await;
        let bob = &world.ids["bob"];
        let ids = [&bob.text, bob.message.as_ref().unwrap()];
        let ids: Vec<Uuid> = ids.into_iter().cloned().map(Uuid).collect();
        let alice = Owner::User(UserId::new("alice").unwrap());
        let caller = caller(Role::Operator);
        world
            .memories
            .delete_doubles(&caller, &alice, &ids)
            .await
            .unwrap();
        assert_eq!(world.everything_of("bob").await, before);
        let own = Uuid(world.ids["alice"].text.clone());
        world
            .memories
            .delete_doubles(&caller, &alice, &[own])
            .await
            .unwrap();
        let after = world.everything_of("alice").await;
        assert!(!after.contains(&world.ids["alice"].text), "{after}");
    }
}

#[tokio::test]
async fn an_agents_graph_is_recognised_by_its_whole_id() {
    let caller = caller(Role::Operator);
    let graph = |id: &str| Owner::Graph(zep_mcp_server::zep::GraphId::new(id).unwrap());
    assert!(caller.reaches(&graph("mem0-agent-coach")));
    for other in [
        "mem0-agent- coach",
        "coach",
        "mem0-agent-coach2",
        "mem0-run-coach",
    ] {
        assert!(!caller.reaches(&graph(other)), "{other}");
    }
}
