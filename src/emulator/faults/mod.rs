//! Faults on demand: a service that is slow, refuses, loses answers, writes late, talks nonsense
//! and restarts, as planned and repeatably.
//!
//! [`Plan`] says what is to happen; `layer` does it to the call of a route, `line` to connections,
//! `late` lands what was left in the air, and `control` changes the plan while all this runs.

mod answers;
pub(super) mod control;
mod late;
mod layer;
mod line;
mod plan;
mod values;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Method;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

pub(super) use late::Landing;
pub(super) use layer::misbehave;
pub(super) use line::{Door, Lines, Peer};
pub use plan::{Fault, OneShot, Plan};
pub use values::{Failing, PlanError, Rate, RateLimitDrop, Restarts, Status, Timed};

/// Seeds that are chosen here are below this: short enough to be typed again.
const SEEDS: u64 = 1_000_000_000;

/// The plan, how far it is carried out, and what was counted.
#[derive(Debug)]
pub(super) struct Faults {
    state: Mutex<State>,
    /// The restarts of the plan, for who does them.
    restarts: watch::Sender<Option<Restarts>>,
    late: late::LateWrites,
    /// Calls that are carried out whether or not their client still waits.
    tasks: TaskTracker,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    seed: u64,
    /// Gives each call a generator of its own, so that what one draws changes nothing for the next.
    seeds: fastrand::Rng,
    /// Calls since the plan was set.
    calls: u64,
    stats: Counted,
}

#[derive(Debug, Default, Clone, Serialize)]
struct Counted {
    /// Calls by `METHOD route`.
    requests: BTreeMap<String, u64>,
    /// What was done to them, by kind.
    faults: BTreeMap<&'static str, u64>,
}

/// What was counted since the start or the last reset.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    #[serde(flatten)]
    counted: Counted,
    late_writes_waiting: u64,
}

/// What happens to one call.
#[derive(Debug)]
struct Decision {
    latency: Duration,
    fault: Option<Fault>,
    /// For what is left to chance in it.
    rng: fastrand::Rng,
}

/// How many calls are answered in a window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    /// Calls.
    pub calls: u32,
    /// Seconds.
    pub window: i64,
}

impl Faults {
    /// Everything as this plan says, and where its late writes land.
    pub fn new(plan: Plan) -> (Self, Landing) {
        let (late, landing) = late::channel();
        let seed = plan.seed.unwrap_or_else(|| fastrand::u64(..SEEDS));
        let (restarts, _) = watch::channel(plan.restarts);
        let faults = Self {
            state: Mutex::new(State {
                plan: Plan {
                    seed: Some(seed),
                    ..plan
                },
                seed,
                seeds: fastrand::Rng::with_seed(seed),
                calls: 0,
                stats: Counted::default(),
            }),
            restarts,
            late,
            tasks: TaskTracker::new(),
        };
        (faults, landing)
    }

    /// Where the drawing started.
    pub fn seed(&self) -> u64 {
        self.state().seed
    }

    /// Notes a call and answers the limit that holds for it.
    pub fn limit(&self) -> Limit {
        let mut state = self.state();
        let calls = state.plan.rate_limit_after(state.calls);
        state.calls += 1;
        Limit {
            calls,
            window: state.plan.rate_window_secs.get().into(),
        }
    }

    /// Counts a call.
    pub fn note_request(&self, method: &Method, route: &str) {
        let name = format!("{method} {route}");
        *self.state().stats.requests.entry(name).or_default() += 1;
    }

    /// Counts a call that was refused for coming too soon.
    pub fn note_rate_limited(&self) {
        *self.state().stats.faults.entry("rate_limit").or_default() += 1;
    }

    /// Waits for the calls that nobody waits for any more.
    pub async fn finish_calls(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Restarts as often as the plan says, for ever.
    pub async fn keep_restarting(&self, lines: Arc<Lines>) {
        let mut plan = self.restarts.subscribe();
        loop {
            let restarts = *plan.borrow_and_update();
            let changed = plan.changed();
            let Some(restarts) = restarts else {
                if changed.await.is_err() {
                    return;
                }
                continue;
            };
            tokio::select! {
                _ = changed => {}
                () = tokio::time::sleep(Duration::from_millis(restarts.every_ms.get().into())) => {
                    self.restart(&lines, restarts.down_ms, None).await;
                }
            }
        }
    }

    async fn restart(&self, lines: &Lines, down_ms: u32, spared: Option<&Peer>) {
        *self.state().stats.faults.entry("restart").or_default() += 1;
        let down = Duration::from_millis(down_ms.into());
        lines.restart(down, spared).await;
    }

    /// What happens to a call; nothing, if `None`.
    fn decide(
        &self,
        method: &Method,
        path: &str,
        route: Option<&str>,
        is_write: bool,
    ) -> Option<Decision> {
        let mut state = self.state();
        // Drawn for each call, so that the calls after one with an ordered fault are as they were.
        let mut rng = state.seeds.fork();
        let ordered = state.plan.take_next(method, path, route);
        let drawn = state.plan.draw(&mut rng, is_write);
        let fault = ordered.or(drawn);
        if let Some(fault) = &fault {
            *state.stats.faults.entry(fault.name()).or_default() += 1;
        }
        let mut latency = Duration::from_millis(state.plan.latency_ms.into());
        if let Some(Fault::Latency { ms }) = fault {
            latency += Duration::from_millis(ms.into());
        }
        (fault.is_some() || !latency.is_zero()).then_some(Decision {
            latency,
            fault,
            rng,
        })
    }

    fn plan(&self) -> Plan {
        self.state().plan.clone()
    }

    /// Puts another plan in force. A seed starts the drawing anew; without one it goes on.
    fn set_plan(&self, plan: Plan) {
        let mut state = self.state();
        let reseeded = plan.seed;
        if let Some(seed) = reseeded {
            state.seed = seed;
            state.seeds = fastrand::Rng::with_seed(seed);
        }
        state.calls = 0;
        state.plan = Plan {
            seed: Some(state.seed),
            ..plan
        };
        // Only a change starts the time to the next restart anew.
        self.restarts.send_if_modified(|restarts| {
            let changed = *restarts != state.plan.restarts;
            *restarts = state.plan.restarts;
            changed
        });
    }

    fn order(&self, faults: Vec<OneShot>) {
        self.state().plan.next.extend(faults);
    }

    fn stats(&self) -> Stats {
        Stats {
            counted: self.state().stats.clone(),
            late_writes_waiting: self.late.waiting(),
        }
    }

    fn reset_stats(&self) {
        self.state().stats = Counted::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
