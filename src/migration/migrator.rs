//! The door to migrations: what the tools, the command line and programs call.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::plan::{Counts, Plan, PlanError, Weight};
use super::progress::{Unwatched, Watch};
use super::report::{Report, Trouble};
use super::task::Task;
use super::validate::{Comparison, Stopped};
use super::verdict::{CheckName, Validation};
use super::write::{Run, lock};
use super::{Request, Selection, Source};
use crate::mem0::{SNAPSHOTS, SourceUser};
use crate::memory::mapping::RoleMap;
use crate::memory::{self, MemoryService};
use crate::memory::{
    access::Caller,
    model::{SessionId, UserId},
};
use crate::zep;

/// Why a run could not be made at all. What is wrong with single records is no such reason: it
/// stands in the report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source was not read to its end.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// There is no such kind of snapshot.
    #[error("`{kind}` is no kind of snapshot; it may be {}", SNAPSHOTS.join(", "))]
    NotASnapshot {
        /// What was asked for.
        kind: String,
    },
    /// The backend failed while it was read.
    #[error(transparent)]
    Memory(#[from] memory::Error),
}

/// A migration with its validation.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was done.
    pub report: Report,
    /// What was found afterwards, where that was asked for and the run was not cancelled.
    pub validation: Option<Validation>,
}

/// Migrates into one backend, for one caller.
#[derive(Debug)]
pub struct Migrator {
    service: MemoryService,
    caller: Caller,
    roles: RoleMap,
    /// What all runs did together, once there was one.
    total: Mutex<Option<Report>>,
}

impl Migrator {
    /// For the operator of this process, with the guide's roles.
    pub fn new(service: MemoryService) -> Self {
        Self::with_roles(service, Caller::Operator, RoleMap::default())
    }

    /// For this caller, with these roles of users.
    pub fn with_roles(service: MemoryService, caller: Caller, roles: RoleMap) -> Self {
        Self {
            service,
            caller,
            roles,
            total: Mutex::new(None),
        }
    }

    /// Migrates what a source holds.
    ///
    /// # Errors
    /// If the source cannot be read at all; nothing is written then.
    pub async fn migrate(&self, source: Source, request: &Request) -> Result<Report, Error> {
        let outcome = self
            .run(
                source,
                request,
                false,
                Arc::new(Unwatched),
                &CancellationToken::new(),
            )
            .await?;
        Ok(outcome.report)
    }

