//! Adding while one thing goes wrong, and while everything does.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};

use super::operation::{Operation, Report};
use super::truth::{Truth, Wrong};
use crate::common::program::{Client, World, outcome};
use crate::common::service::Service;
use crate::common::wait_until;

/// Servers on one memory, as two agents of one project have them.
const SERVERS: u64 = 2;
/// Calls in flight on each of them.
const AT_ONCE: usize = 4;
/// `ZEP_TIMEOUT_SECS`. A lost write is looked for during the first 4.2 s of it: late writes land
/// before that, and slow bodies take longer than all of it.
const TIMEOUT: &str = "10";
/// How long a call waits for Zep before it is queued, in milliseconds.
const WAIT_MS: &str = "1000";
/// Operations of a short run, all faults together.
const OPERATIONS: usize = 780;

/// Plans of faults by name.
fn plans() -> Vec<(&'static str, Value)> {
    vec![
        ("nothing", json!({})),
        (
            "rate limit",
            json!({"rate_limit": 150, "rate_window_secs": 1,
                   "rate_limit_drop": {"after_calls": 100, "to": 60}}),
        ),
        ("latency", json!({"latency_ms": 60})),
        (
            "failures, not done",
            json!({"fail": [{"rate": 0.1, "status": 503}, {"rate": 0.05, "status": 500}]}),
        ),
        (
            "failures, done",
            json!({"fail_after": [{"rate": 0.1, "status": 502}, {"rate": 0.05, "status": 500}]}),
        ),
        ("dropped requests", json!({"drop_requests": 0.15})),
        ("dropped answers", json!({"drop_answers": 0.15})),
        (
            "late writes",
            json!({"late_writes": {"rate": 0.1, "ms": 150}}),
        ),
        (
            "later writes",
            json!({"late_writes": {"rate": 0.1, "ms": 2_500}}),
        ),
        ("half answers", json!({"half_answers": 0.15})),
        ("garbage answers", json!({"garbage_answers": 0.15})),
        (
            "slow bodies",
            json!({"slow_bodies": {"rate": 0.02, "ms": 12_000}}),
        ),
        (
            "restarts",
            json!({"restarts": {"every_ms": 300, "down_ms": 150}}),
        ),
        (
            "all of them",
            json!({
                "rate_limit": 150, "rate_window_secs": 1,
                "latency_ms": 5,
                "fail": [{"rate": 0.03, "status": 503}],
                "fail_after": [{"rate": 0.03, "status": 502}],
                "drop_requests": 0.03,
                "drop_answers": 0.03,
                "late_writes": {"rate": 0.03, "ms": 300},
                "half_answers": 0.03,
                "garbage_answers": 0.03,
                "slow_bodies": {"rate": 0.03, "ms": 300},
                "restarts": {"every_ms": 900, "down_ms": 100},
            }),
        ),
    ]
}

struct Storm {
    operations: Vec<Operation>,
    /// How many calls did not report everything as stored at first.
    incomplete: usize,
    faults: Value,
    slowest: Duration,
    wrong: Wrong,
}

#[test]
fn nothing_is_lost_doubled_misplaced_or_misreported_whatever_goes_wrong() {
    all_storms("off");
}

/// What is queued is delivered: once, in order, and found under the ids that were told.
#[test]
fn what_is_promised_is_kept_whatever_goes_wrong() {
    all_storms("on");
}

/// More with `FAULT_OPS` (all faults together), others with `FAULT_SEED`, some with `FAULT_ONLY`.
fn all_storms(queue: &'static str) {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let total = number("FAULT_OPS").map_or(OPERATIONS, |total: u64| total as usize);
    let seed = number("FAULT_SEED").unwrap_or(20_260_101);
    let only = std::env::var("FAULT_ONLY").ok();
    let plans: Vec<_> = plans()
        .into_iter()
        .filter(|(name, _)| only.as_deref().is_none_or(|only| name.contains(only)))
        .collect();
    let each = total.div_ceil(plans.len());
    println!(
        "{:20} {:>6} {:>6} {:>7} {:>10} {:>5} {:>7} {:>9} {:>11} {:>9}",
        "what goes wrong",
        "calls",
        "msgs",
        "faults",
        "incomplete",
        "lost",
        "doubled",
        "misplaced",
        "misreported",
        "slowest"
    );
    let mut calls = 0;
    let mut all_wrong = HashMap::new();
    for (name, plan) in plans {
        let storm = Storm::rage(&plan, each, seed, queue);
        let Wrong {
            lost,
            doubled,
            misplaced,
            misreported,
        } = storm.wrong;
        let messages: usize = storm.operations.iter().map(|o| o.contents.len()).sum();
        let faults: u64 = storm
            .faults
            .as_object()
            .into_iter()
            .flat_map(|faults| faults.values())
            .filter_map(Value::as_u64)
            .sum();
        println!(
            "{name:20} {:>6} {messages:>6} {faults:>7} {:>10} {lost:>5} {doubled:>7} \
             {misplaced:>9} {misreported:>11} {:>8.1}s",
            storm.operations.len(),
            storm.incomplete,
            storm.slowest.as_secs_f64()
        );
        calls += storm.operations.len();
        if storm.wrong != Wrong::default() {
            all_wrong.insert(name, storm.wrong);
        }
    }
    println!("{calls} calls, seed {seed}");
    assert!(all_wrong.is_empty(), "{all_wrong:#?}");
}

