//! The embedded Zep keeps Zep's contract and loses nothing.

mod batches;
mod file;
mod graph;
mod long;
mod once;
mod people;
mod recall;
mod searching;
mod threads;
mod together;

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;
use zep_mcp_server::local::{Behavior, LocalZep, MetadataFilter};
use zep_mcp_server::zep::{
    Accounts, DataType, Episode, GraphId, Graphs, Metadata, NewEpisode, NewMessage, NewUser, Owner,
    Reranker, Role, Search, SearchScope, ThreadId, Threads, UserFields, UserId, Uuid,
};

/// An embedded Zep in a directory of its own.
struct Home {
    directory: TempDir,
    zep: LocalZep,
}

impl Home {
    fn new() -> Self {
        Self::with(Behavior::default())
    }

    fn with(behavior: Behavior) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let zep = LocalZep::open(&directory.path().join("memory.db"), behavior).unwrap();
        Self { directory, zep }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("memory.db")
    }

    /// The same file, opened a second time.
    fn again(&self) -> LocalZep {
        LocalZep::open(&self.path(), self.zep.behavior()).unwrap()
    }

    async fn user(&self, id: &str) -> UserId {
        let user_id = user(id);
        let new = NewUser {
            user_id: user_id.clone(),
            fields: UserFields::default(),
        };
        self.zep.add_user(&new).await.unwrap();
        user_id
    }

    async fn thread(&self, id: &str, of: &UserId) -> ThreadId {
        let thread = thread(id);
        self.zep.create_thread(&thread, of).await.unwrap();
        thread
    }

    /// A user `u` with a thread `t`.
    async fn with_thread(behavior: Behavior) -> (Self, UserId, ThreadId) {
        let home = Self::with(behavior);
        let user = home.user("u").await;
        let thread = home.thread("t", &user).await;
        (home, user, thread)
    }

    async fn say(&self, thread: &ThreadId, texts: &[&str]) -> Vec<Uuid> {
        let messages: Vec<NewMessage> = texts.iter().map(|text| message(text)).collect();
        let added = self.zep.add_messages(thread, &messages).await.unwrap();
        assert_eq!(added.message_uuids.len(), texts.len());
        added.message_uuids
    }

    async fn contents(&self, thread: &ThreadId) -> Vec<String> {
        let page = self.zep.all_messages(thread).await.unwrap();
        assert_eq!(page.total_count, Some(page.messages.len() as u64));
        page.messages.into_iter().map(|one| one.content).collect()
    }

    async fn find(&self, owner: &Owner, query: &str) -> Vec<String> {
        let found = self.zep.search(owner, &question(query)).await.unwrap();
        found.edges.into_iter().map(|fact| fact.fact).collect()
    }

    async fn find_episodes(&self, owner: &Owner, query: &str) -> Vec<Episode> {
        let search = Search {
            scope: SearchScope::Episodes,
            ..question(query)
        };
        self.zep.search(owner, &search).await.unwrap().episodes
    }

    async fn note(&self, owner: &Owner, text: &str, metadata: Value) -> Episode {
        let episode = NewEpisode {
            metadata: object(metadata),
            ..note(text)
        };
        self.zep.add_episode(owner, &episode).await.unwrap()
    }
}

fn user(id: &str) -> UserId {
    UserId::new(id).unwrap()
}

fn thread(id: &str) -> ThreadId {
    ThreadId::new(id).unwrap()
}

fn graph(id: &str) -> GraphId {
    GraphId::new(id).unwrap()
}

fn of(user: &UserId) -> Owner {
    Owner::User(user.clone())
}

fn message(text: &str) -> NewMessage {
    NewMessage {
        role: Role::User,
        content: text.into(),
        name: None,
        created_at: None,
        mark: None,
        metadata: Metadata::new(),
    }
}

fn note(text: &str) -> NewEpisode {
    NewEpisode {
        data_type: DataType::Text,
        data: text.into(),
        created_at: None,
        mark: None,
        metadata: Metadata::new(),
        source_description: None,
    }
}

/// Only what belongs to this record.
fn of_record(record: &str) -> MetadataFilter {
    let condition = json!({
        "comparison_operator": "=", "property_name": "zm_id", "property_value": record
    });
    serde_json::from_value(json!({ "type": "and", "filters": [condition] })).unwrap()
}

fn question(query: &str) -> Search {
    Search {
        query: query.into(),
        scope: SearchScope::Edges,
        limit: None,
        reranker: None,
        from_episodes: Vec::new(),
    }
}

fn by_similarity(query: &str) -> Search {
    Search {
        reranker: Some(Reranker::CrossEncoder),
        ..question(query)
    }
}

fn object(value: Value) -> Metadata {
    value.as_object().cloned().unwrap()
}