    /// Migrates what a source holds, and compares it afterwards if `validate`. Cancelled, it
    /// finishes the requests in flight and reports how far it came.
    ///
    /// # Errors
    /// If the source cannot be read at all; nothing is written then.
    pub async fn run(
        &self,
        source: Source,
        request: &Request,
        validate: bool,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Outcome, Error> {
        let begun = Instant::now();
        let before = self.service.stats();
        let plan = self.plan(source, request, watch.clone(), cancelled).await?;
        let mut report = Report::new(self.service.backend(), request.dry_run, plan.now);
        let counts = plan.counts;
        let problems = |weight, limit| plan.problems(weight, limit).map_err(PlanError::from);
        report.failed = counts.broken;
        if request.strict && counts.problems + counts.minor > 0 {
            for weight in [Weight::Problem, Weight::Minor] {
                if report.errors.is_empty() {
                    let first = problems(weight, 1)?;
                    report.errors.extend(first.into_iter().map(Trouble::from));
                }
            }
            report.errors_not_listed = counts.problems + counts.minor - 1;
            report.note(
                "strict: not everything in the source is as it should be, so nothing was written"
                    .into(),
            );
        } else {
            for problem in problems(Weight::Problem, super::MAX_LISTED)? {
                report.trouble(problem.into());
            }
            report.errors_not_listed = counts.problems - report.errors.len() as u64;
            for problem in problems(Weight::Minor, super::MAX_LISTED)? {
                report.warning(problem.into());
            }
            report.warnings_not_listed = counts.minor - report.warnings.len() as u64;
            let run = Run::new(self.task(&plan, watch.as_ref()), request, cancelled, report);
            report = run.write().await.map_err(PlanError::from)?;
        }
        report.cancelled = cancelled.is_cancelled();
        self.account(&mut report, &plan, counts, before, begun.elapsed());
        let mut validation = None;
        if validate && !report.cancelled && !request.dry_run {
            plan.forget_states().map_err(PlanError::from)?;
            match self.compare(&plan, watch.as_ref(), cancelled).await {
                Ok(found) => validation = Some(found),
                // What was written is to be reported whatever becomes of the comparison.
                Err(_) if cancelled.is_cancelled() => {
                    report.cancelled = true;
                    report.success = false;
                    report.note("stopped while it was compared".into());
                }
                Err(error) => {
                    let trouble = format!("what was written could not be compared: {error}");
                    report.trouble(Trouble::of_run(trouble));
                    report.success = false;
                }
            }
        }
        match &mut *lock(&self.total) {
            Some(total) => total.add(&report),
            none => *none = Some(report.clone()),
        }
        Ok(Outcome { report, validation })
    }

    /// Compares what is stored with a source, record by record.
    ///
    /// # Errors
    /// If the source or the backend cannot be read.
    pub async fn validate_migration(
        &self,
        source: Source,
        request: &Request,
    ) -> Result<Validation, Error> {
        self.validate(
            source,
            request,
            Arc::new(Unwatched),
            &CancellationToken::new(),
        )
        .await
    }

    /// Compares what is stored with a source, record by record.
    ///
    /// # Errors
    /// If the source or the backend cannot be read, or it was cancelled.
    pub async fn validate(
        &self,
        source: Source,
        request: &Request,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Validation, Error> {
        let plan = self.plan(source, request, watch.clone(), cancelled).await?;
        self.compare(&plan, watch.as_ref(), cancelled).await
    }

    /// Migrates a user, without memories.
    ///
    /// # Errors
    /// As [`Migrator::migrate`].
    pub async fn migrate_user(&self, user: SourceUser) -> Result<Report, Error> {
        let request = Request {
            profile: Some(user),
            ..Request::default()
        };
        self.migrate(Source::nothing(), &request).await
    }

    /// Migrates the turns of a conversation: an array of objects with `role` and `content`.
    ///
    /// # Errors
    /// As [`Migrator::migrate`].
    pub async fn migrate_conversation_history(
        &self,
        user: &UserId,
        session: &SessionId,
        turns: &Value,
    ) -> Result<Report, Error> {
        let source = json!({
            "user_id": user.as_str(),
            "session_id": session.as_str(),
            "messages": turns,
        });
        let request = Request {
            selection: Selection::of_user(user.clone()),
            ..Request::default()
        };
        self.migrate(Source::value(&source), &request).await
    }

    /// Migrates a snapshot of a session: `insights`, `summary`, `traits`, `therapeutic_notes`,
    /// `crisis_context` or `progress_notes`, a text or any JSON.
    ///
    /// # Errors
    /// As [`Migrator::migrate`]; also if the kind is another one, and nothing is written then.
    pub async fn migrate_memory_snapshot(
        &self,
        user: &UserId,
        session: &SessionId,
        kind: &str,
        content: &Value,
    ) -> Result<Report, Error> {
        if !SNAPSHOTS.contains(&kind) {
            return Err(Error::NotASnapshot {
                kind: kind.to_owned(),
            });
        }
        let mut source = json!({
            "user_id": user.as_str(),
            "session_id": session.as_str(),
            "messages": [],
        });
        source[kind] = content.clone();
        let request = Request {
            selection: Selection::of_user(user.clone()),
            ..Request::default()
        };
        self.migrate(Source::value(&source), &request).await
    }

    /// What all runs of this migrator did together. `success` only if all of them succeeded, and there
    /// was one.
    pub fn migration_report(&self) -> Report {
        let total = lock(&self.total).clone();
        total.unwrap_or_else(|| Report::new(self.service.backend(), false, Timestamp::now()))
    }

    fn task<'a>(&'a self, plan: &'a Plan, watch: &'a dyn Watch) -> Task<'a> {
        Task {
            service: &self.service,
            caller: &self.caller,
            roles: &self.roles,
            plan,
            watch,
        }
    }

