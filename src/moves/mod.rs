//! Migrations that callers begin, by a tool or over REST: whose memories, from where, and how far they
//! are.
//!
//! - `user`, `source`: what a call names. `runs`: migrations that continue after their call was answered;
//!   `rollbacks`: the same of rollbacks.

mod rollbacks;
mod runs;
mod source;
mod user;

use std::path::Path;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

pub use rollbacks::give_back;
pub(crate) use rollbacks::{Rollbacks, Undoing, Undone};
pub(crate) use runs::{Run, Runs, State, Status};
pub(crate) use source::Inline;
pub(crate) use user::UserArg;

use crate::audit::Call;
use crate::config::SourceSettings;
use crate::memory::access::{Caller, Right};
use crate::memory::beside::sides::Sides;
use crate::memory::model::{Owner, UserId};
use crate::memory::{self, MemoryService};
use crate::migration::history::RunHistory;
use crate::migration::{self, Migrator, Outcome, Report, Request, Rollback, Validation, Watch};
use crate::sources::{Nothing, Source};

/// The most errors, notes and issues in an answer. The command line lists all.
const MAX_ANSWERED: usize = 50;

/// Cuts a list to that length and returns how many entries were cut.
fn shorten<T>(list: &mut Vec<T>) -> u64 {
    let left_off = list.len().saturating_sub(MAX_ANSWERED);
    list.truncate(MAX_ANSWERED);
    left_off as u64
}

/// A report as it is answered.
pub(crate) fn shortened(mut report: Report) -> Report {
    report.errors_not_listed += shorten(&mut report.errors);
    report.warnings_not_listed += shorten(&mut report.warnings);
    report.notes_not_listed += shorten(&mut report.notes);
    report
}

/// A validation as it is answered.
fn shortened_validation(mut validation: Validation) -> Validation {
    validation.issues_not_listed += shorten(&mut validation.issues);
    validation.users.retain(|user| !user.ok);
    for user in &mut validation.users {
        // The checks are those of the whole validation: it is of one user.
        user.checks.clear();
        user.sessions.retain(|session| !session.ok);
        user.sessions_not_listed += shorten(&mut user.sessions);
    }
    validation.source_problems_not_listed += shorten(&mut validation.source_problems);
    validation
}

/// Why a migration is not begun, or failed.
#[derive(Debug)]
pub(crate) enum MoveError {
    /// An argument cannot be accepted.
    Argument(String),
    /// The source that was named cannot be read.
    Source(String),
    /// It failed; a stable name, and why.
    Failed(&'static str, String),
    /// The service refused it.
    Memory(memory::Error),
}

impl From<memory::Error> for MoveError {
    fn from(error: memory::Error) -> Self {
        Self::Memory(error)
    }
}

impl From<migration::Error> for MoveError {
    fn from(error: migration::Error) -> Self {
        match error {
            migration::Error::Memory(error) => error.into(),
            error => Self::Failed("migration_failed", error.to_string()),
        }
    }
}

/// What a migration of one user is asked for.
#[derive(Debug)]
pub(crate) struct MoveArgs {
    /// Whose memories.
    pub(crate) user: UserArg,
    /// From where, if not from the mem0 of the settings.
    pub(crate) data: Option<Inline>,
    /// From which file of the import directory.
    pub(crate) file: Option<String>,
    /// Only these sessions.
    pub(crate) sessions: Vec<String>,
    /// Whether it is only reported what would be moved.
    pub(crate) dry_run: bool,
    /// Also what expired or was replaced.
    pub(crate) include_expired: bool,
    /// Whether older turns may follow newer ones.
    pub(crate) append: bool,
}

/// A migration that may begin.
pub(crate) struct Move {
    user: UserId,
    migrator: Migrator,
    source: Box<dyn Source>,
    request: Request,
    /// Who is moved over from mem0, where that is done in phases.
    moved: Vec<Owner>,
}

/// Begins migrations, and knows those under way. Cheap to clone: clones share them.
#[derive(Debug, Clone)]
pub struct Moves {
    memories: MemoryService,
    import_dir: Option<Arc<Path>>,
    data_dir: Option<Arc<Path>>,
    sources: Option<Arc<SourceSettings>>,
    sides: Option<Arc<dyn Sides>>,
    runs: Arc<Runs>,
    rollbacks: Arc<Rollbacks>,
}

impl Moves {
    /// Into these memories. No files are read, and nothing is noted.
    pub fn new(memories: MemoryService) -> Self {
        Self {
            memories,
            import_dir: None,
            data_dir: None,
            sources: None,
            sides: None,
            runs: Arc::default(),
            rollbacks: Arc::default(),
        }
    }

    /// The same, with a directory from which callers may have export files read.
    #[must_use]
    pub fn reading_exports_in(mut self, directory: Option<&Path>) -> Self {
        self.import_dir = directory.map(Arc::from);
        self
    }

    /// The same, with a directory where it is noted which migrations did not end.
    #[must_use]
    pub fn noting_migrations_in(mut self, directory: Option<&Path>) -> Self {
        self.data_dir = directory.map(Arc::from);
        self
    }

    /// The same, with systems that migrations may read from.
    #[must_use]
    pub fn migrating_from(mut self, sources: &SourceSettings) -> Self {
        self.sources = Some(Arc::new(sources.clone()));
        self
    }

    /// The same, whose rollbacks give back to mem0 those that were moved from it one after the other.
    #[must_use]
    pub fn giving_back(mut self, sides: Option<Arc<dyn Sides>>) -> Self {
        self.sides = sides;
        self
    }

