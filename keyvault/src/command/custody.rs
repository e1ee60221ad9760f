//! Founding, unsealing, and how the vault stands.

use std::io;
use std::path::Path;

use jiff::civil::Date;
use keyvault::custody::ceremony::{self, Created, Custodian, Founding, Plan};
use keyvault::custody::protection::Cost;
use keyvault_protocol::{
    Client, Identity, PointBytes, SignedRequest, Status, UnsealProgress, VaultState, fingerprint,
};
use program_contract::language::Words;
use program_contract::{Clock, Exit, Failure, Founded, Outcome, day, line, secret};
use serde_json::{Value, json};
use tokio::net::UnixStream;

use crate::command::arguments::Init;
use crate::command::place::{PROGRAM, Place, passphrase_of, random, runtime, usage};
use crate::command::{officer, share};

program_contract::sentences! {
    fn vault_founded(vault, threshold, shares) =
        "密钥库 {vault} 已建立；{shares} 份分片中的 {threshold} 份可将其解封",
        "vault {vault} was founded; {threshold} of {shares} shares open it";
    fn rehearsal_founded(vault, banner, threshold, shares) =
        "密钥库 {vault} 已建立（{banner}）；{shares} 份分片中的 {threshold} 份可将其解封",
        "vault {vault} was founded as {banner}; {threshold} of {shares} shares open it";
    fn attempt_stands(given, needed, ends) =
        "已给出分片者：{given}；共需 {needed} 份；本次解封至 {ends}（UTC+8）为止",
        "given by: {given}; needed: {needed}; this attempt ends at {ends} (UTC+8)";
    fn was_taken_back(path) =
        "已删除 {path}：它属于一次中断的创建仪式，不属于任何密钥库",
        "{path} is gone: it was of a founding that was cut, and belonged to no vault";
    fn shares_given(given, needed, missing) =
        "已给 {given} 份，共需 {needed} 份；尚可由下列保管人给出：{missing}",
        "{given} of {needed} shares given; still to come: any of {missing}";
}

