//! Wrong attempts to sign in, of an account and from an address: after a few each one waits longer than the one before, and after ten
//! nothing wrong is tried for a quarter of an hour. An answer that an enrolled key signed is let in at any time: a stranger who names an
//! account shuts nobody out.
//!
//! Kept in this process: a server that starts again has forgotten them, and two servers count apart. What is guessed is a token, a
//! code of a hundred bits or a signature; this keeps noise down and tells people, and no secret rests on it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};
use permit_domain::Digest;

use crate::sign_in_error::SignInError;

/// Wrong attempts without any wait.
const FREE: u32 = 3;
/// The wrong attempt that locks.
const LOCKS: u32 = 10;
/// How long nothing is tried then.
const LOCKED: SignedDuration = SignedDuration::from_mins(15);
/// After which quiet time all is forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(1);
/// How many are remembered at most.
const MOST: usize = 4096;

/// What is counted for: an account, an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Counted(Digest);

impl Counted {
    pub(crate) fn account(account: &str) -> Self {
        Self(Digest::of(format!("account {account}").as_bytes()))
    }

    /// Codes that are tried for an account: anybody may, so they count apart from what its own keys do.
    pub(crate) fn code(account: &str) -> Self {
        Self(Digest::of(format!("code {account}").as_bytes()))
    }

    pub(crate) fn address(address: &str) -> Self {
        Self(Digest::of(format!("address {address}").as_bytes()))
    }
}

/// Wrong attempts that are remembered.
#[derive(Clone, Default)]
pub(crate) struct Attempts(Arc<Mutex<HashMap<Counted, Wrong>>>);

#[derive(Clone, Copy)]
struct Wrong {
    number: u32,
    last: Timestamp,
    until: Timestamp,
}

impl fmt::Debug for Attempts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Attempts(..)")
    }
}

impl Attempts {
    /// Refuses while one of these waits.
    pub(crate) fn may(&self, of: &[Counted], now: Timestamp) -> Result<(), SignInError> {
        let known = self.known();
        let waits = of.iter().filter_map(|of| known.get(of)).map(|wrong| wrong.until);
        match waits.filter(|until| *until > now).max() {
            Some(until) => Err(SignInError::Locked { until }),
            None => Ok(()),
        }
    }

    /// Counts a wrong attempt; whether one of these is locked by it.
    pub(crate) fn wrong(&self, of: &[Counted], now: Timestamp) -> bool {
        let mut known = self.known();
        if known.len() + of.len() > MOST {
            known.retain(|_, wrong| now.duration_since(wrong.last) < FORGOTTEN);
            // Still full: the one that was quiet longest goes.
            while known.len() + of.len() > MOST {
                let oldest = known
                    .iter()
                    .min_by_key(|(_, wrong)| wrong.last)
                    .map(|(of, _)| *of);
                let Some(oldest) = oldest else { break };
                known.remove(&oldest);
            }
        }
        let mut locks = false;
        for of in of {
            let before = known
                .get(of)
                .filter(|wrong| now.duration_since(wrong.last) < FORGOTTEN)
                .map_or(0, |wrong| wrong.number);
            let number = before.saturating_add(1);
            let wait = if number >= LOCKS {
                LOCKED
            } else if number > FREE {
                SignedDuration::from_secs(1 << (number - FREE))
            } else {
                SignedDuration::ZERO
            };
            locks |= number == LOCKS;
            let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
            known.insert(
                *of,
                Wrong {
                    number,
                    last: now,
                    until,
                },
            );
        }
        locks
    }

    /// Forgets an account that proved who it is. An address may be many people's.
    pub(crate) fn right(&self, of: Counted) {
        self.known().remove(&of);
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Counted, Wrong>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn waits(attempts: &Attempts, of: Counted, now: i64) -> Option<i64> {
        match attempts.may(&[of], at(now)) {
            Ok(()) => None,
            Err(SignInError::Locked { until }) => Some(until.duration_since(at(now)).as_secs()),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn wrong_attempts_wait_longer_and_longer_and_the_tenth_locks_for_a_quarter_of_an_hour() {
        let attempts = Attempts::default();
        let (lin, chen) = (Counted::account("lin"), Counted::account("chen"));
        let mut now = 0;
        for expected in [
            None,
            None,
            None,
            Some(2),
            Some(4),
            Some(8),
            Some(16),
            Some(32),
            Some(64),
        ] {
            assert!(!attempts.wrong(&[lin], at(now)));
            assert_eq!(waits(&attempts, lin, now), expected);
            now += expected.unwrap_or_default();
            assert_eq!(waits(&attempts, lin, now), None);
        }
        assert!(attempts.wrong(&[lin], at(now)));
        assert_eq!(waits(&attempts, lin, now), Some(900));
        assert_eq!(waits(&attempts, chen, now), None, "nobody else waits");
        now += 900;
        assert_eq!(waits(&attempts, lin, now), None, "a lock ends by itself");
        attempts.right(lin);
        assert!(!attempts.wrong(&[lin], at(now)));
        assert_eq!(waits(&attempts, lin, now), None);
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let attempts = Attempts::default();
        for number in 0..2 * MOST {
            attempts.wrong(
                &[Counted::address(&number.to_string())],
                at(i64::try_from(number).unwrap()),
            );
        }
        assert!(attempts.known().len() <= MOST);
    }
}
