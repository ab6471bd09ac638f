use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::dotenv::DotEnv;
use super::*;
use crate::zep::Connection;

/// Loads what a process would that was started so, `.env` included.
fn load(
    flags: Flags,
    environment: &[(Setting, &str)],
    dotenv: &str,
) -> Result<Config, ConfigError> {
    load_for(Transport::Stdio, flags, environment, dotenv)
}

fn load_for(
    transport: Transport,
    flags: Flags,
    environment: &[(Setting, &str)],
    dotenv: &str,
) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".env");
    fs::write(&file, dotenv).unwrap();
    let environment = environment
        .iter()
        .map(|(setting, value)| (*setting, OsString::from(value)));
    let sources = Sources::new(flags, environment, DotEnv::read(&file));
    Config::from_sources(sources, transport)
}

fn from_environment(environment: &[(Setting, &str)]) -> Result<Config, ConfigError> {
    load(Flags::default(), environment, "")
}

fn from_dotenv(dotenv: &str) -> Result<Config, ConfigError> {
    load(Flags::default(), &[], dotenv)
}

fn zep(config: &Config) -> &Connection {
    match &config.backend {
        Backend::Zep(access) => access,
        Backend::Local { .. } | Backend::Mem0(_) => panic!("the backend is not zep"),
    }
}

