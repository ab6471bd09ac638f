//! Files of the tools that people come from: `tests/fixtures/export/kinds/` has one of each kind, and
//! `kinds.txt` beside it what must be stored and reported of each. `KINDS=write` writes that file anew,
//! to be read before it is committed.

use std::fmt::Write;
use std::ops::ControlFlow;
use std::path::Path;

use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use zep_mcp_server::memory::model::UserId;
use zep_mcp_server::migration::{Request, Selection};
use zep_mcp_server::sources::{Entry, Export, Sink, Source, SourceItem, SourceRecord};

use super::placing::Home;

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/export");

/// What is stored, a line each.
#[derive(Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        let line = match item {
            SourceItem::Entry(Entry::Record(record)) => of_record(*record),
            SourceItem::Entry(Entry::User { user, .. }) => {
                let more = [&user.name, &user.email, &user.role];
                let more: Vec<_> = more.into_iter().flatten().cloned().collect();
                format!("user {} {}{}", user.id, more.join(" "), json(user.metadata))
            }
            _ => return ControlFlow::Continue(()),
        };
        self.0.push(line.trim_end().to_owned());
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

fn json(fields: Map<String, Value>) -> String {
    match fields.is_empty() {
        true => String::new(),
        false => format!(" {}", Value::Object(fields)),
    }
}

fn of_record(record: SourceRecord) -> String {
    let names = record.names;
    let names = [names.user, names.agent, names.app, names.session];
    let names = names.map(|name| name.unwrap_or_else(|| "-".to_owned()));
    let mut line = format!("{} {}", names.join("/"), record.role);
    if let Some(name) = record.name {
        let _ = write!(line, " ({name})");
    }
    let usual = "conversation";
    if let Some(kind) = record.memory_type.filter(|kind| kind != usual) {
        let _ = write!(line, " [{kind}]");
    }
    for (mark, at) in [('@', record.created_at), ('~', record.updated_at)] {
        if let Some(at) = at {
            let _ = write!(line, " {mark}{at}");
        }
    }
    format!("{line}: {:?}{}", record.content, json(record.metadata))
}

/// What becomes of a file.
async fn outcome(file: &Path, user: Option<&str>) -> String {
    let home = Home::new();
    let request = Request {
        selection: user.map_or_else(Selection::default, |user| {
            Selection::of_user(UserId::new(user).unwrap())
        }),
        ..Request::default()
    };
    let source = || Export::file(file).unwrap();
    let report = home.migrator.migrate(source(), &request).await.unwrap();
    let verdict = home.migrator.validate_migration(source(), &request).await;
    let verdict = verdict.unwrap();
    assert!(verdict.issues.is_empty(), "{file:?}: {:#?}", verdict.issues);
    let again = home.migrator.migrate(source(), &request).await.unwrap();
    assert_eq!(again.memories_migrated, 0, "{file:?}: {again:#?}");

    let stored = home.stored();
    let lines = tokio::task::spawn_blocking(move || {
        let mut lines = Lines::default();
        let whole = Box::new(stored).read(&mut lines, &CancellationToken::new());
        whole.unwrap();
        lines.0
    });
    let mut lines = lines.await.unwrap();
    // Users come in the order of their making, which happens side by side.
    lines.sort_by_key(|line| {
        let is_user = line.starts_with("user ");
        let owner = line.trim_start_matches("user ").to_owned();
        let owner = owner
            .split(['/', ' '])
            .next()
            .unwrap_or_default()
            .to_owned();
        (owner, !is_user)
    });
    let mut out = String::new();
    let mut say = |line: String| out.push_str(&(line + "\n"));
    say(match report.success {
        true => "success".to_owned(),
        false => "no success".to_owned(),
    });
    lines.into_iter().for_each(&mut say);
    let counts = [
        ("deleted", report.deleted),
        ("expired", report.expired),
        ("skipped", report.skipped),
    ];
    for (what, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        say(format!("{what}: {count}"));
    }
    for (what, troubles) in [("error", report.errors), ("warning", report.warnings)] {
        for trouble in troubles {
            let position = trouble.position.unwrap_or_default();
            say(format!("{what} {position}: {}", trouble.reason));
        }
    }
    for note in report.notes {
        say(format!("note: {note}"));
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_file_is_read_or_refused_by_its_name() {
    let kinds = Path::new(FIXTURES).join("kinds");
    let mut files: Vec<_> = std::fs::read_dir(&kinds)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let mut found = String::new();
    for name in &files {
        // `name@user.json` is read for one user.
        let stem = name.split('.').next().unwrap();
        let user = stem.split_once('@').map(|(_, user)| user);
        let outcome = outcome(&kinds.join(name), user).await;
        let _ = writeln!(found, "== {name}\n{outcome}");
    }
    let expected = Path::new(FIXTURES).join("kinds.txt");
    if std::env::var_os("KINDS").is_some_and(|what| what == "write") {
        std::fs::write(&expected, &found).unwrap();
    }
    let expected = std::fs::read_to_string(expected).unwrap();
    let section = |text: &str, name: &str| {
        let start = text.find(&format!("== {name}\n"))?;
        let text = &text[start..];
        Some(text.split("\n\n").next()?.to_owned())
    };
    for name in &files {
        assert_eq!(section(&found, name), section(&expected, name), "{name}");
    }
    assert_eq!(found, expected);
}
