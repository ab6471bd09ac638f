//! What the tools, the command line and programs call.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::consult::{self, Consulted};
use super::context::Context;
use super::history::{HistoryError, find_run};
use super::ledger::{Ledger, LedgerError, RunEntry, RunStart, RunState};
use super::plan::{Counts, Plan, PlanError, blocking};
use super::progress::{Phase, Progress, Unwatched, Watch};
use super::report::{Report, Trouble};
use super::retry::with_retries;
use super::sampler::{Counting, Sampler};
use super::undo::{self, Receipt, Rollback, Undo};
use super::validate::{CheckName, Comparison, Sampled, Stopped, Validation, await_processed};
use super::waits::Teller;
use super::write::{Run, settle_left_behind};
use super::{MAX_LISTED, Request, Selection, lock};
use crate::memory::access::Caller;
use crate::memory::mapping::RoleMap;
use crate::memory::model::{SessionId, UserId};
use crate::memory::{self, MemoryService};
use crate::sources::{Export, MEM0, Nothing, SNAPSHOTS, Source, SourceUser};
use crate::zep;

/// Why a run was not possible at all. What is wrong with single records is in the report.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source was not planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The ledger cannot be used; nothing was written.
    #[error(transparent)]
    Ledger(LedgerError),
    /// There is no such kind of snapshot.
    #[error("`{kind}` is not a kind of snapshot; it may be {}", SNAPSHOTS.join(", "))]
    NotASnapshot {
        /// The kind that was given.
        kind: String,
    },
    /// The backend failed while it was read.
    #[error(transparent)]
    Memory(#[from] memory::Error),
    /// There is no such run.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The run went to another backend.
    #[error("run {run} went to {target}, and the settings name {here}; nothing was removed")]
    AnotherTarget {
        /// The run's id.
        run: String,
        /// Where it went.
        target: String,
        /// What the settings name.
        here: String,
    },
}

