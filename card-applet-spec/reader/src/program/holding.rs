//! `what-can-it-do`: what whoever holds this terminal can do with its key and bundle, and until when. For the operator who
//! lost one, before and after.
//!
//! Said without comfort: a thief has no reason to honour the last day of the bundle, so no line here ends with it.

use card_applet_spec::codes::{KeyState, Rights, Role};
use card_applet_spec::date::Date;
use program_contract::language::{Line, Words};
use program_contract::{Failure, Outcome, line};
use serde_json::{Value, json};

use crate::program::report::{SCHEMA, role_words};
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

program_contract::sentences! {
    fn can_tap(role, region, version) =
        "识别、读取并伪造{role}（{region}，版本 {version}）的刷卡，直到该版本被标记为已泄露且其他终端换包",
        "recognise, read and forge taps of {role} in {region} version {version} at other terminals, until the vault marks that version compromised and the others have a bundle without it";
    fn can_open(role, region, version) =
        "打开{role}（{region}，版本 {version}）的记录，但须先由证书或发卡方读出",
        "open records of {role} in {region} version {version}, which only door S hands out (below)";
    fn can_read(rights, from, to) =
        "用证书读卡（{rights}），有效期 {from} 至 {to}：卡的日期下限过了截止日，卡自己会拒绝",
        "read cards with its certificate ({rights}) from {from} to {to}: the card itself refuses it once its date floor is behind that day";
    fn could_read(rights, from, to) =
        "已不能用证书读卡（{rights}），有效期 {from} 至 {to}：卡的日期下限过了截止日，卡自己会拒绝",
        "no longer read cards with its certificate ({rights}) from {from} to {to}: the card itself refuses it once its date floor is behind that day";
    fn can_debit(tid) =
        "以终端号 {tid} 扣款；注销该终端号之后的款项不予结算",
        "debit cards that are held to it as terminal {tid}; nothing of a day after the number is withdrawn is paid";
    fn can_deliver(updates) =
        "投递 {updates} 个更新，但不能读取，也不能改动",
        "deliver {updates} updates, which it can neither read nor change";
}

/// What it cannot do, and what to do.
fn limits_and_duties(takes_payments: bool) -> Vec<Line> {
    let mut lines = vec![
        line!(""),
        line!(Words("不能：", "It cannot:")),
        line!(
            "  - ",
            Words(
                "伪造记录或改变卡上内容（需发卡方签名）",
                "make records, or change a card: both need the issuer's keys"
            )
        ),
        line!(
            "  - ",
            Words(
                "读取其他区域、其他用途的卡，或证书未列明的数据组",
                "read cards of other regions or roles, or a group that its certificate does not name"
            )
        ),
        line!(""),
        line!(Words("该做什么：", "What to do:")),
        line!(
            "  1. ",
            Words(
                "在密钥库撤销该终端；标记上述版本为已泄露（`keyvault revoke-terminal`、`keyvault compromise`）",
                "revoke the terminal in the vault and mark the versions above as compromised (`keyvault revoke-terminal`, `keyvault compromise`)"
            )
        ),
        line!(
            "  2. ",
            Words("给其他终端换包", "give every other terminal a new bundle")
        ),
    ];
    if takes_payments {
        lines.push(line!(
            "  3. ",
            Words("注销终端号", "withdraw the registration number")
        ));
    }
    lines
}

/// The report.
pub(crate) fn report(loaded: &Loaded, updates: usize, today: Date) -> Result<Outcome, Failure> {
    let bundle = &loaded.bundle;
    let mut lines = vec![
        line!(Words("终端", "terminal"), ": ", bundle.terminal().as_str()),
        line!(
            Words("凭证包", "bundle"),
            ": ",
            bundle.issued(),
            " – ",
            bundle.last_day()
        ),
        line!(""),
        line!(Words(
            "持有者在撤销前可以：",
            "Until it is stopped, whoever holds it can:"
        )),
    ];
    let mut keys: Vec<Value> = Vec::new();
    for key in bundle.held_keys() {
        let drains = (key.state == KeyState::Draining).then_some(key.until);
        let role = role_words(key.role);
        let region = key.region.to_string();
        lines.push(line!(
            "  - ",
            if key.taps {
                can_tap(role, region, key.kv)
            } else {
                can_open(role, region, key.kv)
            }
        ));
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
        let rights = names.join(", ");
        lines.push(line!(
            "  - ",
            if over {
                could_read(rights, from, to)
            } else {
                can_read(rights, from, to)
            }
        ));
        json!({ "rights": names, "from": from.to_string(), "to": to.to_string(), "ended": over })
    });
    if let Some(tid) = bundle.tid() {
        lines.push(line!("  - ", can_debit(format!("{tid:08x}"))));
    }
    if updates > 0 {
        lines.push(line!("  - ", can_deliver(updates)));
    }
    lines.extend(limits_and_duties(bundle.tid().is_some()));
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
