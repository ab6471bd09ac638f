//! Random programs of two users with the same session ids, compared with a plain model of a memory.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};
use zep_mcp_server::local::{Behavior, LocalZep};
use zep_mcp_server::zep::{Accounts, ThreadId, Threads, UserId};

use super::operation::USERS;
use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;
use crate::common::wait_until;

const SESSIONS: [&str; 2] = ["monday", "tuesday"];
/// Programs of a short run, for each of the three worlds. More with `MODEL_CASES`.
const CASES: u32 = 8;
/// The most steps of a program.
const STEPS: usize = 30;

#[derive(Debug, Clone)]
enum Step {
    /// Messages in a session; without one, in the user's default session.
    Say(usize, Option<usize>, Vec<Kind>),
    /// A text that belongs to no session.
    Note(usize),
    Read(usize, usize),
    Search(usize),
    List(usize),
    /// By another client of Zep, unknown to the server.
    DeleteSession(usize, usize),
    DeleteUser(usize),
    /// Kills the server and starts another on the same memory.
    Restart,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Ok,
    Told,
    Long,
}

fn program() -> impl Strategy<Value = Vec<Step>> {
    let user = 0..USERS.len();
    let session = 0..SESSIONS.len();
    let kind = prop_oneof![Just(Kind::Ok), Just(Kind::Told), Just(Kind::Long)];
    let said = proptest::collection::vec(kind, 1..4);
    let step = prop_oneof![
        6 => (user.clone(), proptest::option::weighted(0.9, session.clone()), said)
            .prop_map(|(user, session, said)| Step::Say(user, session, said)),
        1 => user.clone().prop_map(Step::Note),
        3 => (user.clone(), session.clone()).prop_map(|(user, session)| Step::Read(user, session)),
        2 => user.clone().prop_map(Step::Search),
        1 => user.clone().prop_map(Step::List),
        2 => (user.clone(), session).prop_map(|(user, s)| Step::DeleteSession(user, s)),
        1 => user.prop_map(Step::DeleteUser),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 1..STEPS)
}

/// What one user has.
#[derive(Debug, Default)]
struct Memory {
    /// What was said in each session, in order.
    sessions: BTreeMap<String, Vec<String>>,
    notes: Vec<String>,
}

impl Memory {
    /// The words that occur in one memory only.
    fn marks(&self) -> Vec<String> {
        let said = self.sessions.values().flatten().chain(&self.notes);
        let mut marks: Vec<String> = said.filter_map(|content| mark(content)).collect();
        marks.sort();
        marks
    }
}

fn mark(content: &str) -> Option<String> {
    let first = content.split_whitespace().next()?;
    first.starts_with("mark").then(|| first.to_owned())
}

/// A program's world, and what it should hold.
struct Run<'a> {
    world: &'a World,
    backdoor: Backdoor,
    client: Client,
    memories: [Memory; 2],
    /// How many marks exist.
    marks: usize,
}

/// Access to the memory beside the server.
enum Backdoor {
    Service(Service, Value),
    File(tokio::runtime::Runtime, LocalZep),
}

impl Backdoor {
    fn threads(&self) -> Vec<(String, String)> {
        match self {
            Self::Service(service, _) => service.threads(),
            Self::File(runtime, zep) => {
                let threads = runtime.block_on(zep.threads().all()).unwrap();
                threads
                    .into_iter()
                    .map(|thread| (thread.thread_id.unwrap(), thread.user_id.unwrap()))
                    .collect()
            }
        }
    }

    fn delete_thread(&self, thread: &str) {
        match self {
            Self::Service(service, _) => service.delete_thread(thread),
            Self::File(runtime, zep) => {
                let thread = ThreadId::new(thread).unwrap();
                runtime.block_on(zep.delete_thread(&thread)).unwrap();
            }
        }
    }

    fn delete_user(&self, user: &str) {
        match self {
            Self::Service(service, _) => service.delete_user(user),
            Self::File(runtime, zep) => {
                let user = UserId::new(user).unwrap();
                match runtime.block_on(zep.delete_user(&user)) {
                    Err(error) if error.is_not_found() => {}
                    done => done.unwrap(),
                }
            }
        }
    }

    /// Without faults, when nothing waits: another client cannot delete what Zep does not have yet.
    fn in_peace(&self, world: &World, act: impl FnOnce(&Self)) {
        if let Self::Service(service, _) = self {
            service.calm();
            wait_until("everything is delivered", || {
                let mut flush = world.command();
                flush.args(["queue", "flush", "--wait", "60"]);
                flush.output().unwrap().status.success()
            });
        }
        act(self);
        if let Self::Service(service, plan) = self {
            service.plan(plan);
        }
    }
}

fn connect(world: &World) -> Client {
    let mut command = world.command();
    // What Zep does not have yet waits in the queue, and is read from it.
    command
        .env("ZEP_TIMEOUT_SECS", "15")
        .env_remove("ZEP_MCP_WRITE_WAIT_MS");
    Client::connect(&mut command)
}

