//! What is asked of a running vault: an arm for each command, without a wildcard.

use jiff::Timestamp;
use jiff::civil::Date;
use keyvault_protocol::{
    BundleRequest, CallerEntry, CeilingUse, Client, Counted, DeliveredBy, Error, Identity, JournalKind,
    JournalLine, OPERATIONS, PendingUpdates, ReadJournal, RefusalCode, Role, RoleCompromised, RoleKeyInfo,
    RoleKeyState, Serial, SlotVersion, TerminalInfo, UpdatesRequest, division, fingerprint,
};
use program_contract::language::{Line, Words};
use program_contract::{Exit, Failure, Outcome, day, line};
use serde_json::{Map, Value, json};
use tokio::net::UnixStream;

use crate::command::arguments::Ask;
use crate::command::confirm::Confirmation;
use crate::command::files::{WRITING, is_new, read_hex, write_new};
use crate::command::place::Place;
use crate::command::shown::{show_anchors, show_role_key, state_words, version};
use crate::command::{custody, request};

/// Asks, and shows the answer as an object of `schema`.
#[expect(clippy::too_many_lines, reason = "an arm for each command, read as a table")]
pub(crate) async fn ask(place: &Place, command: Ask, schema: &'static str) -> Result<Outcome, Failure> {
    match command {
        Ask::Unseal {
            share,
            passphrase_file,
            fingerprint,
            restored,
            time_request,
            day,
        } => {
            let time = match (time_request, day) {
                (Some(path), _) => Some(request::setting_time(&path)?),
                (None, Some(day)) => Some((day, None)),
                (None, None) => None,
            };
            let compared = fingerprint.as_deref();
            custody::unseal(place, &share, &passphrase_file, compared, restored, time, schema).await
        }
        Ask::Seal {
            share,
            passphrase_file,
            fingerprint,
        } => {
            let compared = fingerprint.as_deref();
            custody::seal(place, share.as_deref(), &passphrase_file, compared, schema).await
        }
        Ask::Status => {
            let status = async {
                let mut client = place.connect_as(&Identity::nobody()).await?;
                Ok::<_, Failure>((client.status().await?, client.transport_key()))
            };
            let (status, transport_key) = status.await.map_err(|mut failure| {
                // Here 1 says that the vault is sealed, and nothing else.
                if failure.exit == Exit::Refused {
                    failure.exit = Exit::Usage;
                }
                failure
            })?;
            custody::describe(&status, &transport_key, schema)
        }
        Ask::ExportBundle {
            terminal,
            zones,
            from,
            to,
            out,
        } => {
            is_new(WRITING, &out)?;
            let request = BundleRequest {
                terminal,
                zones,
                from,
                to,
            };
            let mut client = place.connect().await?;
            let bytes = client.export_bundle(&request).await?;
            let keys = match keys_in(&mut client, &request.terminal).await {
                // A service that may export bundles and nothing else.
                Err(error) if error.is(RefusalCode::NotPermitted) => None,
                keys => Some(keys?),
            };
            let mut outcome = write_new(schema, &out, &bytes)?;
            outcome.fields.insert("keys".to_owned(), keys.into());
            if keys == Some(0) {
                outcome.lines.push(line!(NO_KEYS));
            }
            Ok(outcome)
        }
        Ask::Callers => {
            let callers = place.connect().await?.callers().await?;
            let (fields, lines): (Vec<Value>, Vec<Line>) = callers.iter().map(show_caller).unzip();
            Outcome::done(schema, &json!({ "callers": fields }), or_none(lines))
        }
        Ask::Ceilings => {
            let used = place.connect().await?.ceilings().await?;
            let (fields, lines) = show_ceilings(&used);
            Outcome::done(schema, &json!({ "ceilings": fields }), lines)
        }
        Ask::Suspend { name } => {
            place.connect().await?.suspend_caller(&name).await?;
            Outcome::done(schema, &json!({ "name": name }), vec![line!(suspended(&name))])
        }
        Ask::Anchors => {
            let anchors = place.connect().await?.anchors().await?;
            let (fields, lines) = show_anchors(&anchors);
            Outcome::done(schema, &fields, lines)
        }
        Ask::Deny { serial } => {
            let number = read_serial(&serial)?;
            place.connect().await?.deny_card(number).await?;
            Outcome::done(schema, &json!({ "serial": serial }), vec![line!(denied(&serial))])
        }
        Ask::EndCard { serial } => {
            let number = read_serial(&serial)?;
            place.connect().await?.end_card(number).await?;
            Outcome::done(
                schema,
                &json!({ "serial": serial }),
                vec![line!(out_of_use(&serial))],
            )
        }
        Ask::Allow { serial } => {
            let number = read_serial(&serial)?;
            place.connect().await?.allow_card(number).await?;
            Outcome::done(
                schema,
                &json!({ "serial": serial }),
                vec![line!(allowed(&serial))],
            )
        }
        Ask::DenyList {
            role,
            issued,
            max_age_days,
            grace_days,
            out,
        } => {
            is_new(WRITING, &out)?;
            let mut client = place.connect().await?;
            let mut file = Vec::new();
            for role in role {
                let list = client
                    .export_deny_list(role.into(), issued, max_age_days, grace_days)
                    .await?;
                file.extend(list);
            }
            write_new(schema, &out, &file)
        }
        Ask::RevokeTerminal { name, confirm } => {
            let confirmation = Confirmation::of(name.clone(), confirm.as_deref())?;
            let mut client = place.connect().await?;
            let mut shown = Vec::new();
            if confirmation.is_asked() {
                // Who may not list them revokes all the same.
                let terminals = client.terminals().await.unwrap_or_default();
                let known = terminals.iter().filter(|terminal| terminal.name == name);
                shown.extend(known.map(|terminal| show_terminal(terminal).1));
                shown.push(line!(REVOKES_FOR_GOOD));
            }
            confirmation.ask(&shown)?;
            client.revoke_terminal(&name).await?;
            let terminals = client.terminals().await?;
            let terminal = terminals.iter().find(|terminal| terminal.name == name);
            let terminal = terminal.ok_or_else(|| {
                Failure::internal(Words(
                    "密钥库的清单中没有该终端",
                    "the vault lists no such terminal",
                ))
            })?;
            let (fields, line) = show_terminal(terminal);
            Outcome::done(schema, &json!({ "terminal": fields }), vec![line])
        }
        Ask::Terminals => {
            let terminals = place.connect().await?.terminals().await?;
            let (fields, lines): (Vec<Value>, Vec<Line>) = terminals.iter().map(show_terminal).unzip();
            Outcome::done(schema, &json!({ "terminals": fields }), or_none(lines))
        }
        Ask::RoleKeys => {
            let keys = place.connect().await?.role_keys().await?;
            let (fields, lines): (Vec<Value>, Vec<Line>) = keys.iter().map(show_role_key).unzip();
            Outcome::done(schema, &json!({ "role_keys": fields }), or_none(lines))
        }
        Ask::Compromise {
            role,
            region,
            version,
            confirm,
        } => {
            let (region, name) = (division(&region)?, role.as_argument());
            let confirmation = Confirmation::of(format!("{name}/{region}/{version}"), confirm.as_deref())?;
            let mut client = place.connect().await?;
            let role = Role::from(role);
            let mut shown = Vec::new();
            if confirmation.is_asked() {
                // Who may not list them says it all the same.
                let keys = client.role_keys().await.unwrap_or_default();
                let is_meant =
                    |key: &&RoleKeyInfo| (key.role, key.region, key.version) == (role, region, version);
                shown.extend(keys.iter().filter(is_meant).map(|key| show_role_key(key).1));
                shown.push(line!(COMPROMISES_FOR_GOOD));
            }
            confirmation.ask(&shown)?;
            let compromised = client.compromise_role(role, region, version).await?;
            let RoleCompromised { version, active } = compromised;
            let (fields, line) = show_role_key(&version);
            let mut lines = vec![line];
            let active = active.as_ref().map(show_role_key);
            lines.push(
                active
                    .as_ref()
                    .map_or_else(|| line!(NONE_ACTIVE), |(_, line)| line.clone()),
            );
            let active = active.map(|(fields, _)| fields);
            Outcome::done(schema, &json!({ "role_key": fields, "active": active }), lines)
        }
        Ask::ExportUpdates { terminal, to, out } => {
            is_new(WRITING, &out)?;
            let request = UpdatesRequest { terminal, to };
            let bytes = place.connect().await?.export_updates(&request).await?;
            write_new(schema, &out, &bytes)
        }
        Ask::CardVersions { serial } => {
            let number = read_serial(&serial)?;
            let slots = place.connect().await?.card_versions(number).await?;
            let (fields, lines): (Vec<Value>, Vec<Line>) = slots.iter().map(show_slot).unzip();
            Outcome::done(schema, &json!({ "serial": serial, "slots": fields }), lines)
        }
        Ask::Journal {
            from,
            to,
            about,
            after,
        } => {
            let before = to.and_then(|to| to.tomorrow().ok());
            let mut ask = ReadJournal {
                after,
                from: from.map(|day| day::begins(day).as_second()),
                before: before.map(|day| day::begins(day).as_second()),
                about: about.map(|value| as_the_journal_has_it(&value)),
            };
            let mut client = place.connect().await?;
            let mut entries = Vec::new();
            loop {
                let page = client.journal(&ask).await?;
                entries.extend(page.lines);
                match page.next {
                    Some(next) => ask.after = next,
                    None => break,
                }
            }
            let (fields, lines): (Vec<Value>, Vec<Line>) = entries.iter().map(show_entry).unzip();
            Outcome::done(schema, &json!({ "lines": fields }), or_none(lines))
        }
        Ask::PendingUpdates { serial } => {
            let number = read_serial(&serial)?;
            let PendingUpdates { waiting, withdrawn } =
                place.connect().await?.pending_updates(number).await?;
            Outcome::done(
                schema,
                &json!({ "serial": serial, "waiting": waiting, "withdrawn": withdrawn }),
                vec![line!(changes_wait(waiting, &serial, withdrawn))],
            )
        }
    }
}