/// Founds a vault and writes one share envelope per custodian.
pub(crate) fn init(
    place: &Place,
    machine: &Clock,
    command: Init,
    schema: &'static str,
) -> Result<Outcome, Failure> {
    let Init {
        threshold,
        shares,
        custodian: custodians,
        officer: officers,
        out,
        generate,
        rehearsal,
    } = command;
    let founded = if rehearsal {
        Founded::Rehearsal
    } else {
        Founded::Real
    };
    // Before a passphrase is typed.
    let clock = machine.at(place.at, founded)?;
    if usize::from(shares) != custodians.len() {
        return Err(usage((
            format!("--shares 为 {shares}，却列了 {} 名保管人", custodians.len()),
            format!(
                "--shares is {shares}, but {} custodians are named",
                custodians.len()
            ),
        )));
    }
    let called = custodians
        .iter()
        .map(|custodian| {
            custodian.split_once('=').ok_or_else(|| {
                usage(Words(
                    "--custodian 写作 姓名=口令文件",
                    "--custodian has the form NAME=PASSPHRASE_FILE",
                ))
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let names: Vec<&str> = called.iter().map(|(name, _)| *name).collect();
    ceremony::check_rules(threshold, &names)?;
    let officers = officer::named_officers(&officers, Some(founded))?;
    ceremony::check_officers(&officers, &names)?;
    // Before anybody types: nobody should do it for nothing.
    let founding = Founding::begin(place.dir()?, &out)?;
    // What a founding that was cut left is gone by now.
    let anchors_file = out.join(ceremony::ANCHORS);
    if anchors_file.exists() {
        let exists = io::ErrorKind::AlreadyExists.into();
        return Err(Failure::file(Words("写入", "write"), &anchors_file, &exists));
    }
    let taken_back: Vec<String> = founding
        .taken_back()
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    // At once: they are gone, however this one ends.
    for path in &taken_back {
        program_contract::tell!("keyvault: ", was_taken_back(path));
    }
    let mut custodians: Vec<Custodian> = Vec::new();
    for (name, file) in called {
        let custodian = call(name, file, generate, |custodian| {
            custodian.judge(founded)?;
            custodian.is_told_from(&custodians)
        })?;
        custodians.push(custodian);
    }
    let plan = Plan {
        folder: place.dir()?.to_owned(),
        out,
        threshold,
        custodians,
        officers,
        cost: Cost::STANDARD,
        founded,
    };
    let created = runtime()?.block_on(founding.hold(&plan, clock.now(), random()))?;
    told(&plan, &created, &taken_back, &anchors_file, schema)
}

/// What was founded, and the file of its anchors, which is written now.
fn told(
    plan: &Plan,
    created: &Created,
    taken_back: &[String],
    anchors_file: &Path,
    schema: &'static str,
) -> Result<Outcome, Failure> {
    let (threshold, shares, founded) = (plan.threshold, plan.custodians.len(), plan.founded);
    let envelopes: Vec<String> = created
        .envelopes
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let transport_key = fingerprint(&created.transport_key);
    let vault = hex::encode(created.vault);
    let founded_as = match founded.banner() {
        Some(banner) => rehearsal_founded(vault, banner, threshold, shares),
        None => vault_founded(vault, threshold, shares),
    };
    let officers: Vec<Value> = plan
        .officers
        .iter()
        .map(|officer| json!({ "name": officer.name, "fingerprint": fingerprint(&officer.key) }))
        .collect();
    let fields = json!({
        "vault": hex::encode(created.vault),
        "epoch": created.epoch,
        "transport_key": transport_key,
        "threshold": threshold,
        "shares": shares,
        "packages": &envelopes,
        "taken_back": taken_back,
        "officers": officers,
        "anchors": anchors_file.display().to_string(),
        "rehearsal": founded.is_rehearsal(),
    });
    let mut lines = vec![
        line!(founded_as),
        line!(Words("传输密钥指纹", "the transport key is"), " ", &transport_key),
    ];
    lines.extend(envelopes.iter().map(|path| line!(path)));
    lines.extend(plan.officers.iter().map(|officer| {
        line!(
            Words("密钥官员", "key officer"),
            " ",
            &officer.name,
            ": ",
            fingerprint(&officer.key)
        )
    }));
    lines.push(line!(anchors_file.display()));
    Outcome::done(schema, &fields, lines)
}

/// How often a custodian at the terminal is asked for a passphrase that will do.
const CALLS: usize = 3;

/// Calls a custodian for a passphrase. Whose will not do is told why and asked again, and nobody else is; a file is read once.
fn call(
    name: &str,
    file: &str,
    generate: bool,
    judge: impl Fn(&Custodian) -> Result<(), keyvault::Error>,
) -> Result<Custodian, Failure> {
    let mut calls = 1;
    loop {
        let passphrase = if generate && file == "-" {
            share::generated(name)?
        } else {
            secret::read_new(Some(Path::new(file)), passphrase_of(name))?
        };
        let custodian = Custodian {
            name: name.to_owned(),
            passphrase,
        };
        match judge(&custodian) {
            Ok(()) => return Ok(custodian),
            Err(error) if calls < CALLS && secret::is_typed(Some(Path::new(file))) => {
                PROGRAM.tell_failure(&error.into());
                calls += 1;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Gives one share to the running vault.
pub(crate) async fn unseal(
    place: &Place,
    share: &Path,
    passphrase_file: &Path,
    compared: Option<&str>,
    restored: bool,
    time: Option<(Date, Option<SignedRequest>)>,
    schema: &'static str,
) -> Result<Outcome, Failure> {
    let file = share;
    let envelope = share::read(file)?;
    // Asked first: without a vault nobody should have to type, or to wait for Argon2id.
    let client = place.connect_as(&Identity::nobody()).await?;
    let transport_key = share::compared(&envelope, &client, compared)?;
    let passphrase = share::passphrase(&envelope, passphrase_file)?;
    let mut share = envelope.open(&passphrase)?.pinned_to(transport_key);
    if let Some((day, request)) = time {
        share = share.on_day(Some(day)).with_request(request);
    }
    if !restored {
        share = share.that_saw(share::seen(file, &client.vault())?);
    }
    let mut client = place.connect_as(&Identity::custodian(&share)?).await?;
    client.begin_unseal().await?;
    let UnsealProgress {
        state,
        given,
        needed,
        epoch,
        missing,
        generation,
    } = client.submit_share(&share).await?;
    let mut lines = Vec::new();
    let mut remembered = false;
    if let Some(generation) = generation {
        let generation = share::possible(generation)?;
        remembered = share::remember(file, &client.vault(), generation, restored).is_ok();
        if !remembered {
            lines.push(line!(Words(
                "未能在信封旁记下存储的代次；下次可能发现不了被换回的旧存储",
                "the store's generation could not be written beside the envelope: an older store may pass unseen next time"
            )));
        }
    }
    let line = if state == VaultState::Open {
        line!(Words("密钥库已打开", "the vault is open"))
    } else {
        line!(shares_given(
            given,
            needed,
            (missing.join("、"), missing.join(", "))
        ))
    };
    let fields = json!({
        "state": state.as_str(),
        "given": given,
        "needed": needed,
        "epoch": epoch,
        "missing": missing,
        "generation": generation,
        "remembered": remembered,
    });
    lines.insert(0, line);
    Outcome::done(schema, &fields, lines)
}

/// Connects as the custodian of an envelope, who is named, to the vault that it pins, or that a person compared.
pub(crate) async fn as_custodian(
    place: &Place,
    share: &Path,
    passphrase_file: &Path,
    compared: Option<&str>,
) -> Result<(Client<UnixStream>, String), Failure> {
    let envelope = share::read(share)?;
    let client = place.connect_as(&Identity::nobody()).await?;
    let transport_key = share::compared(&envelope, &client, compared)?;
    let passphrase = share::passphrase(&envelope, passphrase_file)?;
    let share = envelope.open(&passphrase)?.pinned_to(transport_key);
    let client = place.connect_as(&Identity::custodian(&share)?).await?;
    Ok((client, envelope.custodian))
}

/// Seals the running vault, as the custodian of an envelope, or as the officer whose key the caller's is.
pub(crate) async fn seal(
    place: &Place,
    share: Option<&Path>,
    passphrase_file: &Path,
    compared: Option<&str>,
    schema: &'static str,
) -> Result<Outcome, Failure> {
    let by = if let Some(share) = share {
        let (mut client, custodian) = as_custodian(place, share, passphrase_file, compared).await?;
        client.seal().await?;
        Some(custodian)
    } else if place.key.is_some() {
        place.connect().await?.seal().await?;
        None
    } else {
        return Err(usage(Words(
            "缺少 --share；密钥官员用 --key 和 --anchors",
            "--share is missing; an officer gives --key and --anchors",
        )));
    };
    Outcome::done(
        schema,
        &json!({ "state": "sealed", "by": by }),
        vec![line!(Words("密钥库已封存", "the vault is sealed"))],
    )
}

/// How the vault stands: open, sealed (exit 1 by contract), damaged.
pub(crate) fn describe(
    status: &Status,
    transport_key: &PointBytes,
    schema: &'static str,
) -> Result<Outcome, Failure> {
    let exit = match status.state {
        VaultState::Open => Exit::Done,
        VaultState::Sealed | VaultState::Unsealing => Exit::Refused,
        VaultState::Damaged => Exit::Damaged,
    };
    let attempt = status.attempt.as_ref();
    let founded = Founded::around(&status.vault);
    let fields = json!({
        "state": status.state.as_str(),
        "vault": hex::encode(status.vault),
        "epoch": status.epoch,
        "needed": status.threshold,
        "custodians": status.custodians,
        "given": attempt.map(|attempt| attempt.given.clone()).unwrap_or_default(),
        "attempt_ends": attempt.map(|attempt| attempt.ends.to_string()),
        "fingerprint": attempt.map(|attempt| attempt.fingerprint.clone()),
        "transport_key": fingerprint(transport_key),
        "high_water": status.high_water.to_string(),
        "generation": status.generation,
        "rehearsal": founded.is_rehearsal(),
    });
    let mut lines = vec![line!(match status.state {
        VaultState::Open => Words("密钥库已打开", "the vault is open"),
        VaultState::Sealed => Words("密钥库处于封存状态", "the vault is sealed"),
        VaultState::Unsealing => Words("密钥库正在解封", "the vault is being unsealed"),
        VaultState::Damaged => Words("密钥库已损坏", "the vault is damaged"),
    })];
    if let Some(attempt) = attempt {
        let given = if attempt.given.is_empty() {
            (String::from("尚无"), String::from("nobody yet"))
        } else {
            (attempt.given.join("、"), attempt.given.join(", "))
        };
        let ends = day::OFFICE
            .to_datetime(attempt.ends)
            .strftime("%F %T")
            .to_string();
        lines.push(line!(attempt_stands(given, status.threshold, ends)));
    }
    lines.extend(founded.banner().map(|banner| line!(banner)));
    Ok(Outcome::done(schema, &fields, lines)?.ending(exit))
}
