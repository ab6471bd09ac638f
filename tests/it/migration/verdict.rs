//! The validation names what is missing, doubled, changed, added or out of order.

use serde_json::{Value, json};
use std::sync::Arc;
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::model::UserId;
use zep_mcp_server::migration::{CheckName, Migrator, Request, Validation};
use zep_mcp_server::sources::Export;
use zep_mcp_server::zep::{
    Accounts, Message, Metadata, NewMessage, Role, ThreadId, Threads, UserFields, Window,
};

use super::turns;

struct Moved {
    _directory: tempfile::TempDir,
    zep: Arc<LocalZep>,
    migrator: Migrator,
    source: Value,
    thread: ThreadId,
}

impl Moved {
    /// A user with a session and a memory, migrated and found valid.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memory.db");
        let zep = Arc::new(LocalZep::open(&path, Behavior::default()).unwrap());
        let service = MemoryService::new(zep.clone(), UserId::new("nobody").unwrap());
        let mut long = turns(8);
        long[5]["content"] = json!("long ".repeat(3_000));
        long[6]["metadata"] = json!({"mood": "calm", "deep": {"a": 1}});
        let moved = Self {
            _directory: directory,
            migrator: Migrator::new(service),
            source: json!({"users": [{
                "id": "jane", "email": "jane@example.com", "role": "user",
                "sessions": [{"id": "s", "messages": long}],
                "memories": [{"id": "m", "memory": "Likes tea", "created_at": "2024-01-01"}],
            }]}),
            zep,
            thread: ThreadId::new("s").unwrap(),
        };
        let report = moved
            .migrator
            .migrate(Export::value(&moved.source), &Request::default())
            .await
            .unwrap();
        assert!(report.success, "{report:#?}");
        let verdict = moved.validate().await;
        assert!(verdict.valid, "{verdict:#?}");
        assert_eq!(verdict.memory_count, 9);
        moved
    }

    async fn validate(&self) -> Validation {
        let source = Export::value(&self.source);
        self.migrator
            .validate_migration(source, &Request::default())
            .await
            .unwrap()
    }

    async fn messages(&self) -> Vec<Message> {
        let window = Window::First { limit: 100 };
        self.zep
            .messages(&self.thread, &window)
            .await
            .unwrap()
            .messages
    }

    /// Replaces the thread by these messages.
    async fn rewrite(&self, messages: Vec<Message>) {
        self.zep.delete_thread(&self.thread).await.unwrap();
        self.zep
            .create_thread(&self.thread, &UserId::new("jane").unwrap())
            .await
            .unwrap();
        let messages: Vec<NewMessage> = messages
            .into_iter()
            .map(|message| NewMessage {
                role: message.role,
                content: message.content,
                name: message.name,
                created_at: message.created_at,
                mark: None,
                metadata: message.metadata.unwrap_or_default(),
            })
            .collect();
        self.zep
            .add_messages(&self.thread, &messages)
            .await
            .unwrap();
    }

    /// Checks that exactly this check fails, for this record and field.
    async fn fails(&self, check: CheckName, record: Option<&str>, field: &str) {
        let verdict = self.validate().await;
        assert!(!verdict.valid);
        let failed: Vec<_> = verdict
            .checks
            .iter()
            .filter(|one| !one.passed)
            .map(|one| one.name)
            .collect();
        assert_eq!(failed, [check], "{verdict:#?}");
        assert_eq!(verdict.issues.len(), 1, "{verdict:#?}");
        let issue = &verdict.issues[0];
        assert_eq!(
            (issue.record.as_deref(), issue.field.as_str()),
            (record, field)
        );
        assert!(issue.owner.contains("jane"));
    }
}

