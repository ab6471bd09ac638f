//! The plan in force, how far it is carried out, and the counts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::Method;
use serde::Serialize;
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::connections::{Connections, Peer};
use super::late_writes::{self, LateWriter, LateWrites};
use super::parameters::Restarts;
use super::plan::{Fault, OneShot, Plan};

/// Random seeds are below this: short enough to type again.
const SEEDS: u64 = 1_000_000_000;

/// The faults of a running emulator.
#[derive(Debug)]
pub(in crate::emulator) struct Faults {
    state: Mutex<State>,
    /// The plan's restarts, for [`keep_restarting`](Self::keep_restarting).
    restarts: watch::Sender<Option<Restarts>>,
    connections: Arc<Connections>,
    pub(super) late_writes: LateWrites,
    /// Calls that are carried out even if their client is gone.
    pub(super) tasks: TaskTracker,
}

#[derive(Debug)]
struct State {
    plan: Plan,
    seed: u64,
    /// Seeds a generator for each call, so that the draws of one do not change those of the next.
    seeds: fastrand::Rng,
    /// Calls since the plan was set.
    calls: u64,
    counts: Counts,
}

#[derive(Debug, Default, Clone, Serialize)]
struct Counts {
    /// Calls by `METHOD route`.
    requests: BTreeMap<String, u64>,
    /// Faults by kind.
    faults: BTreeMap<&'static str, u64>,
}

/// The counts since the start or the last reset.
#[derive(Debug, Serialize)]
pub(super) struct Stats {
    #[serde(flatten)]
    counts: Counts,
    late_writes_waiting: u64,
}

/// The faults of one call.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) latency: Duration,
    pub(super) fault: Option<Fault>,
    /// For random choices within the fault.
    pub(super) rng: fastrand::Rng,
}

/// A rate limit.
#[derive(Debug, Clone, Copy)]
pub(in crate::emulator) struct Limit {
    /// Calls per window.
    pub(in crate::emulator) calls: u32,
    /// The length of a window in seconds.
    pub(in crate::emulator) window: i64,
}

impl Faults {
    /// Starts with this plan for these connections. The writer carries out its late writes.
    pub(in crate::emulator) fn new(
        plan: Plan,
        connections: Arc<Connections>,
    ) -> (Self, LateWriter) {
        let (late_writes, late_writer) = late_writes::channel();
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
                counts: Counts::default(),
            }),
            restarts,
            connections,
            late_writes,
            tasks: TaskTracker::new(),
        };
        (faults, late_writer)
    }

    /// The seed of the random draws.
    pub(in crate::emulator) fn seed(&self) -> u64 {
        self.state().seed
    }

    /// Counts a call towards the plan's `rate_limit_drop`, and returns the limit that holds for it.
    pub(in crate::emulator) fn limit(&self) -> Limit {
        let mut state = self.state();
        let calls = state.plan.rate_limit_after(state.calls);
        state.calls += 1;
        Limit {
            calls,
            window: state.plan.rate_window_secs.get().into(),
        }
    }

    /// Counts a call by its route.
    pub(in crate::emulator) fn count_request(&self, method: &Method, route: &str) {
        let name = format!("{method} {route}");
        *self.state().counts.requests.entry(name).or_default() += 1;
    }

    /// Counts a call beyond the rate limit.
    pub(in crate::emulator) fn count_rate_limited(&self) {
        *self.state().counts.faults.entry("rate_limit").or_default() += 1;
    }

    /// Waits for calls whose clients are gone.
    pub(in crate::emulator) async fn finish_calls(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Restarts as planned, forever.
    pub(in crate::emulator) async fn keep_restarting(&self) {
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
                    self.restart(restarts.down_ms, None).await;
                }
            }
        }
    }

    pub(super) async fn restart(&self, down_ms: u32, spared: Option<&Peer>) {
        *self.state().counts.faults.entry("restart").or_default() += 1;
        let down = Duration::from_millis(down_ms.into());
        self.connections.restart(down, spared).await;
    }

    /// Decides the faults of a call; `None` for none.
    pub(super) fn decide(
        &self,
        method: &Method,
        path: &str,
        route: Option<&str>,
        is_write: bool,
    ) -> Option<Decision> {
        let mut state = self.state();
        // Drawn for each call: an ordered fault must not change the draws of later calls.
        let mut rng = state.seeds.fork();
        let ordered = state.plan.take_next(method, path, route);
        let drawn = state.plan.draw(&mut rng, is_write);
        let fault = ordered.or(drawn);
        if let Some(fault) = &fault {
            *state.counts.faults.entry(fault.name()).or_default() += 1;
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

    pub(super) fn plan(&self) -> Plan {
        self.state().plan.clone()
    }

    /// Replaces the plan. A seed restarts the random draws; without one they continue.
    pub(super) fn set_plan(&self, plan: Plan) {
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
        // An unchanged value must not postpone the next restart.
        self.restarts.send_if_modified(|restarts| {
            let changed = *restarts != state.plan.restarts;
            *restarts = state.plan.restarts;
            changed
        });
    }

    pub(super) fn order(&self, faults: Vec<OneShot>) {
        self.state().plan.next.extend(faults);
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            counts: self.state().counts.clone(),
            late_writes_waiting: self.late_writes.waiting(),
        }
    }

    pub(super) fn reset_stats(&self) {
        self.state().counts = Counts::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
