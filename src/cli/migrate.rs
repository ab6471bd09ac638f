//! The flags of `migrate` and `validate`.

use std::path::PathBuf;

use clap::Args;

/// What both read, and which part of it is meant.
#[derive(Debug, Args)]
pub struct MovingArgs {
    /// The export: JSON or JSON Lines, as mem0 answers it or as an application dumps its users with
    /// their messages; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,

    /// Only this user. What names nobody is taken for theirs, if the export names no other user
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Only this session. May be given several times
    #[arg(long, value_name = "ID")]
    pub session: Vec<String>,

    /// Also memories that are expired, or that another one replaced
    #[arg(long)]
    pub include_expired: bool,

    /// Which role of a user becomes which, on top of the built-in map: `user=customer,coach=trainer`
    /// [without it, `user` becomes `patient` and all others stay]
    #[arg(long, value_name = "FROM=TO,…")]
    pub role_map: Option<String>,

    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What `migrate` does with an export.
#[derive(Debug, Args)]
pub struct MigrateArgs {
    /// What it reads.
    #[command(flatten)]
    pub moving: MovingArgs,

    /// Read everything, look what is there already, report what would be done, and write nothing
    #[arg(long, conflicts_with = "validate")]
    pub dry_run: bool,

    /// When all is written, read it back and compare it with the export, as `validate` does
    #[arg(long)]
    pub validate: bool,

    /// Put older turns behind newer ones in sessions that are in use already. Without it, such
    /// sessions are reported and left as they are
    #[arg(long)]
    pub append: bool,

    /// Write nothing at all if anything in the export is not as it should be, a mere warning
    /// included, and stop at the first refusal of the backend. Without it, what is broken is
    /// reported and the rest goes on
    #[arg(long)]
    pub strict: bool,
}

/// What `validate` compares.
#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// What it reads.
    #[command(flatten)]
    pub moving: MovingArgs,
}

/// How to go about a migration.
pub const MIGRATING: &str = "\
A migration in four steps:
  1. Rehearse. Write into a throw-away file instead of Zep Cloud, and look at what arrived:
       zep-mcp-server migrate --file export.json --validate --backend local --data-dir ./rehearsal
       zep-mcp-server --backend local --data-dir ./rehearsal        (the same, to an agent)
  2. Look. With your ZEP_API_KEY set, --dry-run reads the export and what Zep holds, and reports
     what would be written. Now is the time to mend the export: each error names its position.
       zep-mcp-server migrate --file export.json --dry-run
  3. Migrate, and let every record be compared:
       zep-mcp-server migrate --file export.json --validate
  4. Then switch your agents over. In this order: Zep shows turns in the order in which they were
     written, so history must be there before agents write. If somebody was quicker, their
     sessions are reported and left alone; --append puts the older turns behind the newer ones.

Once more does no harm:
  What is there already is recognised by its record id and not written again. So after an error, a
  Ctrl-C or a power cut, run the same command again: it goes on where it stopped, and a run that
  finds everything reports 0 memories migrated. Users who exist keep what they have.

While it runs:
  Progress goes to stderr, the report to stdout. Ctrl-C finishes the requests in flight, reports
  what was done and skips the validation; a second Ctrl-C ends at once, which loses nothing either.
  Memory stays flat, whatever the size: the export is read once and kept in a private temporary
  file (TMPDIR), about as large as the export, until the end.

Exit codes:
  0  all that was asked for is there (and valid, with --validate); a dry run found nothing wrong
  1  something failed, did not validate, or was stopped; the report says what
  2  wrong usage: a flag, a setting, an export that cannot be opened; nothing was done";

/// How to read a validation.
pub const VALIDATING: &str = "\
Compares record by record and writes nothing:
  source_readable   the export could be read whole
  user_exists       every user is there, with name, address, role and metadata of the export
  session_loads     every session can be read
  message_count     every record is there, once, and nothing else is
  timestamps        to the export's precision; records without a time have none to compare
  metadata          with role, name and kind; nested values, too
  content           word for word; long records are put together again first
  order             of the records in each session

  What differs is named by user, session, record id and field, never by what anybody said: the
  report can be passed on. Give the same --user, --session, --include-expired and --role-map as to
  `migrate`. What agents wrote since is not in the export, and so is named, too: validate before
  you switch.

Exit codes:
  0  everything is as in the export
  1  something is not, could not be compared, or it was stopped
  2  wrong usage: a flag, a setting, an export that cannot be opened";
