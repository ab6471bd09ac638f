//! `switch`: migrates the mem0 of an agent host's entry, proves that everything arrived, and only then
//! makes the entry run this server.

mod survey;

use std::process::ExitCode;

use secrecy::SecretString;
use serde::Serialize;
use zep_mcp_server::agent_hosts::file::Overwrite;
use zep_mcp_server::agent_hosts::plan::{ApiKey, LaunchSpec};
use zep_mcp_server::audit::Action;
use zep_mcp_server::config::{Config, Flags, Origin, Setting};

use super::audited::Audited;
use super::install::{ask, change, key, restore};
use super::mem0_entries::{self, Found};
use super::migrate::{self, REHEARSED};
use super::migration::{self, Input, Job, Run, selection, table};
use crate::cli::{SwitchArgs, SystemArg};
use crate::output::{Misuse, Page, Style};

use survey::Survey;

/// Settings that decide where memories go, so that the entry must have them too.
const PLACES: [Setting; 2] = [Setting::ApiUrl, Setting::DataDir];
/// The settings of a migration.
const KNOWN: [Setting; 6] = [
    Setting::ApiUrl,
    Setting::DataDir,
    Setting::TimeoutSecs,
    Setting::RecheckSecs,
    Setting::LogLevel,
    Setting::LogFormat,
];

/// Where the memories go.
enum Target {
    /// Zep Cloud, with this key.
    Zep(SecretString),
    /// The embedded store.
    Local,
    /// A temporary embedded store.
    Rehearsal,
}

/// Shows, asks, migrates, validates, and changes the entry.
///
/// # Errors
/// If the command line or the configuration is wrong, the source or the backend cannot be used, or a
/// file cannot be changed.
pub(crate) fn run(settings: &Flags, args: &SwitchArgs) -> anyhow::Result<ExitCode> {
    super::install::refuse_settings(settings, "switch", &KNOWN)?;
    let page = match args.json {
        true => Page::silent(),
        false => Page::stdout(),
    };
    let entries = &args.entries;
    if args.undo {
        return undo(&page, args);
    }
    let asks = !entries.yes && !entries.dry_run && !args.rehearse;
    if asks && !ask::is_possible() {
        return Err(Misuse(
            "there is no terminal to ask on: use --yes to move the memories and change the entry, \
             --dry-run to see what would be done, or --rehearse"
                .to_owned(),
        )
        .into());
    }
    let found = mem0_entries::find(&page, entries)?;
    if found.is_done() {
        return already_done(args, &page);
    }
    let target = match (args.rehearse, entries.local) {
        (true, _) => Target::Rehearsal,
        (_, true) => Target::Local,
        _ => Target::Zep(key::of_zep(found.zep_key(), asks)?),
    };
    let job = |dry_run| job(settings, args, &found, &target, dry_run);

    let survey = Survey::of(job(true)?)?;
    survey.show(&page)?;
    if !survey.is_clean() {
        page.line(&format!(
            "\n{} Not everything can be moved, so nothing was moved, and no entry was changed. To \
             move the rest, use `zep-mcp-server migrate` with the same source, and then `install`.",
            page.styled(Style::Bad, "✗")
        ))?;
        return Answer::of(&survey).end(args, false);
    }
    let launch = launch(args, &target, job(true)?.config)?;
    if !args.rehearse {
        change::show(&page, &found.files, &launch, entries)?;
    }
    if entries.dry_run {
        page.line("\nNothing was moved and nothing was changed: this is a dry run.")?;
        return Answer::of(&survey).end(args, true);
    }
    let question = match survey.is_empty() {
        true => "\nThere is nothing to move. Change the entry?",
        false => "\nMove the memories, and then change the entry?",
    };
    if asks && !ask::yes(question)? {
        page.line("Nothing was moved and nothing was changed.")?;
        return Answer::of(&survey).end(args, true);
    }

    let mut answer = Answer::of(&survey);
    if survey.is_empty() {
        match args.rehearse {
            true => page.line("No entry was changed.")?,
            false => answer.change_entry(&page, &found, &launch, None)?,
        }
        return answer.end(args, true);
    }
    let outcome = migration::run(job(false)?, async |run: Run| {
        let Run {
            migrator, source, ..
        } = run;
        migrator
            .run(source, &run.request, true, run.watch, &run.stop)
            .await
    })?;
    let well = migrate::is_well(&outcome, true);
    page.line("")?;
    table::print_migration(&page, &outcome, well)?;
    answer.migration = Some(migrate::Answer::from(&outcome));
    if args.rehearse {
        page.line(REHEARSED)?;
        page.line("No entry was changed.")?;
        return answer.end(args, well);
    }
    if !well {
        page.line(&format!(
            "{} The entry was not changed, since not everything arrived as it is in the source. Run \
             `switch` again to continue.",
            page.styled(Style::Bad, "✗")
        ))?;
        return answer.end(args, false);
    }
    answer.change_entry(&page, &found, &launch, outcome.report.run.as_deref())?;
    answer.end(args, true)
}