fn problem(result: Result<Config, ConfigError>) -> Problem {
    let mut problems = result.unwrap_err().problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

fn origin(config: &Config, setting: Setting) -> Origin {
    let mut all = config.in_force.iter();
    all.find(|found| found.setting == setting).unwrap().origin
}

#[test]
fn without_any_setting_memories_stay_on_this_machine() {
    let config = from_environment(&[]).unwrap();
    assert_eq!(config.backend.name(), "local");
    assert_eq!(config.default_user.as_str(), "mem0-mcp");
    assert_eq!(
        config.in_force.len(),
        Setting::ALL.len() - Setting::HTTP.len()
    );
    assert!(config.http.is_none());
    assert!(
        config
            .in_force
            .iter()
            .all(|found| found.origin == Origin::Default)
    );
}

#[test]
fn a_key_chooses_zep_cloud() {
    let config = from_environment(&[(Setting::ApiKey, "z_k")]).unwrap();
    let access = zep(&config);
    assert_eq!(access.host(), "https://api.getzep.com");
    assert_eq!(access.key().expose_secret(), "z_k");
    assert_eq!(access.timeout(), Duration::from_secs(30));
}

#[test]
fn a_named_backend_wins_over_the_key() {
    let config =
        from_environment(&[(Setting::ApiKey, "z_k"), (Setting::Backend, "Local")]).unwrap();
    assert_eq!(config.backend.name(), "local");
}

#[test]
fn zep_without_a_key_is_refused_and_says_what_to_set() {
    let problem = problem(from_environment(&[(Setting::Backend, "zep")]));
    assert_eq!(problem.setting, Setting::ApiKey);
    let text = problem.to_string();
    assert!(
        text.contains("MEMORY_BACKEND") && text.contains("`local`"),
        "{text}"
    );
}

#[test]
fn flags_win_over_the_environment_and_that_over_dotenv() {
    let flags = Flags::default().with(Setting::TimeoutSecs, "1");
    let environment = [
        (Setting::TimeoutSecs, "2"),
        (Setting::DefaultUserId, "from-environment"),
    ];
    let dotenv =
        "ZEP_API_KEY=z_k\nZEP_TIMEOUT_SECS=3\nZEP_DEFAULT_USER_ID=from-file\nLOG_LEVEL=debug\n";
    let config = load(flags, &environment, dotenv).unwrap();
    assert_eq!(zep(&config).timeout(), Duration::from_secs(1));
    assert_eq!(config.default_user.as_str(), "from-environment");
    assert_eq!(config.logging.level, LogLevel::Debug);
    assert_eq!(origin(&config, Setting::TimeoutSecs), Origin::Flag);
    assert_eq!(origin(&config, Setting::DefaultUserId), Origin::Environment);
    assert_eq!(origin(&config, Setting::LogLevel), Origin::DotEnv);
}

#[test]
fn empty_values_are_no_values_and_let_the_next_source_speak() {
    let environment = [(Setting::ApiKey, " "), (Setting::Backend, "")];
    let config = load(Flags::default(), &environment, "ZEP_API_KEY=\n").unwrap();
    assert_eq!(config.backend.name(), "local");
    let config = load(Flags::default(), &environment, "ZEP_API_KEY=z_file\n").unwrap();
    assert_eq!(zep(&config).key().expose_secret(), "z_file");
}

#[test]
fn mem0s_default_user_counts_where_ours_is_not_set() {
    let mem0 = (Setting::Mem0DefaultUserId, "old");
    assert_eq!(
        from_environment(&[mem0]).unwrap().default_user.as_str(),
        "old"
    );
    let both = from_environment(&[mem0, (Setting::DefaultUserId, "new")]).unwrap();
    assert_eq!(both.default_user.as_str(), "new");
}

#[test]
fn the_address_in_dotenv_counts_only_beside_the_key_in_use() {
    let file = "ZEP_API_URL=https://elsewhere.example\nZEP_API_KEY=z_file\n";
    let own = from_dotenv(file).unwrap();
    assert_eq!(zep(&own).host(), "https://elsewhere.example");
    assert!(own.warnings.is_empty());

    let foreign = load(Flags::default(), &[(Setting::ApiKey, "z_mine")], file).unwrap();
    assert_eq!(zep(&foreign).host(), "https://api.getzep.com");
    assert_eq!(zep(&foreign).key().expose_secret(), "z_mine");
    assert!(
        foreign.warnings[0].contains("ZEP_API_URL"),
        "{:?}",
        foreign.warnings
    );
    assert!(!foreign.warnings[0].contains("elsewhere"));
}

#[test]
fn a_foreign_dotenv_cannot_read_the_environment() {
    // PATH is set in every test process, as a secret would be in a user's shell.
    for line in [
        "ZEP_API_KEY=$PATH",
        "ZEP_API_KEY=k$PATH",
        "ZEP_API_KEY=\"${PATH}x\"",
        r"ZEP_API_KEY=\\$PATH",
    ] {
        let file = format!("{line}\nZEP_API_URL=https://thief.example\n");
        if let Ok(config) = from_dotenv(&file) {
            let key = zep(&config).key().expose_secret().to_owned();
            assert!(
                key.contains("$PATH") || key.contains("${PATH}"),
                "{line}: {key}"
            );
        }
    }
}

#[test]
fn a_dollar_sign_in_dotenv_stays_one() {
    for line in [
        "ZEP_API_KEY=a$b",
        r"ZEP_API_KEY=a\$b",
        "ZEP_API_KEY='a$b'",
        "ZEP_API_KEY=\"a$b\"",
    ] {
        let config = from_dotenv(line).map(|config| zep(&config).key().expose_secret().to_owned());
        assert_eq!(config.as_deref(), Ok("a$b"), "{line}");
    }
}

#[test]
fn the_last_of_several_lines_for_one_setting_counts() {
    let config = from_dotenv("ZEP_API_KEY=first\nexport ZEP_API_KEY='last'\n").unwrap();
    assert_eq!(zep(&config).key().expose_secret(), "last");
}

#[test]
fn a_dotenv_with_a_byte_order_mark_and_windows_line_ends_is_read() {
    let config = from_dotenv("\u{feff}ZEP_API_KEY=z_k\r\nLOG_FORMAT=json\r\n").unwrap();
    assert_eq!(zep(&config).key().expose_secret(), "z_k");
    assert_eq!(config.logging.format, LogFormat::Json);
}

#[test]
fn a_line_of_ours_that_cannot_be_read_is_an_error_without_its_content() {
    for file in [
        "ZEP_API_KEY=z_one z_two\n",
        "ZEP_API_KEY=\"z_one\n",
        "ZEP_API_KEY=good\nZEP_API_KEY='z_one\n",
        "OTHER='open\nZEP_API_KEY=z_one\n",
    ] {
        let problem = problem(from_dotenv(file));
        assert_eq!(
            (problem.setting, problem.origin),
            (Setting::ApiKey, Origin::DotEnv),
            "{file}"
        );
        assert!(!problem.to_string().contains("z_"), "{problem}");
    }
}

#[test]
fn a_line_of_somebody_elses_that_cannot_be_read_is_a_warning_without_its_content() {
    let config = from_dotenv("ZEP_API_KEY=z_k\nPASSWORD=open sesame\n").unwrap();
    assert_eq!(config.warnings.len(), 1);
    assert!(!config.warnings[0].contains("sesame"));
}

#[test]
fn a_dotenv_that_cannot_be_read_is_an_error_only_if_it_could_decide_the_backend() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".env");
    fs::write(&file, b"ZEP_API_KEY=\xff\xfe").unwrap();
    let with = |environment: &[(Setting, &str)]| {
        let environment: Vec<_> = environment
            .iter()
            .map(|(setting, value)| (*setting, OsString::from(value)))
            .collect();
        let sources = Sources::new(
            Flags::default(),
            environment.into_iter(),
            DotEnv::read(&file),
        );
        Config::from_sources(sources, Transport::Stdio)
    };
    let problem = problem(with(&[]));
    assert!(problem.message.contains("not UTF-8"), "{problem}");
    let decided = with(&[(Setting::Backend, "local")]).unwrap();
    assert!(decided.warnings[0].contains("not UTF-8"));
    assert_eq!(with(&[(Setting::ApiKey, "z_k")]).unwrap().warnings.len(), 1);
}