impl Storm {
    fn rage(plan: &Value, count: usize, seed: u64, queue: &str) -> Self {
        let world = World::emulated();
        let service = Service::of(&world);
        let mut faults = plan.clone();
        faults["seed"] = seed.into();
        service.plan(&faults);

        let clock = AtomicUsize::new(0);
        let slowest = Mutex::new(Duration::ZERO);
        let numbers = AtomicUsize::new(0);
        let mut operations: Vec<Operation> = thread::scope(|scope| {
            let servers: Vec<_> = (0..SERVERS)
                .map(|server| {
                    let (world, clock, numbers, slowest) = (&world, &clock, &numbers, &slowest);
                    scope.spawn(move || {
                        let mut rng = Rng::with_seed(seed ^ (server + 1));
                        let new = || {
                            let number = numbers.fetch_add(1, Ordering::SeqCst);
                            (number < count).then(|| Operation::random(number, &mut rng))
                        };
                        let mut client = connect(world, TIMEOUT, queue);
                        let (done, time) = carry_out(&mut client, clock, new);
                        // What it was sending is another process's at once.
                        client.close();
                        let mut slowest = slowest.lock().unwrap();
                        *slowest = time.max(*slowest);
                        done
                    })
                })
                .collect();
            servers
                .into_iter()
                .flat_map(|server| server.join().unwrap())
                .collect()
        });

        service.calm();
        let faults = service.counted();
        if queue == "on" {
            delivered(&world, &mut operations);
        }
        let mut wrong = Truth::read(&service).compare(&operations);

        let (stored, left): (Vec<_>, Vec<_>) = operations.drain(..).partition(Operation::is_stored);
        let incomplete = left.len();
        let mut left = left.into_iter();
        // Nothing goes wrong any more: only a busy machine makes Zep late.
        let mut patient = connect(&world, "30", queue);
        let (completed, _) = carry_out(&mut patient, &clock, || left.next());
        operations.extend(stored);
        operations.extend(completed);
        for operation in operations.iter().filter(|o| !o.is_stored()) {
            wrong.misreported += 1;
            eprintln!("cannot be completed: {operation:?}");
        }
        let after = Truth::read(&service).compare(&operations);
        wrong.lost += after.lost;
        // What is wrong at the end was wrong before, or came with the completion.
        wrong.doubled = wrong.doubled.max(after.doubled);
        wrong.misplaced = wrong.misplaced.max(after.misplaced);
        wrong.misreported += after.misreported;
        Self {
            operations,
            incomplete,
            faults,
            slowest: slowest.into_inner().unwrap(),
            wrong,
        }
    }
}

fn connect(world: &World, timeout_secs: &str, queue: &str) -> Client {
    let mut command = world.command();
    command
        .env("ZEP_TIMEOUT_SECS", timeout_secs)
        .env("ZEP_MCP_QUEUE", queue)
        .env("ZEP_MCP_WRITE_WAIT_MS", WAIT_MS);
    Client::connect(&mut command)
}

/// Waits until Zep has everything, and learns under which ids.
fn delivered(world: &World, operations: &mut [Operation]) {
    wait_until("everything is delivered", || {
        let mut flush = world.command();
        flush.args(["queue", "flush", "--wait", "60"]);
        flush.output().unwrap().status.success()
    });
    let mut client = world.connect();
    // Also those that were not queued: a late write's double may have been removed since.
    for operation in operations {
        let Some((_, Report::Stored(ids))) = operation.reports.last_mut() else {
            continue;
        };
        for id in ids {
            let shown = json!({"memory_id": &*id, "user_id": operation.user});
            *id = text(&client.call("get_memory", shown)["id"]);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Carries out operations, several at once, until there are no more; gives them with their reports,
/// and how long the slowest took.
fn carry_out(
    client: &mut Client,
    clock: &AtomicUsize,
    mut next: impl FnMut() -> Option<Operation>,
) -> (Vec<Operation>, Duration) {
    let mut asked: HashMap<u64, (Operation, Instant)> = HashMap::new();
    let mut done = Vec::new();
    let mut slowest = Duration::ZERO;
    loop {
        while asked.len() < AT_ONCE
            && let Some(mut operation) = next()
        {
            let event = clock.fetch_add(1, Ordering::SeqCst);
            if operation.reports.is_empty() {
                operation.begun = event;
            }
            let id = client.ask_tool("add_memory", &operation.arguments());
            asked.insert(id, (operation, Instant::now()));
        }
        if asked.is_empty() {
            return (done, slowest);
        }
        let answer = client.receive();
        let Some((mut operation, since)) = answer["id"].as_u64().and_then(|id| asked.remove(&id))
        else {
            continue;
        };
        slowest = slowest.max(since.elapsed());
        operation.note(clock.fetch_add(1, Ordering::SeqCst), outcome(&answer));
        done.push(operation);
    }
}
