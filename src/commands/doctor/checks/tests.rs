use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use zep_mcp_server::zep::*;

use super::*;

/// A backend with scripted answers that records the users it creates and deletes.
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
    panic!("doctor does not need this call")
}

#[async_trait]
impl Accounts for Scripted {
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
    fn users(&self) -> Pages<'_, User> {
        not_for_doctor()
    }
    async fn user_threads(&self, _: &UserId) -> Result<Vec<Thread>> {
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
    accounts(&cloud(), zep).await
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
async fn the_temporary_user_is_deleted() {
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
async fn a_user_that_may_have_been_created_is_deleted_too() {
    let zep = Scripted {
        add_user: no_answer(),
        ..Scripted::default()
    };
    let checks = examined(&zep).await;
    assert_eq!(line(&checks, "write access").state, State::Failed);
    assert_eq!(*zep.made.lock().unwrap(), *zep.deleted.lock().unwrap());
}

#[tokio::test]
async fn a_user_that_could_not_be_deleted_is_named() {
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
fn every_failure_has_advice() {
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
