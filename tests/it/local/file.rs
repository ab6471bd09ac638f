use std::fs;
use std::path::Path;
use std::process::Command;

use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::zep::{Accounts, Error, NewUser, Threads, UserFields};

use super::{Home, message, of, thread, user};

async fn refused(path: &Path) -> String {
    let zep = LocalZep::open(path, Behavior::default()).unwrap();
    let error = zep.project().await.unwrap_err();
    let Error::Storage { path: named, .. } = &error else {
        panic!("{error}");
    };
    assert_eq!(Path::new(named), path);
    let new = NewUser {
        user_id: user("u"),
        fields: UserFields::default(),
    };
    assert!(matches!(
        zep.add_user(&new).await,
        Err(Error::Storage { .. })
    ));
    error.to_string()
}

async fn is_left_as_it_is(path: &Path, says: &str) {
    let beside = || fs::read_dir(path.parent().unwrap()).unwrap().count();
    let before = (fs::read(path).unwrap(), beside());
    let error = refused(path).await;
    assert!(error.contains(says), "{error}");
    let after = (fs::read(path).unwrap(), beside());
    assert_eq!(after, before, "nothing was put beside it");
}

/// A plain SQLite connection to inspect the file.
fn sqlite(path: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(path).unwrap()
}

#[tokio::test]
async fn opening_touches_nothing_before_first_use() {
    let home = Home::new();
    assert!(!home.path().exists());
    home.zep.project().await.unwrap();
    assert!(home.path().exists());
}

#[tokio::test]
async fn a_file_that_is_not_a_database_is_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.db");
    fs::write(
        &path,
        "Dear diary, this is not a database at all. ".repeat(100),
    )
    .unwrap();
    is_left_as_it_is(&path, "not a memory file").await;
    fs::write(&path, "short").unwrap();
    is_left_as_it_is(&path, "not a memory file").await;
}

#[tokio::test]
async fn a_database_of_another_program_is_left_as_it_is() {
    for mode in ["wal", "delete"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("memory.db");
        let other = sqlite(&path);
        other
            .pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()))
            .unwrap();
        other
            .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
            .unwrap();
        drop(other);
        is_left_as_it_is(&path, "not a memory file").await;
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_as_it_is() {
    let home = Home::new();
    home.user("u").await;
    let path = home.path();
    drop(home.zep);
    let newer = sqlite(&path);
    newer.pragma_update(None, "user_version", 3).unwrap();
    newer
        .pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))
        .unwrap();
    drop(newer);
    is_left_as_it_is(&path, "newer version").await;
}

#[tokio::test]
async fn a_read_only_file_is_read_and_left_as_it_is() {
    let home = Home::new();
    home.user("u").await;
    let written = home.path();
    drop(home.zep);
    // A file that this process has written counts as writable.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.db");
    fs::copy(&written, &path).unwrap();
    let beside = || fs::read_dir(directory.path()).unwrap().count();
    let before = (fs::read(&path).unwrap(), beside());
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();

    let zep = LocalZep::open(&path, Behavior::default()).unwrap();
    let why = zep.why_unwritable().unwrap();
    assert!(why.contains("read-only"), "{why}");
    assert!(zep.user(&user("u")).await.is_ok());
    let new = NewUser {
        user_id: user("v"),
        fields: UserFields::default(),
    };
    let refused = zep.add_user(&new).await.unwrap_err();
    assert!(matches!(refused, Error::Storage { .. }), "{refused}");
    assert_eq!(refused.to_string(), why);
    assert!(zep.user(&user("v")).await.unwrap_err().is_not_found());
    assert_eq!((fs::read(&path).unwrap(), beside()), before);
}

#[tokio::test]
async fn a_file_that_became_empty_is_not_taken_for_a_new_one() {
    let home = Home::new();
    home.user("u").await;
    let path = home.path();
    drop(home.zep);
    fs::write(&path, "").unwrap();
    let error = refused(&path).await;
    assert!(
        error.contains("empty") && error.contains("backup"),
        "{error}"
    );
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    // Deleting it begins anew.
    fs::remove_file(&path).unwrap();
    let zep = LocalZep::open(&path, Behavior::default()).unwrap();
    assert!(zep.user(&user("u")).await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn an_empty_file_whose_log_holds_memories_is_not_taken_for_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory.db");
    fs::write(&path, "").unwrap();
    fs::write(directory.path().join("memory.db-wal"), "a log").unwrap();
    let error = refused(&path).await;
    assert!(error.contains("empty"), "{error}");
    let log = fs::read_to_string(directory.path().join("memory.db-wal"));
    assert_eq!(log.unwrap(), "a log");
}

#[tokio::test]
async fn a_path_that_cannot_be_a_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    refused(directory.path()).await;
    let file = directory.path().join("file");
    fs::write(&file, "x").unwrap();
    refused(&file.join("below/memory.db")).await;
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let made = directory.path().join("a/b");
    let path = made.join("memory.db");
    let zep = LocalZep::open(&path, Behavior::default()).unwrap();
    zep.project().await.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&made), 0o700);
    for entry in fs::read_dir(&made).unwrap() {
        let entry = entry.unwrap().path();
        assert_eq!(mode(&entry), 0o600, "{}", entry.display());
    }
}

#[tokio::test]
async fn an_empty_file_becomes_a_memory_file() {
    let home = Home::new();
    fs::write(home.path(), "").unwrap();
    home.user("u").await;
    assert!(home.again().user(&user("u")).await.is_ok());
}

