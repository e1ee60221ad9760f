//! Share envelopes: one custodian's share, encrypted under a passphrase.
//!
//! An envelope is one JSON object: who and which vault in clear, with the vault's transport key, and the share as
//! [`crate::custody::protection`] has it. The value is never printed in clear. Left out: envelopes sealed to a custodian's smart card, and the QR form on paper, which come
//! with the vault's own issue; they will be other values of `protection`.

use keyvault_protocol::{PointBytes, Share};
use program_contract::Founded;
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};

use crate::custody::passphrase;
use crate::custody::protection::{self, Cost, PASSPHRASE, Protection};
use crate::error::Error;

/// Schema of the file.
const SCHEMA: &str = "yzt.share/2";
/// Schema of envelopes of before, which pin no transport key. They are read, and written where such a one changes its passphrase.
const UNPINNED: &str = "yzt.share/1";
/// An envelope as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShareEnvelope {
    schema: String,
    vault: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transport_key: Option<String>,
    epoch: u32,
    threshold: u8,
    shares: u8,
    /// Number of the share.
    pub index: u8,
    /// Name of the custodian.
    pub custodian: String,
    protection: String,
    cost: Cost,
    salt: String,
    nonce: String,
    sealed: String,
    checksum: String,
}

/// Which set a share belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetId {
    /// Number of the vault.
    pub vault: [u8; 16],
    /// Epoch of the set.
    pub epoch: u32,
    /// Shares needed.
    pub threshold: u8,
    /// Shares made.
    pub shares: u8,
    /// The vault's transport key, the only one to which a share of the set is given; none in envelopes of before.
    pub transport_key: Option<PointBytes>,
}

impl ShareEnvelope {
    /// Encrypts one share for its custodian, under a passphrase that was judged.
    ///
    /// # Errors
    /// [`Error::PassphraseForm`] when the passphrase is no text.
    pub fn make(
        set: &SetId,
        custodian: &str,
        index: u8,
        value: &[u8; 32],
        passphrase: &[u8],
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        let drawn = Protection::draw(cost, rng);
        let mut envelope = Self {
            schema: schema_of(set.transport_key.is_some()).to_owned(),
            vault: hex::encode(set.vault),
            transport_key: set.transport_key.map(hex::encode),
            epoch: set.epoch,
            threshold: set.threshold,
            shares: set.shares,
            index,
            custodian: custodian.to_owned(),
            protection: PASSPHRASE.to_owned(),
            cost,
            salt: hex::encode(drawn.salt),
            nonce: hex::encode(drawn.nonce),
            sealed: String::new(),
            checksum: String::new(),
        };
        envelope.sealed = hex::encode(drawn.seal(passphrase, &envelope.clear_fields(), value)?);
        envelope.checksum = envelope.sum();
        Ok(envelope)
    }

    /// Reads an envelope and checks its form and checksum.
    ///
    /// # Errors
    /// [`Error::EnvelopeForm`] for what is no envelope, or one of a form that this program does not know;
    /// [`Error::EnvelopeDamaged`].
    pub fn parse(text: &[u8]) -> Result<Self, Error> {
        // What begins as an envelope does may be one that was cut or mistyped.
        let damaged_or_other = || {
            if text.trim_ascii_start().starts_with(b"{") {
                Error::EnvelopeDamaged
            } else {
                Error::EnvelopeForm
            }
        };
        if let Ok(value) = serde_json::from_slice::<serde_json::Value>(text)
            && !is_like_an_envelope(&value)
        {
            return Err(Error::EnvelopeForm);
        }
        let envelope: Self = serde_json::from_slice(text).map_err(|_| damaged_or_other())?;
        let good = envelope.checksum == envelope.sum()
            && envelope.schema == schema_of(envelope.transport_key.is_some())
            && envelope.set().is_ok()
            && envelope.cost.is_fair()
            && envelope.index > 0;
        if good {
            Ok(envelope)
        } else {
            Err(Error::EnvelopeDamaged)
        }
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`Error::EnvelopeDamaged`] when it cannot be written as JSON, which it can.
    pub fn to_text(&self) -> Result<Vec<u8>, Error> {
        let mut text = serde_json::to_vec_pretty(self).map_err(|_| Error::EnvelopeDamaged)?;
        text.push(b'\n');
        Ok(text)
    }

