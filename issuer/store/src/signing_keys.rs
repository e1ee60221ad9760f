//! Keys with which people sign mandates: proposed by one administrator, confirmed by another, removed by one at once.

use issuer_mandate::SignerRole;
use jiff::Timestamp;
use permit_domain::{Division, StaffId};

use crate::{
    error::Error,
    rows::{damaged, instant, millis, number, value},
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

/// Where a key lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SigningKeyKind {
    /// In an authenticator of its person.
    Authenticator,
    /// In a file of a rehearsal.
    Rehearsal,
}

impl SigningKeyKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Authenticator => "AUTHENTICATOR",
            Self::Rehearsal => "REHEARSAL",
        }
    }
}

/// The name of a signer's role in the ledger.
#[must_use]
pub const fn signer_role(role: SignerRole) -> &'static str {
    match role {
        SignerRole::Approver => "APPROVER",
        _ => "REVIEWER",
    }
}

pub(crate) fn role_of(name: &str, what: &str) -> Result<SignerRole, Error> {
    match name {
        "REVIEWER" => Ok(SignerRole::Reviewer),
        "APPROVER" => Ok(SignerRole::Approver),
        _ => Err(damaged(what)),
    }
}

/// A key with which a person signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SigningKey {
    /// The id under which its authenticator knows it, 16 to 1023 bytes.
    pub credential: Vec<u8>,
    /// Whose it is.
    pub account: StaffId,
    /// In which role it signs.
    pub role: SignerRole,
    /// For which organ.
    pub organ: Division,
    /// Where it lies.
    pub kind: SigningKeyKind,
    /// Origin of the page on which it signs.
    pub origin: String,
    /// P-256, SEC 1 uncompressed.
    pub public_key: [u8; 65],
    /// The counter of its last signature.
    pub counter: u32,
    /// Its last instant.
    pub until: Timestamp,
    /// Who proposed it, and when.
    pub proposed: (StaffId, Timestamp),
    /// Who confirmed it, and when.
    pub confirmed: Option<(StaffId, Timestamp)>,
    /// Who removed it, and when.
    pub removed: Option<(StaffId, Timestamp)>,
}

impl SigningKey {
    /// Whether it is confirmed, and not removed.
    #[must_use]
    pub const fn is_enrolled(&self) -> bool {
        self.confirmed.is_some() && self.removed.is_none()
    }
}

#[derive(sqlx::FromRow)]
pub(crate) struct Row {
    credential: Vec<u8>,
    account: String,
    role: String,
    organ: String,
    kind: String,
    origin: String,
    public_key: Vec<u8>,
    counter: i64,
    until: i64,
    proposed_by: String,
    proposed_at: i64,
    confirmed_by: Option<String>,
    confirmed_at: Option<i64>,
    removed_by: Option<String>,
    removed_at: Option<i64>,
}

impl TryFrom<Row> for SigningKey {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let by = |who: Option<String>, when: Option<i64>| {
            who.zip(when)
                .map(|(who, when)| {
                    Ok::<_, Error>((value(&who, "signing_keys.by")?, instant(when, "signing_keys.at")?))
                })
                .transpose()
        };
        Ok(Self {
            credential: row.credential,
            account: value(&row.account, "signing_keys.account")?,
            role: role_of(&row.role, "signing_keys.role")?,
            organ: value(&row.organ, "signing_keys.organ")?,
            kind: match row.kind.as_str() {
                "AUTHENTICATOR" => SigningKeyKind::Authenticator,
                "REHEARSAL" => SigningKeyKind::Rehearsal,
                _ => return Err(damaged("signing_keys.kind")),
            },
            origin: row.origin,
            public_key: row
                .public_key
                .try_into()
                .map_err(|_| damaged("signing_keys.public_key"))?,
            counter: number(row.counter, "signing_keys.counter")?,
            until: instant(row.until, "signing_keys.until")?,
            proposed: by(Some(row.proposed_by), Some(row.proposed_at))?
                .ok_or_else(|| damaged("signing_keys.proposed_by"))?,
            confirmed: by(row.confirmed_by, row.confirmed_at)?,
            removed: by(row.removed_by, row.removed_at)?,
        })
    }
}