#[tokio::test]
async fn a_file_that_is_opened_again_keeps_everything() {
    let (home, person, thread) = Home::with_thread(Behavior::default()).await;
    home.say(&thread, &["one", "two", "three"]).await;
    let before = home.zep.all_messages(&thread).await.unwrap();
    let project = home.zep.project().await.unwrap();
    let Home { directory, zep } = home;
    drop(zep);
    let home = Home {
        zep: LocalZep::open(&directory.path().join("memory.db"), Behavior::default()).unwrap(),
        directory,
    };
    assert_eq!(home.zep.all_messages(&thread).await.unwrap(), before);
    assert_eq!(home.zep.project().await.unwrap(), project);
    assert_eq!(home.find(&of(&person), "two").await[0], "two");
}

#[tokio::test]
async fn a_file_that_was_moved_away_is_not_written_to() {
    let home = Home::new();
    home.user("before").await;
    fs::rename(home.path(), home.directory.path().join("moved.db")).unwrap();
    for tail in ["-wal", "-shm"] {
        let from = home.directory.path().join(format!("memory.db{tail}"));
        fs::rename(from, home.directory.path().join(format!("moved.db{tail}"))).unwrap();
    }
    home.user("after").await;
    assert!(home.again().user(&user("after")).await.is_ok());
    assert!(
        home.again()
            .user(&user("before"))
            .await
            .unwrap_err()
            .is_not_found()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_pools_that_start_and_write_at_once_lose_and_mix_up_nothing() {
    const CALLS: usize = 40;
    let home = Home::new();
    // Both create the file.
    let others = [home.again(), home.again()];
    let (one, two) = tokio::join!(others[0].project(), others[1].project());
    assert_eq!(one.unwrap().uuid, two.unwrap().uuid);
    let person = home.user("u").await;
    let shared = home.thread("shared", &person).await;

    let mut writers = Vec::new();
    for (name, zep) in ["a", "b"].into_iter().zip(others) {
        for lane in 0..2 {
            let (zep, shared, person) = (zep.clone(), shared.clone(), person.clone());
            writers.push(tokio::spawn(async move {
                let own = thread(&format!("{name}{lane}"));
                zep.create_thread(&own, &person).await.unwrap();
                for call in 0..CALLS / 2 {
                    let pair = [0, 1].map(|part| message(&format!("{name}{lane} {call} {part}")));
                    zep.add_messages(&shared, &pair).await.unwrap();
                    zep.add_messages(&own, &pair).await.unwrap();
                }
            }));
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let all = home.contents(&shared).await;
    assert_eq!(all.len(), 4 * CALLS);
    for pair in all.chunks(2) {
        assert_eq!(
            pair[0].strip_suffix('0'),
            pair[1].strip_suffix('1'),
            "one call stays together"
        );
    }
    for lane in ["a0", "a1", "b0", "b1"] {
        let own = home.contents(&thread(lane)).await;
        let in_shared: Vec<_> = all
            .iter()
            .filter(|text| text.starts_with(lane))
            .cloned()
            .collect();
        assert_eq!(own, in_shared, "in the order of each writer");
    }
}

#[tokio::test]
async fn a_call_that_is_dropped_is_carried_out_whole_or_not_at_all() {
    let (home, _, thread) = Home::with_thread(Behavior::default()).await;
    for _ in 0..20 {
        let call = vec![message("x"); 30];
        let adding = home.zep.add_messages(&thread, &call);
        let _ = tokio::time::timeout(std::time::Duration::from_micros(300), adding).await;
    }
    home.say(&thread, &["end"]).await;
    assert_eq!(home.contents(&thread).await.len() % 30, 1);
}

/// Not a test: the process that the next test kills.
#[tokio::test]
#[ignore = "started by the test that kills it"]
async fn writes_until_it_is_killed() {
    let Ok(path) = std::env::var("LOCAL_ZEP_TO_KILL") else {
        return;
    };
    let zep = LocalZep::open(Path::new(&path), Behavior::default()).unwrap();
    for number in 0.. {
        let pair = [0, 1].map(|part| message(&format!("{number} {part}")));
        zep.add_messages(&thread("t"), &pair).await.unwrap();
        println!("stored {number}.");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn confirmed_writes_survive_a_kill() {
    use std::io::{BufRead, BufReader};
    let (home, person, thread) = Home::with_thread(Behavior::default()).await;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--nocapture",
            "--exact",
            "local::file::writes_until_it_is_killed",
        ])
        .env("LOCAL_ZEP_TO_KILL", home.path())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let answered = |line: &str| {
        line.trim_end_matches('.')
            .rsplit(' ')
            .next()?
            .parse::<usize>()
            .ok()
    };
    let mut last = 0;
    while last < 50 {
        let line = lines.next().unwrap().unwrap();
        if line.contains("stored") {
            last = answered(&line).unwrap();
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines
        .map_while(Result::ok)
        .filter(|line| line.ends_with('.'))
    {
        last = last.max(answered(&line).unwrap_or(0));
    }
    let contents = home.contents(&thread).await;
    assert!(contents.len() >= 2 * (last + 1));
    for (number, pair) in contents.chunks(2).enumerate() {
        assert_eq!(pair, [format!("{number} 0"), format!("{number} 1")]);
    }
    assert!(!home.find(&of(&person), "7").await.is_empty());
}
