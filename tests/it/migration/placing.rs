//! The owner and the place of a record.

use std::sync::Arc;

use serde_json::{Value, json};
use zep_mcp_server::local::{Behavior, Listing, LocalZep};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::model::{SessionId, UserId};
use zep_mcp_server::migration::{Migrator, Request, Selection};
use zep_mcp_server::sources::{Export, SourceUser, Stored};
use zep_mcp_server::zep::{Accounts, Owner, ThreadId, Threads, UserId as ZepUser, Window};

use super::{contents, is_valid, migrate_all, turns};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(a_run_id_that_two_users_share_stays_two_sessions);

fn a_run_id_that_two_users_share_stays_two_sessions(world: &World) {
    let mut client = world.connect();
    let of = |count| json!({"sessions": [{"id": "run-1", "messages": turns(count)}]});
    for (user, count) in [("jane", 3), ("joe", 5), ("jane", 4)] {
        migrate_all(&mut client, &json!({"id": user}), &of(count));
    }
    for (user, count) in [("jane", 4), ("joe", 5)] {
        is_valid(&mut client, &json!({"id": user}), &of(count));
        let read = client.read_session(user, "run-1");
        assert_eq!(contents(&read), contents(&turns(count)));
    }
}

pub(super) struct Home {
    _directory: tempfile::TempDir,
    zep: Arc<LocalZep>,
    pub(super) migrator: Migrator,
}

impl Home {
    pub(super) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memory.db");
        let zep = Arc::new(LocalZep::open(&path, Behavior::default()).unwrap());
        let service = MemoryService::new(zep.clone(), UserId::new("default-user").unwrap());
        Self {
            _directory: directory,
            zep,
            migrator: Migrator::new(service),
        }
    }

    /// All that is stored.
    pub(super) fn stored(&self) -> Stored {
        Stored::new(self.zep.clone(), Vec::new(), "home".into())
    }

    pub(super) async fn threads(&self, user: &str) -> Vec<String> {
        let user = ZepUser::new(user).unwrap();
        let threads = self.zep.user_threads(&user).await.unwrap_or_default();
        let mut ids: Vec<_> = threads
            .into_iter()
            .filter_map(|one| one.thread_id)
            .collect();
        ids.sort();
        ids
    }

    async fn texts(&self, owner: &Owner) -> Vec<(String, Value)> {
        let page = self.zep.list_episodes(owner, &Listing::default()).await;
        let episodes = page.map(|page| page.items).unwrap_or_default();
        episodes
            .into_iter()
            .filter(|episode| episode.thread_id.is_none())
            .map(|one| (one.content, Value::Object(one.metadata.unwrap_or_default())))
            .collect()
    }
}

#[tokio::test]
async fn records_go_to_the_owner_that_they_name() {
    let home = Home::new();
    let source = json!({"results": [
        {"memory": "of a user", "user_id": "u", "agent_id": "a", "app_id": "p"},
        {"memory": "of a user's run", "user_id": "u", "run_id": "r"},
        {"memory": "of an agent", "agent_id": "a"},
        {"memory": "of a run", "run_id": "r2"},
        {"memory": "of an agent's run", "agent_id": "a", "run_id": "r3"},
        {"memory": "of an app", "app_id": "p"},
        {"memory": "of nobody"},
    ]});
    let report = home
        .migrator
        .migrate(Export::value(&source), &Request::default())
        .await
        .unwrap();
    assert_eq!(
        (report.memories_migrated, report.failed),
        (6, 1),
        "{report:#?}"
    );
    assert_eq!(report.errors[0].position.as_deref(), Some("results[6]"));
    assert_eq!(report.notes.len(), 2, "{:?}", report.notes);
    let user = |id: &str| Owner::User(ZepUser::new(id).unwrap());
    let texts = home.texts(&user("u")).await;
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].0, "of a user");
    assert_eq!(
        (&texts[0].1["agent_id"], &texts[0].1["app_id"]),
        (&json!("a"), &json!("p"))
    );
    assert_eq!(home.threads("u").await, ["r"]);
    assert_eq!(home.threads("mem0-run-r2").await, ["r2"]);
    assert_eq!(home.threads("mem0-agent-a").await, ["r3"]);
    assert_eq!(home.texts(&user("default-user")).await.len(), 1);
    let graph = zep_mcp_server::memory::model::AgentId::new("a")
        .unwrap()
        .graph();
    let texts = home.texts(&Owner::Graph(graph)).await;
    assert_eq!(texts.len(), 1);
    assert_eq!(texts[0].1.get("agent_id"), None);
    let verdict = home
        .migrator
        .validate_migration(Export::value(&source), &Request::default())
        .await
        .unwrap();
    assert!(verdict.issues.is_empty(), "{:#?}", verdict.issues);
}

