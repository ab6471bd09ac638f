//! The flags of `migrate` and `validate`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use zep_mcp_server::agent_hosts::Host;
use zep_mcp_server::migration::Method;

/// Where the memories are: a file, or a system.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Source")]
pub(crate) struct SourceArgs {
    /// An export: JSON or JSON Lines, from mem0 or from an application's dump of its users with their
    /// messages; also a directory, a .zip or a .gz of them; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    pub file: Option<PathBuf>,

    /// A system to read from instead
    #[arg(long, value_name = "SYSTEM")]
    pub from: Option<SystemArg>,

    /// With --from mem0-dir, openmemory or local: the directory or file to read [mem0-dir: MEM0_DIR, or
    /// ~/.mem0; local: memory.db in the data directory]
    #[arg(value_name = "PATH", requires = "from")]
    pub path: Option<PathBuf>,

    /// The address of mem0 [mem0: MEM0_BASE_URL; mem0-server: MEM0_SERVER_URL]
    #[arg(long, value_name = "URL", requires = "from")]
    pub mem0_url: Option<String>,

    /// The key of a self-hosted mem0. Other users of this machine can read command lines: better set
    /// MEM0_SERVER_KEY, or use --mem0-key-file
    #[arg(
        long,
        value_name = "KEY",
        requires = "from",
        conflicts_with = "mem0_key_file"
    )]
    pub mem0_key: Option<String>,

    /// A file with the key of mem0 in its first line
    #[arg(long, value_name = "FILE", requires = "from")]
    pub mem0_key_file: Option<PathBuf>,

    /// With --from mem0: also the turns that memories were made from. Takes one more request for each
    /// memory. With --from mem0-dir: also the last ten turns of each session, which the library keeps
    #[arg(long)]
    pub history: bool,

    /// The address of Qdrant [default: http://localhost:6333]
    #[arg(long, value_name = "URL", requires = "from")]
    pub qdrant_url: Option<String>,

    /// The collection of memories in Qdrant [qdrant: mem0; mem0-dir: all]
    #[arg(long, value_name = "NAME", requires = "from")]
    pub collection: Option<String>,
}

/// A system that memories are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SystemArg {
    /// mem0 Platform, with the key in MEM0_API_KEY
    #[value(name = "mem0")]
    Mem0,
    /// A self-hosted mem0 server
    #[value(name = "mem0-server")]
    Mem0Server,
    /// Qdrant, as mem0's library uses it
    Qdrant,
    /// The directory of mem0's library on this machine: local Qdrant and history.db
    #[value(name = "mem0-dir")]
    Mem0Dir,
    /// OpenMemory's SQLite database, or its backup
    #[value(name = "openmemory")]
    OpenMemory,
    /// This program's own store on this machine
    Local,
}

/// The part of the source to use.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection")]
pub(crate) struct SelectionArgs {
    /// Only this user. May be repeated. If it is one, records without a user count as theirs, if the
    /// source names no other user
    #[arg(long, value_name = "ID")]
    pub user: Vec<String>,

    /// Only the users in this file, one id on each line
    #[arg(long, value_name = "FILE")]
    pub users_from: Option<PathBuf>,

    /// Only this session. May be repeated
    #[arg(long, value_name = "ID")]
    pub session: Vec<String>,

    /// Only what was created or changed since this day or time (2024-05-01, or RFC 3339), and what has
    /// no time
    #[arg(long, value_name = "DATE")]
    pub since: Option<String>,

    /// Include memories that are expired or replaced by another one
    #[arg(long)]
    pub include_expired: bool,

    /// Maps roles of users, in addition to the built-in map: `user=customer,coach=trainer`
    /// [default: `user` becomes `patient`, all others stay]
    #[arg(long, value_name = "FROM=TO,…")]
    pub role_map: Option<String>,
}

/// The source, the part of it to use, and the form of the report.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The source.
    #[command(flatten)]
    pub source: SourceArgs,

    /// With --from mem0: take the key from the entry of this agent host that runs mem0
    #[arg(
        long,
        value_name = "HOST[:NAME]",
        requires = "from",
        help_heading = "Source"
    )]
    pub entry: Option<HostEntry>,

    /// The part of it.
    #[command(flatten)]
    pub selection: SelectionArgs,

    /// All users: to be said where the source is a server
    #[arg(long, conflicts_with_all = ["user", "users_from"], help_heading = "Selection")]
    pub all: bool,

    /// Report as one JSON object
    #[arg(long, help_heading = "Options")]
    pub json: bool,
}