/// The lines of a list, or that it has none.
fn or_none(lines: Vec<Line>) -> Vec<Line> {
    if lines.is_empty() {
        vec![line!(Words("没有", "none"))]
    } else {
        lines
    }
}

/// The number of an order or a photo as the journal has it: the office shows it with hyphens.
fn as_the_journal_has_it(value: &str) -> String {
    let groups: Vec<usize> = value.split('-').map(str::len).collect();
    if groups == [8, 4, 4, 4, 12] {
        value.replace('-', "").to_ascii_lowercase()
    } else {
        value.to_owned()
    }
}

/// What is said of a bundle that carries no key.
const NO_KEYS: Words = Words(
    "凭证包中没有密钥，终端不会接受任何卡：请由两名密钥官员用 `keyvault request new rotate-role` 启用一个版本，再重新导出凭证包",
    "the bundle carries no key, and its terminal accepts nobody: let two officers make a version with `keyvault request new rotate-role`, then export the bundle again",
);

/// What a compromise does.
const COMPROMISES_FOR_GOOD: Words = Words(
    "此后任何凭证包、更新批次和新写入的卡都不再使用该版本；终端领到新凭证包后，只有该版本的卡不再被接受；该版本原为启用的，同时启用下一个版本。此操作不可撤销。",
    "No bundle, no batch and no newly written card will have it; cards that have it alone are refused by every terminal with a new bundle; if it is active, the next version is made. This is never taken back.",
);

