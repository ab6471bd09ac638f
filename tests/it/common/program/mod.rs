//! The built binary in a clean environment, an MCP client for it, and a memory on either backend.

mod client;
mod world;

pub use client::{Client, outcome};
pub use world::{ADD_MESSAGES, API_KEY, World};

use std::path::Path;
use std::process::Command;

/// The binary in this directory, with an empty environment.
pub fn binary(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zep-mcp-server"));
    command
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory);
    command
}

/// Makes two tests of each promise: on the embedded store, and on Zep's API as the emulator speaks it.
macro_rules! on_both_backends {
    ($($promise:ident),+ $(,)?) => {
        mod on_the_embedded_store {
            $(#[test]
            fn $promise() {
                super::$promise(&$crate::common::program::World::embedded());
            })+
        }
        mod on_zeps_api {
            $(#[test]
            fn $promise() {
                super::$promise(&$crate::common::program::World::emulated());
            })+
        }
    };
}
pub(crate) use on_both_backends;
