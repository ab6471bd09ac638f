//! What is asked on a terminal.

#[cfg(target_os = "linux")]
#[test]
fn it_is_asked_once_and_no_is_no() {
    use super::Newcomer;
    use crate::common::program::API_KEY;
    use crate::install::asked;

    if !std::path::Path::new("/usr/bin/script").exists() {
        return;
    }
    let newcomer = Newcomer::new().remembers(3);
    let before = newcomer.config();
    let question = "Move the memories, and then change the entry? [y/N]";
    let mut command = newcomer.command(&[]);
    command.env_remove("ZEP_API_KEY");
    let key = format!("{API_KEY}\n");
    let (seen, well) = asked(
        &command,
        API_KEY,
        &[("Zep API key", &key), (question, "n\n")],
        || {},
    );
    assert!(well && seen.contains("Nothing was moved"), "{seen}");
    assert!(!seen.contains(API_KEY), "{seen}");
    newcomer.is_unchanged(&before);
    assert_eq!(newcomer.writes(), 0);
    let (seen, well) = asked(
        &command,
        API_KEY,
        &[("Zep API key", &key), (question, "y\n")],
        || {},
    );
    assert!(well, "{seen}");
    newcomer.is_changed();
    newcomer.has_moved(3);
}

#[test]
fn without_a_terminal_nothing_is_moved_unasked() {
    let newcomer = super::Newcomer::new().remembers(3);
    let before = newcomer.config();
    let outcome = newcomer.switch(&[]).ended(2);
    assert!(outcome.stderr.contains("--yes"), "{}", outcome.stderr);
    newcomer.is_unchanged(&before);
    assert!(newcomer.mem0.calls_to("/").is_empty());
    let outcome = super::outcome(newcomer.command(&["--yes"]).env_remove("ZEP_API_KEY")).ended(2);
    assert!(outcome.stderr.contains("ZEP_API_KEY"), "{}", outcome.stderr);
}
