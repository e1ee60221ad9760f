//! Who and what the tests of the ledger speak of.

use jiff::Timestamp;
use jiff::civil::{Date, date};
use permit_domain::{
    Actor as _, Applicant, ApplicantForm, CardSerial, Content, HandOverClerk, Order, OrderId, OrderState,
    PermitId, Producer, Province, Raw, SeparatedDuties, StaffId,
};

#[derive(Debug, Clone, Copy)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

pub(crate) const TODAY: Date = date(2026, 11, 21);

pub(crate) fn at() -> Timestamp {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

/// Ten bytes that make an id: tests have no random source.
pub(crate) fn n(number: u8) -> [u8; 10] {
    [number; 10]
}

pub(crate) fn serial(number: u8) -> CardSerial {
    CardSerial::from_bytes([0, 1, 0, 0, 0, 1, 0, 0, 0, number])
}

pub(crate) fn guangdong() -> Province {
    "44".parse().unwrap()
}

pub(crate) fn staff(name: &str) -> StaffId {
    name.parse().unwrap()
}

pub(crate) fn li_na() -> Applicant {
    let text = include_str!("../../../permit/samples/applicant-li-na.json");
    ApplicantForm::from_json(text)
        .unwrap()
        .into_applicant(TODAY)
        .unwrap()
}

/// Somebody else with the same papers. GB 11643 check characters are computed here.
pub(crate) fn somebody(number: u8) -> Applicant {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let body = format!("44030519851112{:03}", u32::from(number) * 2);
    let sum: u32 = body
        .bytes()
        .zip(WEIGHTS)
        .map(|(d, w)| u32::from(d - b'0') * w)
        .sum();
    let check = char::from(b"10X98765432"[(sum % 11) as usize]);
    let mut form = ApplicantForm::from(&li_na());
    form.citizen_number = Raw::from(format!("{body}{check}"));
    form.into_applicant(TODAY).unwrap()
}

/// Who takes an order to where it stands, in the tests, and in which role.
pub(crate) fn who(order: &Order) -> (&'static str, String) {
    match order.state() {
        OrderState::HandingOver { clerk, .. } | OrderState::HandedOver { clerk, .. } => {
            (HandOverClerk::ROLE, clerk.staff().to_string())
        }
        _ => (Producer::ROLE, order.duties().producer().staff().to_string()),
    }
}

/// A new order by three people.
pub(crate) fn new_order(permit: PermitId, number: u8) -> Order {
    let duties = SeparatedDuties::new(
        "wang".parse().unwrap(),
        "zhao".parse().unwrap(),
        "sun".parse().unwrap(),
    )
    .unwrap();
    let content = Content::freeze(format!("content {number}").into_bytes());
    Order::new(OrderId::new(at(), n(number)), permit, duties, content)
}
