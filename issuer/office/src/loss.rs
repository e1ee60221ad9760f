//! A card goes out of use, and comes back: lost, found, confiscated, replaced. Decree 663 articles 11 and 19.
//!
//! What the vault has to do with the deny lists is wanted in the ledger first and confirmed after it; in between the ledger
//! says so. Of a card that is out of use for good the vault is told just that, so that it keeps no key version for it.

use issuer_store::{Appended, Card, Entry, Transaction};
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use keyvault_protocol::RefusalCode;
use permit_domain::{
    Actor as _, Approver, CardNumber, CardStage, ChangeClerk, ChangeKind, Denial, Digest, EndOfCard, Permit,
    PermitState, StaffId, Standing,
};
use program_contract::day;

use crate::changes::{THE_PROGRAM, for_its_own_card};
use crate::error::OfficeError;
use crate::office::Office;
use crate::on_file;

/// Of an entry of the ledger that says it all by its action.
const NOTHING_MORE: &str = "{}";

/// Who says that a card is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reporter {
    /// Its holder, compared with the identity card.
    Holder,
    /// Somebody else.
    Other,
}

/// How the report came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// At the counter.
    Counter,
    /// By telephone.
    Telephone,
    /// In writing.
    Letter,
}

/// A report of a loss, as the ledger keeps it: no name of who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossReport {
    /// Who.
    pub reporter: Reporter,
    /// How.
    pub channel: Channel,
}

impl LossReport {
    /// By their names in forms.
    #[must_use]
    pub fn read(reporter: &str, channel: &str) -> Option<Self> {
        Some(Self {
            reporter: match reporter {
                "HOLDER" => Reporter::Holder,
                "OTHER" => Reporter::Other,
                _ => return None,
            },
            channel: match channel {
                "COUNTER" => Channel::Counter,
                "TELEPHONE" => Channel::Telephone,
                "LETTER" => Channel::Letter,
                _ => return None,
            },
        })
    }

    fn detail(self) -> String {
        let by = match self.reporter {
            Reporter::Holder => "HOLDER",
            Reporter::Other => "OTHER",
        };
        let channel = match self.channel {
            Channel::Counter => "COUNTER",
            Channel::Telephone => "TELEPHONE",
            Channel::Letter => "LETTER",
        };
        format!(r#"{{"reported_by":"{by}","channel":"{channel}"}}"#)
    }
}

/// What is known of terminals that may still take a card that was denied: not which list each of them has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    /// Since when every list that the vault makes has it; `None`: not yet.
    pub denied_at: Option<Timestamp>,
    /// The last day on which a terminal may work with a list of a bundle that was made before.
    pub until: Option<Date>,
    /// Registered terminals that take payments, and are not withdrawn.
    pub payment_terminals: usize,
    /// Registered terminals that are counted, and are not withdrawn.
    pub counting_terminals: usize,
}

impl Office {
    /// A card is reported lost, by its holder or somebody else. Called again it finishes what the vault did not.
    ///
    /// # Errors
    /// As [`Office::end_card`].
    pub async fn report_loss(
        &self,
        number: &CardNumber,
        report: LossReport,
        by: &ChangeClerk,
    ) -> Result<Card, OfficeError> {
        self.end_as(number, EndOfCard::Lost, by, &report.detail()).await
    }

    /// Which terminals may still take a card that was denied, as far as the office knows.
    ///
    /// # Errors
    /// The ledger's.
    pub async fn exposure(&self, card: &Card) -> Result<Exposure, OfficeError> {
        let mut ledger = self.read().await?;
        let entries = ledger.ledger_of(card.number.as_str()).await?;
        let confirmed = format!("card denial {}", Denial::Yes.name());
        let denied_at = match card.denial {
            Denial::Yes => entries.iter().rfind(|entry| entry.action == confirmed),
            _ => None,
        }
        .map(|entry| entry.at);
        let until = denied_at.and_then(|at| {
            let days = i64::from(keyvault_protocol::DENY_LIST_DAYS);
            day::of(at).checked_add(days.days()).ok()
        });
        let payment = ledger.payment_terminals().await?;
        let counting = ledger.counting_terminals().await?;
        Ok(Exposure {
            denied_at,
            until,
            payment_terminals: payment
                .iter()
                .filter(|terminal| terminal.withdrawn_after.is_none())
                .count(),
            counting_terminals: counting
                .iter()
                .filter(|terminal| terminal.withdrawn_after.is_none())
                .count(),
        })
    }