fn id_of(message: &Message) -> String {
    message.metadata.as_ref().unwrap()["zm_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_missing_record_is_named() {
    let moved = Moved::new().await;
    let mut messages = moved.messages().await;
    let removed = messages.remove(2);
    moved.rewrite(messages).await;
    moved
        .fails(CheckName::MessageCount, Some(&id_of(&removed)), "record")
        .await;
}

#[tokio::test]
async fn a_missing_part_is_named() {
    let moved = Moved::new().await;
    let mut messages = moved.messages().await;
    let place = messages
        .iter()
        .position(|one| one.metadata.as_ref().unwrap().contains_key("zm_part"))
        .unwrap();
    let removed = messages.remove(place + 1);
    moved.rewrite(messages).await;
    moved
        .fails(CheckName::Content, Some(&id_of(&removed)), "content")
        .await;
}

#[tokio::test]
async fn a_doubled_record_is_named() {
    let moved = Moved::new().await;
    for place in [1, 5] {
        let mut messages = moved.messages().await;
        let double = messages[place].clone();
        let whole = messages.clone();
        messages.push(double.clone());
        moved.rewrite(messages).await;
        moved
            .fails(CheckName::MessageCount, Some(&id_of(&double)), "record")
            .await;
        moved.rewrite(whole).await;
    }
}

#[tokio::test]
async fn changed_content_times_metadata_roles_and_names_are_named() {
    type Change = fn(&mut Message);
    let changes: [(Change, CheckName, &str); 6] = [
        (|one| one.content.push('!'), CheckName::Content, "content"),
        (
            |one| {
                one.created_at = one
                    .created_at
                    .map(|time| time + jiff::SignedDuration::from_secs(1))
            },
            CheckName::Timestamps,
            "created_at",
        ),
        (
            |one| {
                one.metadata
                    .as_mut()
                    .unwrap()
                    .insert("mood".into(), json!("sad"));
            },
            CheckName::Metadata,
            "metadata",
        ),
        (
            |one| {
                one.metadata
                    .as_mut()
                    .unwrap()
                    .insert("memory_type".into(), json!("other"));
            },
            CheckName::Metadata,
            "memory_type",
        ),
        (|one| one.role = Role::System, CheckName::Metadata, "role"),
        (
            |one| one.name = Some("Somebody".into()),
            CheckName::Metadata,
            "name",
        ),
    ];
    let moved = Moved::new().await;
    let whole = moved.messages().await;
    for (change, check, field) in changes {
        let mut messages = whole.clone();
        let last = messages.len() - 2;
        change(&mut messages[last]);
        let id = id_of(&messages[last]);
        moved.rewrite(messages).await;
        moved.fails(check, Some(&id), field).await;
    }
}

#[tokio::test]
async fn an_added_record_is_named() {
    let moved = Moved::new().await;
    let added = NewMessage {
        role: Role::User,
        content: "not in the source".into(),
        name: None,
        created_at: None,
        mark: None,
        metadata: Metadata::new(),
    };
    let uuids = moved
        .zep
        .add_messages(&moved.thread, &[added])
        .await
        .unwrap()
        .message_uuids;
    moved
        .fails(CheckName::MessageCount, Some(uuids[0].as_str()), "record")
        .await;
}

#[tokio::test]
async fn records_out_of_order_are_named() {
    let moved = Moved::new().await;
    let mut messages = moved.messages().await;
    messages.swap(1, 2);
    let behind = id_of(&messages[2]);
    moved.rewrite(messages).await;
    moved.fails(CheckName::Order, Some(&behind), "order").await;
}

#[tokio::test]
async fn a_missing_session_and_user_are_named() {
    let moved = Moved::new().await;
    moved.zep.delete_thread(&moved.thread).await.unwrap();
    let verdict = moved.validate().await;
    assert!(!verdict.valid);
    // The session, with everything in it.
    let checks: Vec<_> = verdict.issues.iter().map(|one| one.check).collect();
    assert_eq!(checks, [CheckName::SessionLoads, CheckName::MessageCount]);
    assert!(verdict.issues[1].detail.contains("all 8"), "{verdict:#?}");
    let jane = UserId::new("jane").unwrap();
    moved.zep.delete_user(&jane).await.unwrap();
    let verdict = moved.validate().await;
    assert_eq!(verdict.issues[0].check, CheckName::UserExists);
    assert!(
        verdict
            .checks
            .iter()
            .any(|one| one.name == CheckName::MessageCount && one.found == 0)
    );
}

#[tokio::test]
async fn a_changed_field_of_a_user_is_named_and_its_value_is_not() {
    let moved = Moved::new().await;
    let fields = UserFields {
        email: Some("other@example.com".into()),
        ..UserFields::default()
    };
    moved
        .zep
        .update_user(&UserId::new("jane").unwrap(), &fields)
        .await
        .unwrap();
    moved.fails(CheckName::UserExists, None, "email").await;
    let verdict = serde_json::to_string(&moved.validate().await).unwrap();
    assert!(!verdict.contains("@example.com"), "{verdict}");
}
