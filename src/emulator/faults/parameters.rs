//! The parameters of a plan: validated where they are constructed, from the command line or JSON.

use std::num::NonZeroU32;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A parameter that a [`Plan`](super::Plan) cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(&'static str);

const NO_RATE: PlanError = PlanError("a rate is a number from 0 (never) to 1 (always)");
const NO_STATUS: PlanError = PlanError("a failure's status is a number from 400 to 599");
const NO_MILLIS: PlanError = PlanError("a time is a whole number of milliseconds, below 2^32");
const NO_COUNT: PlanError = PlanError("a number of calls is a whole number");

/// The two sides of a colon.
fn pair<'a>(text: &'a str, usage: &'static str) -> Result<(&'a str, &'a str), PlanError> {
    text.split_once(':').ok_or(PlanError(usage))
}

/// The share of calls that a fault hits, from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Rate(f64);

impl Rate {
    /// Draws whether it hits a call.
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

/// An error's HTTP status, 400–599.
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
    /// The share of calls.
    pub rate: Rate,
    /// The status.
    pub status: Status,
}

impl FromStr for Failing {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (rate, status) = pair(text, "it is written RATE:STATUS, for instance 0.05:503")?;
        Ok(Self {
            rate: rate.parse()?,
            status: status.parse::<u16>().map_err(|_| NO_STATUS)?.try_into()?,
        })
    }
}

/// A delay for a share of calls: `RATE:MS` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timed {
    /// The share of calls.
    pub rate: Rate,
    /// The delay in milliseconds.
    pub ms: u32,
}

impl FromStr for Timed {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (rate, ms) = pair(text, "it is written RATE:MS, for instance 0.05:2000")?;
        Ok(Self {
            rate: rate.parse()?,
            ms: ms.parse().map_err(|_| NO_MILLIS)?,
        })
    }
}

/// Periodic restarts: `EVERY_MS:DOWN_MS` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restarts {
    /// Milliseconds between restarts, and before the first.
    pub every_ms: NonZeroU32,
    /// How long connections are refused, in milliseconds.
    pub down_ms: u32,
}

impl FromStr for Restarts {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (every, down) = pair(
            text,
            "it is written EVERY_MS:DOWN_MS, for instance 10000:500",
        )?;
        Ok(Self {
            every_ms: every
                .parse()
                .map_err(|_| PlanError("restarts are at least a millisecond apart"))?,
            down_ms: down.parse().map_err(|_| NO_MILLIS)?,
        })
    }
}

/// A rate limit that drops during a run: `CALLS:N` on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitDrop {
    /// The number of calls, since the plan was set, after which it drops.
    pub after_calls: u64,
    /// The new limit.
    pub to: u32,
}

impl FromStr for RateLimitDrop {
    type Err = PlanError;

    fn from_str(text: &str) -> Result<Self, PlanError> {
        let (calls, to) = pair(
            text,
            "it is written CALLS:N, for instance 100:5 for 5 a minute after 100 calls",
        )?;
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
    fn invalid_parameters_are_refused() {
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