    async fn plan(
        &self,
        source: Source,
        request: &Request,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Arc<Plan>, Error> {
        let (request, cancelled) = (request.clone(), cancelled.clone());
        let default_user = self.service.default_user(&self.caller).clone();
        let reading = tokio::task::spawn_blocking(move || {
            Plan::read(source, &request, &default_user, watch.as_ref(), &cancelled)
        });
        match reading.await {
            Ok(plan) => Ok(Arc::new(plan?)),
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        }
    }

    async fn compare(
        &self,
        plan: &Plan,
        watch: &dyn Watch,
        cancelled: &CancellationToken,
    ) -> Result<Validation, Error> {
        let begun = Instant::now();
        let before = self.service.stats();
        let mut verdict = Validation::new(self.service.backend(), Timestamp::now());
        for problem in plan
            .problems(Weight::Problem, super::MAX_LISTED)
            .map_err(PlanError::from)?
        {
            verdict.source_problems.push(problem.into());
        }
        let Counts {
            records,
            broken,
            problems,
            ..
        } = plan.counts;
        verdict.source_problems_not_listed = problems - verdict.source_problems.len() as u64;
        verdict.count(CheckName::SourceReadable, records + broken, records);
        let comparison = Comparison {
            task: self.task(plan, watch),
            cancelled,
            verdict: Mutex::new(verdict),
            done: AtomicU64::new(0),
        };
        let mut verdict = comparison.run().await.map_err(|stopped| match stopped {
            Stopped::Memory(error) => Error::from(error),
            Stopped::Spool(error) => PlanError::from(error).into(),
        })?;
        if problems > 0 {
            verdict.fails(CheckName::SourceReadable);
        }
        verdict.finish();
        verdict.requests = requests(before, self.service.stats());
        verdict.duration_secs = begun.elapsed().as_secs_f64();
        Ok(verdict)
    }

    fn account(
        &self,
        report: &mut Report,
        plan: &Plan,
        counts: Counts,
        before: Option<zep::TransportStats>,
        took: Duration,
    ) {
        let after = self.service.stats();
        report.undated = counts.undated;
        report.expired = counts.expired;
        report.skipped = counts.duplicates + counts.not_selected;
        report.requests = requests(before, after);
        let waited = |stats: Option<zep::TransportStats>| {
            stats.map_or(0.0, |stats| stats.waited.as_secs_f64())
        };
        report.wait_secs = waited(after) - waited(before);
        report.duration_secs = took.as_secs_f64();
        if report.users_migrated + report.memories_migrated + report.already_there == 0
            && report.errors.is_empty()
            && !report.cancelled
        {
            report.trouble(Trouble::of_run(match counts.not_selected {
                0 => "there is nothing to migrate in the source".to_owned(),
                left_out => format!(
                    "none of the {left_out} records of the source is of the user and sessions \
                     that were asked for"
                ),
            }));
        }
        if counts.nameless > 0 {
            report.note(format!(
                "{} records that name no user were left out, since the source names several; \
                 migrate them without --user, or give them a `user_id`",
                counts.nameless
            ));
        }
        if !plan.unplaced.is_empty() {
            report.note(format!(
                "fields of documents for which Zep has no place were left out: {}",
                plan.unplaced.join(", ")
            ));
        }
        report.success = !report.cancelled
            && report.failed == 0
            && report.not_reached == 0
            && report.errors.is_empty()
            && report.errors_not_listed == 0;
    }
}

fn requests(before: Option<zep::TransportStats>, after: Option<zep::TransportStats>) -> u64 {
    let of = |stats: Option<zep::TransportStats>| stats.map_or(0, |stats| stats.requests);
    of(after) - of(before)
}
