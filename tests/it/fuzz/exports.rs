//! Exports: every byte is read to its end, and what cannot be kept is named.

use std::io::Cursor;
use std::ops::ControlFlow;
use std::sync::Arc;

use proptest::prelude::*;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::model::UserId;
use zep_mcp_server::migration::{Migrator, Request};
use zep_mcp_server::sources::{Entry, Export, Sink, Source, SourceItem};

use super::{corpus, fixtures, fuzz_bytes};

const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\n",
    "\"",
    "\\",
    "null",
    "true",
    "1e999",
    "-0.5",
    "\\ud83d",
    "\u{feff}",
    "\"id\":\"x\",",
    "\"user_id\":\"u\",",
    "\"user_id\":7,",
    "\"run_id\":\"r\",",
    "\"session_id\":\"::zm::\",",
    "\"memory\":\"m\",",
    "\"memory\":\" \",",
    "\"messages\":[",
    "\"users\":{",
    "\"sessions\":[",
    "\"memories\":[",
    "\"insights\":",
    "\"history\":[",
    "\"input\":[",
    "\"role\":\"user\",",
    "\"content\":\"c\",",
    "\"created_at\":\"2024-02-30\",",
    "\"created_at\":1e18,",
    "\"metadata\":{",
    "\"expiration_date\":\"2020-01-01\",",
    "\"replaced_by\":\"x\",",
    "\"event\":\"DELETE\",",
    "\"next\":\"p\",",
    "\"type\":\"user\",",
];

/// Notes what an export yields.
#[derive(Default)]
struct Noted {
    entries: usize,
    unnamed: usize,
    blank: usize,
}

impl Sink for Noted {
    fn item(&mut self, item: SourceItem) -> ControlFlow<()> {
        match item {
            SourceItem::Entry(Entry::Record(record)) => {
                self.entries += 1;
                self.blank += usize::from(record.content.trim().is_empty());
            }
            SourceItem::Entry(_) => self.entries += 1,
            SourceItem::Problem(problem) => {
                let says = !problem.defect.reason.is_empty() && !problem.position.0.is_empty();
                self.unnamed += usize::from(!says);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn progress(&mut self, _: u64, _: Option<u64>) {}
}

#[test]
fn an_export_is_read_to_its_end() {
    let home = tempfile::tempdir().unwrap();
    let zep = LocalZep::open(&home.path().join("memory.db"), Behavior::default()).unwrap();
    let service = MemoryService::new(Arc::new(zep), UserId::new("nobody").unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut seeds = corpus("exports");
    seeds.extend(fixtures("export"));
    let dry = Request {
        dry_run: true,
        ..Request::default()
    };
    fuzz_bytes("exports", 250, seeds, WORDS, |bytes| {
        let mut noted = Noted::default();
        let export = Export::reader(Cursor::new(bytes.to_owned()));
        let read = Box::new(export).read(&mut noted, &CancellationToken::new());
        prop_assert!(read.is_ok(), "{read:?}");
        prop_assert_eq!((noted.unnamed, noted.blank), (0, 0));
        let export = Export::reader(Cursor::new(bytes.to_owned()));
        let migrator = Migrator::new(service.clone());
        let report = runtime.block_on(migrator.migrate(export, &dry));
        prop_assert!(report.is_ok(), "{report:?}");
        // Nothing disappears silently.
        let report = report.unwrap();
        prop_assert!(report.success || !report.errors.is_empty(), "{report:?}");
        Ok(())
    });
}