    /// Opens the envelope with its passphrase.
    ///
    /// # Errors
    /// [`Error::WrongPassphrase`] naming the custodian, [`Error::EnvelopeDamaged`].
    pub fn open(&self, passphrase: &[u8]) -> Result<Share, Error> {
        let drawn = Protection::of(self.cost, &self.salt, &self.nonce).ok_or(Error::EnvelopeDamaged)?;
        let sealed = hex::decode(&self.sealed).map_err(|_| Error::EnvelopeDamaged)?;
        let value = drawn.open(passphrase, &self.clear_fields(), &sealed)?;
        let value = value.ok_or_else(|| Error::WrongPassphrase {
            custodian: self.custodian.clone(),
        })?;
        let value: [u8; 32] = value.as_slice().try_into().map_err(|_| Error::EnvelopeDamaged)?;
        let set = self.set()?;
        let share = Share::new(set.vault, set.epoch, self.index, value);
        Ok(match set.transport_key {
            Some(transport) => share.pinned_to(transport),
            None => share,
        })
    }

    /// The set that the share belongs to.
    ///
    /// # Errors
    /// [`Error::EnvelopeDamaged`].
    pub fn set(&self) -> Result<SetId, Error> {
        Ok(SetId {
            vault: array(&self.vault)?,
            epoch: self.epoch,
            threshold: self.threshold,
            shares: self.shares,
            transport_key: self.transport_key.as_deref().map(array).transpose()?,
        })
    }

    /// Whether `passphrase`, which opens it, would not be taken for a new envelope of this vault today.
    #[must_use]
    pub fn is_weak_under(&self, passphrase: &[u8]) -> bool {
        let founded = self.set().map(|set| Founded::around(&set.vault));
        let judged = founded.and_then(|founded| passphrase::judge(passphrase, &self.custodian, founded));
        judged.is_err()
    }

    /// Another envelope with the same share, under another passphrase. This one stays as it is, and opens as before.
    ///
    /// # Errors
    /// Those of [`ShareEnvelope::open`]; [`Error::WeakPassphrase`], [`Error::PassphraseForm`] and [`Error::SamePassphrase`]
    /// for the new one.
    pub fn under_another_passphrase(
        &self,
        passphrase: &[u8],
        new: &[u8],
        cost: Cost,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        let share = self.open(passphrase)?;
        let set = self.set()?;
        passphrase::judge(new, &self.custodian, Founded::around(&set.vault))?;
        passphrase::differs(passphrase, new)?;
        Self::make(&set, &self.custodian, self.index, share.value(), new, cost, rng)
    }

    /// Another envelope with the same share and passphrase, which pins this transport key. This one stays as it is.
    ///
    /// # Errors
    /// Those of [`ShareEnvelope::open`].
    pub fn pinned_to(
        &self,
        transport_key: PointBytes,
        passphrase: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<Self, Error> {
        let share = self.open(passphrase)?;
        let set = SetId {
            transport_key: Some(transport_key),
            ..self.set()?
        };
        Self::make(
            &set,
            &self.custodian,
            self.index,
            share.value(),
            passphrase,
            self.cost,
            rng,
        )
    }

    /// Everything in clear.
    fn clear_fields(&self) -> Vec<u8> {
        let (epoch, numbers) = (
            self.epoch.to_be_bytes(),
            [self.threshold, self.shares, self.index],
        );
        let memory = self.cost.memory_kib.to_be_bytes();
        let passes = self.cost.passes.to_be_bytes();
        let mut fields: Vec<&[u8]> = vec![
            self.schema.as_bytes(),
            self.vault.as_bytes(),
            &epoch,
            &numbers,
            self.custodian.as_bytes(),
            self.protection.as_bytes(),
            &memory,
            &passes,
            self.salt.as_bytes(),
            self.nonce.as_bytes(),
        ];
        // Behind all of them, so that those of an envelope without it are as they were.
        fields.extend(self.transport_key.as_ref().map(String::as_bytes));
        protection::joined(&fields)
    }

    fn sum(&self) -> String {
        protection::checksum(&self.clear_fields(), &self.sealed)
    }
}

fn schema_of(is_pinned: bool) -> &'static str {
    if is_pinned { SCHEMA } else { UNPINNED }
}

fn array<const N: usize>(text: &str) -> Result<[u8; N], Error> {
    protection::array(text).ok_or(Error::EnvelopeDamaged)
}

/// Whether this may have been an envelope of a form that is known: it names one and its protection, or, where a hand left one of them
/// out, whose share it is.
fn is_like_an_envelope(value: &serde_json::Value) -> bool {
    let text = |key| value.get(key).and_then(serde_json::Value::as_str);
    match (text("schema"), text("protection")) {
        (Some(schema), Some(protection)) => [SCHEMA, UNPINNED].contains(&schema) && protection == PASSPHRASE,
        (Some(schema), None) => [SCHEMA, UNPINNED].contains(&schema),
        (None, Some(protection)) => protection == PASSPHRASE,
        (None, None) => text("custodian").is_some(),
    }
}