impl Snapshot {
    /// The key with this id, also one that was removed or is only proposed.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn signing_key(&mut self, credential: &[u8]) -> Result<Option<SigningKey>, Error> {
        const ONE: &str = "SELECT * FROM signing_keys WHERE credential = $1";
        let row: Option<Row> = on_engine!(self, |c| sqlx::query_as(ONE)
            .bind(credential.to_vec())
            .fetch_optional(c))?;
        row.map(TryInto::try_into).transpose()
    }

    /// Every key that there is or was, by account, the oldest first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn signing_keys(&mut self) -> Result<Vec<SigningKey>, Error> {
        const ALL: &str = "SELECT * FROM signing_keys ORDER BY account, proposed_at, credential";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(ALL).fetch_all(c))?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}

impl Transaction {
    /// Keeps a key that is proposed, or that a rehearsal's founding confirmed.
    ///
    /// # Errors
    /// [`Error::Exists`] for one that is or was there; outages.
    pub async fn insert_signing_key(&mut self, new: &SigningKey) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO signing_keys (credential, account, role, organ, kind, origin, public_key, counter, until,
                proposed_by, proposed_at, confirmed_by, confirmed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING";
        let (by, at) = &new.proposed;
        let confirmed = new.confirmed.as_ref();
        let written = write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(new.credential.clone())
            .bind(new.account.as_str())
            .bind(signer_role(new.role))
            .bind(new.organ.as_str())
            .bind(new.kind.name())
            .bind(&new.origin)
            .bind(new.public_key.to_vec())
            .bind(i64::from(new.counter))
            .bind(millis(new.until))
            .bind(by.as_str())
            .bind(millis(*at))
            .bind(confirmed.map(|(by, _)| by.as_str()))
            .bind(confirmed.map(|(_, at)| millis(*at)))
            .execute(c))?;
        match written {
            1 => Ok(()),
            _ => Err(Error::Exists { what: "signing key" }),
        }
    }

    /// Confirms a key that is proposed. Whether it was.
    ///
    /// # Errors
    /// Outages.
    pub async fn confirm_signing_key(&mut self, credential: &[u8], by: &StaffId) -> Result<bool, Error> {
        const CONFIRM: &str = "
            UPDATE signing_keys SET confirmed_by = $1, confirmed_at = $2
            WHERE credential = $3 AND confirmed_at IS NULL AND removed_at IS NULL";
        let at = self.millis();
        let written = write_on_engine!(self, |c| sqlx::query(CONFIRM)
            .bind(by.as_str())
            .bind(at)
            .bind(credential.to_vec())
            .execute(c))?;
        Ok(written == 1)
    }

    /// Removes a key, or takes its proposal back. Whether there was one.
    ///
    /// # Errors
    /// Outages.
    pub async fn remove_signing_key(&mut self, credential: &[u8], by: &StaffId) -> Result<bool, Error> {
        const REMOVE: &str = "
            UPDATE signing_keys SET removed_by = $1, removed_at = $2 WHERE credential = $3 AND removed_at IS NULL";
        let at = self.millis();
        let written = write_on_engine!(self, |c| sqlx::query(REMOVE)
            .bind(by.as_str())
            .bind(at)
            .bind(credential.to_vec())
            .execute(c))?;
        Ok(written == 1)
    }

    /// Keeps the counter of a key's last signature.
    ///
    /// # Errors
    /// Outages.
    pub async fn set_signing_counter(&mut self, credential: &[u8], counter: u32) -> Result<(), Error> {
        const SET: &str = "UPDATE signing_keys SET counter = $1 WHERE credential = $2";
        write_on_engine!(self, |c| sqlx::query(SET)
            .bind(i64::from(counter))
            .bind(credential.to_vec())
            .execute(c))?;
        Ok(())
    }
}
