//! What is moved, and what is said of it.

use serde_json::{Value, json};

use super::Newcomer;
use crate::install::program;

#[test]
fn a_newcomer_switches_with_one_command() {
    let newcomer = Newcomer::new().remembers(40);
    let outcome = newcomer.switch(&["--yes"]).ended(0);
    newcomer.is_changed();
    newcomer.has_moved(40);
    let said = outcome.everything();
    for word in [
        "What would be moved",
        "mem0 Platform",
        "users       2",
        "memories    161",
        "What it costs",
        "episodes    161 that Zep bills",
        "valid",
        "changed:",
        "migrate --from mem0 --entry claude-desktop:mem0 --all",
        "switch --undo",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    // Again: nothing is left to do.
    let writes = newcomer.writes();
    let again = newcomer.switch(&["--yes"]).ended(0);
    assert!(
        again.stdout.contains("runs this server already"),
        "{}",
        again.stdout
    );
    assert_eq!(newcomer.writes(), writes);
}

#[test]
fn what_it_takes_is_said_by_the_rate_that_zep_tells() {
    let newcomer = Newcomer::with_zep(&["--rate-limit", "600"]).remembers(3);
    let outcome = newcomer.switch(&["--dry-run"]).ended(0);
    assert!(
        outcome.stdout.contains("at 600 requests a minute"),
        "{}",
        outcome.stdout
    );
}

#[test]
fn a_dry_run_and_a_rehearsal_change_nothing() {
    let newcomer = Newcomer::new().remembers(5);
    let before = newcomer.config();
    let dry = newcomer.switch(&["--dry-run"]).ended(0);
    assert!(dry.stdout.contains("this is a dry run"), "{}", dry.stdout);
    assert!(
        dry.stdout.contains(program()),
        "the change is shown: {}",
        dry.stdout
    );
    newcomer.is_unchanged(&before);
    assert_eq!(newcomer.writes(), 0);
    newcomer.zep.control("POST", "reset-stats", None);
    // A rehearsal needs no key of Zep, and sends nothing there.
    let rehearsed = super::outcome(newcomer.command(&["--rehearse"]).env_remove("ZEP_API_KEY"));
    let rehearsed = rehearsed.ended(0);
    assert!(
        rehearsed.stdout.contains("This was a rehearsal"),
        "{}",
        rehearsed.stdout
    );
    newcomer.is_unchanged(&before);
    assert!(newcomer.zep.requests().is_empty());
}

#[test]
fn the_report_is_one_json_object() {
    let newcomer = Newcomer::new().remembers(5);
    let answer = super::read(&newcomer.switch(&["--yes", "--json"]).ended(0));
    assert_eq!(answer["entry_changed"], true);
    assert_eq!(answer["survey"]["episodes_billed"], 21);
    assert_eq!(answer["migration"]["memories_migrated"], 21);
    assert_eq!(answer["migration"]["validation"]["valid"], true);
}

#[test]
fn undoing_restores_the_file_to_the_byte_and_leaves_the_memories() {
    let newcomer = Newcomer::new().remembers(5);
    let before = newcomer.config();
    newcomer.switch(&["--yes"]).ended(0);
    newcomer.is_changed();
    let undone = newcomer.switch(&["--undo", "--yes"]).ended(0);
    assert_eq!(newcomer.config(), before);
    assert!(undone.stdout.contains("rollback"), "{}", undone.stdout);
    newcomer.has_moved(5);
}

#[test]
fn a_single_user_can_be_moved_and_mem0_is_asked_for_no_other() {
    let newcomer = Newcomer::new().remembers(5);
    let answer = super::read(
        &newcomer
            .switch(&["--yes", "--json", "--user", "joe"])
            .ended(0),
    );
    assert_eq!(answer["migration"]["memories_migrated"], 10);
    assert_eq!(answer["migration"]["users_migrated"], 1);
    let asked = newcomer.mem0.calls_to("/memories");
    assert!(
        asked
            .iter()
            .all(|call| !call.body.to_string().contains("jane"))
    );
}

#[test]
fn without_an_account_the_memories_move_to_this_machine() {
    let newcomer = Newcomer::new().remembers(5);
    super::outcome(
        newcomer
            .command(&["--yes", "--local"])
            .env_remove("ZEP_API_KEY"),
    )
    .ended(0);
    let env = &crate::install::entry(
        &newcomer.config(),
        zep_mcp_server::agent_hosts::document::Syntax::Json,
        "mcpServers|mem0",
    )["env"];
    assert_eq!(env["MEMORY_BACKEND"], "local");
    assert!(newcomer.zep.requests().is_empty());
}

#[test]
fn a_mem0_without_memories_is_left_by_changing_the_entry() {
    let newcomer = Newcomer::new();
    let before = newcomer.config();
    newcomer.switch(&["--dry-run"]).ended(0);
    newcomer.is_unchanged(&before);
    let outcome = newcomer.switch(&["--yes", "--json"]).ended(0);
    let answer: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(answer["entry_changed"], true);
    let notes = answer["survey"]["report"]["notes"].to_string();
    assert!(notes.contains("mem0 has no memories"), "{answer:#}");
    assert_eq!(answer["migration"], Value::Null);
    newcomer.is_changed();
}

#[test]
fn a_file_without_memories_is_no_reason_to_change_the_entry() {
    let newcomer = Newcomer::new().remembers(1);
    newcomer.home.put("work/export.json", b"[]");
    let before = newcomer.config();
    newcomer
        .switch(&["--yes", "--file", "export.json"])
        .ended(1);
    newcomer.is_unchanged(&before);
}

#[test]
fn a_mem0_with_expired_memories_only_is_left_with_the_users_and_without_those() {
    let newcomer = Newcomer::new();
    newcomer.mem0.add(json!({
        "user_id": "jane", "memory": "jane liked tea", "expiration_date": "2024-01-01",
    }));
    let outcome = newcomer.switch(&["--yes", "--json"]).ended(0);
    let answer: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(answer["migration"]["users_migrated"], 1);
    assert_eq!(answer["migration"]["memories_migrated"], 0);
    assert_eq!(answer["migration"]["expired"], 1);
    newcomer.is_changed();
}
