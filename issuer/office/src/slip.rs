//! What a holder may ask without a session: where the case of an acceptance slip stands. By the receipt number and the code that the slip
//! carries, so that nobody goes through numbers; and without a word of whose it is.
//!
//! The number is the last 12 hex digits of the application's id, which are random. The code follows from the id by a secret of the office:
//! 8 signs, 40 bits. Left out: how often somebody may try (whoever serves the page).

use issuer_store::{Snapshot, StoredApplication};
use jiff::civil::Date;
use permit_domain::{ApplicationId, ApplicationState, Digest, OrderState};

use crate::error::OfficeError;
use crate::office::Office;
use crate::on_file;
use crate::service::{self, ServiceKind};

pub use issuer_artwork::qr::Picture;

/// Signs that nobody takes for one another on paper.
const SIGNS: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";

/// What a slip carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slip {
    /// 12 hex digits in capitals, in groups of four.
    pub receipt: String,
    /// 8 signs, in groups of four.
    pub code: String,
}

/// Where the case of a slip stands, as its holder is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Received; papers are missing.
    NeedsMore,
    /// Accepted; the organ decides.
    Accepted,
    /// Not granted.
    Refused,
    /// Withdrawn by the applicant, or filed anew.
    Withdrawn,
    /// Granted; the card is being made.
    InProduction,
    /// The card waits for its holder.
    ToPickUp,
    /// The card was handed over.
    HandedOver,
}

/// What a holder is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderStatus {
    /// Where it stands.
    pub stage: Stage,
    /// Day of acceptance.
    pub accepted_on: Option<Date>,
    /// The last day of the law on which the card is made, while it is not.
    pub issue_by: Option<Date>,
    /// The service that may be evaluated.
    pub to_evaluate: Option<ServiceKind>,
}

impl Office {
    /// What the slip of an application carries.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn slip(&self, id: ApplicationId) -> Result<Slip, OfficeError> {
        let key = self.read().await?.slip_key().await?;
        let receipt = receipt_of(id).to_ascii_uppercase();
        Ok(Slip {
            receipt: grouped(&receipt),
            code: grouped(&code_of(&key, id)),
        })
    }

    /// Where the case of a slip stands; nothing for a number that is none or a code that is not its own, which are told alike.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn status_of_slip(
        &self,
        receipt: &str,
        code: &str,
    ) -> Result<Option<HolderStatus>, OfficeError> {
        let mut ledger = self.read().await?;
        let Some(id) = of_slip(&mut ledger, receipt, code).await? else {
            return Ok(None);
        };
        let case = on_file::application(&mut ledger, id).await?;
        let stage = stage(&mut ledger, &case).await?;
        let is_open = matches!(stage, Stage::NeedsMore | Stage::Accepted | Stage::InProduction);
        let to_evaluate = service::to_evaluate(&mut ledger, id).await?;
        Ok(Some(HolderStatus {
            stage,
            accepted_on: case.accepted_on,
            issue_by: self.issue_by(&case).filter(|_| is_open),
            to_evaluate: to_evaluate.map(|service| service.kind),
        }))
    }
}

/// A text as a code to scan; nothing for more than a code holds.
#[must_use]
pub fn picture(text: &str) -> Option<Picture> {
    issuer_artwork::qr::picture(text).ok()
}

/// The number as it is looked for: without the groups, in small letters.
fn plain(typed: &str) -> String {
    let signs = typed.chars().filter(|sign| !sign.is_whitespace() && *sign != '-');
    signs.collect()
}

/// A receipt number as it is looked for. It has hex digits alone: the letters O, I and L are digits that were misread.
pub(crate) fn plain_receipt(typed: &str) -> String {
    let read = |sign: char| match sign {
        'O' | 'o' => '0',
        'I' | 'i' | 'L' | 'l' => '1',
        other => other.to_ascii_lowercase(),
    };
    plain(typed).chars().map(read).collect()
}

/// What stands for a receipt number that somebody typed, however it is written: for whoever counts tries.
#[must_use]
pub fn typed_receipt(typed: &str) -> Digest {
    Digest::of(plain_receipt(typed).as_bytes())
}

fn receipt_of(id: ApplicationId) -> String {
    id.to_string().split_off(24)
}

fn code_of(key: &[u8; 32], id: ApplicationId) -> String {
    let digest = Digest::of(&[&key[..], b"YZT-SLIP-1", id.as_bytes()].concat());
    let signs = digest.as_bytes().iter().take(8);
    signs
        .filter_map(|byte| SIGNS.get(usize::from(byte & 31)))
        .map(|sign| char::from(*sign))
        .collect()
}

fn grouped(text: &str) -> String {
    let groups = text.as_bytes().chunks(4);
    let groups: Vec<String> = groups
        .map(|group| String::from_utf8_lossy(group).into_owned())
        .collect();
    groups.join(" ")
}

/// The application of a slip, by both that it carries.
pub(crate) async fn of_slip(
    ledger: &mut Snapshot,
    receipt: &str,
    code: &str,
) -> Result<Option<ApplicationId>, OfficeError> {
    let (receipt, code) = (plain_receipt(receipt), plain(code).to_ascii_uppercase());
    let key = ledger.slip_key().await?;
    let typed = Digest::of(code.as_bytes());
    let found = ledger.applications_of_receipt(&receipt).await?;
    // Digests are compared, not codes: the time of a comparison tells nothing that helps to guess.
    Ok(found
        .into_iter()
        .find(|id| Digest::of(code_of(&key, *id).as_bytes()) == typed))
}

/// Where a case stands.
async fn stage(ledger: &mut Snapshot, case: &StoredApplication) -> Result<Stage, OfficeError> {
    let permit = match case.application.state() {
        ApplicationState::Applied | ApplicationState::NeedsMore => return Ok(Stage::NeedsMore),
        ApplicationState::Accepted { .. } | ApplicationState::Reviewed { .. } => return Ok(Stage::Accepted),
        ApplicationState::Refused { .. } => return Ok(Stage::Refused),
        ApplicationState::Withdrawn => return Ok(Stage::Withdrawn),
        ApplicationState::Approved { permit, .. } => *permit,
    };
    let orders = ledger.orders_of_permit(permit).await?;
    let newest = orders
        .iter()
        .rfind(|order| !matches!(order.state(), OrderState::GivenUp { .. }));
    Ok(match newest.map(permit_domain::Order::state) {
        Some(OrderState::HandedOver { .. }) => Stage::HandedOver,
        Some(OrderState::Verified { .. } | OrderState::HandingOver { .. }) => Stage::ToPickUp,
        _ => Stage::InProduction,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_of_one_application_and_one_office() {
        let id = ApplicationId::from_bytes([7; 16]);
        let other = ApplicationId::from_bytes([8; 16]);
        let code = code_of(&[1; 32], id);
        assert_eq!(code.len(), 8);
        assert!(code.bytes().all(|sign| SIGNS.contains(&sign)));
        assert_ne!(code, code_of(&[1; 32], other));
        assert_ne!(code, code_of(&[2; 32], id));
        assert_eq!(receipt_of(id), "070707070707");
        assert_eq!(grouped("070707070707"), "0707 0707 0707");
        assert_eq!(typed_receipt("07AB-07ab 0707"), typed_receipt("07ab07AB0707"));
        assert_eq!(typed_receipt("O7AB O7AB IL11"), typed_receipt("07ab07ab1111"));
    }
}
