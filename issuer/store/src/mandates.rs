//! The mandate of what a case decides on, and what two people signed of it.

use issuer_mandate::SignerRole;
use permit_domain::ApplicationId;

use crate::{
    error::Error,
    rows::number,
    signing_keys::{role_of, signer_role},
    transaction::{Snapshot, Transaction, on_engine, write_on_engine},
};

/// What a person signed of a mandate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MandateSignature {
    /// In which role.
    pub role: SignerRole,
    /// Id of the key.
    pub credential: Vec<u8>,
    /// CBOR of the signature (`issuer-mandate`).
    pub signature: Vec<u8>,
    /// The key's counter before it.
    pub counter: u32,
}

#[derive(sqlx::FromRow)]
struct Row {
    role: String,
    credential: Vec<u8>,
    signature: Vec<u8>,
    counter: i64,
}

impl Snapshot {
    /// The bytes of a version's mandate; none for content of before mandates, or that grants nothing.
    ///
    /// # Errors
    /// Outages.
    pub async fn mandate(
        &mut self,
        application: ApplicationId,
        version: i64,
    ) -> Result<Option<Vec<u8>>, Error> {
        const ONE: &str = "SELECT mandate FROM mandates WHERE application = $1 AND version = $2";
        on_engine!(self, |c| sqlx::query_scalar(ONE)
            .bind(application.to_string())
            .bind(version)
            .fetch_optional(c))
    }

    /// What was signed of a version's mandate, the reviewer's first.
    ///
    /// # Errors
    /// Outages, [`Error::Damaged`].
    pub async fn mandate_signatures(
        &mut self,
        application: ApplicationId,
        version: i64,
    ) -> Result<Vec<MandateSignature>, Error> {
        const OF: &str = "
            SELECT role, credential, signature, counter FROM mandate_signatures
            WHERE application = $1 AND version = $2 ORDER BY role DESC";
        let rows: Vec<Row> = on_engine!(self, |c| sqlx::query_as(OF)
            .bind(application.to_string())
            .bind(version)
            .fetch_all(c))?;
        rows.into_iter()
            .map(|row| {
                Ok(MandateSignature {
                    role: role_of(&row.role, "mandate_signatures.role")?,
                    credential: row.credential,
                    signature: row.signature,
                    counter: number(row.counter, "mandate_signatures.counter")?,
                })
            })
            .collect()
    }
}

impl Transaction {
    /// Keeps the mandate of a version that was just completed. The entry of its content tells it.
    ///
    /// # Errors
    /// [`Error::Exists`], outages.
    pub async fn insert_mandate(
        &mut self,
        application: ApplicationId,
        version: i64,
        mandate: &[u8],
    ) -> Result<(), Error> {
        const INSERT: &str = "INSERT INTO mandates (application, version, mandate) VALUES ($1, $2, $3)";
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(application.to_string())
            .bind(version)
            .bind(mandate.to_vec())
            .execute(c))
        .map_err(|error| error.of("mandate"))?;
        Ok(())
    }

    /// Keeps what a person signed.
    ///
    /// # Errors
    /// [`Error::Exists`], outages.
    pub async fn insert_mandate_signature(
        &mut self,
        application: ApplicationId,
        version: i64,
        signed: &MandateSignature,
    ) -> Result<(), Error> {
        const INSERT: &str = "
            INSERT INTO mandate_signatures (application, version, role, credential, signature, counter, signed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let at = self.millis();
        write_on_engine!(self, |c| sqlx::query(INSERT)
            .bind(application.to_string())
            .bind(version)
            .bind(signer_role(signed.role))
            .bind(signed.credential.clone())
            .bind(signed.signature.clone())
            .bind(i64::from(signed.counter))
            .bind(at)
            .execute(c))
        .map_err(|error| error.of("signature"))?;
        Ok(())
    }
}