/// An agent host, and the name of one of its entries.
#[derive(Debug, Clone)]
pub(crate) struct HostEntry {
    pub host: Host,
    pub name: Option<String>,
}

impl FromStr for HostEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, name) = match text.split_once(':') {
            Some((host, name)) => (host, Some(name.to_owned())),
            None => (text, None),
        };
        let host = <Host as ValueEnum>::from_str(host, true).map_err(|_| {
            let hosts = Host::value_variants().iter();
            let names = hosts.filter_map(ValueEnum::to_possible_value);
            let names: Vec<_> = names.map(|host| host.get_name().to_owned()).collect();
            format!("the host may be {}", names.join(", "))
        })?;
        Ok(Self { host, name })
    }
}

/// The options of `migrate`.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// The source, and the part of it.
    #[command(flatten)]
    pub export: ExportArgs,

    /// Only the next N users that were not migrated yet
    #[arg(long, value_name = "N", help_heading = "Selection")]
    pub limit: Option<NonZeroU64>,

    /// Read everything, look up what exists already, report what would be done, and write nothing
    #[arg(long, conflicts_with_all = ["validate", "rehearse"], help_heading = "Options")]
    pub dry_run: bool,

    /// Do all of it, with --validate, in a temporary store that is removed at the end: nothing goes to
    /// Zep, and no key is needed
    #[arg(long, help_heading = "Options")]
    pub rehearse: bool,

    /// Afterwards, read everything back and compare it with the source, as `validate` does
    #[arg(long, help_heading = "Options")]
    pub validate: bool,

    /// Migrate nothing: write what the backend holds into this file, as `export` does
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "from", "dry_run", "rehearse",
        "validate", "limit"], help_heading = "Options")]
    pub to_file: Option<PathBuf>,

    /// Migrate nothing: print a script in Python that writes what mem0's library holds in any vector
    /// store to standard output, to be piped into `migrate --file -`
    #[arg(long, exclusive = true, help_heading = "Source")]
    pub print_exporter: bool,

    /// How to write.
    #[command(flatten)]
    pub writing: WritingArgs,
}

/// How to write.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Options")]
pub(crate) struct WritingArgs {
    /// Append older messages to sessions that have newer ones. Without it, such sessions are reported
    /// and left unchanged
    #[arg(long)]
    pub append: bool,

    /// Write nothing if anything in the source causes an error or warning, and stop at the first
    /// refusal of the backend. Without it, broken records are reported and the rest is migrated
    #[arg(long)]
    pub strict: bool,

    /// Replace records that changed in the source since they were migrated. Without it, they are
    /// reported
    #[arg(long)]
    pub update: bool,

    /// Forget which of these records were migrated, and look in Zep: what is not there is migrated,
    /// also what was deleted there
    #[arg(long)]
    pub rebuild_ledger: bool,

    /// How to write [default: auto, which takes Zep's batches where that needs fewer requests]
    #[arg(long, value_name = "METHOD")]
    pub method: Option<MethodArg>,

    /// How many sessions and users are written, and batches filled, at a time [default: 8]
    #[arg(long, value_name = "N")]
    pub concurrency: Option<NonZeroUsize>,
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodArg {
    /// Whichever takes fewer requests
    Auto,
    /// With Zep's Batch API: 350 records a request, stored when Zep has processed them
    Batch,
    /// Call by call
    Direct,
}

impl From<MethodArg> for Method {
    fn from(method: MethodArg) -> Self {
        match method {
            MethodArg::Auto => Self::Auto,
            MethodArg::Batch => Self::Batch,
            MethodArg::Direct => Self::Direct,
        }
    }
}

/// The options of `validate`.
#[derive(Debug, Args)]
pub(crate) struct ValidateArgs {
    /// The source, and the part of it.
    #[command(flatten)]
    pub export: ExportArgs,

    /// Compare only this many records, chosen at random from all; the same ones each time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub sample: Option<u32>,

