//! The files of the trail: new ones begin, old ones go, half lines are repaired.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use tempfile::TempDir;
use zep_mcp_server::audit::{Options, Trail};

use super::{enter, entries, files, is_intact, written};

#[tokio::test]
async fn a_new_file_begins_after_a_length_and_carries_the_chain_on() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), 100, 10_000).await.close();
    let files = files(directory.path());
    assert!(files.len() >= 3, "{files:?}");
    for file in &files[..files.len() - 1] {
        let length = fs::metadata(file).unwrap().len();
        assert!((10_000..10_500).contains(&length), "{length}");
    }
    assert_eq!(is_intact(directory.path())["entries"], 100);
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;

    let directory = TempDir::new().unwrap();
    let trail = directory.path().join("data").join("audit");
    written(&trail, 1, 10_000).await.close();
    assert_eq!(
        fs::metadata(&trail).unwrap().permissions().mode() & 0o777,
        0o700
    );
    for entry in fs::read_dir(&trail).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn what_is_older_than_is_kept_goes_and_its_removal_is_an_entry() {
    let directory = TempDir::new().unwrap();
    let options = Options {
        max_bytes: 2_000,
        keep: Duration::from_secs(1),
        ..Options::new(directory.path().to_owned(), true, 1)
    };
    let trail = Trail::new(options.clone());
    for number in 0..30 {
        enter(&trail, number).await;
    }
    let before = files(directory.path());
    assert!(before.len() > 3, "{before:?}");
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    for number in 30..60 {
        enter(&trail, number).await;
    }
    trail.close();
    let after = files(directory.path());
    assert!(
        !after.contains(&before[0]) && !after.contains(&before[1]),
        "{after:?}"
    );
    let removals = entries(directory.path());
    let removals: Vec<_> = removals
        .iter()
        .filter(|entry| entry["note"]["removed_by_age"]["first"] == 1)
        .collect();
    assert_eq!(removals.len(), 1, "{removals:?}");
    assert_eq!(
        (&removals[0]["door"], &removals[0]["action"]),
        (&"trail".into(), &"trail".into())
    );
    let report = is_intact(directory.path());
    assert!(report["first"].as_u64().unwrap() > 1, "{report:#}");
    assert!(
        report["notes"].to_string().contains("were removed by age"),
        "{report:#}"
    );
}

#[tokio::test]
async fn half_a_line_is_cut_off_by_the_next_entry() {
    let directory = TempDir::new().unwrap();
    written(directory.path(), 5, 10_000).await.close();
    let file = files(directory.path()).pop().unwrap();
    let append = |bytes: &[u8]| {
        let mut file = OpenOptions::new().append(true).open(&file).unwrap();
        file.write_all(bytes).unwrap();
    };
    append(b"{\"seq\":6,\"at\":\"2026-11");
    let report = is_intact(directory.path());
    assert!(
        report["notes"].to_string().contains("half written"),
        "{report:#}"
    );
    written(directory.path(), 1, 10_000).await.close();
    let report = is_intact(directory.path());
    assert_eq!(report["entries"], 7);
    assert!(
        report["notes"]
            .to_string()
            .contains("half a line of 22 bytes"),
        "{report:#}"
    );
    // Also where another process writes it meanwhile.
    let trail = written(directory.path(), 1, 10_000).await;
    append(b"{\"seq\"");
    enter(&trail, 9).await;
    drop(trail);
    assert_eq!(is_intact(directory.path())["entries"], 10);
}

#[tokio::test]
async fn several_writers_make_one_chain_also_where_files_begin() {
    let directory = TempDir::new().unwrap();
    let writers = (0..4).map(|_| {
        let directory = directory.path().to_owned();
        tokio::spawn(async move { written(&directory, 200, 3_000).await.close() })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    assert_eq!(is_intact(directory.path())["entries"], 800);
}

#[tokio::test]
async fn a_trail_that_is_removed_under_a_server_begins_anew_and_says_so() {
    let directory = TempDir::new().unwrap();
    let place = directory.path().join("audit");
    let trail = written(&place, 5, 10_000).await;
    fs::remove_dir_all(&place).unwrap();
    enter(&trail, 6).await;
    assert_eq!(entries(&place).len(), 1);
    // Nothing is left that could tell, but for what its operator kept elsewhere.
    is_intact(&place);
}
