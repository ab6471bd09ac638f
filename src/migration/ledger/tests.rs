//! The promises of the file itself.

use std::fs;
use std::time::Duration;

use rusqlite::TransactionBehavior;
use serde_json::json;

use super::*;
use crate::memory::model::{Owner, Place, SessionId, UserId};

fn start(source: &str) -> RunStart {
    RunStart {
        source: source.into(),
        system: "mem0".into(),
        target: "local x".into(),
        request: json!({"user": "jane"}),
    }
}

fn session() -> Place {
    Place::Session(UserId::new("jane").unwrap(), SessionId::new("s").unwrap())
}

fn entry(id: &str, content: &str) -> PlannedEntry {
    PlannedEntry {
        id: id.into(),
        parts: 1,
        digest: content.as_bytes().to_vec(),
    }
}

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

const UUID: &str = "0b0f4a5c-6f0e-4a3c-9a53-0a7a4a7a0001";

#[test]
fn a_record_is_known_as_far_as_it_was_noted() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let run = ledger.begin(&start("file a")).unwrap();
    let plan = [UUID, "sent", "failed", "planned"].map(|id| entry(id, "one"));
    assert_eq!(run.plan(&session(), &plan).unwrap(), [Known::New; 4]);
    let place = run.place(&session()).unwrap();
    run.sent(place, ids(&[UUID, "sent"])).unwrap();
    run.confirmed(place, ids(&[UUID])).unwrap();
    run.failed(place, ids(&["failed"])).unwrap();
    run.made_place(place).unwrap();
    let id = run.id().to_owned();
    drop(run);
    assert_eq!(ledger.run(&id).unwrap().unwrap().state, RunState::Stopped);

    // The same command continues it, another one does not.
    let other = ledger.begin(&start("file b")).unwrap();
    assert!(!other.is_continued());
    let run = ledger.begin(&start("file a")).unwrap();
    assert!(run.is_continued() && run.id() == id);
    assert_eq!(ledger.run(&id).unwrap().unwrap().state, RunState::Running);
    let again = run.plan(&session(), &plan).unwrap();
    assert_eq!(
        again,
        [Known::Stored, Known::Sent, Known::Open, Known::Open]
    );
    let changed = run.plan(&session(), &[entry(UUID, "two")]).unwrap();
    assert_eq!(changed, [Known::Changed]);
    // Beside a living one, the same command is a run of its own.
    let beside = ledger.begin(&start("file a")).unwrap();
    assert_ne!(beside.id(), id);
    beside.end(RunState::Done, &json!({})).unwrap();

    let places = ledger.places(&id, None, 10).unwrap();
    assert_eq!(places.len(), 1);
    assert!(places[0].made && places[0].place == session());
    let counts = places[0].counts;
    assert_eq!((counts.confirmed, counts.sent, counts.planned), (1, 1, 2));
    let records = ledger.records(&id, 0, 10).unwrap();
    let read: Vec<_> = records.iter().map(|record| record.id.as_str()).collect();
    assert_eq!(read, [UUID, "sent", "failed", "planned"]);
    let owners = ledger.owners(&id, None, 10).unwrap();
    assert!(owners.len() == 1 && !owners[0].made);
    run.end(RunState::Done, &json!({"success": true})).unwrap();
    let ended = ledger.run(&id).unwrap().unwrap();
    assert_eq!(ended.state, RunState::Done);
    assert_eq!(ended.report, Some(json!({"success": true})));
    assert!(!ledger.begin(&start("file a")).unwrap().is_continued());
    // To undo it, one process takes it up.
    let undoing = ledger.take_up(&id).unwrap();
    assert!(ledger.take_up(&id).is_err());
    undoing.undone(place, ids(&[UUID])).unwrap();
    undoing.end(RunState::Undone, &json!({})).unwrap();
    let counts = ledger.places(&id, None, 10).unwrap()[0].counts;
    assert_eq!((counts.confirmed, counts.undone), (0, 1));
}

#[test]
fn an_owner_is_one_runs_at_a_time_and_free_when_that_dies() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let [one, other] = ["a", "b"].map(|source| ledger.begin(&start(source)).unwrap());
    let jane = Owner::User(UserId::new("jane").unwrap());
    let jane = one.owner(&jane).unwrap();
    let taken = |outdated| Claim::Taken { outdated };
    assert_eq!(one.claim(jane).unwrap(), taken(false));
    assert_eq!(one.claim(jane).unwrap(), taken(false));
    let by = one.id().to_owned();
    assert_eq!(other.claim(jane).unwrap(), Claim::Held { by });
    one.release(jane).unwrap();
    assert_eq!(other.claim(jane).unwrap(), taken(true));
    drop(other);
    assert_eq!(one.claim(jane).unwrap(), taken(true));
}