#[test]
fn a_directory_called_dotenv_says_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".env");
    fs::create_dir(&file).unwrap();
    assert!(DotEnv::read(&file).unreadable.is_none());
}

#[test]
fn plain_http_goes_to_this_machine_only() {
    let url = |url| from_environment(&[(Setting::ApiKey, "z_k"), (Setting::ApiUrl, url)]);
    for (given, kept) in [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://127.8.8.8/", "http://127.8.8.8"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("http://LOCALHOST:8000", "http://localhost:8000"),
        ("https://zep.example:8443/", "https://zep.example:8443"),
        ("https://api.getzep.com:443", "https://api.getzep.com"),
    ] {
        assert_eq!(zep(&url(given).unwrap()).host(), kept);
    }
    for wrong in [
        "http://api.getzep.com",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://10.0.0.1:8000",
        "https://api.getzep.com/api/v2",
        "https://api.getzep.com?x=1",
        "https://api.getzep.com#x",
        "https://me:secret@api.getzep.com",
        "ftp://api.getzep.com",
        "api.getzep.com",
        "localhost:8000",
        "https://",
    ] {
        let problem = problem(url(wrong));
        assert_eq!(problem.setting, Setting::ApiUrl, "{wrong}");
        assert!(!problem.to_string().contains("secret"), "{problem}");
    }
}

#[test]
fn a_key_that_no_header_can_carry_is_refused_without_repeating_it() {
    for key in ["z_a b", "z_a\nb", "z_ä", "\"z_a\"", "Api-Key z_a"] {
        let problem = problem(from_environment(&[(Setting::ApiKey, key)]));
        assert_eq!(problem.setting, Setting::ApiKey);
        assert!(!problem.to_string().contains("z_"), "{problem}");
    }
}

#[test]
fn a_placeholder_that_the_host_did_not_replace_is_told_apart_from_a_key() {
    let problem = problem(from_environment(&[(Setting::ApiKey, "${ZEP_API_KEY}")]));
    assert!(problem.message.contains("placeholder"), "{problem}");
}

#[test]
fn a_long_wrong_value_is_not_repeated_for_it_may_be_a_key() {
    let problem = problem(from_environment(&[(
        Setting::Backend,
        "z_1dWlkIjoiMzYyYzQ5",
    )]));
    assert!(!problem.to_string().contains("z_1d"), "{problem}");
}

#[test]
fn times_out_of_range_are_refused() {
    for wrong in ["0", "601", "-1", "1.5", "30s", "18446744073709551616"] {
        let problem = problem(from_environment(&[(Setting::TimeoutSecs, wrong)]));
        assert!(problem.message.contains("1 to 600"), "{problem}");
    }
    for right in ["1", "600", " 30 "] {
        from_environment(&[(Setting::TimeoutSecs, right)]).unwrap();
    }
}

