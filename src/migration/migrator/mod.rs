//! What the tools, the command line and programs call: a run of a migration, here; its validation, repair and undoing, in a file each.

mod account;
mod given;
mod hand_over;
mod repair;
mod rollback;
mod validate;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use self::account::listed;
use super::consult::{self, Consulted};
use super::context::Context;
use super::error::Error;
use super::ledger::RunStart;
use super::plan::{Plan, PlanError, blocking};
use super::progress::{Unwatched, Watch};
use super::report::{Report, Trouble};
use super::retry::with_retries;
use super::sampler::{Counting, Sampler};
use super::validate::Validation;
use super::waits::Teller;
use super::write::{Run, settle_left_behind};
use super::{MAX_LISTED, Request, lock};
use crate::memory::access::Caller;
use crate::memory::mapping::RoleMap;
use crate::memory::{self, MemoryService};
use crate::sources::{MEM0, Source};
use crate::zep;

pub use repair::Repaired;

/// A migration with its validation.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What was done.
    pub report: Report,
    /// What the validation found, where it was requested and the run was not cancelled.
    pub validation: Option<Validation>,
}

/// Migrates into one backend, for one caller.
#[derive(Debug)]
pub struct Migrator {
    service: MemoryService,
    caller: Caller,
    roles: RoleMap,
    /// Where the ledger is.
    data_dir: Option<PathBuf>,
    /// The sum of all runs, once there was one.
    total: Mutex<Option<Report>>,
}

impl Migrator {
    /// A migrator for the operator of this process, with the guide's roles.
    pub fn new(service: MemoryService) -> Self {
        Self::with_roles(service, Caller::Operator, RoleMap::default())
    }

    /// A migrator for this caller, with these roles of users.
    pub fn with_roles(service: MemoryService, caller: Caller, roles: RoleMap) -> Self {
        Self {
            service,
            caller,
            roles,
            data_dir: None,
            total: Mutex::new(None),
        }
    }

    /// The same, with the directory of the ledger of migrations, which knows each record by its id: a run
    /// that was killed goes on where it was, and what was migrated is not written again.
    #[must_use]
    pub fn noting_runs_in(mut self, data_dir: Option<&Path>) -> Self {
        self.data_dir = data_dir.map(Path::to_owned);
        self
    }

    /// Migrates what a source yields.
    ///
    /// # Errors
    /// If the source cannot be read at all; nothing is written then.
    pub async fn migrate(
        &self,
        source: impl Source + 'static,
        request: &Request,
    ) -> Result<Report, Error> {
        let outcome = self
            .run(
                Box::new(source),
                request,
                false,
                Arc::new(Unwatched),
                &CancellationToken::new(),
            )
            .await?;
        Ok(outcome.report)
    }