/// What a revocation does.
const REVOKES_FOR_GOOD: Words = Words(
    "此后不再向该终端发放凭证包和更新；已发放的用至上述日期。此操作不可撤销：终端须以另一名称和新密钥重新登记。",
    "It gets no bundle and no updates any more; what it has serves until the days above. This is never taken back: a terminal is enrolled anew, under another name and with new keys.",
);

/// What is said of a role without an Active version.
const NONE_ACTIVE: Words = Words(
    "没有启用的版本，需要该用途的卡一律被拒绝：请由两名密钥官员用 `keyvault request new rotate-role` 启用一个版本",
    "no version is active, and cards that need the role are refused: let two officers make one with `keyvault request new rotate-role`",
);

program_contract::sentences! {
    fn is_used(of, used, most, counted) = "{of}：{counted} 已用 {used}，每日 {most}", "{of}: {used} of {most} {counted}";
    fn nearly_used(of, used, most, counted) =
        "{of}：{counted} 已用 {used}，每日 {most}，已达五分之四",
        "{of}: {used} of {most} {counted}, four fifths or more";
    fn suspended(name) =
        "{name} 已停用，立即生效", "{name} is suspended, from this moment on";
    fn suspended_since(day) = "，{day} 停用", ", suspended on {day}";
    fn denied(serial) = "{serial} 已列入拒绝名单", "{serial} is denied";
    fn out_of_use(serial) = "{serial} 已停用并列入拒绝名单", "{serial} is out of use and denied";
    fn allowed(serial) =
        "{serial} 不在任何拒绝名单中；终端收到下一份名单后生效",
        "{serial} is on no deny list; terminals know with their next list";
    fn changes_wait(waiting, serial, withdrawn) =
        "{serial} 有 {waiting} 项变更待送达；另有 {withdrawn} 项已撤回，仍接收其回执",
        "{waiting} changes wait for {serial}; receipts of {withdrawn} withdrawn ones are still taken";
    fn on_slot(counter, by) = "签发计数 {counter}，{by}", "issue counter {counter}, by {by}";
    fn revoked_on(day) = "，{day} 撤销", ", revoked on {day}";
    fn bundle_until(day) = "，凭证包至 {day}", ", its bundle serves until {day}";
    fn leaf_until(day) = "，证书至 {day}", ", its certificate until {day}";
    fn enrolled_until(day) = "，登记至 {day}", ", enrolled until {day}";
    fn updates_until(day) = "，更新批次至 {day}", ", its updates until {day}";
}

