//! The way back of an account whose authenticators are lost, which is not weaker than they were: an administrator asks, another one
//! confirms and is shown a code once, and the code opens the enrolment to its person; the authenticators of before are removed then.
//! Neither is the person.

use issuer_store::{ConfirmedRecovery, Entry, OpenedBy, Recovery};
use jiff::{SignedDuration, Timestamp};
use permit_domain::{Digest, StaffId};
use zeroize::Zeroizing;

use crate::attempts::Counted;
use crate::error::OfficeError;
use crate::office::Office;
use crate::session::{ADMINISTRATOR, AtPage, ROLE, SignedIn};
use crate::sign_in_error::SignInError;
use crate::staff::{Staff, StaffRole};

/// How long a recovery that was asked for may be confirmed.
const CONFIRMED_WITHIN: SignedDuration = SignedDuration::from_hours(24);
/// How long its code opens something.
const USED_WITHIN: SignedDuration = SignedDuration::from_mins(30);
/// Letters and digits of a code that are not mistaken for one another (Crockford's base 32): five bits each.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// How many of them a code has: 100 bits.
const LENGTH: usize = 20;

/// What the second person gives to the person whose account comes back.
#[derive(Debug)]
pub struct RecoveryCode {
    /// The code, in four groups. It is shown once.
    pub code: Zeroizing<String>,
    /// When it ends.
    pub until: Timestamp,
}

impl Office {
    /// Asks that an account comes back.
    ///
    /// # Errors
    /// [`OfficeError::Staff`] without the role, [`OfficeError::NotFound`], [`SignInError`].
    pub async fn ask_recovery(
        &self,
        staff: &Staff,
        by: &AtPage,
        account: &StaffId,
    ) -> Result<(), OfficeError> {
        let asked_by = administrator(by)?;
        if asked_by == *account {
            return Err(SignInError::RecoveryByTwoOthers.into());
        }
        if !staff.has(account) {
            return Err(OfficeError::NotFound { what: "account" });
        }
        let mut tx = self.begin().await?;
        if let Some(before) = tx.recovery(account).await?
            && self.goes_on(&before)
        {
            return Err(SignInError::RecoveryUnderWay.into());
        }
        let asked = Recovery {
            account: account.clone(),
            asked_by: asked_by.clone(),
            asked_at: tx.at(),
            confirmed: None,
        };
        tx.set_recovery(&asked).await?;
        let appended = tx.append(step("recovery ASKED", &asked_by, account)).await?;
        Ok(tx.commit(appended).await?)
    }

    /// Confirms that an account comes back, and gives the code.
    ///
    /// # Errors
    /// [`OfficeError::Staff`] without the role, [`SignInError`].
    pub async fn confirm_recovery(
        &self,
        by: &AtPage,
        account: &StaffId,
    ) -> Result<RecoveryCode, OfficeError> {
        let confirmed_by = administrator(by)?;
        let mut tx = self.begin().await?;
        let asked = tx
            .recovery(account)
            .await?
            .filter(|asked| self.goes_on(asked))
            .ok_or(SignInError::NoRecovery)?;
        if confirmed_by == *account || confirmed_by == asked.asked_by {
            return Err(SignInError::RecoveryByTwoOthers.into());
        }
        if asked.confirmed.is_some() {
            return Err(SignInError::RecoveryUnderWay.into());
        }
        let code = Zeroizing::new(
            self.random()
                .bytes::<LENGTH>()
                .map(|byte| char::from(LETTERS[usize::from(byte & 31)]))
                .into_iter()
                .collect::<String>(),
        );
        let until = self
            .clock()
            .now()
            .checked_add(USED_WITHIN)
            .map_err(|_| OfficeError::Internal)?;
        let confirmed = Recovery {
            confirmed: Some(ConfirmedRecovery {
                by: confirmed_by.clone(),
                code: Digest::of(code.as_bytes()),
                until,
            }),
            ..asked
        };
        tx.set_recovery(&confirmed).await?;
        let appended = tx
            .append(step("recovery CONFIRMED", &confirmed_by, account))
            .await?;
        tx.commit(appended).await?;
        Ok(RecoveryCode {
            code: Zeroizing::new(grouped(&code)),
            until,
        })
    }