    /// A card goes out of use: the ledger first, then the deny lists. Called again it finishes what the vault did not.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`]; [`OfficeError::Denial`] when the ledger has it and the vault does not.
    pub async fn end_card(
        &self,
        number: &CardNumber,
        how: EndOfCard,
        by: &ChangeClerk,
    ) -> Result<Card, OfficeError> {
        self.end_as(number, how, by, NOTHING_MORE).await
    }

    async fn end_as(
        &self,
        number: &CardNumber,
        how: EndOfCard,
        by: &ChangeClerk,
        detail: &str,
    ) -> Result<Card, OfficeError> {
        let mut tx = self.begin().await?;
        let card = on_file::card(&mut tx, number).await?;
        let card = if card.state == CardStage::Ended(how) {
            drop(tx);
            card
        } else {
            let standing = card.standing().end(how)?;
            let by = (ChangeClerk::ROLE, by.staff().as_str());
            let (card, appended) = enter_with(&mut tx, card, standing, by, detail).await?;
            tx.commit(appended).await?;
            card
        };
        self.confirm_denial(card).await
    }

    /// A lost card was brought back. It stays denied: two people allow it again, or it is destroyed.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] for a card that was not lost; [`OfficeError::Denial`].
    pub async fn found(&self, number: &CardNumber, by: &ChangeClerk) -> Result<Card, OfficeError> {
        let card = self.card(number).await?;
        if !matches!(
            card.state,
            CardStage::Ended(EndOfCard::Lost | EndOfCard::Returned)
        ) {
            return Err(wrong(card.state.name(), "bringing it back as found"));
        }
        self.end_card(number, EndOfCard::Returned, by).await
    }

    /// Proposes that a card that was brought back works again: the first of two people.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`] when it was not brought back, when its permit has or gets another card, or when a
    /// block or an end is open for it.
    pub async fn propose_allowing(&self, number: &CardNumber, by: &ChangeClerk) -> Result<Card, OfficeError> {
        let mut tx = self.begin().await?;
        let card = on_file::card(&mut tx, number).await?;
        if card.allow_proposed_by.as_ref() == Some(by.staff()) {
            return Ok(card);
        }
        may_be_allowed(&mut tx, &card).await?;
        let card = tx.propose_allowing(card, by.staff()).await?;
        let by = (ChangeClerk::ROLE, by.staff().as_str());
        let appended = append(&mut tx, &card, "card allowing proposed", by, NOTHING_MORE).await?;
        tx.commit(appended).await?;
        Ok(card)
    }

    /// Allows a card again, as the second of two people, by the digest of what was read of it ([`allowing_to_sign`]). What was
    /// decided while it was away, and left to the next card, is written onto this one then.
    ///
    /// # Errors
    /// As [`Office::propose_allowing`], and when nobody proposed it; [`permit_domain::Error::SamePersonTwice`];
    /// [`OfficeError::OtherContent`] when it went on since it was read; [`crate::error::ContentError::RoleTaken`] when the card
    /// cannot hold what was decided while it was away; [`OfficeError::Denial`].
    pub async fn allow_again(
        &self,
        number: &CardNumber,
        approver: &Approver,
        content: Digest,
    ) -> Result<Card, OfficeError> {
        let mut tx = self.begin().await?;
        let card = on_file::card(&mut tx, number).await?;
        if card.state == CardStage::HandedOver && card.denial == Denial::Lifting {
            drop(tx);
            return self.confirm_denial(card).await;
        }
        let standing = may_be_allowed(&mut tx, &card).await?;
        match &card.allow_proposed_by {
            None => return Err(OfficeError::AllowingNotProposed),
            Some(first) if first == approver.staff() => {
                return Err(permit_domain::Error::SamePersonTwice {
                    first: ChangeClerk::ROLE,
                    second: Approver::ROLE,
                }
                .into());
            }
            Some(_) if allowing_to_sign(&card) != content => return Err(OfficeError::OtherContent),
            Some(_) => {}
        }
        let by = (Approver::ROLE, approver.staff().as_str());
        for_its_own_card(&mut tx, &card, by).await?;
        let card = enter_and_commit(tx, card, standing, by).await?;
        self.confirm_denial(card).await
    }