/// How many key versions a bundle of today carries.
async fn keys_in(client: &mut Client<UnixStream>, terminal: &str) -> Result<usize, Error> {
    let today = day::of(client.status().await?.high_water);
    let keys = client.role_keys().await?;
    let terminals = client.terminals().await?;
    let Some(terminal) = terminals.iter().find(|known| known.name == terminal) else {
        return Ok(0);
    };
    let carried = keys.iter().filter(|key| {
        let drains = || key.until.is_some_and(|until| until >= today);
        terminal.kind.roles().contains(&key.role)
            && terminal.regions.contains(&key.region)
            && (key.state == RoleKeyState::Active || (key.state == RoleKeyState::Draining && drains()))
    });
    Ok(carried.count())
}

/// All ceilings for programs; for people those of which something is used, the nearest to its number first.
fn show_ceilings(used: &[CeilingUse]) -> (Vec<Value>, Vec<Line>) {
    let fields = used.iter().map(|used| {
        json!({
            "of": used.of,
            "counted": used.counted,
            "used": used.used,
            "most": used.most,
            "near": used.is_near(),
        })
    });
    let mut shown: Vec<&CeilingUse> = used.iter().filter(|used| used.used > 0).collect();
    shown.sort_by_key(|used| std::cmp::Reverse(used.used.saturating_mul(1000) / used.most.max(1)));
    let mut lines: Vec<Line> = shown
        .into_iter()
        .map(|used| {
            let known = Counted::ALL.iter().find(|counted| counted.name() == used.counted);
            let zh = known.map_or(used.counted.as_str(), |counted| counted.zh());
            let counted = (zh.to_owned(), used.counted.clone());
            if used.is_near() {
                line!(nearly_used(&used.of, used.used, used.most, counted))
            } else {
                line!(is_used(&used.of, used.used, used.most, counted))
            }
        })
        .collect();
    if lines.is_empty() {
        lines.push(line!(Words(
            "今天尚未使用任何上限",
            "nothing of any ceiling is used today"
        )));
    }
    (fields.collect(), lines)
}

