//! `what-can-it-do`: what whoever holds this terminal can do with its key and bundle, and until when. For the operator who
//! lost one, before and after.
//!
//! Said without comfort: a thief has no reason to honour the last day of the bundle, so no line here ends with it.

use card_applet_spec::codes::{KeyState, Rights, Role};
use card_applet_spec::date::Date;
use program_contract::{Failure, Outcome};
use serde_json::{Value, json};

use crate::program::report::{SCHEMA, role_zh};
use crate::program::terminal::Loaded;

/// The rights of a certificate, by name.
fn rights(rights: Rights) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (right, name) in [
        (Rights::IDENTITY, "IDENTITY"),
        (Rights::PORTRAIT, "PORTRAIT"),
        (Rights::PERMIT, "PERMIT"),
        (Rights::VERIFY, "VERIFY"),
        (Rights::ISSUER, "ISSUER"),
    ] {
        if rights.contains(right) {
            names.push(name);
        }
    }
    names.extend(
        Role::ALL
            .iter()
            .filter(|role| rights.contains(Rights::role(**role)))
            .map(|role| role.as_str()),
    );
    names
}

/// The report.
pub(crate) fn report(loaded: &Loaded, updates: usize, today: Date) -> Result<Outcome, Failure> {
    let bundle = &loaded.bundle;
    let mut lines = vec![
        format!("终端 terminal: {}", bundle.terminal()),
        format!("凭证包 bundle: {} – {}", bundle.issued(), bundle.last_day()),
        String::new(),
        "持有者在撤销前可以 · Until it is stopped, whoever holds it can:".to_owned(),
    ];
    let mut keys: Vec<Value> = Vec::new();
    for key in bundle.held_keys() {
        let drains = (key.state == KeyState::Draining).then_some(key.until);
        let zh = role_zh(key.role);
        let what = if key.taps {
            format!(
                "识别、读取并伪造{zh}（{}，版本 {}）的刷卡，直到该版本被标记为已泄露且其他终端换包 · recognise, read and forge \
                 taps of {} in {} version {} at other terminals, until the vault marks that version compromised and the others \
                 have a bundle without it",
                key.region, key.kv, key.role, key.region, key.kv
            )
        } else {
            format!(
                "打开{zh}（{}，版本 {}）的记录，但须先由证书或发卡方读出 · open records of {} in {} version {}, which only \
                 door S hands out (below)",
                key.region, key.kv, key.role, key.region, key.kv
            )
        };
        lines.push(format!("  - {what}"));
        keys.push(json!({
            "role": key.role.as_str(),
            "region": key.region.to_string(),
            "version": key.kv,
            "taps": key.taps,
            "draining_until": drains.map(|day| day.to_string()),
            "ends": "when the version is marked compromised and the other terminals have new bundles",
        }));
    }
    let door_s = bundle.chain().map(|chain| {
        let (from, to) = chain.days();
        let names = rights(chain.rights());
        let over = to < today;
        lines.push(format!(
            "  - {}用证书读卡（{}），有效期 {from} 至 {to} · {}read cards with its certificate ({}) from {from} to {to}: the card \
             itself refuses it once its date floor is behind that day",
            if over { "已不能 " } else { "" },
            names.join(", "),
            if over { "no longer " } else { "" },
            names.join(", "),
        ));
        json!({ "rights": names, "from": from.to_string(), "to": to.to_string(), "ended": over })
    });
    if let Some(tid) = bundle.tid() {
        lines.push(format!(
            "  - 以终端号 {tid:08} 扣款；注销该终端号之后的款项不予结算 · debit cards that are held to it as terminal {tid:08}; \
             nothing of a day after the number is withdrawn is paid"
        ));
    }
    if updates > 0 {
        lines.push(format!(
            "  - 投递 {updates} 个更新，但不能读取，也不能改动 · deliver {updates} updates, which it can neither read nor change"
        ));
    }
    lines.push(String::new());
    lines.push("不能 · It cannot:".to_owned());
    lines.push(
        "  - 伪造记录或改变卡上内容（需发卡方签名） · make records, or change a card: both need the issuer's keys".to_owned(),
    );
    lines.push(
        "  - 读取其他区域、其他用途的卡 · read cards of other regions or roles, or a group that its certificate does not name"
            .to_owned(),
    );
    lines.push(String::new());
    lines.push("该做什么 · What to do:".to_owned());
    lines.push(
        "  1. keyvault：撤销该终端；标记上述版本为已泄露 · revoke the terminal and mark the versions above as compromised".to_owned(),
    );
    lines.push("  2. 给其他终端换包 · give every other terminal a new bundle".to_owned());
    if bundle.tid().is_some() {
        lines.push("  3. 注销终端号 · withdraw the registration number".to_owned());
    }
    Outcome::done(
        SCHEMA,
        &json!({
            "command": "what-can-it-do",
            "terminal": bundle.terminal().as_str(),
            "bundle": { "issued": bundle.issued().to_string(), "last_day": bundle.last_day().to_string(), "sequence": bundle.sequence() },
            "keys": keys,
            "door_s": door_s,
            "payments": bundle.tid().map(|tid| json!({ "tid": tid, "ends": "when the registration number is withdrawn" })),
            "updates": updates,
            "rehearsal": bundle.founding().is_rehearsal(),
        }),
        lines,
    )
}
