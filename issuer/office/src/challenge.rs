//! Questions to authenticators. A challenge proves by itself that this office asked it, for what, whom and when, so that who asks only
//! writes nothing; the ledger's database keeps those that were answered until they are too old.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::{SignedDuration, Timestamp};
use sha2::Sha256;

/// How long a question may be answered.
pub(crate) const ANSWERED_WITHIN: SignedDuration = SignedDuration::from_mins(5);
/// Random bytes of a challenge, and those of its instant.
const NONCE: usize = 16;
const INSTANT: usize = 8;

/// What an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Somebody signs in.
    SignIn,
    /// An authenticator is enrolled.
    Enrol,
    /// Who is signed in proves to be there.
    Prove,
    /// A signing key is made.
    SigningKey,
}

impl Purpose {
    const fn name(self) -> &'static [u8] {
        match self {
            Self::SignIn => b"sign-in",
            Self::Enrol => b"enrol",
            Self::Prove => b"prove",
            Self::SigningKey => b"signing key",
        }
    }
}

/// The key of an office under which its challenges are made.
pub(crate) struct ChallengeKey([u8; 32]);

impl ChallengeKey {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// A challenge for this purpose and person (nobody, where nobody is known yet).
    pub(crate) fn ask(&self, purpose: Purpose, whom: &str, now: Timestamp, nonce: [u8; NONCE]) -> Vec<u8> {
        let mut challenge = nonce.to_vec();
        challenge.extend_from_slice(&now.as_millisecond().to_be_bytes());
        let tag = self
            .mac(&[purpose.name(), whom.as_bytes(), &challenge])
            .finalize();
        challenge.extend_from_slice(&tag.into_bytes());
        challenge
    }

    /// Until when this challenge of ours may be answered; nothing for one that is not ours, for something else, or too old.
    pub(crate) fn answered_until(
        &self,
        purpose: Purpose,
        whom: &str,
        challenge: &[u8],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let (head, tag) = challenge.split_at_checked(NONCE + INSTANT)?;
        self.mac(&[purpose.name(), whom.as_bytes(), head])
            .verify_slice(tag)
            .ok()?;
        let millis = i64::from_be_bytes(head.get(NONCE..)?.try_into().ok()?);
        let asked = Timestamp::from_millisecond(millis).ok()?;
        let until = asked.checked_add(ANSWERED_WITHIN).ok()?;
        (asked <= now && now < until).then_some(until)
    }

    /// The handle by which an authenticator knows a person: it says nothing about them.
    pub(crate) fn handle(&self, account: &str) -> [u8; 32] {
        self.mac(&[b"handle", account.as_bytes()])
            .finalize()
            .into_bytes()
            .into()
    }

    /// Over parts with their lengths.
    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        // HMAC fills a key up to its block with zeros (RFC 2104).
        let mut block = [0; 64];
        block[..32].copy_from_slice(&self.0);
        let mut mac = <Hmac<Sha256>>::new(&block.into());
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_answered_for_what_it_asked_and_in_time() {
        let key = ChallengeKey::new([7; 32]);
        let now: Timestamp = "2026-12-01T02:00:00Z".parse().unwrap();
        let later = |seconds| now + SignedDuration::from_secs(seconds);
        let challenge = key.ask(Purpose::Prove, "lin", now, [1; NONCE]);
        let until = |key: &ChallengeKey, purpose, whom, challenge: &[u8], at| {
            key.answered_until(purpose, whom, challenge, at)
        };
        assert_eq!(
            until(&key, Purpose::Prove, "lin", &challenge, later(299)),
            Some(later(300))
        );
        for (key, purpose, whom, at) in [
            (&key, Purpose::Prove, "lin", later(300)),
            (&key, Purpose::Prove, "lin", later(-1)),
            (&key, Purpose::Prove, "chen", now),
            (&key, Purpose::SignIn, "lin", now),
            (&ChallengeKey::new([8; 32]), Purpose::Prove, "lin", now),
        ] {
            assert_eq!(until(key, purpose, whom, &challenge, at), None);
        }
        for cut in 0..challenge.len() {
            assert_eq!(until(&key, Purpose::Prove, "lin", &challenge[..cut], now), None);
            let mut bent = challenge.clone();
            bent[cut] ^= 1;
            assert_eq!(until(&key, Purpose::Prove, "lin", &bent, now), None);
        }
    }
}