#[test]
fn what_is_found_belongs_to_the_run_that_it_names() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let run = ledger.begin(&start("a")).unwrap();
    run.plan(&session(), &[entry("old", "x")]).unwrap();
    let place = run.place(&session()).unwrap();
    let earlier = uuid::Uuid::now_v7().to_string();
    let found = |id: &str, run: Option<&str>| Mark::Found {
        place,
        id: id.into(),
        run: run.map(ToOwned::to_owned),
    };
    run.note([found("old", None), found("new", Some(&earlier))])
        .unwrap();
    assert_eq!(ledger.records(run.id(), 0, 10).unwrap(), []);
    let records = ledger.records(&earlier, 0, 10).unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(ledger.runs().unwrap().len(), 2);
    let again = run.plan(&session(), &[entry("new", "x"), entry("old", "x")]);
    assert_eq!(again.unwrap(), [Known::Stored; 2]);
    // Now it is known what the source said of it.
    let changed = run.plan(&session(), &[entry("new", "y")]).unwrap();
    assert_eq!(changed, [Known::Changed]);
}

#[test]
fn notes_of_many_threads_are_all_kept() {
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(home.path()).unwrap();
    let run = ledger.begin(&start("a")).unwrap();
    let place = run.place(&session()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let run = &run;
            scope.spawn(move || {
                for n in 0..20 {
                    let id = format!("{thread}-{n}");
                    run.sent(place, ids(&[&id])).unwrap();
                    run.confirmed(place, ids(&[&id])).unwrap();
                }
            });
        }
    });
    let records = ledger.records(run.id(), 0, 1_000).unwrap();
    assert_eq!(records.len(), 160);
    let confirmed = |record: &RecordEntry| record.state == RecordState::Confirmed;
    assert!(records.iter().all(confirmed));
}

#[test]
fn a_file_that_is_no_ledger_is_refused_and_left_as_it_is() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join(file::NAME);
    assert!(Ledger::open_existing(home.path()).unwrap().is_none());
    for content in [
        &b"not a database, but more than a header of it".repeat(9)[..],
        b"x",
    ] {
        fs::write(&path, content).unwrap();
        let error = Ledger::open(home.path()).unwrap_err().to_string();
        assert!(error.contains("migrations.db"), "{error}");
        assert_eq!(fs::read(&path).unwrap(), content);
    }
    fs::remove_file(&path).unwrap();
    let foreign = Connection::open(&path).unwrap();
    foreign.execute_batch("CREATE TABLE mine (x)").unwrap();
    let error = Ledger::open(home.path()).unwrap_err().to_string();
    assert!(error.contains("not a ledger"), "{error}");
    drop(foreign);
    fs::remove_file(&path).unwrap();
    drop(Ledger::open(home.path()).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 9).unwrap();
    drop(newer);
    let error = Ledger::open(home.path()).unwrap_err().to_string();
    assert!(error.contains("layout 9"), "{error}");
}

#[cfg(unix)]
#[test]
fn everything_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(&home.path().join("new")).unwrap();
    let run = ledger.begin(&start("a")).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&ledger.path), 0o600);
    assert_eq!(mode(&ledger.path.with_extension("db-wal")), 0o600);
    assert_eq!(mode(&ledger.locks()), 0o700);
    assert_eq!(mode(&ledger.locks().join(run.id())), 0o600);
}

/// SQLite does not wait for a writer where the log is switched on: the page of operators opens the file as
/// often as it is looked at, also while a run makes it.
#[test]
fn who_opens_it_while_another_makes_its_log_waits() {
    let home = tempfile::tempdir().unwrap();
    drop(Ledger::open(home.path()).unwrap());
    let mut other = Connection::open(home.path().join(file::NAME)).unwrap();
    let _: String = other
        .pragma_update_and_check(None, "journal_mode", "delete", |row| row.get(0))
        .unwrap();
    let writing = other
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .unwrap();
    std::thread::scope(|scope| {
        let opened = scope.spawn(|| Ledger::open(home.path()));
        std::thread::sleep(Duration::from_millis(300));
        writing.commit().unwrap();
        assert!(opened.join().unwrap().unwrap().runs().unwrap().is_empty());
    });
}