    /// Frees the permit for another card: one that is in use is REPLACED, one that is out of use stays as it ended.
    ///
    /// # Errors
    /// [`permit_domain::Error::WrongState`]; [`OfficeError::Denial`].
    pub async fn replace(&self, number: &CardNumber, by: &ChangeClerk) -> Result<Card, OfficeError> {
        let mut tx = self.begin().await?;
        let card = on_file::card(&mut tx, number).await?;
        let permit = on_file::permit(&mut tx, card.permit).await?;
        let waits = matches!(permit.state(), PermitState::Approved);
        let card = if waits && matches!(card.state, CardStage::Ended(_)) {
            drop(tx);
            card
        } else {
            let standing = match card.state {
                CardStage::HandedOver => card.standing().end(EndOfCard::Replaced)?,
                CardStage::Ended(_) => card.standing(),
                state => return Err(wrong(state.name(), "replacing it")),
            }
            .out_of_use();
            let by = (ChangeClerk::ROLE, by.staff().as_str());
            let (card, appended) = replace(&mut tx, card, permit, standing, by).await?;
            tx.commit(appended).await?;
            card
        };
        self.confirm_denial(card).await
    }

    /// The balance of a card that was replaced, for the holder's new card: refused, and why. The office cannot know what a
    /// card spent that does not lie before it: settlement knows pseudonyms and no cards, and debits may come for
    /// [`permit_rules::PurseRules::wait_days`] after the card's end.
    ///
    /// # Errors
    /// Always: [`OfficeError::BalanceUnknown`], with the day from which no debits of registered terminals are due any more.
    pub async fn transfer_balance(&self, number: &CardNumber) -> Result<(), OfficeError> {
        let mut ledger = self.read().await?;
        let card = on_file::card(&mut ledger, number).await?;
        let permit = on_file::permit(&mut ledger, card.permit).await?;
        let (facts, _) = on_file::facts_of(&mut ledger, &permit).await?;
        let today = self.clock().today();
        let days = self
            .rules()
            .purse_in_force(&facts.residence.division, today)
            .map_or(0, permit_rules::PurseRules::wait_days);
        let from = today.checked_add(i64::from(days).days()).unwrap_or(today);
        Err(OfficeError::BalanceUnknown { days, from })
    }