#[cfg(test)]
mod tests {
    use program_contract::{Exit, Failing as _};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const COST: Cost = Cost {
        memory_kib: 64,
        passes: 1,
    };

    const SET: SetId = SetId {
        vault: [7; 16],
        epoch: 1,
        threshold: 2,
        shares: 3,
        transport_key: Some([4; 65]),
    };

    fn envelope() -> ShareEnvelope {
        let mut rng = StdRng::seed_from_u64(5);
        ShareEnvelope::make(
            &SET,
            "li",
            2,
            &[0x42; 32],
            b"correct horse battery",
            COST,
            &mut rng,
        )
        .unwrap()
    }

    #[test]
    fn an_envelope_opens_with_its_passphrase_only_and_names_the_custodian_otherwise() {
        let envelope = ShareEnvelope::parse(&envelope().to_text().unwrap()).unwrap();
        let share = envelope.open(b"correct horse battery").unwrap();
        assert_eq!(
            (share.vault, share.epoch, share.index, share.value()),
            ([7; 16], 1, 2, &[0x42; 32])
        );
        let error = envelope.open(b"wrong horse battery").unwrap_err();
        assert_eq!(
            error,
            Error::WrongPassphrase {
                custodian: "li".into()
            }
        );
        assert_eq!((error.code(), error.exit()), ("WRONG_PASSPHRASE", Exit::Refused));
    }

    #[test]
    fn a_mistyped_character_is_found_before_the_passphrase_is_asked_for() {
        let text = String::from_utf8(envelope().to_text().unwrap()).unwrap();
        for (from, to) in [
            ("\"li\"", "\"le\""),
            ("\"epoch\": 1", "\"epoch\": 2"),
            ("\"index\": 2", "\"index\": 1"),
        ] {
            assert!(text.contains(from), "{from}");
            assert_eq!(
                ShareEnvelope::parse(text.replace(from, to).as_bytes()).unwrap_err(),
                Error::EnvelopeDamaged
            );
        }
        let mut bytes = text.into_bytes();
        bytes.truncate(bytes.len() / 2);
        assert_eq!(ShareEnvelope::parse(&bytes).unwrap_err(), Error::EnvelopeDamaged);
    }

    #[test]
    fn an_envelope_that_was_relabelled_with_a_fresh_checksum_does_not_open() {
        let mut envelope = envelope();
        envelope.custodian = "wang".into();
        envelope.checksum = envelope.sum();
        let envelope = ShareEnvelope::parse(&envelope.to_text().unwrap()).unwrap();
        assert!(matches!(
            envelope.open(b"correct horse battery"),
            Err(Error::WrongPassphrase { .. })
        ));
    }

    #[test]
    fn a_pin_is_bound_to_the_share_and_written_into_an_envelope_of_before_by_its_passphrase() {
        let mut rng = StdRng::seed_from_u64(9);
        let passphrase = b"correct horse battery";
        let unpinned = SetId {
            transport_key: None,
            ..SET
        };
        let before =
            ShareEnvelope::make(&unpinned, "li", 2, &[0x42; 32], passphrase, COST, &mut rng).unwrap();
        let text = String::from_utf8(before.to_text().unwrap()).unwrap();
        assert!(text.contains("\"yzt.share/1\"") && !text.contains("transport_key"));
        let before = ShareEnvelope::parse(text.as_bytes()).unwrap();
        assert_eq!(before.set(), Ok(unpinned));
        let wrong = before.pinned_to([4; 65], b"wrong horse battery", &mut rng);
        assert!(matches!(wrong, Err(Error::WrongPassphrase { .. })));
        let after = before.pinned_to([4; 65], passphrase, &mut rng).unwrap();
        let mut after = ShareEnvelope::parse(&after.to_text().unwrap()).unwrap();
        assert_eq!(after.set(), Ok(SET));
        assert_eq!(after.open(passphrase).unwrap().value(), &[0x42; 32]);
        // Another pin with a fresh checksum does not open.
        after.transport_key = Some(hex::encode([5; 65]));
        after.checksum = after.sum();
        let after = ShareEnvelope::parse(&after.to_text().unwrap()).unwrap();
        assert!(matches!(
            after.open(passphrase),
            Err(Error::WrongPassphrase { .. })
        ));
    }

    #[test]
    fn an_envelope_says_nothing_about_its_share() {
        let text = String::from_utf8(envelope().to_text().unwrap()).unwrap();
        assert!(!text.contains(&hex::encode([0x42; 8])));
    }

