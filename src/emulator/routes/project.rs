//! The project and background tasks.

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use serde::Serialize;

use super::{Routes, Store};
use crate::emulator::error::ApiResult;
use crate::emulator::wire::{Answer, PathId};
use crate::zep::{Accounts, Batches, Project, Task};

pub(super) fn routes() -> Routes {
    Router::new()
        .route("/projects/info", get(project))
        .route("/tasks/{task_id}", get(task))
}

#[derive(Serialize)]
struct ProjectInfo {
    project: Project,
}

/// `project.get`
async fn project(State(zep): Store) -> ApiResult<Answer<ProjectInfo>> {
    let project = zep.project().await?;
    Ok(Answer(ProjectInfo { project }))
}

/// `task.get`
async fn task(State(zep): Store, PathId(task): PathId<String>) -> ApiResult<Answer<Task>> {
    Ok(Answer(zep.task(&task).await?))
}