    /// Does what the ledger wants of the deny lists and the vault has not confirmed: of cards, and of pseudonyms that settlement
    /// found copied. How many.
    ///
    /// # Errors
    /// The vault's first; all that it confirmed stays so, and one card that it refuses keeps no other from its list.
    pub async fn confirm_denials(&self) -> Result<u64, OfficeError> {
        let mut done = 0;
        let mut refused = None;
        let unconfirmed = self.read().await?.unconfirmed_denials().await?;
        for card in unconfirmed {
            match self.confirm_denial(card).await {
                Ok(_) => done += 1,
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        done += self.deny_copied().await?;
        refused.map_or(Ok(done), Err)
    }

    /// Names copied cards to the vault, which alone knows them.
    pub(crate) async fn deny_copied(&self) -> Result<u64, OfficeError> {
        let pseudonyms = self.read().await?.undenied().await?;
        if pseudonyms.is_empty() {
            return Ok(0);
        }
        let mut client = self.vault_client().await.map_err(OfficeError::Denial)?;
        let mut done = 0;
        for pseudonym in pseudonyms {
            client
                .deny_chain(*pseudonym.as_bytes())
                .await
                .map_err(OfficeError::Denial)?;
            let mut tx = self.begin().await?;
            tx.set_denied(pseudonym).await?;
            tx.commit_without_entry().await?;
            done += 1;
        }
        Ok(done)
    }

    /// Tells the vault what the ledger wants of a card, until both say the same: the card may go on while the vault is asked,
    /// and be told to it by somebody else before or after this call.
    pub(crate) async fn confirm_denial(&self, mut card: Card) -> Result<Card, OfficeError> {
        loop {
            let told = match card.denial {
                Denial::Wanted if self.is_out_of_use(&card).await? => Told::OutOfUse,
                Denial::Wanted => Told::Denied,
                Denial::Lifting => Told::Allowed,
                Denial::No | Denial::Yes => return Ok(card),
            };
            self.tell(&card, told).await.map_err(OfficeError::Denial)?;
            let mut tx = self.begin().await?;
            let now = on_file::card(&mut tx, &card.number).await?;
            let standing = match (now.denial, told) {
                _ if now.version == card.version => now.standing().denial_confirmed()?,
                // Somebody told the vault the contrary before this was told: what stands there is to be told once more.
                (Denial::Yes, Told::Allowed) | (Denial::No, Told::Denied | Told::OutOfUse) => {
                    now.standing().denial_in_doubt()
                }
                _ => {
                    drop(tx);
                    card = now;
                    continue;
                }
            };
            card = enter_and_commit(tx, now, standing, THE_PROGRAM).await?;
        }
    }

    /// One word to the vault.
    async fn tell(&self, card: &Card, told: Told) -> Result<(), keyvault_protocol::Error> {
        let mut client = self.vault_client().await?;
        let serial = *card.serial.as_bytes();
        match told {
            Told::OutOfUse => match client.end_card(serial).await {
                // It was spoiled before it was finished: the vault counts it nowhere.
                Err(error) if error.is(RefusalCode::NotFound) => Ok(()),
                told => told,
            },
            Told::Denied => client.deny_card(serial).await,
            Told::Allowed => client.allow_card(serial).await,
        }
    }
}

/// What the vault is told of a card.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// It never comes back: denied, and no key version is kept for it.
    OutOfUse,
    /// It goes onto the deny lists.
    Denied,
    /// It leaves them.
    Allowed,
}

/// SHA-256 of what a second person signs off who allows a card again: which card, where it stands, what it shows, and who
/// proposed it. Whatever happens to the card makes it another one.
#[must_use]
pub fn allowing_to_sign(card: &Card) -> Digest {
    let by = card.allow_proposed_by.as_ref().map_or("", StaffId::as_str);
    let until = card.until.map(|day| day.to_string()).unwrap_or_default();
    let text = format!(
        "yzt.allowing/1 {} {} {} {} {} {until} {by} {}",
        card.number,
        card.permit,
        card.state.name(),
        card.denial.name(),
        card.chip.name(),
        card.version
    );
    Digest::of(text.as_bytes())
}

/// How a card stands once it is allowed again.
async fn may_be_allowed(tx: &mut Transaction, card: &Card) -> Result<Standing, OfficeError> {
    let standing = card.standing().allow_again()?;
    let permit = on_file::permit(tx, card.permit).await?;
    if !matches!(permit.state(), PermitState::Active { .. }) {
        return Err(wrong(permit.state().name(), "allowing an old card again"));
    }
    for stored in tx.changes_of_card(&card.number).await? {
        let change = stored.change;
        if change.state().is_over() {
            continue;
        }
        match change.kind() {
            ChangeKind::Block => return Err(wrong("BEING_BLOCKED", "allowing it again")),
            ChangeKind::End => return Err(wrong("BEING_ENDED", "allowing it again")),
            _ => {}
        }
    }
    Ok(standing)
}

impl Office {
    /// Whether a card that ended can no longer become its holder's again: it was destroyed or replaced, or its permit is over.
    async fn is_out_of_use(&self, card: &Card) -> Result<bool, OfficeError> {
        if !matches!(card.state, CardStage::Ended(_)) || card.state == CardStage::Ended(EndOfCard::Replaced) {
            return Ok(matches!(card.state, CardStage::Ended(_) | CardStage::Destroyed));
        }
        let mut ledger = self.read().await?;
        let permit = on_file::permit(&mut ledger, card.permit).await?;
        let in_force = matches!(
            permit.state(),
            PermitState::Active { .. } | PermitState::Suspended { .. }
        );
        let cards = ledger.cards_of_permit(card.permit).await?;
        let is_newest = cards.last().is_some_and(|newest| newest.number == card.number);
        Ok(!in_force || !is_newest)
    }
}

/// Enters a card's standing after a transition that no change made, and commits.
async fn enter_and_commit(
    mut tx: Transaction,
    card: Card,
    standing: Standing,
    by: (&str, &str),
) -> Result<Card, OfficeError> {
    let (card, appended) = enter(&mut tx, card, standing, by).await?;
    tx.commit(appended).await?;
    Ok(card)
}

/// Enters a card's standing after a transition that no change made: lost, found, allowed again, confirmed by the vault,
/// destroyed.
pub(crate) async fn enter(
    tx: &mut Transaction,
    card: Card,
    standing: Standing,
    by: (&str, &str),
) -> Result<(Card, Appended), OfficeError> {
    enter_with(tx, card, standing, by, NOTHING_MORE).await
}

/// As [`enter`], with what else the ledger keeps of it: JSON without personal data.
async fn enter_with(
    tx: &mut Transaction,
    card: Card,
    standing: Standing,
    by: (&str, &str),
    detail: &str,
) -> Result<(Card, Appended), OfficeError> {
    let action = if standing.state() == card.state {
        format!("card denial {}", standing.denial().name())
    } else {
        format!("card {}", standing.state().name())
    };
    if standing.state() == CardStage::HandedOver && card.state != CardStage::HandedOver {
        no_other_card(tx, &card).await?;
    }
    let card = tx.update_card(card, standing).await?;
    let appended = append(tx, &card, &action, by, detail).await?;
    Ok((card, appended))
}

/// Ends a card for another one: the old card is REPLACED (or stays as it ended), the permit waits for a production order.
pub(crate) async fn replace(
    tx: &mut Transaction,
    card: Card,
    permit: Permit,
    standing: Standing,
    by: (&str, &str),
) -> Result<(Card, Appended), OfficeError> {
    no_other_card(tx, &card).await?;
    tx.update_permit(permit.change(PermitState::replace_card)?)
        .await?;
    let card = tx.update_card(card, standing).await?;
    let action = format!("card {} to be replaced", standing.state().name());
    let appended = append(tx, &card, &action, by, NOTHING_MORE).await?;
    Ok((card, appended))
}

/// Refuses while another card of the permit is in use, or on its way to its holder.
async fn no_other_card(tx: &mut Transaction, card: &Card) -> Result<(), OfficeError> {
    let cards = tx.cards_of_permit(card.permit).await?;
    let other = cards.iter().any(|other| {
        other.number != card.number && !matches!(other.state, CardStage::Ended(_) | CardStage::Destroyed)
    });
    if other {
        return Err(permit_domain::Error::WrongState {
            thing: "permit",
            state: "WITH_ANOTHER_CARD",
            wanted: "a second one",
        }
        .into());
    }
    Ok(())
}

async fn append(
    tx: &mut Transaction,
    card: &Card,
    action: &str,
    (role, actor): (&str, &str),
    detail: &str,
) -> Result<Appended, OfficeError> {
    let entry = Entry {
        role,
        actor,
        action,
        subject: card.number.as_str(),
        detail,
    };
    Ok(tx.append(entry).await?)
}

fn wrong(state: &'static str, wanted: &'static str) -> OfficeError {
    permit_domain::Error::WrongState {
        thing: "card",
        state,
        wanted,
    }
    .into()
}
