//! Why something proves nothing.

/// Why bytes are no mandate, or a mandate gives nothing here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MandateError {
    /// Not the one text that a mandate has.
    #[error("these bytes are no mandate")]
    Form,
    /// Of another vault.
    #[error("the mandate is for another vault")]
    OtherVault,
    /// Gives something else.
    #[error("the mandate gives something else")]
    OtherKind,
    /// Of another case, or of another version of it.
    #[error("the mandate is for another case, or for another version of it")]
    OtherCase,
    /// Of another organ.
    #[error("the mandate is of another organ")]
    OtherOrgan,
    /// Says something else of the card.
    #[error("the mandate says something else of the card")]
    OtherContent,
    /// Signed under another policy.
    #[error("the mandate was made under another policy")]
    OtherPolicy,
    /// Not yet, or no more.
    #[error("the mandate holds at another time")]
    OutOfTime,
    /// Fewer than two people, or others than it takes.
    #[error("the two signatures that it takes are not there")]
    NotSigned,
    /// One person signed twice.
    #[error("one person signed twice")]
    SamePerson,
    /// The key is not enrolled now, for this organ and role.
    #[error("the key is not enrolled for this, now")]
    KeyNotEnrolled,
    /// A list of another length than can be signed at once.
    #[error("a list of one to 50 mandates is signed at once")]
    BatchSize,
    /// The mandate is not in the list that was signed.
    #[error("the mandate is not in the list that was signed")]
    NotInBatch,
    /// The assertion proves nothing.
    #[error(transparent)]
    Assertion(#[from] AssertionError),
}

/// Why an assertion proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// What the browser says is no assertion for this challenge from this origin, or it is longer than one is.
    #[error("the client data is not that of this challenge and this origin")]
    ClientData,
    /// What the authenticator says has another form than an assertion without extensions.
    #[error("the authenticator data has another form")]
    AuthenticatorData,
    /// For another relying party.
    #[error("the authenticator signed for another relying party")]
    OtherParty,
    /// Nobody touched it.
    #[error("nobody was present at the authenticator")]
    NotPresent,
    /// It did not verify the person.
    #[error("the authenticator did not verify its person")]
    NotVerified,
    /// A key that leaves its authenticator.
    #[error("the key can be copied to another authenticator")]
    BackupEligible,
    /// The counter did not grow: there is a copy of the key, or this was seen before.
    #[error("the authenticator's counter did not grow")]
    Counter,
    /// Of another key, of another algorithm, of other bytes, or malformed.
    #[error("the signature is not by this key over these bytes")]
    Signature,
}
