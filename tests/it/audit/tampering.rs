//! Every change of the trail is found.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use super::{enter, files, is_intact, verified, written};

const ENTRIES: usize = 60;

/// A trail of several files.
async fn trail() -> TempDir {
    let directory = TempDir::new().unwrap();
    written(directory.path(), ENTRIES, 4_000).await.close();
    assert!(files(directory.path()).len() > 3);
    is_intact(directory.path());
    directory
}

/// What is found in a copy after this was done to it.
fn found(original: &Path, tamper: impl FnOnce(&Path)) -> Value {
    let copy = TempDir::new().unwrap();
    for entry in fs::read_dir(original).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
    }
    tamper(copy.path());
    let (report, code) = verified(copy.path());
    assert_eq!(code, 1, "{report:#}");
    report
}

fn says(report: &Value, file: &str, line: Option<u64>, what: &str) {
    let problems = report["problems"].as_array().unwrap();
    let is_said = |problem: &Value| {
        problem["file"].as_str().unwrap().contains(file)
            && problem["line"].as_u64() == line
            && problem["what"].as_str().unwrap().contains(what)
    };
    assert!(problems.iter().any(is_said), "{what}: {report:#}");
}

/// Changes the lines of a file.
fn change(file: &Path, change: impl FnOnce(&mut Vec<String>)) {
    let text = fs::read_to_string(file).unwrap();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    change(&mut lines);
    fs::write(file, lines.join("\n") + "\n").unwrap();
}

#[tokio::test]
async fn a_changed_byte_is_found_wherever_it_is() {
    let trail = trail().await;
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..40 {
        let report = found(trail.path(), |copy| {
            let file = files(copy).swap_remove(rng.usize(..files(copy).len()));
            let mut bytes = fs::read(&file).unwrap();
            let at = rng.usize(..bytes.len());
            bytes[at] = bytes[at].wrapping_add(rng.u8(1..));
            fs::write(&file, bytes).unwrap();
        });
        assert_eq!(report["intact"], false);
    }
    let report = found(trail.path(), |copy| {
        change(&files(copy)[1], |lines| {
            lines[2] = lines[2].replace("operator", "somebody");
        });
    });
    says(&report, "audit-", Some(3), "was changed");
    assert_eq!(
        report["problems"].as_array().unwrap().len(),
        1,
        "{report:#}"
    );
}

#[tokio::test]
async fn removed_and_moved_lines_are_found() {
    let trail = trail().await;
    let report = found(trail.path(), |copy| {
        change(&files(copy)[1], |lines| drop(lines.remove(3)));
    });
    says(&report, "audit-", Some(4), "are missing before it");
    let report = found(trail.path(), |copy| {
        change(&files(copy)[1], |lines| lines.swap(3, 4));
    });
    says(&report, "audit-", Some(4), "are missing before it");
    let report = found(trail.path(), |copy| {
        change(&files(copy)[1], |lines| {
            let line = lines[3].clone();
            lines.insert(3, line);
        });
    });
    says(&report, "audit-", Some(5), "stands where");
}

#[tokio::test]
async fn what_is_missing_at_the_end_is_found() {
    let trail = trail().await;
    let last = format!("to {ENTRIES} are missing at the end");
    // Whole lines, half a line, the whole file, and everything.
    let report = found(trail.path(), |copy| {
        change(&files(copy).pop().unwrap(), |lines| drop(lines.pop()));
    });
    says(&report, "", None, &last);
    let report = found(trail.path(), |copy| {
        let file = files(copy).pop().unwrap();
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 9]).unwrap();
    });
    says(&report, "", None, &last);
    let report = found(trail.path(), |copy| {
        fs::remove_file(files(copy).pop().unwrap()).unwrap();
    });
    says(&report, "", None, &last);
    let report = found(trail.path(), |copy| {
        files(copy)
            .iter()
            .for_each(|file| fs::remove_file(file).unwrap());
    });
    says(&report, "", None, "entries 1 to 60 are missing");
    let report = found(trail.path(), |copy| {
        fs::remove_file(copy.join("head")).unwrap()
    });
    says(&report, "", None, "`head`");
}

#[tokio::test]
async fn a_removed_file_is_found() {
    let trail = trail().await;
    let report = found(trail.path(), |copy| {
        fs::remove_file(&files(copy)[0]).unwrap()
    });
    says(&report, "", None, "are missing at the beginning");
    let report = found(trail.path(), |copy| {
        fs::remove_file(&files(copy)[2]).unwrap()
    });
    says(&report, "audit-", Some(1), "are missing before it");
}

#[tokio::test]
async fn a_server_that_goes_on_hides_nothing() {
    let trail = trail().await;
    // Its end was cut off, its last line changed, its note of the end removed.
    for tamper in [
        (|copy: &Path| change(&files(copy).pop().unwrap(), |lines| drop(lines.pop()))) as fn(&Path),
        |copy| {
            change(&files(copy).pop().unwrap(), |lines| {
                let last = lines.pop().unwrap();
                lines.push(last.replace("operator", "somebody"));
            });
        },
        |copy| fs::remove_file(copy.join("head")).unwrap(),
        |copy| {
            change(&files(copy).pop().unwrap(), |lines| drop(lines.pop()));
            fs::remove_file(copy.join("head")).unwrap();
        },
        |copy| {
            files(copy)
                .iter()
                .for_each(|file| fs::remove_file(file).unwrap())
        },
    ] {
        let report = found(trail.path(), |copy| {
            tamper(copy);
            let copy = copy.to_owned();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(async {
                    let trail = written(&copy, 0, 4_000).await;
                    for number in 0..30 {
                        enter(&trail, number).await;
                    }
                });
            })
            .join()
            .unwrap();
        });
        let problems = report["problems"].as_array().unwrap().len();
        assert!((1..=3).contains(&problems), "{report:#}");
    }
}

#[tokio::test]
async fn a_hash_that_was_kept_elsewhere_proves_that_the_trail_is_the_same() {
    let trail = trail().await;
    let hash = is_intact(trail.path())["last_hash"]
        .as_str()
        .unwrap()
        .to_owned();
    let expect = |directory: &Path| {
        let world = crate::common::program::World::embedded();
        let output = super::audit(&world, directory, &["verify", "--expect", &hash]);
        output.status.code()
    };
    written(trail.path(), 5, 4_000).await.close();
    assert_eq!(expect(trail.path()), Some(0));
    // Written anew as a whole, it is in itself right.
    let forged = TempDir::new().unwrap();
    written(forged.path(), ENTRIES, 4_000).await.close();
    is_intact(forged.path());
    assert_eq!(expect(forged.path()), Some(1));
}
