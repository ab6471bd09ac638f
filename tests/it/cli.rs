//! The command line of the program.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use zep_mcp_server::config::Setting;

/// The binary in a directory of its own, with an empty environment.
struct Program {
    dir: tempfile::TempDir,
    command: Command,
}

fn program(arguments: &[&str]) -> Program {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_zep-mcp-server"));
    command
        .args(arguments)
        .current_dir(dir.path())
        .env_clear()
        .env("HOME", dir.path());
    Program { dir, command }
}

impl Program {
    fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    fn dotenv(self, text: &str) -> Self {
        std::fs::write(self.dir.path().join(".env"), text).unwrap();
        self
    }

    fn run(mut self) -> Outcome {
        Outcome::of(self.command.output().unwrap())
    }
}

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Outcome {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn everything(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// An address of this machine on which nothing listens.
fn closed_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn help_names_every_setting_and_every_command() {
    let help = program(&["--help"]).run();
    assert_eq!(help.code, 0);
    for setting in Setting::ALL {
        assert!(help.stdout.contains(setting.name()), "{setting}");
    }
    for word in [
        "serve",
        "try",
        "install",
        "doctor",
        "emulate",
        "migrate",
        "validate",
        "token",
        "--backend",
        "--api-url",
        "--timeout-secs",
        "--default-user-id",
        "--data-dir",
        "--import-dir",
        "--log-level",
        "--log-format",
    ] {
        assert!(help.stdout.contains(word), "{word}");
    }
    assert!(
        !help.stdout.contains("--api-key"),
        "other users can read command lines"
    );
}

#[test]
fn the_version_is_the_packages() {
    let version = program(&["--version"]).run();
    assert_eq!(
        version.stdout.trim(),
        concat!("zep-mcp-server ", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn all_wrong_settings_are_reported_at_once() {
    let wrong = program(&["serve", "--timeout-secs", "never"])
        .env("MEMORY_BACKEND", "zap")
        .env("ZEP_API_KEY", "z_a key")
        .env("ZEP_API_URL", "http://api.getzep.com")
        .env("ZEP_RECHECK_SECS", "60,soon")
        .env("ZEP_MCP_QUEUE", "perhaps")
        .env("ZEP_MCP_WRITE_WAIT_MS", "long")
        .env("MEM0_ENABLED", "si")
        .env("MEM0_FALLBACK", "2")
        .env("MEM0_MIRROR", "maybe")
        .env("ZEP_DEFAULT_USER_ID", "a\nb")
        .env("MEM0_DEFAULT_USER_ID", "..")
        .env("ZEP_MCP_DATA_DIR", "~/memories")
        .env("ZEP_MCP_ENCRYPTION_KEY", "password")
        .env("ZEP_MCP_ENCRYPTION_KEY_FILE", "~/key")
        .env("ZEP_MCP_AUDIT", "sometimes")
        .env("ZEP_MCP_AUDIT_DAYS", "0")
        .env("ZEP_MCP_IMPORT_DIR", "~/exports")
        .env("ZEP_MCP_TOOLS", "core,searching")
        .env("ZEP_MCP_CONFIRM", "maybe")
        .env("LOG_LEVEL", "loud")
        .dotenv("LOG_FORMAT=xml\n")
        .run();
    assert_eq!(wrong.code, 2);
    assert!(wrong.stdout.is_empty());
    let lines: Vec<_> = wrong.stderr.lines().collect();
    for (setting, source) in [
        ("MEMORY_BACKEND", "environment"),
        ("ZEP_API_KEY", "environment"),
        ("ZEP_API_URL", "environment"),
        ("ZEP_TIMEOUT_SECS", "flag"),
        ("ZEP_RECHECK_SECS", "environment"),
        ("ZEP_MCP_QUEUE", "environment"),
        ("ZEP_MCP_WRITE_WAIT_MS", "environment"),
        ("MEM0_ENABLED", "environment"),
        ("MEM0_FALLBACK", "environment"),
        ("MEM0_MIRROR", "environment"),
        ("ZEP_DEFAULT_USER_ID", "environment"),
        ("MEM0_DEFAULT_USER_ID", "environment"),
        ("ZEP_MCP_DATA_DIR", "environment"),
        ("ZEP_MCP_ENCRYPTION_KEY", "environment"),
        ("ZEP_MCP_ENCRYPTION_KEY_FILE", "environment"),
        ("ZEP_MCP_AUDIT", "environment"),
        ("ZEP_MCP_AUDIT_DAYS", "environment"),
        ("ZEP_MCP_IMPORT_DIR", "environment"),
        ("ZEP_MCP_TOOLS", "environment"),
        ("ZEP_MCP_CONFIRM", "environment"),
        ("LOG_LEVEL", "environment"),
        ("LOG_FORMAT", ".env"),
    ] {
        let beginning = format!("error: {setting} ({source}) ");
        assert_eq!(
            lines
                .iter()
                .filter(|line| line.starts_with(&beginning))
                .count(),
            1,
            "{setting}: {}",
            wrong.stderr
        );
    }
    // Other programs read these too: a wrong value is a warning, or an error of the migration only.
    let lenient = [
        Setting::Mem0ApiKey,
        Setting::Mem0BaseUrl,
        Setting::Mem0ServerUrl,
        Setting::Mem0ServerKey,
        Setting::QdrantApiKey,
        Setting::Mem0Dir,
    ];
    assert_eq!(
        lines.len(),
        Setting::GENERAL.len() - lenient.len(),
        "{}",
        wrong.stderr
    );
    assert!(!wrong.stderr.contains("z_a"));
}

#[test]
fn an_unknown_flag_exits_with_code_2() {
    assert_eq!(program(&["--nonsense"]).run().code, 2);
}

#[test]
fn zep_without_a_key_exits_with_one_line_that_names_the_setting() {
    for arguments in [&[][..], &["serve"], &["doctor"]] {
        let refused = program(arguments).env("MEMORY_BACKEND", "zep").run();
        assert_eq!(refused.code, 2);
        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
        assert!(refused.stderr.contains("ZEP_API_KEY"));
        assert!(refused.stdout.is_empty());
    }
}

#[cfg(unix)]
#[test]
fn a_value_that_is_not_unicode_is_named() {
    use std::os::unix::ffi::OsStringExt;

    let mut program = program(&["serve"]);
    program.command.env(
        "ZEP_API_KEY",
        std::ffi::OsString::from_vec(vec![b'z', 0xff]),
    );
    let refused = program.run();
    assert_eq!(refused.code, 2);
    assert!(
        refused
            .stderr
            .contains("ZEP_API_KEY (environment) is not UTF-8"),
        "{}",
        refused.stderr
    );
}

/// Runs `doctor --json`.
fn diagnosed(program: Program) -> (Outcome, Value) {
    let found = program.run();
    let report = serde_json::from_str(&found.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", found.everything()));
    (found, report)
}

fn setting(report: &Value, name: &str) -> (String, String) {
    let settings = report["settings"].as_array().unwrap();
    let found = settings
        .iter()
        .find(|setting| setting["name"] == name)
        .unwrap();
    let text = |key: &str| found[key].as_str().unwrap().to_owned();
    (text("value"), text("source"))
}

#[test]
fn doctor_reports_failures_with_advice_and_never_the_key() {
    let found = program(&["doctor"])
        .env("ZEP_API_KEY", "z_very_secret")
        .env("ZEP_API_URL", &closed_port())
        .run();
    assert_eq!(found.code, 1, "{}", found.everything());
    assert!(found.stdout.contains("FAILED"), "{}", found.stdout);
    assert!(found.stdout.contains("ZEP_API_URL"), "{}", found.stdout);
    assert!(
        found
            .stdout
            .lines()
            .any(|line| line.trim_start().starts_with("→ "))
    );
    let key: Vec<_> = found
        .stdout
        .lines()
        .find(|line| line.trim_start().starts_with("ZEP_API_KEY "))
        .unwrap()
        .split_whitespace()
        .collect();
    assert_eq!(key, ["ZEP_API_KEY", "set", "environment"]);
    assert!(!found.everything().contains("very_secret"));
    assert!(!found.stdout.contains('\x1b'), "no colours into a pipe");
}

#[test]
fn doctor_shows_the_source_of_each_value() {
    let address = closed_port();
    let (found, report) = diagnosed(
        program(&["doctor", "--json", "--timeout-secs", "1"])
            .env("LOG_LEVEL", "error")
            .dotenv(&format!(
                "ZEP_API_KEY=z_very_secret\nZEP_API_URL={address}\n"
            )),
    );
    assert_eq!(found.code, 1);
    assert_eq!(report["ok"], false);
    assert_eq!(report["backend"], "zep");
    assert_eq!(
        setting(&report, "ZEP_TIMEOUT_SECS"),
        ("1".into(), "flag".into())
    );
    assert_eq!(
        setting(&report, "LOG_LEVEL"),
        ("error".into(), "environment".into())
    );
    assert_eq!(
        setting(&report, "ZEP_API_KEY"),
        ("set".into(), ".env".into())
    );
    assert_eq!(setting(&report, "ZEP_API_URL"), (address, ".env".into()));
    assert_eq!(
        setting(&report, "LOG_FORMAT"),
        ("text".into(), "default".into())
    );
    assert!(!found.everything().contains("very_secret"));
}

#[test]
fn an_address_from_dotenv_is_not_used_with_a_key_from_the_environment() {
    // The local backend, so that nothing is sent to Zep Cloud.
    let (_, report) = diagnosed(
        program(&["doctor", "--json", "--backend", "local"])
            .env("ZEP_API_KEY", "z_mine")
            .dotenv("ZEP_API_URL=https://elsewhere.example\nZEP_API_KEY=z_theirs\n"),
    );
    assert_eq!(
        setting(&report, "ZEP_API_URL"),
        ("https://api.getzep.com".into(), "default".into())
    );
    assert!(
        report["warnings"][0]
            .as_str()
            .unwrap()
            .contains("ZEP_API_URL")
    );
}

#[test]
fn empty_values_count_as_unset() {
    let (_, report) = diagnosed(
        program(&["doctor", "--json"])
            .env("ZEP_API_KEY", "")
            .env("MEMORY_BACKEND", " "),
    );
    assert_eq!(report["backend"], "local");
    assert_eq!(
        setting(&report, "ZEP_API_KEY"),
        ("not set".into(), "default".into())
    );
}

#[test]
fn dotenv_is_read_from_the_working_directory_only() {
    let program =
        program(&["doctor", "--json"]).dotenv("MEMORY_BACKEND=zep\nZEP_API_KEY=z_above\n");
    let below = program.dir.path().join("below");
    std::fs::create_dir(&below).unwrap();
    let Program {
        dir: _above,
        mut command,
    } = program;
    command.current_dir(&below);
    let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(report["backend"], "local");
    assert_eq!(report["dotenv"], Value::Null);
}

#[test]
fn logs_go_to_stderr_and_name_the_backend() {
    let served = program(&[]).env("LOG_FORMAT", "json").run();
    assert!(served.stdout.is_empty(), "stdout belongs to MCP");
    let first = served.stderr.lines().next().unwrap_or_default();
    let logged: Value = serde_json::from_str(first).expect("one JSON object a line");
    assert_eq!(logged["level"], "INFO");
    assert!(logged["message"].as_str().unwrap().contains("local"));

    let served = program(&["serve", "--log-level", "error"]).run();
    assert!(!served.stderr.contains("INFO"), "{}", served.stderr);
}

#[test]
fn the_example_configuration_changes_one_entry_and_names_only_known_settings() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("mcp_config.example.json");
    let example: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let after = example["mcpServers"].as_object().unwrap();
    let before = example["_before"].as_object().unwrap();
    assert!(after.keys().eq(before.keys()), "the entry keeps its name");
    for entries in [after, example["_without_an_account"].as_object().unwrap()] {
        for name in entries["mem0"]["env"].as_object().unwrap().keys() {
            assert!(
                Setting::ALL.iter().any(|setting| setting.name() == name),
                "{name}"
            );
        }
    }
}
