//! The `zep-mcp-server` binary.

mod cli;
mod commands;
mod output;

use std::process::ExitCode;

use clap::Parser;
use zep_mcp_server::config::{Config, Flags, Logging};
use zep_mcp_server::telemetry;

use cli::{Cli, Command};

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Hosts start the program without arguments. The code and the texts of the command line are then not even
    // read from the disk: a megabyte of resident memory less.
    let cli = match std::env::args_os().len() {
        0 | 1 => Cli::default(),
        _ => Cli::parse(),
    };
    run(cli).unwrap_or_else(|error| output::failure(&error))
}

fn run(Cli { settings, command }: Cli) -> anyhow::Result<ExitCode> {
    match command.unwrap_or_default() {
        Command::Serve(args) => commands::serve::run(settings, *args),
        Command::Doctor(args) => commands::doctor::run(&configured(settings)?, &args),
        Command::Try => commands::try_it::run(),
        Command::Switch(args) => commands::switch::run(&settings, &args),
        Command::Install(args) => commands::install::run(&settings, &args),
        Command::Emulate(args) => {
            telemetry::start(Logging::load(settings)?);
            commands::emulate::run(*args)
        }
        Command::Migrate(args) => commands::migrate::run(settings, &args),
        Command::Validate(args) => commands::validate::run(settings, &args),
        Command::Report(args) => commands::report::run(settings, &args),
        Command::Rollback(args) => commands::rollback::run(settings, &args),
        Command::Export(args) => commands::export::run(settings, &args),
        Command::Queue(args) => commands::queue::run(&configured(settings)?, args),
        Command::Status(args) => commands::status::run(settings, &args),
        Command::Health(args) => commands::health::run(settings, &args),
        Command::Audit(args) => commands::audit::run(settings, args),
        Command::Key(args) => commands::key::run(settings, args),
        Command::Token(args) => commands::token::run(args),
    }
}

fn configured(settings: Flags) -> anyhow::Result<Config> {
    let config = Config::load(settings)?;
    telemetry::start(config.logging);
    Ok(config)
}