    #[test]
    fn another_passphrase_makes_another_envelope_with_the_same_share_and_leaves_the_old_one() {
        let mut rng = StdRng::seed_from_u64(7);
        let (old, new) = (b"correct horse battery", "渡船 石英 苔藓 灯笼 木棉".as_bytes());
        let before = envelope();
        let mut change = |old: &[u8], new: &[u8]| before.under_another_passphrase(old, new, COST, &mut rng);
        for (given, wanted, code) in [
            (&b"wrong horse battery"[..], new, "WRONG_PASSPHRASE"),
            (old, "密码一".as_bytes(), "WEAK_PASSPHRASE"),
            (old, b"li li li li li li li li li li", "WEAK_PASSPHRASE"),
            (old, b"\xFF", "PASSPHRASE_FORM"),
        ] {
            assert_eq!(change(given, wanted).unwrap_err().code(), code);
        }
        let after = change(old, new).unwrap();
        let after = ShareEnvelope::parse(&after.to_text().unwrap()).unwrap();
        assert_eq!(after.open(new).unwrap().value(), &[0x42; 32]);
        assert!(after.open(old).is_err());
        assert_eq!(before.open(old).unwrap().value(), &[0x42; 32]);
        assert_eq!(
            (after.set(), &after.custodian, after.index),
            (Ok(SET), &before.custodian, 2)
        );
        assert!(after.salt != before.salt && after.nonce != before.nonce);
        assert!(before.is_weak_under(old) && !after.is_weak_under(new));
        let again = after.under_another_passphrase(new, new, COST, &mut StdRng::seed_from_u64(8));
        assert_eq!(again.unwrap_err(), Error::SamePassphrase);
    }

    #[test]
    fn what_is_no_envelope_of_this_form_is_told_from_a_damaged_one() {
        let text = String::from_utf8(envelope().to_text().unwrap()).unwrap();
        for other in [
            "a letter".to_owned(),
            String::new(),
            // Other files of ours, and none.
            r#"{"schema":"yzt.keyvault/1","ok":true,"vault":"00","card_ca":"04"}"#.to_owned(),
            r#"{"terminal":"bus 42"}"#.to_owned(),
            "[1, 2]".to_owned(),
            text.replace("yzt.share/2", "yzt.share/9"),
            text.replace("\"argon2id\"", "\"custodian-card\""),
        ] {
            assert_eq!(ShareEnvelope::parse(other.as_bytes()), Err(Error::EnvelopeForm));
        }
        for damaged in [
            &text[..text.len() / 2],
            &text.replace("\"salt\"", "\"salz\""),
            &text.replace("\"schema\"", "\"shema\""),
            &text.replace("\"protection\"", "\"protectoin\""),
            // A pin that was taken away, or changed.
            &text.replace("yzt.share/2", "yzt.share/1"),
            &text.replace("040404", "040405"),
        ] {
            assert_eq!(
                ShareEnvelope::parse(damaged.as_bytes()),
                Err(Error::EnvelopeDamaged)
            );
        }
    }

    #[test]
    fn an_envelope_opens_by_hand_whatever_the_file_had_before_the_text() {
        let mut rng = StdRng::seed_from_u64(8);
        let text = "café au lait, 木棉花开";
        for typed in [
            format!("\u{FEFF}{text}"),
            "cafe\u{301} au lait, 木棉花开".to_owned(),
            "ｃａｆé au lait，\u{3000}木棉花开 ".to_owned(),
        ] {
            let made =
                ShareEnvelope::make(&SET, "li", 2, &[0x42; 32], typed.as_bytes(), COST, &mut rng).unwrap();
            assert_eq!(
                made.open(text.as_bytes()).unwrap().value(),
                &[0x42; 32],
                "{typed}"
            );
            assert_eq!(
                made.open(typed.as_bytes()).unwrap().value(),
                &[0x42; 32],
                "{typed}"
            );
        }
    }

    #[test]
    fn an_envelope_of_an_earlier_release_opens_with_the_bytes_that_it_took() {
        for taken in [
            &b"\xEF\xBB\xBFshort"[..],
            "cafe\u{301}".as_bytes(),
            b"\xFFno text",
        ] {
            let mut envelope = envelope();
            let drawn = Protection::of(COST, &envelope.salt, &envelope.nonce).unwrap();
            let key = drawn.stretch(taken).unwrap();
            let sealed =
                crate::store::sealing::encrypt(&key, &drawn.nonce, &envelope.clear_fields(), &[7; 32])
                    .unwrap();
            envelope.sealed = hex::encode(sealed);
            assert_eq!(envelope.open(taken).unwrap().value(), &[7; 32]);
        }
    }
}
