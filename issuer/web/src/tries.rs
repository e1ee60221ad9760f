//! How often a stranger may try: so many times for one number in a quarter of an hour, and so many for all numbers in a minute. What is
//! kept are counts in a table of fixed size, no number and no address.
//!
//! Two numbers may share a place in the table; then they share its tries. Left out: limits by address, which a proxy in front keeps.

use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use permit_domain::Digest;

const PLACES: usize = 4096;
/// Tries for one number.
const OF_ONE: u32 = 10;
const OF_ONE_WITHIN: SignedDuration = SignedDuration::from_mins(15);
/// Tries for all numbers: 20 a second.
const OF_ALL: u32 = 1_200;
const OF_ALL_WITHIN: SignedDuration = SignedDuration::from_mins(1);

/// Counts of tries.
pub(crate) struct Tries(Mutex<Vec<Count>>);

#[derive(Clone, Copy)]
struct Count {
    since: Timestamp,
    tries: u32,
}

impl Count {
    const NONE: Self = Self {
        since: Timestamp::MIN,
        tries: 0,
    };

    /// Counts one more; whether it is among those that are allowed.
    fn takes(&mut self, now: Timestamp, most: u32, within: SignedDuration) -> bool {
        // A clock that went back begins anew too.
        if now < self.since || now.duration_since(self.since) >= within {
            *self = Self { since: now, tries: 0 };
        }
        self.tries = self.tries.saturating_add(1);
        self.tries <= most
    }
}

impl Default for Tries {
    fn default() -> Self {
        // The last place is that of all numbers.
        Self(Mutex::new(vec![Count::NONE; PLACES + 1]))
    }
}

impl Tries {
    /// Whether somebody may try this number now.
    pub(crate) fn may_try(&self, number: &Digest, now: Timestamp) -> bool {
        let [first, second, ..] = number.as_bytes();
        let place = usize::from(u16::from_be_bytes([*first, *second])) % PLACES;
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = counts
            .last_mut()
            .is_some_and(|all| all.takes(now, OF_ALL, OF_ALL_WITHIN));
        all && counts
            .get_mut(place)
            .is_some_and(|one| one.takes(now, OF_ONE, OF_ONE_WITHIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_and_all_numbers_have_their_tries_and_get_new_ones_later() {
        let tries = Tries::default();
        let now: Timestamp = "2026-12-01T02:00:00Z".parse().unwrap();
        let one = Digest::of(b"one");
        let took = (0..20).filter(|_| tries.may_try(&one, now)).count();
        assert_eq!(took, 10);
        assert!(tries.may_try(&Digest::of(b"two"), now));
        let later = now + SignedDuration::from_mins(15);
        assert!(tries.may_try(&one, later));
        // Whoever goes through numbers uses up the tries of all.
        let took = (0..5_000_u32)
            .filter(|n| tries.may_try(&Digest::of(&n.to_be_bytes()), later))
            .count();
        assert!(took < 1_200, "{took}");
        assert!(!tries.may_try(&Digest::of(b"three"), later));
        assert!(tries.may_try(&Digest::of(b"three"), later + SignedDuration::from_mins(1)));
    }
}
