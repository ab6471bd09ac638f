//! What the tests of the whole program share: the built binary in clean surroundings, a client that
//! speaks MCP with it, and a place for memories on either backend.

mod client;
mod world;

pub use client::{Client, PATIENCE, outcome};
pub use world::{API_KEY, World};

use std::path::Path;
use std::process::Command;

/// The binary in this directory, with nothing in its environment that a test did not put there.
pub fn binary(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zep-mcp-server"));
    command
        .current_dir(directory)
        .env_clear()
        .env("HOME", directory);
    command
}

/// Makes one test of each of these promises on the embedded store, and one on Zep's API as the
/// emulator speaks it.
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