impl From<undo::Stopped> for Error {
    fn from(stopped: undo::Stopped) -> Self {
        match stopped {
            undo::Stopped::Memory(error) => error.into(),
            undo::Stopped::Ledger(error) => error.into(),
        }
    }
}

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
    pub(super) service: MemoryService,
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
            watch.at(Progress {
                phase: Phase::Writing,
                done: 0,
                total: Some(counts.records),
            });
            let start = self.start(name, system, request, cancelled).await;
            // Whose project it is is no part of the writes.
            before = self.service.stats();
            match start {
                Ok(start) => {
                    let since = (begun, before);
                    report = self
                        .write_plan(&plan, start, request, report, since, &watch, cancelled)
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

    /// Compares what is stored with a source, record by record.
    ///
    /// # Errors
    /// If the source or the backend cannot be read.
    pub async fn validate_migration(
        &self,
        source: impl Source + 'static,
        request: &Request,
    ) -> Result<Validation, Error> {
        self.validate(
            Box::new(source),
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
        source: Box<dyn Source>,
        request: &Request,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Validation, Error> {
        let _teller = Teller::new(&self.service, &watch);
        let (name, system) = (source.name(), source.system());
        let plan = self.plan(source, request, watch.clone(), cancelled).await?;
        let sample = match request.sample {
            Some(sample) => {
                let size = sample.records;
                let keep = move |plan: &Plan| plan.keep_sample(size, sample.seed);
                let of = plan.step(keep).await.map_err(PlanError::from)?;
                Some(Sampled {
                    records: of.min(size as u64),
                    of,
                    seed: sample.seed,
                    as_in_source: false,
                })
            }
            None => None,
        };
        let found = self.compare(&plan, sample, &watch, cancelled).await?;
        if found.sample.is_none()
            && let Some(run) = self.run_of(name, system, request, cancelled).await?
        {
            self.keep_validation(&run, &found).await;
        }
        Ok(found)
    }

    /// The last run of the same source and request in the ledger, if there is one.
    async fn run_of(
        &self,
        source: String,
        system: &'static str,
        request: &Request,
        cancelled: &CancellationToken,
    ) -> Result<Option<String>, Error> {
        let Some(data_dir) = self.data_dir.clone() else {
            return Ok(None);
        };
        let Some(ledger) = blocking(move || Ledger::open_existing(&data_dir)).await? else {
            return Ok(None);
        };
        let Some((_, start)) = self.start(source, system, request, cancelled).await? else {
            return Ok(None);
        };
        Ok(blocking(move || ledger.last_run_of(&start)).await?)
    }

    /// Undoes a run: removes what it wrote, and nothing else. `name` is its id, the beginning of its id,
    /// or `latest`. Undoing a run that is undone answers the receipt of that.
    ///
    /// # Errors
    /// If there is no such run in the ledger, if it is under way, if it went to another backend, or if the
    /// ledger cannot be used. What could not be removed is in the receipt.
    pub async fn rollback(
        &self,
        name: &str,
        options: &Rollback,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Receipt, Error> {
        let no_run = || HistoryError::NoRun {
            id: name.to_owned(),
        };
        let data_dir = self.data_dir.clone().ok_or_else(no_run)?;
        let (begun, before) = (Instant::now(), self.service.stats());
        let wanted = name.to_owned();
        let found = blocking(move || -> Result<_, HistoryError> {
            let Some(ledger) = Ledger::open_existing(&data_dir)? else {
                return Err(HistoryError::NoRun { id: wanted });
            };
            let entry = find_run(&ledger, &wanted)?;
            Ok((Arc::new(ledger), entry))
        });
        let (ledger, entry) = found.await?;
        let earlier = undo::earlier(&entry);
        if let Some(receipt) = earlier.filter(|receipt| is_undone(&entry, receipt, options)) {
            return Ok(Receipt {
                undone_before: true,
                ..receipt
            });
        }
        let project = with_retries(cancelled, || self.service.project()).await?;
        if project.as_ref() != Some(&entry.target) {
            return Err(Error::AnotherTarget {
                run: entry.id,
                target: entry.target,
                here: project.unwrap_or_else(|| "another backend".into()),
            });
        }
        let _teller = Teller::new(&self.service, &watch);
        if let Some(data_dir) = self.data_dir.as_ref().filter(|_| !options.dry_run) {
            self.settle_left_behind(data_dir, &entry.target, &watch, cancelled)
                .await?;
        }
        await_processed(&self.service, &self.caller, watch.as_ref(), cancelled)
            .await
            .map_err(stopped)?;
        let context = (&self.service, &self.caller);
        let undo = Undo::new(context, options, (&watch, cancelled), ledger, &entry).await?;
        let mut receipt = undo.run(&entry).await?;
        receipt.requests += requests(before, self.service.stats());
        receipt.duration_secs += begun.elapsed().as_secs_f64();
        Ok(receipt)
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
        self.migrate(Nothing, &request).await
    }

    /// Migrates a conversation: `turns` is an array of objects with `role` and `content`.
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
        self.migrate(Export::value(&source), &request).await
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
        self.migrate(Export::value(&source), &request).await
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

    /// Writes what is planned and not known as done, as a run of the ledger.
    pub(super) async fn write_plan(
        &self,
        plan: &Arc<Plan>,
        start: Option<(PathBuf, RunStart)>,
        request: &Request,
        mut report: Report,
        (begun, before): (Instant, Option<zep::TransportStats>),
        watch: &Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Report, Error> {
        if let Some((data_dir, start)) = start.as_ref().filter(|_| !request.dry_run) {
            self.settle_left_behind(data_dir, &start.target, watch, cancelled)
                .await?;
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
        known.end(&mut report, worked).await?;
        Ok(report)
    }

    /// Settles the batches that a killed run left behind.
    async fn settle_left_behind(
        &self,
        data_dir: &Path,
        target: &str,
        watch: &Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<(), Error> {
        let to = (&self.service, &self.caller);
        settle_left_behind(to, (data_dir, target), watch.as_ref(), cancelled).await
    }

    /// Keeps a validation with the run that it is of, in the ledger.
    async fn keep_validation(&self, run: &str, found: &Validation) {
        let Some(data_dir) = self.data_dir.clone() else {
            return;
        };
        let (run, found) = (run.to_owned(), serde_json::to_value(found));
        let kept = blocking(move || {
            let ledger = Ledger::open_existing(&data_dir)?;
            ledger.map_or(Ok(()), |ledger| {
                ledger.add_to_report(&run, "validation", &found.unwrap_or_default())
            })
        });
        if let Err(error) = kept.await {
            tracing::warn!(%error, "the validation is not kept in the ledger");
        }
    }

    /// What identifies the run in the ledger, and where that is; `None` without one.
    pub(super) async fn start(
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

    pub(super) async fn plan(
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

    pub(super) async fn compare(
        &self,
        plan: &Arc<Plan>,
        sample: Option<Sampled>,
        watch: &Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Validation, Error> {
        let begun = Instant::now();
        let before = self.service.stats();
        let mut validation = Validation::new(self.service.backend(), Timestamp::now());
        validation.sample = sample;
        validation.source_problems = listed(plan, MAX_LISTED).await?.0;
        let Counts {
            records,
            failed,
            problems,
            ..
        } = plan.counts;
        validation.source_problems_not_listed = problems - validation.source_problems.len() as u64;
        validation.count(CheckName::SourceReadable, records + failed, records);
        let comparison = Comparison::new(self.context(plan, watch), cancelled, validation);
        let mut validation = comparison.run().await.map_err(stopped)?;
        if problems > 0 {
            validation.fails(CheckName::SourceReadable);
        }
        validation.finish();
        validation.requests = requests(before, self.service.stats());
        validation.duration_secs = begun.elapsed().as_secs_f64();
        Ok(validation)
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
        report.deleted = counts.deleted;
        report.skipped =
            counts.duplicates + counts.not_selected + plan.left_out.values().sum::<u64>();
        report.requests = requests(before, after);
        let waited = |stats: Option<zep::TransportStats>| {
            stats.map_or(0.0, |stats| stats.waited.as_secs_f64())
        };
        report.wait_secs = waited(after) - waited(before);
        report.duration_secs = took.as_secs_f64();
        let nothing = report.users_migrated + report.memories_migrated + report.already_there == 0
            && report.errors.is_empty()
            && !report.cancelled;
        if let Some(left @ 1..) = plan.left_for_later {
            report.note(format!(
                "{left} more users (or agents) are not migrated yet: the same command takes the next"
            ));
        }
        if nothing && plan.left_for_later.is_some() && counts.not_selected > 0 {
            report.note("every user with memories is migrated already".into());
        } else if nothing {
            report.trouble(Trouble::of_run(match counts.not_selected {
                0 => "there is nothing to migrate in the source".to_owned(),
                left_out => format!(
                    "none of the {left_out} records of the source is of the user and sessions \
                     that were asked for"
                ),
            }));
        }
        for (what, count) in &plan.left_out {
            report.note(format!("left out, {count} times: {what}"));
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

fn stopped(stopped: Stopped) -> Error {
    match stopped {
        Stopped::Memory(error) => Error::from(error),
        Stopped::Spool(error) => PlanError::from(error).into(),
    }
}

/// Whether nothing of what is asked for is left to undo.
fn is_undone(entry: &RunEntry, receipt: &Receipt, options: &Rollback) -> bool {
    entry.state == RunState::Undone
        && receipt.complete
        && !(options.include_changed && !receipt.kept.is_empty())
}

fn requests(before: Option<zep::TransportStats>, after: Option<zep::TransportStats>) -> u64 {
    let of = |stats: Option<zep::TransportStats>| stats.map_or(0, |stats| stats.requests);
    of(after) - of(before)
}

/// The first problems and the first warnings of a source, as a report lists them.
async fn listed(plan: &Arc<Plan>, limit: usize) -> Result<(Vec<Trouble>, Vec<Trouble>), PlanError> {
    let listed = move |plan: &Plan| Ok((plan.problems(limit)?, plan.warnings(limit)?));
    let (problems, warnings) = plan.step(listed).await?;
    let troubles = |problems: Vec<_>| problems.into_iter().map(Trouble::from).collect();
    Ok((troubles(problems), troubles(warnings)))
}
