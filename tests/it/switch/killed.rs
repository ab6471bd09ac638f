//! Killed at any point, the same command completes it, and the entry changes only then.

use std::process::Stdio;

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