    /// Migrates what a source yields, and then validates it if `validate`. When cancelled, it finishes
    /// the requests in flight and reports how far it came.
    ///
    /// # Errors
    /// If the source cannot be read at all; nothing is written then.
    pub async fn run(
        &self,
        source: Box<dyn Source>,
        request: &Request,
        validate: bool,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Outcome, Error> {
        let begun = Instant::now();
        let (name, system) = (source.name(), source.system());
        let mut before = self.service.stats();
        let _teller = Teller::new(&self.service, &watch);
        let plan = self.plan(source, request, watch.clone(), cancelled).await?;
        let target = self.service.backend();
        let mut report = Report::new(plan.system, target, request.dry_run, plan.now);
        let counts = plan.counts;
        report.failed = counts.failed;
        let mut is_accounted = false;
        if request.strict && counts.problems + counts.warnings > 0 {
            let (problems, warnings) = listed(&plan, 1).await?;
            report
                .errors
                .extend(problems.into_iter().chain(warnings).take(1));
            report.errors_not_listed = counts.problems + counts.warnings - 1;
            report.note(
                "strict: not everything in the source is as it should be, so nothing was written"
                    .into(),
            );
        } else {
            let (problems, warnings) = listed(&plan, MAX_LISTED).await?;
            report.errors_not_listed = counts.problems - problems.len() as u64;
            report.warnings_not_listed = counts.warnings - warnings.len() as u64;
            (report.errors, report.warnings) = (problems, warnings);
            let start = self.start(name, system, request, cancelled).await;
            // Whose project it is is no part of the writes.
            before = self.service.stats();
            match start {
                Ok(start) => {
                    let since = (begun, before);
                    report = self
                        .write_plan(&plan, start, request, report, since, (&watch, cancelled))
                        .await?;
                    is_accounted = true;
                }
                Err(error) => {
                    report.not_reached = counts.records;
                    if !cancelled.is_cancelled() {
                        report.trouble(Trouble::of_run(error.to_string()));
                    }
                }
            }
        }
        report.cancelled = cancelled.is_cancelled();
        if !is_accounted {
            self.account(&mut report, &plan, counts, before, begun.elapsed());
        }
        let mut validation = None;
        if validate && !report.cancelled && !request.dry_run {
            plan.step(Plan::forget_states)
                .await
                .map_err(PlanError::from)?;
            match self.compare(&plan, None, &watch, cancelled).await {
                Ok(found) => {
                    if let Some(run) = &report.run {
                        self.keep_validation(run, &found).await;
                    }
                    validation = Some(found);
                }
                // What was written must be reported even if the comparison fails.
                Err(_) if cancelled.is_cancelled() => {
                    report.cancelled = true;
                    report.success = false;
                    report.note("stopped during the validation".into());
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

    /// The sum of all runs of this migrator. `success` only if there was one and all succeeded.
    pub fn migration_report(&self) -> Report {
        let total = lock(&self.total).clone();
        total.unwrap_or_else(|| Report::new(MEM0, self.service.backend(), false, Timestamp::now()))
    }

    fn context<'a>(&'a self, plan: &'a Arc<Plan>, watch: &'a Arc<dyn Watch>) -> Context<'a> {
        Context {
            service: &self.service,
            caller: &self.caller,
            roles: &self.roles,
            plan,
            watch,
        }
    }

    fn backend(&self) -> (&MemoryService, &Caller) {
        (&self.service, &self.caller)
    }

    /// Writes what is planned and not known as done, as a run of the ledger.
    async fn write_plan(
        &self,
        plan: &Arc<Plan>,
        start: Option<(PathBuf, RunStart)>,
        request: &Request,
        mut report: Report,
        (begun, before): (Instant, Option<zep::TransportStats>),
        (watch, cancelled): (&Arc<dyn Watch>, &CancellationToken),
    ) -> Result<Report, Error> {
        if let Some((data_dir, start)) = start.as_ref().filter(|_| !request.dry_run) {
            let (to, ledger) = (self.backend(), (data_dir.as_path(), start.target.as_str()));
            settle_left_behind(to, ledger, watch.as_ref(), cancelled).await?;
        }
        let counting = Arc::new(Counting::new(watch.clone()));
        let watch: Arc<dyn Watch> = counting.clone();
        let known = Consulted::of(start, plan, request, &watch, cancelled).await?;
        known.report(&mut report);
        let sampler = Sampler::new(known.book.clone(), counting, self.service.clone());
        let context = self.context(plan, &watch);
        let run = Run::new(context, known.book.clone(), request, cancelled, report);
        let written = run.write().await;
        sampler.stop().await;
        let (mut report, worked) = written.map_err(PlanError::from)?;
        report.cancelled = cancelled.is_cancelled();
        self.account(&mut report, plan, plan.counts, before, begun.elapsed());
        // What was written must be reported even if its end cannot be noted.
        if let Err(error) = known.end(&mut report, worked).await {
            let reason = error.to_string();
            if !report.errors.iter().any(|known| known.reason == reason) {
                report.trouble(Trouble::of_run(reason));
            }
            report.success = false;
        }
        Ok(report)
    }

    /// What identifies the run in the ledger, and where that is; `None` without one.
    async fn start(
        &self,
        source: String,
        system: &'static str,
        request: &Request,
        cancelled: &CancellationToken,
    ) -> memory::Result<Option<(PathBuf, RunStart)>> {
        let Some(data_dir) = self.data_dir.clone() else {
            return Ok(None);
        };
        let project = with_retries(cancelled, || self.service.project());
        let project = cancelled.run_until_cancelled(project).await;
        let project = project.unwrap_or_else(|| Err(zep::Error::Cancelled.into()))?;
        Ok(project.map(|target| {
            let start = RunStart {
                source,
                system: system.to_owned(),
                target,
                request: consult::identity(request),
            };
            (data_dir, start)
        }))
    }

    async fn plan(
        &self,
        source: Box<dyn Source>,
        request: &Request,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Arc<Plan>, Error> {
        let start = match request.limit {
            Some(_) => {
                let (name, system) = (source.name(), source.system());
                self.start(name, system, request, cancelled).await?
            }
            None => None,
        };
        let (request, cancelled) = (request.clone(), cancelled.clone());
        let default_user = self.service.default_user(&self.caller).clone();
        let read = move || {
            let read = Plan::read(source, &request, &default_user, watch.as_ref(), &cancelled);
            match request.limit {
                Some(limit) => consult::limited(read?, start, limit, &cancelled),
                None => Ok(read?),
            }
        };
        Ok(Arc::new(blocking(read).await?))
    }
}
