use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use zep_mcp_server::zep::*;

use super::*;

/// A backend that answers what a test says, and remembers whose users it was asked to make and to
/// delete.
#[derive(Debug, Default)]
struct Scripted {
    project: Option<Error>,
    add_user: Option<Error>,
    delete_user: Option<Error>,
    made: Mutex<Vec<UserId>>,
    deleted: Mutex<Vec<UserId>>,
}

fn answer<T>(error: &Option<Error>, good: T) -> Result<T> {
    error.clone().map_or(Ok(good), Err)
}

fn not_for_doctor() -> ! {
    panic!("doctor has no business with this call")
}

#[async_trait]
impl Zep for Scripted {
    fn backend(&self) -> &'static str {
        "zep"
    }
    async fn project(&self) -> Result<Project> {
        let name = Some("Acme".to_owned());
        answer(
            &self.project,
            Project {
                name,
                ..Project::default()
            },
        )
    }
    async fn add_user(&self, user: &NewUser) -> Result<User> {
        self.made.lock().unwrap().push(user.user_id.clone());
        answer(&self.add_user, User::default())
    }
    async fn delete_user(&self, user: &UserId) -> Result<()> {
        self.deleted.lock().unwrap().push(user.clone());
        answer(&self.delete_user, ())
    }
    async fn user(&self, _: &UserId) -> Result<User> {
        not_for_doctor()
    }
    async fn update_user(&self, _: &UserId, _: &UserFields) -> Result<User> {
        not_for_doctor()
    }
    async fn list_users(&self, _: PageNumber) -> Result<UserPage> {
        not_for_doctor()
    }
    async fn user_threads(&self, _: &UserId) -> Result<Vec<Thread>> {
        not_for_doctor()
    }
    async fn create_thread(&self, _: &ThreadId, _: &UserId) -> Result<Thread> {
        not_for_doctor()
    }
    async fn list_threads(&self, _: PageNumber) -> Result<ThreadPage> {
        not_for_doctor()
    }
    async fn messages(&self, _: &ThreadId, _: &Window) -> Result<MessagePage> {
        not_for_doctor()
    }
    async fn add_messages(&self, _: &ThreadId, _: &[NewMessage]) -> Result<AddedMessages> {
        not_for_doctor()
    }
    async fn set_message_metadata(&self, _: &Uuid, _: &Metadata) -> Result<Message> {
        not_for_doctor()
    }
    async fn thread_context(&self, _: &ThreadId) -> Result<ThreadContext> {
        not_for_doctor()
    }
    async fn delete_thread(&self, _: &ThreadId) -> Result<()> {
        not_for_doctor()
    }
    async fn create_graph(&self, _: &GraphId, _: &str, _: &str) -> Result<Graph> {
        not_for_doctor()
    }
    async fn graph(&self, _: &GraphId) -> Result<Graph> {
        not_for_doctor()
    }
    async fn list_graphs(&self, _: PageNumber) -> Result<GraphPage> {
        not_for_doctor()
    }
    async fn delete_graph(&self, _: &GraphId) -> Result<()> {
        not_for_doctor()
    }
    async fn add_episode(&self, _: &Owner, _: &NewEpisode) -> Result<Episode> {
        not_for_doctor()
    }
    async fn search(&self, _: &Owner, _: &Search) -> Result<Found> {
        not_for_doctor()
    }
    async fn episode(&self, _: &Uuid) -> Result<Episode> {
        not_for_doctor()
    }
    async fn list_episodes(&self, _: &Owner, _: &Listing) -> Result<Page<Episode>> {
        not_for_doctor()
    }
    async fn set_episode_metadata(&self, _: &Uuid, _: &Metadata) -> Result<Episode> {
        not_for_doctor()
    }
    async fn delete_episode(&self, _: &Uuid) -> Result<()> {
        not_for_doctor()
    }
    async fn fact(&self, _: &Uuid) -> Result<Fact> {
        not_for_doctor()
    }
    async fn list_facts(&self, _: &Owner, _: &Listing) -> Result<Page<Fact>> {
        not_for_doctor()
    }
    async fn update_fact(&self, _: &Uuid, _: &FactPatch) -> Result<Fact> {
        not_for_doctor()
    }
    async fn delete_fact(&self, _: &Uuid) -> Result<()> {
        not_for_doctor()
    }
    async fn create_batch(&self, _: &Metadata) -> Result<Batch> {
        not_for_doctor()
    }
    async fn list_batches(
        &self,
        _: Option<BatchStatus>,
        _: Option<u32>,
        _: Option<u64>,
    ) -> Result<BatchPage> {
        not_for_doctor()
    }
    async fn add_batch_items(&self, _: &str, _: &[BatchItem]) -> Result<Vec<BatchItemState>> {
        not_for_doctor()
    }
    async fn process_batch(&self, _: &str) -> Result<Batch> {
        not_for_doctor()
    }
    async fn batch(&self, _: &str) -> Result<Batch> {
        not_for_doctor()
    }
    async fn batch_items(
        &self,
        _: &str,
        _: Option<BatchItemStatus>,
        _: Option<u32>,
        _: Option<u64>,
    ) -> Result<BatchItemPage> {
        not_for_doctor()
    }
    async fn delete_batch(&self, _: &str) -> Result<()> {
        not_for_doctor()
    }
    async fn task(&self, _: &str) -> Result<Task> {
        not_for_doctor()
    }
}

