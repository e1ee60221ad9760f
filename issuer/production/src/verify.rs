//! Verify: the finished card is read from a new connection with a terminal's keys, as any office would, and compared
//! with the frozen order byte for byte. Card specification, chapter 07.

use card_applet_spec::codes::{CardState, Domain, Role};
use card_applet_spec::record::rule_set_digest;
use card_reader::CardOnCounter;
use card_reader::counter::Binding;
use issuer_office::card_content::{CardContent, Rewritten, card_date};
use permit_domain::{Maker, Order};

use crate::encode::Encoded;
use crate::error::ProductionError;
use crate::production::Production;
use crate::station::Station;
use crate::terminal::Counter;

impl Production {
    /// Reads the card back; the permit is produced when everything is as ordered.
    pub(crate) async fn verify(
        &self,
        order: Order,
        station: &mut Station,
        by: &Maker,
    ) -> Result<Order, ProductionError> {
        let content = CardContent::from_content(order.content())?;
        let serial = order
            .state()
            .card()
            .map(|card| card.serial)
            .ok_or(ProductionError::NoOrder)?;
        let certified = self.certified_keys(&order).await?;
        let counter = self.counter(&content).await?;
        let mut card = seen_by(&counter, &content, &certified, station).await?;
        if difference(&card, &content).is_some() {
            // A record may stand under a key version that is newer than the counter's bundle.
            let counter = self.counter_anew(&content).await?;
            card = seen_by(&counter, &content, &certified, station).await?;
        }
        if card.serial.0 != *serial.as_bytes() {
            return Err(ProductionError::CardSwapped { expected: serial });
        }
        if let Some(what) = difference(&card, &content) {
            return Err(ProductionError::WrongContent { what });
        }
        Ok(self
            .office
            .advance(order.verified()?, by.in_ledger(), "{}")
            .await?)
    }

    /// The public keys that the vault certified when it wrote the card.
    pub(crate) async fn certified_keys(
        &self,
        order: &Order,
    ) -> Result<Vec<(Domain, [u8; 64])>, ProductionError> {
        let steps = self.office.order_steps(order.id()).await?;
        let kept = steps.iter().rev().find(|step| step.step == "ENCODED");
        let kept: Encoded = kept
            .and_then(|step| serde_json::from_str(&step.result).ok())
            .unwrap_or_default();
        Ok(kept
            .keys
            .iter()
            .filter_map(|(number, key)| {
                let point = hex::decode(key).ok()?;
                let public64 = point.strip_prefix(&[4])?.try_into().ok()?;
                Some((Domain::try_from(*number).ok()?, public64))
            })
            .collect())
    }
}

/// Everything that the office checks of the card on the station.
async fn seen_by(
    counter: &Counter,
    content: &CardContent,
    certified: &[(Domain, [u8; 64])],
    station: &mut Station,
) -> Result<CardOnCounter, ProductionError> {
    let expected: Vec<Role> = content.roles().collect();
    let (session, certified) = (counter.session(), certified.to_vec());
    Ok(station
        .visit(move |mut transport| session.look(&mut transport, &expected, &certified))
        .await??)
}

/// The first part of the card that is not as ordered; `None` when all of it is.
fn difference(card: &CardOnCounter, content: &CardContent) -> Option<&'static str> {
    differs_in(card, content, CardState::Personalised, Rewritten::Whole).or_else(|| {
        let roles = content.roles().count();
        (card.records.len() != roles).then_some("roles")
    })
}

/// The first of these parts of the card that is not as ordered.
pub(crate) fn differs_in(
    card: &CardOnCounter,
    content: &CardContent,
    state: CardState,
    what: Rewritten,
) -> Option<&'static str> {
    if card.status.state != state || card.status.open {
        return Some("state");
    }
    let groups = card.groups.content();
    let (dg1, dg2, dg3) = (groups.encoded(1), groups.encoded(2), groups.encoded(3));
    if let Some(part) = content.differs_in(what, dg1, dg2, dg3) {
        return Some(part);
    }
    content
        .roles()
        .filter(|role| what.has_record(*role))
        .find_map(|role| {
            record_as_ordered(card, content, role)
                .is_none()
                .then_some(role.as_str())
        })
}

fn record_as_ordered(card: &CardOnCounter, content: &CardContent, role: Role) -> Option<()> {
    let on_card = role;
    let (ordered, from, to) = content.entitlement(role)?;
    let record = card.records.iter().find(|record| record.role == on_card)?;
    let opened = record.opened.as_ref()?;
    let seen = &opened.admission;
    let as_ordered = seen.role == on_card
        && seen.tier == content.tier()
        && seen.class == ordered.class
        && seen.services == ordered.services
        && seen.zones == ordered.zones
        && seen.valid_from == card_date(from).ok()?
        && seen.valid_to == card_date(to).ok()?
        && seen.rule_set == rule_set_digest(content.rule_set())
        && opened.binding == Binding::ThisCard;
    as_ordered.then_some(())
}