    /// The recovery of an account that is under way.
    ///
    /// # Errors
    /// Outages.
    pub async fn recovery(&self, account: &StaffId) -> Result<Option<Recovery>, OfficeError> {
        let found = self.read().await?.recovery(account).await?;
        Ok(found.filter(|found| self.goes_on(found)))
    }

    /// Opens the enrolment to the person who brings the code: it is used up, the authenticators of before are removed, and every
    /// session of the account ends. `from` is the address that it came from.
    ///
    /// # Errors
    /// [`SignInError::RecoveryCode`] whatever is wrong with account or code; [`SignInError::Locked`]; [`OfficeError::Staff`] for a
    /// member whose token has ended.
    pub async fn use_recovery(
        &self,
        staff: &Staff,
        account: &str,
        code: &str,
        from: &str,
    ) -> Result<SignedIn, OfficeError> {
        let counted = [Counted::address(from), Counted::code(account)];
        self.attempts.may(&counted, self.clock().now())?;
        let code = Digest::of(plain(code).as_bytes());
        let opened = self.code_used(staff, account, code).await?;
        let Some(opened) = opened else {
            let account = account.parse().ok().filter(|account| staff.has(account));
            self.wrong_attempt(&counted, account.as_ref()).await?;
            return Err(SignInError::RecoveryCode.into());
        };
        self.attempts.right(counted[1]);
        Ok(opened)
    }

    async fn code_used(
        &self,
        staff: &Staff,
        account: &str,
        code: Digest,
    ) -> Result<Option<SignedIn>, OfficeError> {
        let Ok(account) = account.parse::<StaffId>() else {
            return Ok(None);
        };
        let now = self.clock().now();
        let opens = |recovery: &Recovery| {
            let confirmed = recovery.confirmed.as_ref();
            confirmed.is_some_and(|confirmed| confirmed.code == code && now < confirmed.until)
        };
        // Whoever tries at random takes no writer.
        if !self
            .read()
            .await?
            .recovery(&account)
            .await?
            .is_some_and(|it| opens(&it))
        {
            return Ok(None);
        }
        let member = staff.member(&account, self.clock().today())?;
        let mut tx = self.begin().await?;
        if !tx.recovery(&account).await?.is_some_and(|it| opens(&it)) {
            return Ok(None);
        }
        tx.delete_recovery(&account).await?;
        tx.remove_authenticators(&account, None).await?;
        tx.delete_sessions_of(&account).await?;
        let opened = self
            .begin_session(&mut tx, member, OpenedBy::InvitedByCode)
            .await?;
        let appended = tx
            .append(Entry {
                role: ROLE,
                ..step("recovery USED", &account, &account)
            })
            .await?;
        tx.commit(appended).await?;
        Ok(Some(opened))
    }

    /// Whether there is anything to confirm or to use.
    fn goes_on(&self, recovery: &Recovery) -> bool {
        let now = self.clock().now();
        match &recovery.confirmed {
            Some(confirmed) => now < confirmed.until,
            None => now.duration_since(recovery.asked_at) < CONFIRMED_WITHIN,
        }
    }
}

fn administrator(by: &AtPage) -> Result<StaffId, OfficeError> {
    let account = by.member.acting_as(StaffRole::Administrator)?;
    by.check_fresh()?;
    Ok(account)
}

fn step<'a>(action: &'a str, by: &'a StaffId, account: &'a StaffId) -> Entry<'a> {
    Entry {
        role: ADMINISTRATOR,
        actor: by.as_str(),
        action,
        subject: account.as_str(),
        detail: "{}",
    }
}

/// As it is shown: groups of five.
fn grouped(code: &str) -> String {
    let groups: Vec<&str> = (0..code.len())
        .step_by(5)
        .filter_map(|from| code.get(from..from + 5))
        .collect();
    groups.join("-")
}

/// As it is kept: what people type instead of a letter or digit counts as it (Crockford).
fn plain(typed: &str) -> String {
    typed
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_people_type_it() {
        let code = "01234ABCDEFGHJKMNPQR";
        assert_eq!(grouped(code), "01234-ABCDE-FGHJK-MNPQR");
        for typed in [
            code,
            "01234-ABCDE-FGHJK-MNPQR",
            " o1234 abcde fghjk mnpqr",
            "OL234ABCDEFGHJKMNPQR",
        ] {
            assert_eq!(plain(typed), code);
        }
    }
}
