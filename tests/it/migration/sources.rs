//! Any source that implements the trait can be migrated: here a service that is read page by page.

use std::ops::ControlFlow;
use std::time::Duration;

use serde_json::Map;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::migration::{Error, PlanError, Request};
use zep_mcp_server::sources::{
    Entry, Names, Origin, Position, ReadError, RecordKind, Sink, Source, SourceItem, SourceRecord,
};

use super::placing::Home;

const PAGES: usize = 3;

/// A service with a few pages of turns.
struct Paged {
    /// The page that is never answered.
    hangs_at: Option<usize>,
}

impl Paged {
    async fn page(&self, page: usize) -> Vec<SourceRecord> {
        if self.hangs_at == Some(page) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        (0..2)
            .map(|turn| SourceRecord {
                origin: Origin {
                    position: Position(format!("page {page}, turn {turn}")),
                    ..Origin::default()
                },
                kind: RecordKind::Turn,
                id: Some(format!("{page}-{turn}")),
                names: Names {
                    session: Some("run".into()),
                    ..Names::default()
                },
                role: "user".into(),
                states_role: true,
                name: None,
                content: format!("turn {turn} of page {page}"),
                created_at: None,
                updated_at: None,
                memory_type: None,
                metadata: Map::new(),
                expires: None,
                gone: None,
                stored: None,
            })
            .collect()
    }
}

impl Source for Paged {
    fn system(&self) -> &'static str {
        "elsewhere"
    }

    fn name(&self) -> String {
        "paged".into()
    }

    fn read(
        self: Box<Self>,
        sink: &mut dyn Sink,
        cancelled: &CancellationToken,
    ) -> Result<(), ReadError> {
        for page in 0..PAGES {
            let read = cancelled.run_until_cancelled(self.page(page));
            let records = Handle::current().block_on(read).ok_or(ReadError::Stopped)?;
            for record in records {
                let entry = Entry::Record(Box::new(record));
                if sink.item(SourceItem::Entry(entry)) == ControlFlow::Break(()) {
                    return Err(ReadError::Stopped);
                }
            }
            sink.progress(page as u64 + 1, Some(PAGES as u64));
        }
        Ok(())
    }
}

#[tokio::test]
async fn a_service_that_is_read_page_by_page_moves_over_and_validates() {
    let home = Home::new();
    let source = || Paged { hangs_at: None };
    let request = Request::default();
    let report = home.migrator.migrate(source(), &request).await.unwrap();
    assert!(report.success, "{report:#?}");
    assert_eq!(report.source_system, "elsewhere");
    assert_eq!(report.memories_migrated, 2 * PAGES as u64);
    assert_eq!(home.threads("elsewhere-run-run").await, ["run"]);
    let again = home.migrator.migrate(source(), &request).await.unwrap();
    assert_eq!((again.already_there, again.memories_migrated), (6, 0));
    let verdict = home.migrator.validate_migration(source(), &request).await;
    let verdict = verdict.unwrap();
    assert!(verdict.valid, "{:#?}", verdict.issues);
}

#[tokio::test]
async fn a_source_that_waits_ends_when_the_run_is_cancelled() {
    let home = Home::new();
    let source = Box::new(Paged { hangs_at: Some(1) });
    let cancelled = CancellationToken::new();
    let watch = std::sync::Arc::new(CancelsOnProgress(cancelled.clone()));
    let request = Request::default();
    let run = home
        .migrator
        .run(source, &request, false, watch, &cancelled);
    let ended = run.await;
    assert!(
        matches!(ended, Err(Error::Plan(PlanError::Cancelled))),
        "{ended:?}"
    );
    assert!(home.threads("elsewhere-run-run").await.is_empty());
}

/// Cancels as soon as the first page was read.
struct CancelsOnProgress(CancellationToken);

impl zep_mcp_server::migration::Watch for CancelsOnProgress {
    fn at(&self, _: zep_mcp_server::migration::Progress) {
        self.0.cancel();
    }
}
