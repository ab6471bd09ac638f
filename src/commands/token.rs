//! `token`: creates tokens for clients on the network.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use secrecy::ExposeSecret;
use zep_mcp_server::http::access::{self, Entry, Expiry, Name, Reach, TokenHash};

use crate::cli::{NewTokenArgs, TokenArgs, TokenCommand};
use crate::output::Misuse;

/// How much of its hash the default name of a token contains, in characters.
const NAME_CHARS: usize = 8;

/// Runs the subcommand.
///
/// # Errors
/// If the options are wrong, or the file cannot be written.
pub(crate) fn run(args: TokenArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        TokenCommand::New(args) => new(args),
    }
}

/// Prints the token only to stdout, alone on the first line, so that a shell can read it.
fn new(args: NewTokenArgs) -> anyhow::Result<ExitCode> {
    let token = access::fresh()?;
    let token = token.expose_secret();
    let Some(role) = &args.role else {
        writeln!(io::stdout(), "{token}")?;
        return Ok(ExitCode::SUCCESS);
    };
    let hash = TokenHash::of(token);
    let entry = Entry {
        name: name(args.name.as_deref(), &hash)?,
        hash,
        role: role.parse().map_err(|problem| misuse("role", problem))?,
        users: users(&args)?,
        agents: named("agent", &args.agents)?,
        apps: named("app", &args.apps)?,
        expires: expiry(args.expires.as_deref())?,
    };
    entry.check().map_err(Misuse)?;
    match &args.file {
        // The entry first: a token without an entry would be useless.
        Some(file) => {
            access::append(file, &entry)?;
            writeln!(io::stdout(), "{token}")?;
            eprintln!(
                "This token is not shown again. Its entry is in {}.{}",
                file.display(),
                hint(file)
            );
        }
        None => {
            writeln!(io::stdout(), "{token}\n{}", entry.line())?;
            eprintln!(
                "The first line is the token, which is not shown again. Add the second line to the \
                 file of MCP_AUTH_TOKENS_FILE (--file does that)."
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn hint(file: &Path) -> String {
    match std::path::absolute(file).context("no path") {
        Ok(path) => format!(
            " Serve with MCP_AUTH_TOKENS_FILE={}; a running server with this file reads it by itself.",
            path.display()
        ),
        Err(_) => String::new(),
    }
}

fn misuse(flag: &str, problem: String) -> Misuse {
    Misuse(format!("--{flag}: {problem}"))
}

fn name(given: Option<&str>, hash: &TokenHash) -> Result<Name, Misuse> {
    let name = match given {
        Some(name) => name.trim().to_owned(),
        None => {
            let digits = hash.to_string();
            let digits = digits.rsplit(':').next().unwrap_or_default();
            format!("token-{}", digits.get(..NAME_CHARS).unwrap_or(digits))
        }
    };
    Name::try_from(name).map_err(|problem| misuse("name", problem))
}

fn users(args: &NewTokenArgs) -> Result<Reach, Misuse> {
    match (args.all_users, args.users.as_slice()) {
        (true, _) => Ok(Reach::everybody()),
        (false, users) if users.iter().any(|user| user == "*") => Err(misuse(
            "user",
            "`*` is not a user id; for all users use --all-users".into(),
        )),
        (false, []) if args.agents.is_empty() => Err(Misuse(
            "name whose memories it gives access to: --user ID, --all-users, or --agent ID".into(),
        )),
        (false, users) => Ok(Reach::These(users.to_vec())),
    }
}

fn named(flag: &str, ids: &[String]) -> Result<Reach, Misuse> {
    match ids {
        [all] if all == "*" => Ok(Reach::everybody()),
        ids if ids.iter().any(|id| id == "*") => Err(misuse(
            flag,
            format!("`*` means all {flag}s, and must be the only value"),
        )),
        ids => Ok(Reach::These(ids.to_vec())),
    }
}

fn expiry(given: Option<&str>) -> Result<Option<Expiry>, Misuse> {
    let Some(text) = given else {
        return Ok(None);
    };
    let expiry: Expiry = text.parse().map_err(|problem| misuse("expires", problem))?;
    match expiry.is_past() {
        true => Err(misuse("expires", "is in the past".into())),
        false => Ok(Some(expiry)),
    }
}
