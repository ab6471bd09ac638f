//! Killed at any point, the same command completes it, and the entry changes only then.

use std::process::Stdio;
use std::time::Duration;

use fastrand::Rng;

use super::Newcomer;
use crate::common::program::ADD_MESSAGES;
use crate::common::wait_until;

#[test]
fn a_killed_switch_leaves_the_entry_and_the_same_command_completes_it() {
    let newcomer = Newcomer::with_zep(&["--latency", "100"]).remembers(70);
    let before = newcomer.config();
    let arguments = ["--yes", "--method", "direct", "--concurrency", "1"];
    for writes in [1, 3] {
        let mut command = newcomer.command(&arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut killed = command.spawn().unwrap();
        wait_until("it writes", || {
            newcomer.zep.requests_to(ADD_MESSAGES) >= writes
        });
        killed.kill().unwrap();
        killed.wait().unwrap();
        newcomer.is_unchanged(&before);
    }
    let mut command = newcomer.command(&arguments);
    super::outcome(command.env("ZEP_TIMEOUT_SECS", "2")).ended(0);
    newcomer.is_changed();
    newcomer.has_moved(70);
}

/// More kills with `KILLS`, others with `KILLS_SEED`.
#[test]
fn however_often_it_is_killed_nothing_is_lost_and_the_entry_changes_once() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .and_then(|value| value.parse().ok())
    };
    let (kills, seed) = (number("KILLS").unwrap_or(4), number("KILLS_SEED"));
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("KILLS_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut newcomer = Newcomer::with_zep(&["--latency", "15"]).remembers(40);
    let mut before = newcomer.config();
    for _ in 0..kills {
        let mut command = newcomer.command(&["--yes", "--method", "direct"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut killed = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.u64(..1_500)));
        killed.kill().unwrap();
        if killed.wait().unwrap().success() || newcomer.config() != before {
            // It was done, or killed after the entry was changed: then all is there. The next newcomer.
            newcomer.is_changed();
            newcomer.has_moved(40);
            newcomer = Newcomer::with_zep(&["--latency", "15"]).remembers(40);
            before = newcomer.config();
        }
    }
    newcomer.switch(&["--yes"]).ended(0);
    newcomer.is_changed();
    newcomer.has_moved(40);
}

#[test]
fn what_was_migrated_before_is_validated_and_only_the_entry_is_left_to_change() {
    let newcomer = Newcomer::new().remembers(5);
    let mut migrated = newcomer.zep.command();
    migrated
        .args(["migrate", "--from", "mem0", "--all"])
        .env("HOME", newcomer.home.dir.path())
        .env("MEM0_API_KEY", super::KEY)
        .env("MEM0_BASE_URL", &newcomer.mem0.url);
    super::outcome(&mut migrated).ended(0);
    let answer = super::read(&newcomer.switch(&["--yes", "--json"]).ended(0));
    assert_eq!(answer["migration"]["memories_migrated"], 0, "{answer:#}");
    assert_eq!(answer["migration"]["validation"]["valid"], true);
    newcomer.is_changed();
    newcomer.has_moved(5);
}