    /// With --sample: choose other records
    #[arg(long, value_name = "NUMBER", requires = "sample", default_value_t = 0)]
    pub seed: u64,

    /// Send what is missing, and compare again. What differs is reported and stays as it is; what a
    /// rollback removed stays removed
    #[arg(long, conflicts_with = "sample")]
    pub repair: bool,

    /// With --repair: also send again what was migrated and is gone since, which somebody may have
    /// deleted on purpose
    #[arg(long, requires = "repair")]
    pub restore_deleted: bool,

    /// With --repair: put what is missing in a session behind newer messages, as nothing can be put
    /// between them
    #[arg(long, requires = "repair")]
    pub append: bool,
}

/// How to migrate.
pub(super) const MIGRATING: &str = "\
A migration in four steps:
  1. Rehearse. Do all of it in a temporary store, without Zep, and validate it:
       zep-mcp-server migrate --from mem0 --all --rehearse
  2. Dry run. With your ZEP_API_KEY set, --dry-run reads the source and what Zep holds, and reports
     what would be written. Fix the source now: each error names its position.
       zep-mcp-server migrate --from mem0 --all --dry-run
  3. Migrate, and compare every record:
       zep-mcp-server migrate --from mem0 --all --validate
  4. Then switch your agents over (`install`), in this order: Zep shows messages in the order in
     which they were written, so history must be there before agents write. Sessions with newer
     messages are reported and left unchanged; --append adds the older messages after them.
  `switch` does all of it for the mem0 of an agent host.

Sources:
  --file FILE                          a file, a directory, a .zip or a .gz; - is standard input
  --from mem0                          mem0 Platform; key: MEM0_API_KEY, --entry, --mem0-key-file
  --from mem0-server --mem0-url URL    a self-hosted mem0; key: MEM0_SERVER_KEY, --mem0-key-file
  --from qdrant --qdrant-url URL       the Qdrant server of mem0's library; key: QDRANT_API_KEY
  --from mem0-dir PATH                 the directory of mem0's library, or that of its local Qdrant
  --from openmemory PATH               OpenMemory's database, or its backup
  --from local                         this program's own store
  any other vector store of mem0's library, with the Python of your application:
       zep-mcp-server migrate --print-exporter > mem0_export.py
       python mem0_export.py config.json | zep-mcp-server migrate --file - --validate

Repeating it is safe:
  Existing records are recognised by their record id and not written again. After an error, a Ctrl-C
  or a power cut, run the same command again: it continues where it stopped, and a run that finds
  everything reports 0 memories migrated. Existing users keep their data.

While it runs:
  Progress goes to stderr, the report to stdout. Ctrl-C finishes the requests in flight, reports
  what was done, skips the validation and says how to go on; a second Ctrl-C ends at once, and loses
  nothing either.
  Memory use does not depend on the size: the source is read once and kept in a private temporary
  file (TMPDIR), about as large as the source, until the end.

Exit codes:
  0  everything was migrated (and valid, with --validate); a dry run found no errors
  1  something failed or did not validate; the report has details
  2  wrong usage: a flag, a setting, a source that cannot be opened; nothing was done
  130  stopped by Ctrl-C or SIGTERM: run it again to go on";

/// How to read a validation.
pub(super) const VALIDATING: &str = "\
Compares record by record; writes nothing without --repair:
  source_readable   the whole export is readable
  user_exists       every user exists, with name, address, role and metadata of the export
  session_loads     every session is readable
  message_count     every record exists exactly once, and there are no others
  timestamps        to the export's precision; records without a time are not compared
  metadata          with role, name and kind; nested values, too
  content           word for word; long records are reassembled first
  order             of the records in each session

  Differences are named by user, session, record id and field, without content: the report can be
  shared. Use the same source and selection as for `migrate`. What agents wrote since is
  not in the source, so it is reported, too: validate before you switch.

  --sample N compares N records only, with as few requests as possible: quick, and no proof.
  --repair sends what is missing and compares again.
  Batches that Zep still processes are waited for, up to 15 minutes.

Exit codes:
  0  everything is as in the source (with --sample: everything that was compared)
  1  something differs or could not be compared
  2  wrong usage: a flag, a setting, a source that cannot be opened
  130  stopped by Ctrl-C or SIGTERM";
