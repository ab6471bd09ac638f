//! A server that migrates answers other requests meanwhile.

use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::memory::MemoryService;
use zep_mcp_server::memory::model::UserId;
use zep_mcp_server::migration::{Migrator, Phase, Progress, Request, Watch};
use zep_mcp_server::sources::Export;

use super::{jane, turns};
use crate::common::on_both_backends;
use crate::common::program::World;

on_both_backends!(requests_behind_a_migration_are_answered_before_it);

fn requests_behind_a_migration_are_answered_before_it(world: &World) {
    let mut client = world.connect();
    let data = json!({"sessions": [{"id": "s", "messages": turns(2_000)}]});
    for arguments in [
        json!({"user": jane(), "data": data, "dry_run": true}),
        json!({"user": jane(), "data": data}),
    ] {
        // All are on their way before the first is read, so their order does not depend on the
        // speed of this test.
        let migration = client.ask_tool("migrate_user", &arguments);
        let mut others = vec![
            client.ask("ping", json!({})),
            client.ask("tools/list", json!({})),
        ];
        loop {
            let answer = client.receive();
            assert!(answer["error"].is_null(), "{answer:#}");
            if answer["id"] == migration {
                break;
            }
            others.retain(|id| answer["id"] != *id);
        }
        assert_eq!(others, [0; 0], "were answered after the migration");
    }
}

/// Notes on which thread each phase works.
#[derive(Default)]
struct Threads(Mutex<Vec<(Phase, ThreadId)>>);

impl Watch for Threads {
    fn at(&self, progress: Progress) {
        if progress.done > 0 {
            let at = (progress.phase, thread::current().id());
            self.0.lock().unwrap().push(at);
        }
    }
}

#[tokio::test]
async fn sources_and_plans_are_read_and_compared_off_the_async_thread() {
    let directory = tempfile::tempdir().unwrap();
    let zep = LocalZep::open(&directory.path().join("memory.db"), Behavior::default()).unwrap();
    let service = MemoryService::new(Arc::new(zep), UserId::new("nobody").unwrap());
    let source = json!({"users": [{"id": "jane", "messages": turns(600)}]});
    let threads = Arc::new(Threads::default());
    let outcome = Migrator::new(service)
        .run(
            Box::new(Export::value(&source)),
            &Request::default(),
            true,
            threads.clone(),
            &CancellationToken::new(),
        )
        .await
        .unwrap();
    assert!(outcome.report.success && outcome.validation.unwrap().valid);
    let here = thread::current().id();
    let threads = threads.0.lock().unwrap();
    for phase in [Phase::Reading, Phase::Planning, Phase::Validating] {
        let of_phase: Vec<_> = threads.iter().filter(|(of, _)| *of == phase).collect();
        assert!(!of_phase.is_empty(), "{phase:?}");
        assert!(of_phase.iter().all(|(_, on)| *on != here), "{phase:?}");
    }
}
