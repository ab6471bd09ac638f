//! What is read when it is asked for: levels, and counts that other modules keep.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

type Level = Gauge<u64, AtomicU64>;
type Seconds = Gauge<f64, AtomicU64>;
/// A level that there may not be: without a queue or without Zep, it is absent.
type Optional<T> = Family<[(&'static str, &'static str); 0], T>;

/// Defines the levels, once for their names and helps, their values and their reading.
macro_rules! levels {
    (
        counters { $($counter:ident: $counter_help:literal,)* }
        gauges { $($gauge:ident: $gauge_help:literal,)* }
        optional_counters { $($opt_counter:ident: $opt_counter_help:literal,)* }
        optional_gauges { $($opt_gauge:ident: $opt_gauge_help:literal,)* }
    ) => {
        /// The levels at one moment.
        #[derive(Debug, Clone, Default)]
        pub(crate) struct Levels {
            $(#[doc = $counter_help] pub(crate) $counter: u64,)*
            $(#[doc = $gauge_help] pub(crate) $gauge: u64,)*
            $(#[doc = $opt_counter_help] pub(crate) $opt_counter: Option<u64>,)*
            $(#[doc = $opt_gauge_help] pub(crate) $opt_gauge: Option<u64>,)*
            /// How long calls waited for Zep's rate limit and before retries, in seconds.
            pub(crate) zep_wait_seconds: Option<f64>,
            /// How long the oldest write has been waiting for Zep, in seconds.
            pub(crate) queue_oldest_age_seconds: Option<f64>,
            /// The resident memory of the process, in bytes.
            pub(crate) resident_bytes: Option<u64>,
        }

        /// The metrics that show them.
        #[derive(Debug)]
        pub(super) struct Gauges {
            $($counter: Counter,)*
            $($gauge: Level,)*
            $($opt_counter: Optional<Counter>,)*
            $($opt_gauge: Optional<Level>,)*
            zep_wait: Optional<Counter<f64, AtomicU64>>,
            queue_oldest_age: Optional<Seconds>,
            resident: Optional<Level>,
        }

        impl Gauges {
            pub(super) fn register(registry: &mut Registry, backend: &'static str) -> Self {
                let gauges = Self {
                    $($counter: Counter::default(),)*
                    $($gauge: Level::default(),)*
                    $($opt_counter: Optional::default(),)*
                    $($opt_gauge: Optional::default(),)*
                    zep_wait: Optional::default(),
                    queue_oldest_age: Optional::default(),
                    resident: Optional::default(),
                };
                $(registry.register(stringify!($counter), $counter_help, gauges.$counter.clone());)*
                $(registry.register(stringify!($gauge), $gauge_help, gauges.$gauge.clone());)*
                $(registry.register(stringify!($opt_counter), $opt_counter_help, gauges.$opt_counter.clone());)*
                $(registry.register(stringify!($opt_gauge), $opt_gauge_help, gauges.$opt_gauge.clone());)*
                registry.register_with_unit(
                    "zep_wait",
                    "Time that calls waited for Zep's rate limit and before retries",
                    Unit::Seconds,
                    gauges.zep_wait.clone(),
                );
                registry.register_with_unit(
                    "queue_oldest_age",
                    "How long the oldest write has been waiting for Zep",
                    Unit::Seconds,
                    gauges.queue_oldest_age.clone(),
                );
                let build: Family<[(&'static str, &'static str); 2], Level> = Family::default();
                let labels = [("version", env!("CARGO_PKG_VERSION")), ("backend", backend)];
                build.get_or_create(&labels).set(1);
                registry.register("build_info", "The program's version and its backend", build);
                gauges
            }

            pub(super) fn set(&self, levels: &Levels) {
                $(show_count(&self.$counter, levels.$counter);)*
                $(self.$gauge.set(levels.$gauge);)*
                $(match levels.$opt_counter {
                    Some(count) => show_count(&self.$opt_counter.get_or_create(&[]), count),
                    None => self.$opt_counter.clear(),
                })*
                $(match levels.$opt_gauge {
                    Some(level) => drop(self.$opt_gauge.get_or_create(&[]).set(level)),
                    None => self.$opt_gauge.clear(),
                })*
                match levels.zep_wait_seconds {
                    Some(seconds) => {
                        let wait = self.zep_wait.get_or_create(&[]);
                        wait.inner().store(seconds.to_bits(), Ordering::Relaxed);
                    }
                    None => self.zep_wait.clear(),
                }
                match levels.queue_oldest_age_seconds {
                    Some(age) => drop(self.queue_oldest_age.get_or_create(&[]).set(age)),
                    None => self.queue_oldest_age.clear(),
                }
                match levels.resident_bytes {
                    Some(bytes) => drop(self.resident.get_or_create(&[]).set(bytes)),
                    None => self.resident.clear(),
                }
            }
        }
    };
}

levels! {
    counters {
        auth_refused: "Requests with a token that is unknown, expired or revoked",
        auth_throttled: "Requests that had to wait, since too many wrong tokens came from their address",
        requests_refused: "Requests that were refused, since their token had taken its share of a bound",
        connections_cut: "Connections that were cut, since their answers were not read",
        migrations_done: "Migrations by tools that succeeded",
        migrations_failed: "Migrations by tools that failed or left something behind",
        migrations_stopped: "Migrations by tools that were stopped",
    }
    gauges {
        connections_open: "Open connections",
        sessions_open: "Open sessions of MCP",
        calls_in_flight: "Calls in flight",
        unread_bytes: "Memory of answers that are not read yet, in bytes",
        migrations_running: "Migrations by tools that are under way in the background",
        audit_failing: "1 while the audit trail cannot be written, else 0",
        audit_waiting: "Entries that wait until the audit trail can be written",
    }
    optional_counters {
        zep_requests: "Requests sent to Zep, retries included",
        zep_retries: "Requests sent to Zep again",
        zep_resent_writes: "Writes without an answer that were looked for, not found, and sent again",
    }
    optional_gauges {
        zep_rate_limit: "Requests that the account may make in a minute, where Zep said so",
        zep_rate_limit_left: "Requests of this minute that are left, where Zep said so",
        queue_waiting: "Writes that wait for Zep",
        queue_refused: "Writes that Zep refused for good, which wait for a decision",
    }
}

impl Gauges {
    /// Under the name that every program uses.
    pub(super) fn register_process(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "process_resident_memory",
            "Resident memory of the process",
            Unit::Bytes,
            self.resident.clone(),
        );
    }
}

/// Shows a count that is kept elsewhere.
fn show_count(counter: &Counter, count: u64) {
    counter.inner().store(count, Ordering::Relaxed);
}