fn show_caller(entry: &CallerEntry) -> (Value, Line) {
    let CallerEntry {
        enrolment,
        enrolled,
        suspended,
    } = entry;
    let regions: Vec<String> = enrolment.regions.iter().map(ToString::to_string).collect();
    let operations: Vec<&str> = OPERATIONS
        .iter()
        .filter(|listed| enrolment.operations.contains(&listed.number))
        .map(|listed| listed.name)
        .collect();
    let ceilings: Map<String, Value> = enrolment
        .ceilings
        .iter()
        .map(|lowered| (lowered.counted.clone(), lowered.per_day.into()))
        .collect();
    let fields = json!({
        "name": enrolment.name,
        "kind": enrolment.kind.as_str(),
        "key": hex::encode(enrolment.key),
        "fingerprint": fingerprint(&enrolment.key),
        "regions": regions,
        "operations": operations,
        "ceilings": ceilings,
        "enrolled": enrolled.to_string(),
        "suspended": suspended.map(|at| at.to_string()),
    });
    let limits = request::limits(enrolment);
    let since = suspended.map(|at| suspended_since(day::of(at)));
    let line = line!(
        "“",
        &enrolment.name,
        "” (",
        request::kind_words(enrolment.kind),
        "): ",
        fingerprint(&enrolment.key)
    );
    let line = limits
        .into_iter()
        .fold(line, |line, limit| line!(line, ", ", limit));
    let line = since.map_or(line.clone(), |since| line!(line, since));
    (fields, line)
}

fn show_entry(entry: &JournalLine) -> (Value, Line) {
    let at = Timestamp::from_second(entry.at).map_or_else(|_| entry.at.to_string(), |at| at.to_string());
    let values: Map<String, Value> = entry
        .values
        .iter()
        .map(|(name, value)| (name.clone(), value.clone().into()))
        .collect();
    let fields = json!({
        "seq": entry.seq,
        "at": at,
        "kind": entry.kind,
        "values": values,
        "hash": hex::encode(entry.hash),
    });
    let values: Vec<String> = entry
        .values
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let (number, values) = (entry.seq.to_string(), values.join(", "));
    let line = match JournalKind::named(&entry.kind) {
        Some(kind) => line!(number, " ", at, " ", kind.words(), ": ", values),
        // What a newer vault writes has its own name and no words here.
        None => line!(number, " ", at, " ", entry.kind, ": ", values),
    };
    (fields, line)
}

fn show_slot(slot: &SlotVersion) -> (Value, Line) {
    let SlotVersion {
        role,
        region,
        key_version,
        state,
        issue_counter,
        delivered_by,
    } = slot;
    let delivered_by = match delivered_by {
        DeliveredBy::Script => Words("由柜台写入", "script"),
        DeliveredBy::Update => Words("由更新送达", "update"),
    };
    let fields = json!({
        "role": role.to_string(),
        "region": region.to_string(),
        "key_version": key_version,
        "state": state.as_str(),
        "issue_counter": issue_counter,
        "brought_by": delivered_by.1,
    });
    let line = line!(
        role.to_string(),
        " ",
        region.to_string(),
        " ",
        version(*key_version),
        ": ",
        state_words(*state),
        ", ",
        on_slot(*issue_counter, delivered_by)
    );
    (fields, line)
}

fn show_terminal(terminal: &TerminalInfo) -> (Value, Line) {
    let day = |day: Option<Date>| day.map(|day| day.to_string());
    let fields = json!({
        "name": terminal.name,
        "kind": terminal.kind.as_str(),
        "tid": terminal.tid,
        "regions": terminal.regions.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "sequence": terminal.sequence,
        "revoked": day(terminal.revoked),
        "bundle_until": day(terminal.bundle_until),
        "leaf_until": day(terminal.leaf_until),
        "updates_until": day(terminal.updates_until),
        "enrolled_until": day(terminal.enrolled_until),
    });
    let mut line = line!("“", &terminal.name, "” (", terminal.kind.as_str(), ")");
    for said in [
        terminal.revoked.map(revoked_on),
        terminal.bundle_until.map(bundle_until),
        terminal.leaf_until.map(leaf_until),
        terminal.updates_until.map(updates_until),
        terminal.enrolled_until.map(enrolled_until),
    ]
    .into_iter()
    .flatten()
    {
        line = line!(line, said);
    }
    (fields, line)
}

fn read_serial(text: &str) -> Result<Serial, Failure> {
    read_hex(
        text,
        Words("--serial 须为 20 个十六进制数字", "--serial has 20 hex digits"),
    )
    .map(Serial)
}