#[test]
fn the_data_directory_is_made_absolute_and_never_guessed() {
    let path = |dir| match from_environment(&[(Setting::DataDir, dir)])
        .unwrap()
        .backend
    {
        Backend::Local { path } => path,
        Backend::Zep(_) | Backend::Mem0(_) => panic!("no key is set"),
    };
    assert_eq!(path("/some/where"), Path::new("/some/where/memory.db"));
    assert!(path("relative").is_absolute());
    assert!(
        problem(from_environment(&[(Setting::DataDir, "~/memories")]))
            .message
            .contains('~')
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    let wrong = from_environment(&[(Setting::DataDir, file.path().to_str().unwrap())]);
    assert!(problem(wrong).message.contains("is a file"));
}

#[test]
fn the_import_directory_is_resolved_once_and_must_be_there() {
    assert_eq!(from_environment(&[]).unwrap().import_dir, None);

    let dir = tempfile::tempdir().unwrap();
    let (real, link) = (dir.path().join("real"), dir.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let set = |path: &Path| from_environment(&[(Setting::ImportDir, path.to_str().unwrap())]);
    let resolved = real.canonicalize().unwrap();
    assert_eq!(set(&link).unwrap().import_dir, Some(resolved));
    let dotenv = format!("ZEP_MCP_IMPORT_DIR={}\n", real.display());
    let foreign = from_dotenv(&dotenv).unwrap();
    assert_eq!(foreign.import_dir, None);
    assert!(foreign.warnings[0].contains("ZEP_MCP_IMPORT_DIR in .env does not count"));
    let here = from_environment(&[(Setting::ImportDir, ".")]).unwrap();
    let working_directory = std::env::current_dir().unwrap().canonicalize().unwrap();
    assert_eq!(here.import_dir, Some(working_directory));

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for (wrong, said) in [
        (file.as_path(), "is a file"),
        (&dir.path().join("absent"), "make the directory"),
        (Path::new("~/exports"), "~"),
    ] {
        let problem = problem(set(wrong));
        assert_eq!(problem.setting, Setting::ImportDir);
        assert!(problem.message.contains(said), "{problem}");
    }
}

#[test]
fn a_value_that_is_no_text_is_named() {
    let value = OsString::from_vec(b"z_\xff".to_vec());
    let environment = [(Setting::ApiKey, value)].into_iter();
    let sources = Sources::new(Flags::default(), environment, DotEnv::default());
    let problem = problem(Config::from_sources(sources, Transport::Stdio));
    assert!(
        problem.to_string().starts_with("ZEP_API_KEY (environment)"),
        "{problem}"
    );
}

#[test]
fn the_key_is_in_no_debug_print() {
    let config = from_environment(&[(Setting::ApiKey, "z_very_secret")]).unwrap();
    assert!(!format!("{config:?}").contains("very_secret"));
}

fn for_http(environment: &[(Setting, &str)]) -> Result<HttpConfig, ConfigError> {
    let config = load_for(
        Transport::Http { with_api: false },
        Flags::default(),
        environment,
        "",
    )?;
    assert_eq!(config.in_force.len(), Setting::ALL.len());
    Ok(config.http.unwrap())
}

#[test]
fn nothing_about_a_network_comes_from_a_foreign_file() {
    let lines: Vec<String> = Setting::HTTP
        .iter()
        .map(|setting| format!("{setting}=https://login.example.com/long-enough"))
        .collect();
    let config = load_for(
        Transport::Http { with_api: false },
        Flags::default(),
        &[],
        &lines.join("\n"),
    )
    .unwrap();
    let http = config.http.unwrap();
    let access = http.access;
    assert!(access.token.is_none() && access.tokens_file.is_none() && access.oauth.is_none());
    assert_eq!((http.host.as_str(), http.port), ("127.0.0.1", 8081));
    assert_eq!(config.warnings.len(), Setting::HTTP.len());
}

#[test]
fn a_token_that_could_be_guessed_is_refused_and_none_is_repeated() {
    let wrong = [(Setting::AuthToken, "fifteen-letters")];
    let error = for_http(&wrong).unwrap_err().to_string();
    assert!(
        error.contains("16") && !error.contains("fifteen-letters"),
        "{error}"
    );
    let right = [(Setting::AuthToken, "sixteen--letters")];
    let settings = for_http(&right).unwrap().access;
    assert!(settings.token.is_some());
    assert!(!format!("{settings:?}").contains("sixteen--letters"));
}

#[test]
fn an_issuer_needs_an_audience_and_keys_come_over_https() {
    let of = |environment: &[(Setting, &str)]| for_http(environment).map(|http| http.access);
    let issuer = (Setting::OauthIssuer, "https://login.example.com/");
    let error = of(&[issuer]).unwrap_err();
    assert_eq!(error.problems[0].setting, Setting::OauthAudience);
    let error = of(&[issuer, (Setting::OauthAudience, "memory")]).unwrap_err();
    assert_eq!(error.problems[0].setting, Setting::OauthResource);
    let audience = (Setting::OauthAudience, "https://memory.example.com/mcp");
    let oauth = of(&[issuer, audience]).unwrap().oauth.unwrap();
    assert_eq!(oauth.issuer, "https://login.example.com/");
    assert_eq!(oauth.resource.as_str(), "https://memory.example.com/mcp");
    assert_eq!(oauth.user_claim, "sub");
    for (url, good) in [
        ("https://login.example.com", true),
        ("http://127.0.0.1:9000", true),
        ("http://localhost/x", true),
        ("http://login.example.com", false),
        ("https://user:secret@login.example.com", false),
        ("login.example.com", false),
        ("file:///etc/passwd", false),
    ] {
        let issuer = of(&[(Setting::OauthIssuer, url), audience]);
        assert_eq!(issuer.is_ok(), good, "{url}");
        let keys = of(&[issuer_of_tests(), audience, (Setting::OauthJwksUrl, url)]);
        assert_eq!(keys.is_ok(), good, "{url}");
    }
}

fn issuer_of_tests() -> (Setting, &'static str) {
    (Setting::OauthIssuer, "https://login.example.com")
}