/// What to do now, beside what `install` says.
fn afterwards(found: &Found, run: Option<&str>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(entry) = found.as_argument() {
        lines.push(format!(
            "What agents stored in mem0 while this ran is moved by running, with ZEP_API_KEY set: \
             zep-mcp-server migrate --from mem0 --entry {entry} --all"
        ));
    }
    lines.push(match run {
        Some(run) => format!(
            "To undo all of it: zep-mcp-server switch --undo for the entry, and zep-mcp-server \
             rollback --run {run} for the memories."
        ),
        None => "To undo it: zep-mcp-server switch --undo.".to_owned(),
    });
    lines
}

/// The entry runs this server.
fn already_done(args: &SwitchArgs, page: &Page) -> anyhow::Result<ExitCode> {
    page.line(
        "Nothing is left to do: what was moved was validated before the entry was changed. \
         `switch --undo` restores the entry.",
    )?;
    Answer::default().end(args, true)
}

/// The migration, or its dry run.
fn job(
    settings: &Flags,
    args: &SwitchArgs,
    found: &Found,
    target: &Target,
    dry_run: bool,
) -> anyhow::Result<Job> {
    let mut settings = settings.clone();
    if let Some(user) = found.default_user() {
        settings = settings.with(Setting::DefaultUserId, &user);
    }
    let config = match target {
        Target::Zep(key) => {
            Config::load_with_key(settings.with(Setting::Backend, "zep"), key.clone())?
        }
        Target::Local | Target::Rehearsal => {
            Config::load(settings.with(Setting::Backend, "local"))?
        }
    };
    let mut source = args.source.clone();
    let mut key = None;
    if source.file.is_none() && source.from.is_none() {
        key = found.mem0_key()?;
        source.from = Some(SystemArg::Mem0);
    }
    let mut request = selection::request(&args.selection, &args.writing)?;
    request.dry_run = dry_run;
    let job = Job {
        audited: Audited::new(&config, "switch", Action::Migrate),
        input: Input::of(&source, key, &config)?,
        roles: selection::roles(&args.selection)?,
        config,
        request,
        throw_away: None,
    };
    match target {
        Target::Rehearsal => job.rehearsed(),
        Target::Zep(_) | Target::Local => Ok(job),
    }
}

/// How the entries will start this server. It must find the memories where they were moved.
fn launch(args: &SwitchArgs, target: &Target, config: Config) -> anyhow::Result<LaunchSpec> {
    let key = match target {
        Target::Zep(_) if args.entries.key_from_env => ApiKey::Reference,
        Target::Zep(key) => ApiKey::Literal(key.clone()),
        Target::Local | Target::Rehearsal => ApiKey::NotNeeded,
    };
    let launch = change::launch(&args.entries, key)?;
    let decided = config
        .in_force
        .into_iter()
        .filter(|it| PLACES.contains(&it.setting) && it.origin != Origin::Default);
    Ok(LaunchSpec {
        env: decided.map(|it| (it.setting.name(), it.value)).collect(),
        ..launch
    })
}

/// Restores the entry.
fn undo(page: &Page, args: &SwitchArgs) -> anyhow::Result<ExitCode> {
    let dirs = super::install::host_dirs()?;
    let locations = super::install::locations(&dirs, &args.entries)?;
    let code = restore::run(page, &locations, &args.entries, Overwrite::OwnChanges)?;
    page.line(
        "What was migrated stays in Zep. `zep-mcp-server report` lists the runs, and \
         `zep-mcp-server rollback --run ID` removes what one of them wrote.",
    )?;
    Ok(code)
}

/// The output of `--json`.
#[derive(Default, Serialize)]
struct Answer<'a> {
    /// Whether an entry runs this server now that did not before.
    entry_changed: bool,
    /// What would be moved; `null` if it was not looked.
    survey: Option<&'a Survey>,
    /// What was moved; `null` if nothing was tried.
    migration: Option<migrate::Answer<'a>>,
}

impl<'a> Answer<'a> {
    fn of(survey: &'a Survey) -> Self {
        Self {
            survey: Some(survey),
            ..Self::default()
        }
    }

    /// Changes the entry, and says what to do now.
    fn change_entry(
        &mut self,
        page: &Page,
        found: &Found,
        launch: &LaunchSpec,
        run: Option<&str>,
    ) -> anyhow::Result<()> {
        change::carry_out(page, &found.files, launch)?;
        for line in afterwards(found, run) {
            page.line(&line)?;
        }
        self.entry_changed = true;
        Ok(())
    }

    fn end(self, args: &SwitchArgs, well: bool) -> anyhow::Result<ExitCode> {
        if args.json {
            Page::stdout().line(&serde_json::to_string_pretty(&self)?)?;
        }
        Ok(match well {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        })
    }
}
