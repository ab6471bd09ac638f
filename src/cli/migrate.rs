//! The flags of `migrate` and `validate`.

use std::path::PathBuf;

use clap::Args;

/// The export, and the part of it to use.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The export: JSON or JSON Lines, from mem0 or from an application's dump of its users with
    /// their messages; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,

    /// Only this user. Records without a user count as theirs, if the export names no other user
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Only this session. May be repeated
    #[arg(long, value_name = "ID")]
    pub session: Vec<String>,

    /// Include memories that are expired or replaced by another one
    #[arg(long)]
    pub include_expired: bool,

    /// Maps roles of users, in addition to the built-in map: `user=customer,coach=trainer`
    /// [default: `user` becomes `patient`, all others stay]
    #[arg(long, value_name = "FROM=TO,…")]
    pub role_map: Option<String>,

    /// Report as one JSON object
    #[arg(long)]
    pub json: bool,
}

/// The options of `migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The export.
    #[command(flatten)]
    pub export: ExportArgs,

    /// Read everything, look up what exists already, report what would be done, and write nothing
    #[arg(long, conflicts_with = "validate")]
    pub dry_run: bool,

    /// Afterwards, read everything back and compare it with the export, as `validate` does
    #[arg(long)]
    pub validate: bool,

    /// Append older messages to sessions that have newer ones. Without it, such sessions are reported
    /// and left unchanged
    #[arg(long)]
    pub append: bool,

    /// Write nothing if anything in the export causes an error or warning, and stop at the first
    /// refusal of the backend. Without it, broken records are reported and the rest is migrated
    #[arg(long)]
    pub strict: bool,
}

/// The options of `validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The export.
    #[command(flatten)]
    pub export: ExportArgs,
}

/// How to migrate.
pub(super) const MIGRATING: &str = "\
A migration in four steps:
  1. Rehearse. Write to a temporary store instead of Zep Cloud, and look at the result:
       zep-mcp-server migrate --file export.json --validate --backend local --data-dir ./rehearsal
       zep-mcp-server --backend local --data-dir ./rehearsal        (serve it to an agent)
  2. Dry run. With your ZEP_API_KEY set, --dry-run reads the export and what Zep holds, and
     reports what would be written. Fix the export now: each error names its position.
       zep-mcp-server migrate --file export.json --dry-run
  3. Migrate, and compare every record:
       zep-mcp-server migrate --file export.json --validate
  4. Then switch your agents over, in this order: Zep shows messages in the order in which they
     were written, so history must be there before agents write. Sessions with newer messages are
     reported and left unchanged; --append adds the older messages after them.

Repeating it is safe:
  Existing records are recognised by their record id and not written again. After an error, a Ctrl-C
  or a power cut, run the same command again: it continues where it stopped, and a run that finds
  everything reports 0 memories migrated. Existing users keep their data.

While it runs:
  Progress goes to stderr, the report to stdout. Ctrl-C finishes the requests in flight, reports
  what was done and skips the validation; a second Ctrl-C ends at once, and loses nothing either.
  Memory use does not depend on the size: the export is read once and kept in a private temporary
  file (TMPDIR), about as large as the export, until the end.

Exit codes:
  0  everything was migrated (and valid, with --validate); a dry run found no errors
  1  something failed, did not validate, or was stopped; the report has details
  2  wrong usage: a flag, a setting, an export that cannot be opened; nothing was done";

/// How to read a validation.
pub(super) const VALIDATING: &str = "\
Compares record by record and writes nothing:
  source_readable   the whole export is readable
  user_exists       every user exists, with name, address, role and metadata of the export
  session_loads     every session is readable
  message_count     every record exists exactly once, and there are no others
  timestamps        to the export's precision; records without a time are not compared
  metadata          with role, name and kind; nested values, too
  content           word for word; long records are reassembled first
  order             of the records in each session

  Differences are named by user, session, record id and field, without content: the report can be
  shared. Use the same --user, --session, --include-expired and --role-map as for `migrate`. What
  agents wrote since is not in the export, so it is reported, too: validate before you switch.

Exit codes:
  0  everything is as in the export
  1  something differs, could not be compared, or the run was stopped
  2  wrong usage: a flag, a setting, an export that cannot be opened";