#[tokio::test]
async fn a_selected_user_gets_what_names_nobody_only_if_nobody_else_is_named() {
    let of_nobody = [
        json!({"role": "user", "content": "of nobody"}),
        json!({"role": "user", "content": "of a session", "session_id": "s"}),
        json!({"role": "user", "content": "of nobody, too"}),
    ];
    let others = [
        json!({"role": "user", "content": "of another", "user_id": "joe"}),
        json!({"id": "joe", "name": "Joe", "messages": []}),
    ];
    let request = Request {
        selection: Selection::of_user(UserId::new("jane").unwrap()),
        ..Request::default()
    };
    let home = Home::new();
    let mut source = of_nobody.to_vec();
    source.push(json!({"role": "user", "content": "hers", "user_id": "jane", "session_id": "s"}));
    let report = home
        .migrator
        .migrate(Export::value(&Value::from(source)), &request)
        .await
        .unwrap();
    assert!(report.success, "{report:#?}");
    assert_eq!((report.memories_migrated, report.skipped), (4, 0));
    assert_eq!(home.threads("jane").await, ["default::zm::jane", "s"]);
    // Records that turned out to be hers later keep their place in the order.
    let window = Window::First { limit: 10 };
    let thread = ThreadId::new("s").unwrap();
    let messages = home.zep.messages(&thread, &window).await.unwrap().messages;
    assert_eq!(messages[0].content, "of a session");
    assert_eq!(messages[1].content, "hers");

    for other in others {
        let home = Home::new();
        let mut source = of_nobody.to_vec();
        source.push(other);
        source.push(json!({"memory": "hers", "user_id": "jane"}));
        let source = Value::from(source);
        let report = home
            .migrator
            .migrate(Export::value(&source), &request)
            .await
            .unwrap();
        // What is left out is nobody's as far as the source says: nothing proves that it may be.
        assert!(!report.success, "{report:#?}");
        assert_eq!(report.memories_migrated, 1, "{report:#?}");
        let reason = &report.errors[0].reason;
        assert!(
            reason.contains("3 records that name no user"),
            "{report:#?}"
        );
        assert_eq!(home.threads("jane").await, [""; 0]);
        assert!(home.zep.user(&ZepUser::new("joe").unwrap()).await.is_err());
    }
}

#[tokio::test]
async fn users_are_stored_as_the_guide_says() {
    let home = Home::new();
    let source = json!({"users": [
        {"messages": [], "name": "Ana María López", "email": "ana@example.com", "role": "user",
         "preferences": {"tone": "calm"}, "timezone": "CET", "id": "ana"},
        {"id": 7, "name": "Cher", "role": "therapist"},
    ]});
    let report = home
        .migrator
        .migrate(Export::value(&source), &Request::default())
        .await
        .unwrap();
    assert!(report.success, "{report:#?}");
    assert_eq!((report.users_migrated, report.memories_migrated), (2, 0));
    let ana = home.zep.user(&ZepUser::new("ana").unwrap()).await.unwrap();
    assert_eq!(
        (ana.first_name.as_deref(), ana.last_name.as_deref()),
        (Some("Ana María"), Some("López"))
    );
    assert_eq!(ana.email.as_deref(), Some("ana@example.com"));
    let metadata = ana.metadata.unwrap();
    assert_eq!(metadata["role"], "patient");
    assert_eq!(metadata["migration_source"], "mem0");
    assert_eq!(metadata["source_user_id"], "ana");
    assert_eq!(metadata["timezone"], "CET");
    assert!(
        metadata["migration_timestamp"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .is_ok()
    );
    let cher = home.zep.user(&ZepUser::new("7").unwrap()).await.unwrap();
    assert_eq!(cher.metadata.unwrap()["role"], "therapist");
    let verdict = home
        .migrator
        .validate_migration(Export::value(&source), &Request::default())
        .await
        .unwrap();
    assert!(verdict.valid, "{:#?}", verdict.issues);
}

#[tokio::test]
async fn a_user_without_memories_is_migrated() {
    let home = Home::new();
    let user = SourceUser {
        id: "jane".into(),
        name: Some("Jane Doe".into()),
        ..SourceUser::default()
    };
    let report = home.migrator.migrate_user(user).await.unwrap();
    assert!(report.success, "{report:#?}");
    assert_eq!((report.users_migrated, report.memories_migrated), (1, 0));
    let jane = home.zep.user(&ZepUser::new("jane").unwrap()).await.unwrap();
    assert_eq!(jane.last_name.as_deref(), Some("Doe"));
}

#[tokio::test]
async fn strict_writes_nothing_at_all_if_anything_cannot_be_migrated() {
    let home = Home::new();
    let source = json!({"users": [
        {"id": "a", "messages": turns(40)},
        {"id": "b", "messages": [{"role": "user", "content": "fine"}, {"role": "user", "content": ""}]},
    ]});
    let request = Request {
        strict: true,
        ..Request::default()
    };
    let report = home
        .migrator
        .migrate(Export::value(&source), &request)
        .await
        .unwrap();
    assert!(!report.success);
    assert_eq!((report.memories_migrated, report.errors.len()), (0, 1));
    assert_eq!(
        report.errors[0].position.as_deref(),
        Some("users[1].messages[1]")
    );
    for user in ["a", "b"] {
        assert!(home.zep.user(&ZepUser::new(user).unwrap()).await.is_err());
    }
}

#[tokio::test]
async fn a_snapshot_of_no_known_kind_is_refused_and_sums_are_honest() {
    let home = Home::new();
    let (jane, session) = (UserId::new("jane").unwrap(), SessionId::new("s").unwrap());
    assert!(
        !home.migrator.migration_report().success,
        "nothing was done yet"
    );
    for kind in ["user_id", "messages", "users", "moods"] {
        let refused = home
            .migrator
            .migrate_memory_snapshot(&jane, &session, kind, &json!("joe"))
            .await;
        assert!(refused.unwrap_err().to_string().contains(kind));
    }
    let turns = json!([{"role": "user", "content": "one"}, {"role": "user", "content": ""}]);
    let report = home
        .migrator
        .migrate_conversation_history(&jane, &session, &turns)
        .await
        .unwrap();
    assert!(!report.success);
    let snapshot = home
        .migrator
        .migrate_memory_snapshot(&jane, &session, "summary", &json!("calm"))
        .await;
    assert!(snapshot.unwrap().success);
    let sum = home.migrator.migration_report();
    assert_eq!((sum.memories_migrated, sum.failed), (2, 1));
    assert!(!sum.success, "one of the runs did not succeed");
}