fn cloud() -> Backend {
    Backend::Zep(
        Connection::new(
            "https://api.getzep.com",
            "z_secret".into(),
            Duration::from_secs(1),
        )
        .unwrap(),
    )
}

async fn examined(zep: &Scripted) -> Vec<Check> {
    all(&cloud(), zep).await
}

fn line<'a>(checks: &'a [Check], name: &str) -> &'a Check {
    checks.iter().find(|check| check.name == name).unwrap()
}

fn no_answer() -> Option<Error> {
    Some(Error::NoAnswer {
        message: "timed out".into(),
    })
}

#[tokio::test]
async fn the_throw_away_user_is_deleted_again() {
    let zep = Scripted::default();
    let checks = examined(&zep).await;
    assert!(
        checks.iter().all(|check| check.state != State::Failed),
        "{checks:?}"
    );
    let made = zep.made.lock().unwrap();
    assert_eq!(made.len(), 1);
    assert!(made[0].as_str().starts_with("zep-mcp-doctor-"));
    assert_eq!(*made, *zep.deleted.lock().unwrap());
}

#[tokio::test]
async fn a_user_that_may_have_been_made_is_deleted_too() {
    let zep = Scripted {
        add_user: no_answer(),
        ..Scripted::default()
    };
    let checks = examined(&zep).await;
    assert_eq!(line(&checks, "write access").state, State::Failed);
    assert_eq!(*zep.made.lock().unwrap(), *zep.deleted.lock().unwrap());
}

#[tokio::test]
async fn a_user_that_stays_behind_is_named() {
    let zep = Scripted {
        delete_user: no_answer(),
        ..Scripted::default()
    };
    let checks = examined(&zep).await;
    let advice = line(&checks, "write access").advice.clone().unwrap();
    assert!(
        advice.contains(zep.made.lock().unwrap()[0].as_str()),
        "{advice}"
    );
}

#[tokio::test]
async fn with_a_wrong_key_nothing_is_written_and_the_advice_names_the_setting() {
    let refused = Error::Unauthorized {
        status: 401,
        message: "invalid key".into(),
    };
    let zep = Scripted {
        project: Some(refused),
        ..Scripted::default()
    };
    let checks = examined(&zep).await;
    let key = line(&checks, "API key");
    assert_eq!(key.state, State::Failed);
    assert!(key.advice.as_ref().unwrap().contains("ZEP_API_KEY"));
    assert_eq!(line(&checks, "write access").state, State::NotMeasured);
    assert!(zep.made.lock().unwrap().is_empty());
}

#[test]
fn every_failure_says_what_to_do() {
    let message = String::new;
    for error in [
        Error::Connect {
            host: String::new(),
            message: message(),
        },
        Error::RateLimited {
            retry_after: None,
            message: message(),
        },
        Error::Upstream {
            status: 500,
            message: message(),
        },
        Error::BadAnswer { message: message() },
        Error::Storage {
            path: String::new(),
            message: message(),
        },
    ] {
        assert!(!advice(&error).is_empty());
    }
}

#[test]
fn a_clock_that_is_a_minute_off_fails_either_way() {
    let at = |ahead_secs: i64| clock(Some(ahead_secs));
    assert_eq!(at(60).state, State::Ok);
    assert_eq!(at(-60).state, State::Ok);
    assert_eq!(
        (at(-61).state, at(-61).detail.as_str()),
        (State::Failed, "61 s behind Zep's")
    );
    assert_eq!(
        (at(61).state, at(61).detail.as_str()),
        (State::Failed, "61 s ahead of Zep's")
    );
    assert_eq!(clock(None).state, State::NotMeasured);
}

#[cfg(unix)]
#[test]
fn a_memory_file_that_others_can_read_fails_with_the_remedy() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let file: PathBuf = dir.path().join("memory.db");
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(data_dir(&file).state, State::Failed);
    std::fs::write(&file, "").unwrap();
    mode(&file, 0o600);
    assert_eq!(data_dir(&file).state, State::Ok);
    mode(&file, 0o640);
    let found = data_dir(&file);
    assert!(found.advice.unwrap().starts_with("chmod go-rw"));
    mode(&file, 0o600);
    mode(dir.path(), 0o777);
    assert!(data_dir(&file).advice.unwrap().starts_with("chmod go-w"));
}
