//! The numbers of a plan: they cannot be built wrong, and are read from the command line as from JSON.

use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What cannot be part of a [`Plan`](super::Plan).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(&'static str);

const NO_RATE: PlanError = PlanError("a rate is a number from 0 (never) to 1 (always)");
const NO_STATUS: PlanError = PlanError("a failure's status is a number from 400 to 599");
const NO_MILLIS: PlanError = PlanError("a time is a whole number of milliseconds, below 2^32");
const NO_COUNT: PlanError = PlanError("a number of calls is a whole number");

/// The share of calls that something happens to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

impl Rate {
    /// Whether it hits, drawn from here.
    pub(super) fn hits(self, rng: &mut fastrand::Rng) -> bool {
        rng.f64() < self.0
    }
}

impl TryFrom<f64> for Rate {
    type Error = PlanError;

    fn try_from(rate: f64) -> Result<Self, PlanError> {
        if (0.0..=1.0).contains(&rate) {
            Ok(Self(rate))
        } else {
            Err(NO_RATE)
        }
    }
}

impl From<Rate> for f64 {
    fn from(rate: Rate) -> Self {
        rate.0
    }
}

impl FromStr for Rate {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        text.parse::<f64>().map_err(|_| NO_RATE)?.try_into()
    }
}

/// The status of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Status(u16);

impl TryFrom<u16> for Status {
    type Error = PlanError;

    fn try_from(status: u16) -> Result<Self, PlanError> {
        if (400..600).contains(&status) {
            Ok(Self(status))
        } else {
            Err(NO_STATUS)
        }
    }
}

impl From<Status> for u16 {
    fn from(status: Status) -> Self {
        status.0
    }
}

/// Calls that are answered with an error: `RATE:STATUS` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failing {
    /// How many.
    pub rate: Rate,
    /// With what.
    pub status: Status,
}

impl FromStr for Failing {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (rate, status) = text.split_once(':').ok_or(PlanError(
            "it is written RATE:STATUS, for instance 0.05:503",
        ))?;
        Ok(Self {
            rate: rate.parse()?,
            status: status.parse::<u16>().map_err(|_| NO_STATUS)?.try_into()?,
        })
    }
}

/// Calls that something takes its time for: `RATE:MS` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// How many.
    pub rate: Rate,
    /// How long, in milliseconds.
    pub ms: u32,
}

impl FromStr for Timed {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (rate, ms) = text
            .split_once(':')
            .ok_or(PlanError("it is written RATE:MS, for instance 0.05:2000"))?;
        Ok(Self {
            rate: rate.parse()?,
            ms: ms.parse().map_err(|_| NO_MILLIS)?,
        })
    }
}

/// When the service is gone: `EVERY_MS:DOWN_MS` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restarts {
    /// Milliseconds from one restart to the next, or from the start.
    pub every_ms: NonZeroU32,
    /// Milliseconds for which connections are refused.
    pub down_ms: u32,
}

impl FromStr for Restarts {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (every, down) = text.split_once(':').ok_or(PlanError(
            "it is written EVERY_MS:DOWN_MS, for instance 10000:500",
        ))?;
        Ok(Self {
            every_ms: every
                .parse()
                .map_err(|_| PlanError("restarts are at least a millisecond apart"))?,
            down_ms: down.parse().map_err(|_| NO_MILLIS)?,
        })
    }
}

/// A limit that drops in the middle of a run: `CALLS:N` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitDrop {
    /// After how many answered calls, since the plan was set.
    pub after_calls: u64,
    /// The limit from then on.
    pub to: u32,
}

impl FromStr for RateLimitDrop {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (calls, to) = text.split_once(':').ok_or(PlanError(
            "it is written CALLS:N, for instance 100:5 for 5 a minute after 100 calls",
        ))?;
        Ok(Self {
            after_calls: calls.parse().map_err(|_| NO_COUNT)?,
            to: to.parse().map_err(|_| NO_COUNT)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in ["1.1", "-0.1", "NaN", "inf", "", "often"] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        for text in ["0.5", "0.5:", "0.5:200", "0.5:600", "2:500", "0.5:500:1"] {
            assert!(text.parse::<Failing>().is_err(), "{text}");
        }
        for text in ["0.5", "0.5:-1", "0.5:1s", "0.5:4294967296"] {
            assert!(text.parse::<Timed>().is_err(), "{text}");
        }
        assert!("100".parse::<Restarts>().is_err());
        assert!("100:many".parse::<RateLimitDrop>().is_err());
    }
}