    /// The memories that they write.
    pub fn memories(&self) -> &MemoryService {
        &self.memories
    }

    /// Stops the migrations that continue in the background, and waits for their requests in flight.
    pub async fn stop(&self) {
        self.runs.stop().await;
        self.rollbacks.stop().await;
    }

    /// The migrations that continue in the background.
    pub(crate) fn runs(&self) -> &Arc<Runs> {
        &self.runs
    }

    /// The rollbacks that continue in the background.
    pub(crate) fn rollbacks(&self) -> &Arc<Rollbacks> {
        &self.rollbacks
    }

    /// The directory of the ledger.
    pub(crate) fn data_dir(&self) -> Option<&Arc<Path>> {
        self.data_dir.as_ref()
    }

    /// Begins to undo a run, which continues after its call, with an entry of its own in the audit trail.
    ///
    /// # Errors
    /// Why it is not begun.
    pub(crate) fn roll_back(
        &self,
        caller: &Caller,
        run: &RunHistory,
        audited: Call,
    ) -> Result<(), &'static str> {
        let (migrator, service) = (self.migrator(caller), self.memories.clone());
        let (sides, owners) = (self.sides.clone(), run.owners.clone());
        let id = run.line.run.clone();
        self.rollbacks
            .begin(&run.line.run, |watch, stop| async move {
                let undo = async {
                    let options = Rollback::default();
                    let receipt = migrator.rollback(&id, &options, watch, &stop).await?;
                    let given_back = match &sides {
                        Some(sides) if receipt.complete => {
                            give_back(&service, sides.as_ref(), &owners).await?
                        }
                        _ => 0,
                    };
                    Ok(Undone {
                        receipt,
                        given_back,
                    })
                };
                let done: Result<Undone, migration::Error> = audited.during(undo).await;
                let is_well = done.as_ref().is_ok_and(|undone| undone.receipt.complete);
                audited.end(if is_well { "ok" } else { "failed" }).await;
                done
            })
    }

    /// Checks what a call asks for, before anything is read.
    pub(crate) fn prepare(&self, caller: &Caller, args: MoveArgs) -> Result<Move, MoveError> {
        let user = args.user.checked_id()?;
        caller.may(Right::Migrate, &Owner::User(user.clone()))?;
        let export = self.export(&args.user, args.data, args.file.as_deref())?;
        let request = Request {
            dry_run: args.dry_run,
            include_expired: args.include_expired,
            append: args.append,
            ..args.user.request(&args.sessions)?
        };
        self.memories.needs_zep()?;
        let mut moved = Vec::new();
        let source: Box<dyn Source> = match export {
            Some(export) => Box::new(export),
            None => match self.configured_source(&request)? {
                Some(mem0) => {
                    let is_moved = self.memories.moves_in_phases() && request.is_whole();
                    moved.extend(is_moved.then(|| Owner::User(user.clone())));
                    mem0
                }
                None => Box::new(Nothing),
            },
        };
        Ok(Move {
            user,
            migrator: self.migrator(caller),
            source,
            request,
            moved,
        })
    }

    /// Begins a migration that continues after its call, with an entry of its own in the audit trail.
    pub(crate) fn begin(&self, moving: Move, audited: Call) -> Result<Arc<Run>, MoveError> {
        let (user, runs) = (moving.user.clone(), self.runs.clone());
        self.runs.begin(user, move |run| async move {
            let stop = run.stop.clone();
            let done = audited.during(moving.run(run, &stop)).await;
            runs.count(&done, &stop);
            let is_well = done.as_ref().is_ok_and(|done| done.report.success);
            audited.end(if is_well { "ok" } else { "failed" }).await;
            done
        })
    }

    /// Compares what is stored of a user with its source.
    pub(crate) async fn validate(
        &self,
        caller: &Caller,
        args: MoveArgs,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Validation, MoveError> {
        let user = args.user.checked_id()?;
        caller.may(Right::Migrate, &Owner::User(user))?;
        let export = self.export(&args.user, args.data, args.file.as_deref())?;
        let request = Request {
            include_expired: args.include_expired,
            ..args.user.request(&args.sessions)?
        };
        let source: Option<Box<dyn Source>> = match export {
            Some(export) => Some(Box::new(export)),
            None => self.configured_source(&request)?,
        };
        let Some(source) = source else {
            let missing =
                "give the source to compare with, the same as to migrate_user: `data` or `file`";
            return Err(MoveError::Source(missing.into()));
        };
        let migrator = self.migrator(caller);
        let validation = migrator
            .validate(source, &request, watch, cancelled)
            .await?;
        Ok(shortened_validation(validation))
    }

    /// A migrator on behalf of this caller.
    fn migrator(&self, caller: &Caller) -> Migrator {
        Migrator::with_roles(self.memories.clone(), caller.clone(), Default::default())
            .noting_runs_in(self.data_dir.as_deref())
    }
}

impl Move {
    /// Carries it out.
    pub(crate) async fn run(
        self,
        watch: Arc<dyn Watch>,
        cancelled: &CancellationToken,
    ) -> Result<Outcome, migration::Error> {
        let Self {
            migrator,
            source,
            request,
            moved,
            ..
        } = self;
        match moved.is_empty() {
            true => {
                migrator
                    .run(source, &request, false, watch, cancelled)
                    .await
            }
            false => {
                migrator
                    .move_over(source, &request, moved, watch, cancelled)
                    .await
            }
        }
    }
}