impl Run<'_> {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Say(user, session, kinds) => {
                let said: Vec<String> = kinds.iter().map(|kind| self.content(*kind)).collect();
                let turns: Vec<Value> = said
                    .iter()
                    .map(|content| json!({"role": "user", "content": content}))
                    .collect();
                let mut arguments = json!({"user_id": USERS[*user], "messages": turns});
                let session = session.map_or("default", |session| SESSIONS[session]);
                if session != "default" {
                    arguments["session_id"] = session.into();
                }
                self.add(arguments);
                let sessions = &mut self.memories[*user].sessions;
                sessions.entry(session.to_owned()).or_default().extend(said);
            }
            Step::Note(user) => {
                let text = self.content(Kind::Told);
                self.add(json!({"user_id": USERS[*user], "text": text}));
                self.memories[*user].notes.push(text);
            }
            Step::Read(user, session) => self.read(*user, SESSIONS[*session]),
            Step::Search(user) => self.search(*user),
            Step::List(user) => self.list(*user),
            Step::DeleteSession(user, session) => {
                let (user, session) = (*user, SESSIONS[*session]);
                self.backdoor.in_peace(self.world, |backdoor| {
                    let qualified = format!("{session}::zm::{}", USERS[user]);
                    for (thread, owner) in backdoor.threads() {
                        if owner == USERS[user] && (thread == session || thread == qualified) {
                            backdoor.delete_thread(&thread);
                        }
                    }
                });
                self.memories[user].sessions.remove(session);
            }
            Step::DeleteUser(user) => {
                self.backdoor
                    .in_peace(self.world, |backdoor| backdoor.delete_user(USERS[*user]));
                self.memories[*user] = Memory::default();
            }
            Step::Restart => self.client = connect(self.world),
        }
    }

    fn content(&mut self, kind: Kind) -> String {
        self.marks += 1;
        match kind {
            Kind::Ok => "ok".to_owned(),
            Kind::Told => format!("mark{} was said", self.marks),
            Kind::Long => format!("mark{}{}", self.marks, " and so on".repeat(500)),
        }
    }

    /// Adds, and repeats with the key until everything is stored.
    fn add(&mut self, mut arguments: Value) {
        for _ in 0..5 {
            let id = self.client.ask_tool("add_memory", &arguments);
            let error = match outcome(&self.client.answer_to(id)) {
                Ok(_) => return,
                Err(error) => error,
            };
            assert!(matches!(self.backdoor, Backdoor::Service(..)), "{error}");
            if error["error"] == "partly_stored" {
                arguments["idempotency_key"] = error["idempotency_key"].clone();
            }
        }
        panic!("it cannot be stored");
    }

    fn read(&mut self, user: usize, session: &str) {
        match self.memories[user].sessions.get(session) {
            Some(said) => {
                let read = self.client.read_session_by(USERS[user], session, 3);
                let read: Vec<&str> = read
                    .iter()
                    .map(|message| message["content"].as_str().unwrap())
                    .collect();
                assert_eq!(&read, said, "{} in {session}", USERS[user]);
            }
            None => {
                let arguments = json!({"user_id": USERS[user], "session_id": session});
                // While Zep does not answer, nobody knows that there is none.
                wait_until("there is no session", || {
                    let id = self.client.ask_tool("get_session", &arguments);
                    match outcome(&self.client.answer_to(id)) {
                        Ok(page) => {
                            assert_eq!(page["stale"], true, "{page}");
                            false
                        }
                        Err(error) => {
                            assert_eq!(error["error"], "no_such_session", "{error}");
                            true
                        }
                    }
                });
            }
        }
    }

    /// Searches for every mark: a user's own are found, and no others.
    fn search(&mut self, user: usize) {
        let mut found = Vec::new();
        for n in 1..=self.marks {
            let query = format!("mark{n}");
            let arguments = json!({"user_id": USERS[user], "query": query, "scope": "episodes"});
            let results = self.client.search(arguments);
            found.extend(results.iter().filter_map(|result| {
                mark(result["memory"].as_str().unwrap()).filter(|mark| *mark == query)
            }));
        }
        found.sort();
        found.dedup();
        assert_eq!(found, self.memories[user].marks(), "of {}", USERS[user]);
    }

    fn list(&mut self, user: usize) {
        let arguments = json!({"user_id": USERS[user], "limit": 100});
        let list = self.client.ask_zep("list_sessions", &arguments);
        let mut listed: Vec<String> = list["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|session| session["session_id"].as_str().unwrap().to_owned())
            .collect();
        listed.sort();
        let sessions = &self.memories[user].sessions;
        assert!(listed.iter().eq(sessions.keys()), "{listed:?} {sessions:?}");
    }

    /// Checks everything at the end, whatever the program read.
    fn look_at_everything(&mut self) {
        for user in 0..USERS.len() {
            for session in SESSIONS {
                self.read(user, session);
            }
            self.list(user);
            self.search(user);
        }
    }
}

fn holds(world: impl Fn() -> World, plan: Option<Value>) {
    let cases = std::env::var("MODEL_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let mut runner = TestRunner::new(Config {
        cases,
        max_shrink_iters: 100,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&program(), |program| {
        let world = world();
        let backdoor = match &plan {
            Some(plan) => {
                let service = Service::of(&world);
                service.plan(plan);
                Backdoor::Service(service, plan.clone())
            }
            None => {
                // The server creates the file.
                drop(world.connect());
                let file = world.directory().join("data/memory.db");
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                Backdoor::File(runtime, LocalZep::open(&file, Behavior::default()).unwrap())
            }
        };
        let client = connect(&world);
        let mut run = Run {
            world: &world,
            backdoor,
            client,
            memories: Default::default(),
            marks: 0,
        };
        for step in &program {
            run.take(step);
        }
        run.look_at_everything();
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn any_program_on_the_embedded_store_does_what_the_model_does() {
    holds(World::embedded, None);
}

#[test]
fn any_program_on_zeps_api_does_what_the_model_does() {
    holds(World::emulated, Some(json!({})));
}

#[test]
fn any_program_does_what_the_model_does_while_things_go_wrong() {
    let plan = json!({
        "fail": [{"rate": 0.03, "status": 503}],
        "drop_answers": 0.03,
        "late_writes": {"rate": 0.02, "ms": 100},
        "half_answers": 0.02,
        "garbage_answers": 0.02,
    });
    holds(World::emulated, Some(plan));
}
