//! `.env` of the working directory, which may be anybody's: the program starts, or says what is
//! wrong in it.

use std::process::Stdio;

use proptest::prelude::*;

use super::{corpus, fuzz_bytes};
use crate::common::program::binary;

const WORDS: &[&str] = &[
    "\n",
    "\r\n",
    "=",
    "\"",
    "'",
    "#",
    "\\",
    "$",
    "${",
    "}",
    " ",
    "export ",
    "\u{feff}",
    "\u{0}",
    "ZEP_API_KEY=",
    "ZEP_API_URL=http://127.0.0.1:1",
    "MEMORY_BACKEND=local",
    "LOG_LEVEL=loud",
    "ZEP_MCP_TOOLS=",
    "ZEP_MCP_CONFIRM=never",
    "ZEP_DEFAULT_USER_ID=",
    "ZEP_TIMEOUT_SECS=0",
    "MCP_AUTH_TOKEN=",
    "${HOME}",
    "$(id)",
];

#[test]
fn the_program_starts_or_names_what_is_wrong() {
    let home = tempfile::tempdir().unwrap();
    fuzz_bytes("dotenv", 40, corpus("dotenv"), WORDS, |bytes| {
        std::fs::write(home.path().join(".env"), bytes).unwrap();
        // Nothing is to be written elsewhere.
        let ended = binary(home.path())
            .env("ZEP_MCP_DATA_DIR", home.path().join("data"))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        prop_assert!(
            matches!(ended.status.code(), Some(0 | 2)),
            "{:?} {said}",
            ended.status
        );
        prop_assert!(ended.stdout.is_empty());
        prop_assert!(
            ended.status.success() || said.starts_with("error: "),
            "{said}"
        );
        Ok(())
    });
}
