//! Slows down addresses that send wrong tokens, and counts refusals.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::cache::Cache;

/// How many wrong tokens an address may send before it has to wait. Ours: enough for a person who
/// pastes the wrong one a few times.
const FREE_FAILURES: u32 = 5;
/// The longest wait. Each wrong token doubles the wait, from one second.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long wrong tokens count.
const REMEMBERED_FOR: Duration = Duration::from_secs(10 * 60);
/// The most addresses that are remembered: some 200 bytes each.
const MAX_ADDRESSES: u64 = 50_000;
/// How often failures are logged at most.
const LOGGED_EVERY: Duration = Duration::from_secs(60);

/// How many requests were refused since the program started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures {
    /// Requests with a token that is unknown, expired or revoked.
    pub refused: u64,
    /// Requests that had to wait, since too many wrong tokens came from their address.
    pub throttled: u64,
}

/// Wrong tokens by address.
#[derive(Debug)]
pub(super) struct Throttle {
    addresses: Cache<IpAddr, Attempts>,
    refused: AtomicU64,
    throttled: AtomicU64,
    logged: Mutex<Logged>,
}

#[derive(Debug, Clone, Copy)]
struct Attempts {
    failures: u32,
    wait_until: Option<Instant>,
}

/// What was logged last.
#[derive(Debug)]
struct Logged {
    at: Option<Instant>,
    failures: Failures,
}

impl Throttle {
    pub(super) fn new() -> Self {
        Self {
            addresses: Cache::new(MAX_ADDRESSES).expiring(REMEMBERED_FOR),
            refused: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            logged: Mutex::new(Logged {
                at: None,
                failures: Failures::default(),
            }),
        }
    }

    /// How long this address still has to wait.
    pub(super) fn wait(&self, address: IpAddr) -> Option<Duration> {
        let attempts = self.addresses.get(&network_of(address))?;
        let left = attempts
            .wait_until?
            .saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left)
    }

    /// Notes a wrong token.
    pub(super) fn failed(&self, address: IpAddr) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.addresses.update(network_of(address), |there| {
            let failures = there.map_or(0, |there| there.failures);
            let failures = failures.saturating_add(1);
            let beyond = failures.checked_sub(FREE_FAILURES + 1);
            let wait = beyond.map(|beyond| {
                let seconds = 1_u64.checked_shl(beyond).unwrap_or(u64::MAX);
                Duration::from_secs(seconds).min(LONGEST_WAIT)
            });
            Attempts {
                failures,
                wait_until: wait.map(|wait| Instant::now() + wait),
            }
        });
        self.log();
    }

    /// Notes a request that has to wait.
    pub(super) fn throttled(&self) {
        self.throttled.fetch_add(1, Ordering::Relaxed);
        self.log();
    }

    pub(super) fn failures(&self) -> Failures {
        Failures {
            refused: self.refused.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }

    /// Logs the counts at intervals, never the addresses: they may belong to people.
    fn log(&self) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        if logged.at.is_some_and(|at| at.elapsed() < LOGGED_EVERY) {
            return;
        }
        let now = self.failures();
        tracing::warn!(
            refused = now.refused - logged.failures.refused,
            throttled = now.throttled - logged.failures.throttled,
            total_refused = now.refused,
            addresses = self.addresses.len(),
            "requests with wrong tokens"
        );
        *logged = Logged {
            at: Some(Instant::now()),
            failures: now,
        };
    }
}

/// What counts as one address: for IPv6 its /64 network, which one client has as a whole.
pub(in crate::http) fn network_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(
            address.to_bits() & !u128::from(u64::MAX),
        )),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_wait_grows_with_each_wrong_token_for_its_address_only() {
        let throttle = Throttle::new();
        let (theirs, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 0..FREE_FAILURES {
            throttle.failed(theirs);
            assert_eq!(throttle.wait(theirs), None);
        }
        let mut last = Duration::ZERO;
        for _ in 0..6 {
            throttle.failed(theirs);
            let wait = throttle.wait(theirs).unwrap();
            assert!(wait > last, "{wait:?} after {last:?}");
            last = wait;
        }
        for _ in 0..100 {
            throttle.failed(theirs);
        }
        assert!(throttle.wait(theirs).unwrap() <= LONGEST_WAIT);
        assert_eq!(throttle.wait(other), None);
        assert_eq!(throttle.failures().refused, 111);
    }

    #[test]
    fn an_ipv6_network_is_one_address_and_a_mapped_ipv4_address_is_that_address() {
        let same = |a: &str, b: &str| network_of(address(a)) == network_of(address(b));
        assert!(same("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert!(!same("2001:db8:1:2::1", "2001:db8:1:3::1"));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
    }
}
