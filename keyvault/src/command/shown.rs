//! Answers of the vault as several commands show them: its anchors, and versions of role keys.

use keyvault::custody::ceremony::anchors_fields;
use keyvault_protocol::{Anchors, RoleKeyInfo, RoleKeyState};
use program_contract::language::{Line, Words};
use program_contract::{Founded, line};
use serde_json::{Value, json};

program_contract::sentences! {
    pub(crate) fn version(number) = "版本 {number}", "version {number}";
    fn until(day) = "，至 {day}", " until {day}";
    fn on_cards(cards, alone) =
        "{cards} 张卡，其中 {alone} 张只有此版本",
        "on {cards} cards, alone on {alone}";
}

/// The public keys of a vault, as the file of them has them.
pub(crate) fn show_anchors(anchors: &Anchors) -> (Value, Vec<Line>) {
    let founded = Founded::around(&anchors.vault);
    let fields = anchors_fields(anchors);
    let mut lines: Vec<Line> = founded.banner().into_iter().map(|banner| line!(banner)).collect();
    for (name, value) in fields.as_object().into_iter().flatten() {
        lines.extend(value.as_str().map(|value| line!(name, " ", value)));
    }
    (fields, lines)
}

pub(crate) fn state_words(state: RoleKeyState) -> Words {
    let chinese = match state {
        RoleKeyState::Active => "启用",
        RoleKeyState::Draining => "退役期",
        RoleKeyState::Compromised => "已泄露",
        RoleKeyState::Destroyed => "已销毁",
        other => other.as_str(),
    };
    Words(chinese, state.as_str())
}

pub(crate) fn show_role_key(key: &RoleKeyInfo) -> (Value, Line) {
    let RoleKeyInfo {
        role,
        region,
        version,
        state,
        until,
        cards,
        cards_alone,
    } = key;
    let fields = json!({
        "role": role.to_string(),
        "region": region.to_string(),
        "version": version,
        "state": state.as_str(),
        "until": until.map(|day| day.to_string()),
        "cards": cards,
        "cards_alone": cards_alone,
    });
    let drains = until.map_or_else(|| line!(""), |day| line!(self::until(day)));
    let line = line!(
        role.to_string(),
        " ",
        region.to_string(),
        " ",
        self::version(*version),
        ": ",
        state_words(*state),
        drains,
        ", ",
        on_cards(*cards, *cards_alone)
    );
    (fields, line)
}
