//! `token`: makes tokens that let clients in over the network.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use secrecy::ExposeSecret;
use zep_mcp_server::http::access::{self, Entry, Expiry, Name, Reach, TokenHash};

use crate::cli::{NewTokenArgs, TokenArgs, TokenCommand};
use crate::output::Misuse;

/// How much of a hash a made-up name repeats, in characters.
const NAME_CHARS: usize = 8;

/// Does it.
///
/// # Errors
/// If the options are wrong, or the file cannot be written.
pub fn run(args: TokenArgs) -> anyhow::Result<ExitCode> {
    match args.command {
        TokenCommand::New(args) => new(args),
    }
}

/// The token goes to stdout and nowhere else, alone on the first line, so that a shell can take it.
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
        // First the entry: a token that is shown and not known would only be looked for in vain.
        Some(file) => {
            access::append(file, &entry)?;
            writeln!(io::stdout(), "{token}")?;
            eprintln!(
                "This token is not shown again. Its entry stands in {}.{}",
                file.display(),
                hint(file)
            );
        }
        None => {
            writeln!(io::stdout(), "{token}\n{}", entry.line())?;
            eprintln!(
                "The first line is the token, which is not shown again. Put the second into the \
                 file of MCP_AUTH_TOKENS_FILE (--file does so)."
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn hint(file: &Path) -> String {
    match std::path::absolute(file).context("no path") {
        Ok(path) => format!(
            " Serve with MCP_AUTH_TOKENS_FILE={}; a server that does already knows it.",
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
            "`*` is nobody's id; for everybody use --all-users".into(),
        )),
        (false, []) if args.agents.is_empty() => Err(Misuse(
            "say whose memories it is for: --user ID, --all-users, or --agent ID".into(),
        )),
        (false, users) => Ok(Reach::These(users.to_vec())),
    }
}

fn named(flag: &str, ids: &[String]) -> Result<Reach, Misuse> {
    match ids {
        [all] if all == "*" => Ok(Reach::everybody()),
        ids if ids.iter().any(|id| id == "*") => Err(misuse(
            flag,
            format!("`*` means all {flag}s, and stands alone"),
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
        true => Err(misuse("expires", "is past: it would never be good".into())),
        false => Ok(Some(expiry)),
    }
}
