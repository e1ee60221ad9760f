//! The way of a request: made, shown in words, signed, submitted. The file has the bytes that are signed, the same in words, and
//! the signatures; the words are made from the bytes each time, and a file whose words are others is refused.

use std::path::Path;

use jiff::SignedDuration;
use jiff::civil::Date;
use keyvault_protocol::{
    ChannelKey, Enrolment, Identity, LotRequest, LoweredCeiling, OPERATIONS, OfficerAct, OfficersRequest,
    PointBytes, RequestOutcome, RequestSignature, RequestSigner, SignedRequest, TerminalEnrolment, division,
    fingerprint, sign_as_custodian,
};
use program_contract::language::{Line, Said as _, Words};
use program_contract::unseen::is_unseen;
use program_contract::{Clock, Failure, Founded, Outcome, day, file, line};
use rand_core::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use service_contract::Caller;

use crate::command::arguments::{ActCommand, NewRequest, RequestCommand};
use crate::command::place::{Place, no_anchors, random, runtime, usage};
use crate::command::{custody, files, officer, share, shown};

/// Schema of the file.
const SCHEMA: &str = "yzt.request/1";
/// Longest request file, bytes.
const MAX_REQUEST: u64 = 1 << 20;

pub(crate) fn request(
    place: &Place,
    machine: &Clock,
    command: RequestCommand,
    schema: &'static str,
) -> Result<Outcome, Failure> {
    match command {
        RequestCommand::New(new) => make(place, machine, new, schema),
        RequestCommand::Show { request } => {
            let held = Held::read(&request)?;
            let vault = place.anchors.as_deref().map(vault_of).transpose()?;
            let (fields, lines) = held.shown(vault);
            Outcome::done(schema, &fields, lines)
        }
        RequestCommand::Sign {
            request,
            officer,
            share,
            passphrase_file,
        } => {
            let mut held = Held::read(&request)?;
            if let Some(anchors) = &place.anchors
                && vault_of(anchors)? != held.request.vault
            {
                return Err(keyvault::Error::RequestOfAnotherVault.into());
            }
            for line in held.lines() {
                program_contract::tell!(line);
            }
            match (officer, share) {
                (Some(officer), _) => held.sign_as_officer(&officer, &passphrase_file)?,
                (None, Some(share)) => held.sign_as_custodian(&share, &passphrase_file)?,
                (None, None) => return Err(usage(Words("缺少 --officer", "--officer is missing"))),
            }
            held.write_again(&request)?;
            let (fields, lines) = held.shown(None);
            Outcome::done(schema, &fields, lines)
        }
        RequestCommand::Submit {
            request,
            out,
            share,
            passphrase_file,
        } => {
            let custodian = share.as_deref().map(|share| (share, passphrase_file.as_path()));
            runtime()?.block_on(submit(place, &request, out.as_deref(), custodian, schema))
        }
    }
}

async fn submit(
    place: &Place,
    request: &Path,
    out: Option<&Path>,
    custodian: Option<(&Path, &Path)>,
    schema: &'static str,
) -> Result<Outcome, Failure> {
    let held = Held::read(request)?;
    let is_lot = matches!(held.request.act, OfficerAct::ExportLot(_));
    if is_lot && out.is_none() {
        return Err(usage(Words(
            "缺少 --out：此申请会导出批次文件",
            "--out is missing: this request exports a lot file",
        )));
    }
    if let (true, Some(out)) = (is_lot, out) {
        files::is_new(files::WRITING, out)?;
    }
    let mut client = match custodian {
        Some((share, passphrase_file)) => {
            custody::as_custodian(place, share, passphrase_file, None)
                .await?
                .0
        }
        None => place.connect().await?,
    };
    let outcome = client.submit_request(&held.signed).await?;
    let mut done = match outcome {
        RequestOutcome::Done => Outcome::done(schema, &json!({ "outcome": "done" }), vec![line!(DONE)])?,
        RequestOutcome::RoleKey(key) => {
            let (key, shown) = shown::show_role_key(&key);
            let fields = json!({ "outcome": "done", "role_key": key });
            Outcome::done(schema, &fields, vec![line!(DONE), shown])?
        }
        RequestOutcome::Lot(lot) => {
            let out = out.ok_or_else(|| usage(Words("缺少 --out", "--out is missing")))?;
            let mut written = files::write_new(schema, out, &lot)?;
            written.fields.insert("outcome".to_owned(), "done".into());
            written
        }
        RequestOutcome::Waits(from) => {
            let fields = json!({ "outcome": "waits", "from": from.to_string() });
            Outcome::done(schema, &fields, vec![line!(waits(day::minute(from)))])?
        }
    };
    let digest = hex::encode(held.signed.digest());
    done.fields.insert("digest".to_owned(), digest.into());
    done.fields
        .insert("act".to_owned(), held.request.act.as_str().into());
    Ok(done)
}

const DONE: Words = Words("申请已办理", "the request is done");

program_contract::sentences! {
    fn waits(from) =
        "申请已登记，须等候一日：{from}（UTC+8）起再提交一次即生效",
        "the request is noted and waits its day: submitted again from {from} (UTC+8) on, it takes effect";
    fn for_vault(vault) = "密钥库 {vault}", "vault {vault}";
    fn asked_by(requester, made, until) =
        "申请人“{requester}”，{made} 制作，{until} 前有效（UTC+8）",
        "for “{requester}”, made {made}, to be submitted before {until} (UTC+8)";
    fn enrols(name, kind, key) =
        "登记 {kind}“{name}”，公钥指纹 {key}", "enrols the {kind} “{name}”, key {key}";
    fn only_regions(regions) = "只限地区：{regions}", "only the regions {regions}";
    fn only_operations(operations) = "只限操作：{operations}", "only the operations {operations}";
    fn at_most(number, counted) = "{counted} 每日最多 {number}", "at most {number} {counted} a day";
    fn restores(name) = "恢复已停用的“{name}”", "gives “{name}”, who was suspended, back what was taken";
    fn replaces_key(name, key) =
        "更换“{name}”的密钥，新公钥指纹 {key}", "puts another key in the place of that of “{name}”: {key}";
    fn enrols_terminal(name, kind, until) =
        "登记终端“{name}”（{kind}），至 {until} 为止", "enrols the terminal “{name}” ({kind}) until {until}";
    fn terminal_keys(sealing, authentication) =
        "封装公钥指纹 {sealing}，认证公钥指纹 {authentication}",
        "sealing key {sealing}, authentication key {authentication}";
    fn in_regions(regions) = "地区：{regions}", "regions {regions}";
    fn in_zones(zones) = "区域位图 {zones}", "zones {zones}";
    fn rotates(role, region, day) =
        "轮换 {region} 的 {role} 密钥，原版本用至 {day}",
        "makes a new version of {role} in {region}; the one before drains until {day}";
    fn retires(version, role, region) =
        "销毁 {region} 的 {role} 密钥第 {version} 版", "destroys version {version} of {role} in {region}";
    fn exports_lot(count, first, lot, maker, key) =
        "导出批次 {lot} 自 {first} 起 {count} 张空白卡的传输密钥，交制卡商“{maker}”，公钥指纹 {key}",
        "exports the transport keys of {count} blanks of lot {lot} from number {first} on, to “{maker}”, key {key}";
    fn sets_time(day, generation) =
        "今天是 {day}：将（存储为第 {generation} 代的）封存的密钥库的时间设为本机时钟当日的时间",
        "says that it is {day}: the sealed vault, with its store of generation {generation}, takes the machine's clock of that day";
    fn signed_by(name, key) = "“{name}”已签名，公钥指纹 {key}", "signed by “{name}”, key {key}";
    fn does_not_fit(name) = "“{name}”的签名不符", "the signature of “{name}” does not fit";
    fn asks_and_signs(name) =
        "“{name}”是申请人：在任官员满三名时，该签名无效",
        "“{name}” is the requester: while three officers serve, that signature does not count";
    fn custodian(index, epoch) = "第 {epoch} 套第 {index} 份的保管人", "the custodian of share {index} of set {epoch}";
}

program_contract::failures! {
    fn no_request(path) = Usage "REQUEST_FORM" {
        "{path} 不是申请文件，或被改动过", "{path} is no request, or was changed";
        "请给出 `keyvault request new` 写出的文件。", "Give the file that `keyvault request new` wrote.";
    }
    fn other_words(path) = Damaged "REQUEST_WORDS" {
        "{path} 中的文字与其中所签的内容不符", "the words in {path} are not what its bytes say";
        "不要签名，请查明是谁改动了它。", "Do not sign it, and find out who changed it.";
    }
    fn unseen_words(path) = Damaged "REQUEST_WORDS" {
        "{path} 中有屏幕不显示的字符，所见并非其全部内容",
        "{path} has characters that a screen does not show: what is seen of it is not all that it says";
        "不要签名，请查明是谁制作了它。", "Do not sign it, and find out who made it.";
    }
}

/// The day of a request that sets the time, and the request.
pub(crate) fn setting_time(path: &Path) -> Result<(Date, Option<SignedRequest>), Failure> {
    let held = Held::read(path)?;
    match held.request.act {
        OfficerAct::SetTime { day, .. } => Ok((day, Some(held.signed))),
        _ => Err(usage(Words(
            "--time-request 须为 `keyvault request new set-time` 写出的文件",
            "--time-request is a file that `keyvault request new set-time` wrote",
        ))),
    }
}

/// A kind of caller for people.
pub(crate) fn kind_words(kind: Caller) -> Words {
    let chinese = match kind {
        Caller::Issuer => "发证系统",
        Caller::PhotoStore => "照片库",
        Caller::Settlement => "清算",
        Caller::KeyOfficer => "密钥官员",
        Caller::Auditor => "审计员",
        Caller::Custodian => "保管人",
        Caller::Anyone | Caller::SocketUser => kind.as_str(),
    };
    Words(chinese, kind.as_str())
}

/// What an act would change, for people.
fn words(act: &OfficerAct) -> Vec<Line> {
    let joined = |regions: &[keyvault_protocol::Region]| {
        let regions: Vec<String> = regions.iter().map(ToString::to_string).collect();
        regions.join(", ")
    };
    match act {
        OfficerAct::EnrolCaller(enrolment) => enrolment_words(enrolment),
        OfficerAct::ReplaceOfficers { officers } => officers.iter().flat_map(enrolment_words).collect(),
        OfficerAct::RestoreCaller { name } => vec![line!(restores(name))],
        OfficerAct::ReplaceKey { name, key } => vec![line!(replaces_key(name, fingerprint(key)))],
        OfficerAct::EnrolTerminal(TerminalEnrolment {
            kind,
            terminal,
            sealing_key,
            authentication_key,
            regions,
            zones,
            until,
            replaces,
        }) => {
            let mut lines = vec![
                line!(enrols_terminal(terminal, kind.as_str(), *until)),
                line!(terminal_keys(
                    fingerprint(sealing_key),
                    fingerprint(authentication_key)
                )),
                line!(in_regions(joined(regions))),
            ];
            lines.push(if *zones == 0 {
                line!(Words("不检查区域", "zones are not checked"))
            } else {
                line!(in_zones(*zones))
            });
            if *replaces {
                lines.push(line!(Words(
                    "这些密钥取代该名称现有的密钥",
                    "these keys take the place of those that the name has"
                )));
            }
            lines
        }
        OfficerAct::RotateRole {
            role,
            region,
            drain_until,
        } => vec![line!(rotates(role.to_string(), region.to_string(), *drain_until))],
        OfficerAct::RetireRole {
            role,
            region,
            version,
        } => vec![line!(retires(*version, role.to_string(), region.to_string()))],
        OfficerAct::ExportLot(LotRequest {
            issuer,
            lot,
            first,
            count,
            maker,
            maker_key,
        }) => {
            let number = format!("{}{}", hex::encode(issuer), hex::encode(lot));
            let key = fingerprint(maker_key);
            vec![line!(exports_lot(*count, *first, number, maker, key))]
        }
        OfficerAct::SetTime { day, generation } => vec![line!(sets_time(*day, *generation))],
    }
}

fn enrolment_words(enrolment: &Enrolment) -> Vec<Line> {
    let Enrolment { name, kind, key, .. } = enrolment;
    let mut lines = vec![line!(enrols(name, kind_words(*kind), fingerprint(key)))];
    lines.extend(limits(enrolment));
    lines
}

/// What an entry of the access list is narrowed to, for people.
pub(crate) fn limits(enrolment: &Enrolment) -> Vec<Line> {
    let Enrolment {
        name: _,
        kind: _,
        key: _,
        regions,
        operations,
        ceilings,
    } = enrolment;
    let mut lines = Vec::new();
    if !regions.is_empty() {
        let regions: Vec<String> = regions.iter().map(ToString::to_string).collect();
        lines.push(line!(only_regions(regions.join(", "))));
    }
    if !operations.is_empty() {
        let name = |number: &u32| {
            let listed = OPERATIONS.iter().find(|listed| listed.number == *number);
            listed.map_or_else(|| number.to_string(), |listed| listed.name.to_owned())
        };
        let operations: Vec<String> = operations.iter().map(name).collect();
        lines.push(line!(only_operations(operations.join(", "))));
    }
    for LoweredCeiling { counted, per_day } in ceilings {
        lines.push(line!(at_most(*per_day, counted)));
    }
    lines
}

/// The words as the file has them.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SaidWords {
    zh: Vec<String>,
    en: Vec<String>,
}

/// A signature as the file has it, with the key that it fits, so that people can compare that.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSignature {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    officer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    custodian: Option<(u32, u8)>,
    key: String,
    signature: String,
}

/// The file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    schema: String,
    request: String,
    words: SaidWords,
    signatures: Vec<WrittenSignature>,
}

/// A request in hand.
struct Held {
    request: OfficersRequest,
    signed: SignedRequest,
    /// The key that each signature is said to fit.
    keys: Vec<PointBytes>,
}

impl Held {
    fn read(path: &Path) -> Result<Self, Failure> {
        let wrong = || no_request(path.display());
        let text = file::read(path, MAX_REQUEST)
            .map_err(|error| Failure::file(Words("读取申请", "read the request"), path, &error))?;
        let written: Written = serde_json::from_slice(&text).map_err(|_| wrong())?;
        if written.schema != SCHEMA {
            return Err(wrong());
        }
        let mut signed = SignedRequest {
            request: hex::decode(&written.request).map_err(|_| wrong())?,
            signatures: Vec::new(),
        };
        let mut keys = Vec::new();
        for written in &written.signatures {
            let who = match (&written.officer, written.custodian) {
                (Some(name), None) => RequestSigner::Officer { name: name.clone() },
                (None, Some((epoch, index))) => RequestSigner::Custodian { epoch, index },
                _ => return Err(wrong()),
            };
            signed.signatures.push(RequestSignature {
                signer: who,
                signature: bytes(&written.signature).ok_or_else(wrong)?,
            });
            keys.push(bytes(&written.key).ok_or_else(wrong)?);
        }
        let request = signed.claimed().map_err(|_| wrong())?;
        let held = Self {
            request,
            signed,
            keys,
        };
        let words = held.words();
        if words != written.words {
            return Err(other_words(path.display()));
        }
        // Nor may a name beside them forge what a person reads.
        let signers = written
            .signatures
            .iter()
            .filter_map(|signature| signature.officer.as_ref());
        if words
            .zh
            .iter()
            .chain(&words.en)
            .chain(signers)
            .any(|text| text.contains(is_unseen))
        {
            return Err(unseen_words(path.display()));
        }
        Ok(held)
    }

    /// What it would change, who asks and until when.
    fn lines(&self) -> Vec<Line> {
        let OfficersRequest {
            vault,
            act,
            requester,
            made,
            until,
            nonce: _,
        } = &self.request;
        let mut lines = vec![line!(for_vault(hex::encode(vault)))];
        lines.extend(Founded::around(vault).banner().map(|banner| line!(banner)));
        lines.extend(words(act));
        lines.push(line!(asked_by(
            requester,
            day::minute(*made),
            day::minute(*until)
        )));
        lines
    }

    fn words(&self) -> SaidWords {
        let lines = self.lines();
        SaidWords {
            zh: lines.iter().map(|line| line.zh().into_owned()).collect(),
            en: lines.iter().map(|line| line.en().into_owned()).collect(),
        }
    }

    fn text(&self) -> Result<Vec<u8>, Failure> {
        let signatures = self.signed.signatures.iter().zip(&self.keys);
        let signatures = signatures.map(|(signature, key)| {
            let (officer, custodian) = match &signature.signer {
                RequestSigner::Officer { name } => (Some(name.clone()), None),
                RequestSigner::Custodian { epoch, index } => (None, Some((*epoch, *index))),
            };
            WrittenSignature {
                officer,
                custodian,
                key: hex::encode(key),
                signature: hex::encode(signature.signature),
            }
        });
        let written = Written {
            schema: SCHEMA.to_owned(),
            request: hex::encode(&self.signed.request),
            words: self.words(),
            signatures: signatures.collect(),
        };
        let mut text = serde_json::to_vec_pretty(&written)
            .map_err(|_| Failure::internal(Words("申请无法写出", "the request cannot be written")))?;
        text.push(b'\n');
        Ok(text)
    }

    fn write_again(&self, path: &Path) -> Result<(), Failure> {
        file::replace(path, &self.text()?, 0o644)
            .map_err(|error| Failure::file(Words("写入申请", "write the request"), path, &error))
    }

    /// What a person sees of it; whether it is for `vault`, where that is known.
    fn shown(&self, vault: Option<[u8; 16]>) -> (Value, Vec<Line>) {
        let mut lines = self.lines();
        let mut signatures = Vec::new();
        for (RequestSignature { signer, signature }, key) in self.signed.signatures.iter().zip(&self.keys) {
            let fits = self.signed.is_signed(signature, key);
            let name = match signer {
                RequestSigner::Officer { name } => (name.clone(), name.clone()),
                RequestSigner::Custodian { epoch, index } => custodian(*index, *epoch),
            };
            signatures.push(json!({ "signer": name.1, "fingerprint": fingerprint(key), "fits": fits }));
            lines.push(if fits {
                line!(signed_by(name, fingerprint(key)))
            } else {
                line!(does_not_fit(name))
            });
            if matches!(signer, RequestSigner::Officer { name } if *name == self.request.requester) {
                lines.push(line!(asks_and_signs(&self.request.requester)));
            }
        }
        let is_for = vault.map(|vault| vault == self.request.vault);
        if is_for == Some(false) {
            lines.push(line!(Words(
                "此申请不是给该密钥库的",
                "the request is for another vault than these anchors"
            )));
        }
        let OfficersRequest {
            vault,
            act,
            requester,
            made,
            until,
            nonce: _,
        } = &self.request;
        let words = self.words();
        let fields = json!({
            "vault": hex::encode(vault),
            "is_for_the_anchors": is_for,
            "act": act.as_str(),
            "requester": requester,
            "made": made.to_string(),
            "until": until.to_string(),
            "digest": hex::encode(self.signed.digest()),
            "words": { "zh": words.zh, "en": words.en },
            "signatures": signatures,
        });
        (fields, lines)
    }

    fn sign_as_officer(&mut self, given: &Path, passphrase_file: &Path) -> Result<(), Failure> {
        let named = given.to_str().and_then(|text| text.split_once('='));
        let (name, path) = match named {
            Some((name, path)) if !given.exists() => (Some(name), Path::new(path)),
            _ => (None, given),
        };
        let held = match (officer::read(path), name) {
            (Err(_), Some(name)) => return self.sign_with_key_file(name, path),
            (held, _) => held?,
        };
        let key = held.open(&officer::passphrase(&held, passphrase_file)?)?;
        let signer = RequestSigner::Officer {
            name: name.unwrap_or(&held.name).to_owned(),
        };
        self.forget(&signer);
        self.signed.sign(signer, &key);
        self.keys.push(held.public()?);
        Ok(())
    }

    /// Signs with a key that lies in a file without a passphrase, as rehearsals alone have them.
    fn sign_with_key_file(&mut self, name: &str, path: &Path) -> Result<(), Failure> {
        if !Founded::around(&self.request.vault).is_rehearsal() {
            return Err(usage(Words(
                "没有口令的密钥文件只能在演练系统中签名；请给出官员自己的密钥文件",
                "a key file without a passphrase signs in a rehearsal alone: give the officer's own key file",
            )));
        }
        let key = ChannelKey::read(path)
            .map_err(|error| Failure::file(Words("读取密钥", "read the key"), path, &error))?;
        let signer = RequestSigner::Officer {
            name: name.to_owned(),
        };
        self.forget(&signer);
        self.signed.sign(signer, &key.signer()?);
        self.keys.push(key.public());
        Ok(())
    }

    fn sign_as_custodian(&mut self, path: &Path, passphrase_file: &Path) -> Result<(), Failure> {
        let envelope = share::read(path)?;
        let held = envelope.open(&share::passphrase(&envelope, passphrase_file)?)?;
        if held.vault != self.request.vault {
            return Err(keyvault::Error::WrongVault.into());
        }
        let signer = RequestSigner::Custodian {
            epoch: held.epoch,
            index: held.index,
        };
        self.forget(&signer);
        let key = sign_as_custodian(&held, &mut self.signed)?;
        self.keys.push(key.public());
        Ok(())
    }

    /// Takes away the signature of who signs again.
    fn forget(&mut self, signer: &RequestSigner) {
        let known = self.signed.signatures.iter();
        if let Some(at) = known.into_iter().position(|known| known.signer == *signer) {
            self.signed.signatures.remove(at);
            self.keys.remove(at);
        }
    }
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    hex::decode_to_slice(text, &mut out).ok()?;
    Some(out)
}

/// The number of the vault whose anchors these are.
fn vault_of(path: &Path) -> Result<[u8; 16], Failure> {
    let wrong = no_anchors;
    let text = file::read(path, MAX_REQUEST)
        .map_err(|error| Failure::file(Words("读取锚点", "read the anchors"), path, &error))?;
    let anchors: Value = serde_json::from_slice(&text).map_err(|_| wrong())?;
    let vault = anchors.get("vault").and_then(Value::as_str);
    vault.and_then(bytes).ok_or_else(wrong)
}

fn make(place: &Place, machine: &Clock, new: NewRequest, schema: &'static str) -> Result<Outcome, Failure> {
    let NewRequest {
        act,
        requester,
        days,
        out,
    } = new;
    let requester = requester.ok_or_else(|| usage(Words("缺少 --requester", "--requester is missing")))?;
    let out = out.ok_or_else(|| usage(Words("缺少 --out", "--out is missing")))?;
    let mut act = act_of(act)?;
    let vault = match &place.anchors {
        Some(anchors) => vault_of(anchors)?,
        None => runtime()?.block_on(async { Ok::<_, Failure>(place.connect().await?.vault()) })?,
    };
    if let OfficerAct::SetTime { generation, .. } = &mut act
        && *generation == 0
    {
        // Every store was written once.
        let stands = async { Ok::<_, Failure>(place.connect_as(&Identity::nobody()).await?.status().await?) };
        *generation = runtime()?.block_on(stands)?.generation;
    }
    let made = machine.at(place.at, Founded::around(&vault))?.now();
    // The wire has whole seconds.
    let made = jiff::Timestamp::from_second(made.as_second()).unwrap_or(made);
    let mut nonce = [0; 16];
    random().fill_bytes(&mut nonce);
    let request = OfficersRequest {
        vault,
        act,
        requester,
        made,
        until: made
            .saturating_add(SignedDuration::from_hours(24 * i64::from(days)))
            .unwrap_or(made),
        nonce,
    };
    let held = Held {
        signed: request.unsigned()?,
        request,
        keys: Vec::new(),
    };
    file::create(&out, &held.text()?, 0o644)
        .map_err(|error| Failure::file(Words("写入申请", "write the request"), &out, &error))?;
    let (mut fields, mut lines) = held.shown(None);
    fields["path"] = out.display().to_string().into();
    lines.push(line!(out.display()));
    Outcome::done(schema, &fields, lines)
}

#[expect(clippy::too_many_lines, reason = "an arm for each act, read as a table")]
fn act_of(command: ActCommand) -> Result<OfficerAct, Failure> {
    let regions = |given: &[String]| {
        given
            .iter()
            .map(|text| division(text))
            .collect::<Result<Vec<_>, _>>()
    };
    Ok(match command {
        ActCommand::EnrolCaller {
            name,
            kind,
            public_key,
            region,
            operation,
            ceiling,
        } => OfficerAct::EnrolCaller(Enrolment {
            key: officer::read_point_of(&name, &public_key)?,
            name,
            kind: kind.into(),
            regions: regions(&region)?,
            operations: operation
                .iter()
                .map(|name| number_of(name))
                .collect::<Result<_, _>>()?,
            ceilings: ceiling
                .iter()
                .map(|given| lowered(given))
                .collect::<Result<_, _>>()?,
        }),
        ActCommand::RestoreCaller { name } => OfficerAct::RestoreCaller { name },
        ActCommand::ReplaceKey { name, public_key } => OfficerAct::ReplaceKey {
            key: officer::read_point_of(&name, &public_key)?,
            name,
        },
        ActCommand::EnrolTerminal {
            kind,
            request,
            region,
            zones,
            until,
            replaces,
        } => {
            let (terminal, sealing_key, authentication_key) = files::read_request(&request)?;
            OfficerAct::EnrolTerminal(TerminalEnrolment {
                kind: kind.into(),
                terminal,
                sealing_key,
                authentication_key,
                regions: regions(&region)?,
                zones,
                until,
                replaces,
            })
        }
        ActCommand::RotateRole {
            role,
            region,
            drain_until,
        } => OfficerAct::RotateRole {
            role: role.into(),
            region: division(&region)?,
            drain_until,
        },
        ActCommand::RetireRole {
            role,
            region,
            version,
        } => OfficerAct::RetireRole {
            role: role.into(),
            region: division(&region)?,
            version,
        },
        ActCommand::ExportLot {
            issuer,
            lot,
            first,
            count,
            maker,
            maker_key,
        } => OfficerAct::ExportLot(LotRequest {
            issuer: files::read_hex(
                &issuer,
                Words("--issuer 须为 4 个十六进制数字", "--issuer has 4 hex digits"),
            )?,
            lot: files::read_hex(
                &lot,
                Words("--lot 须为 8 个十六进制数字", "--lot has 8 hex digits"),
            )?,
            first,
            count,
            maker,
            maker_key: files::read_point(&maker_key)?,
        }),
        ActCommand::SetTime { day, generation } => OfficerAct::SetTime {
            day,
            generation: generation.unwrap_or_default(),
        },
        ActCommand::ReplaceOfficers { officer } => {
            let officers = officer::named_officers(&officer, None)?;
            let officers = officers.into_iter().map(|officer| Enrolment {
                name: officer.name,
                kind: Caller::KeyOfficer,
                key: officer.key,
                regions: Vec::new(),
                operations: Vec::new(),
                ceilings: Vec::new(),
            });
            OfficerAct::ReplaceOfficers {
                officers: officers.collect(),
            }
        }
    })
}

/// The number of an operation by its name.
fn number_of(name: &str) -> Result<u32, Failure> {
    let listed = OPERATIONS.iter().find(|listed| listed.name == name);
    listed.map(|listed| listed.number).ok_or_else(|| {
        usage(Words(
            "没有此名称的操作：名称见 keyvault/README.md 的操作表",
            "there is no operation of this name: they stand in the table of keyvault/README.md",
        ))
    })
}

fn lowered(given: &str) -> Result<LoweredCeiling, Failure> {
    let parts = given.split_once('=');
    let parsed = parts.and_then(|(counted, number)| Some((counted, number.parse().ok()?)));
    let (counted, per_day) = parsed.ok_or_else(|| {
        usage(Words(
            "--ceiling 写作 项目=数量",
            "--ceiling has the form COUNTED=N",
        ))
    })?;
    Ok(LoweredCeiling {
        counted: counted.to_owned(),
        per_day,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a person reads of the file is what is signed: neither its words nor a name beside them show something else.
    #[test]
    fn a_file_that_shows_something_else_than_it_says_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("request.json");
        let held = |name: &str, signer: &str| {
            let request = OfficersRequest {
                vault: [8; 16],
                act: OfficerAct::RestoreCaller { name: name.into() },
                requester: "bank".into(),
                made: jiff::Timestamp::UNIX_EPOCH,
                until: jiff::Timestamp::UNIX_EPOCH,
                nonce: [9; 16],
            };
            let mut signed = request.unsigned().unwrap();
            let key = ChannelKey::fresh();
            let who = RequestSigner::Officer { name: signer.into() };
            signed.sign(who, &key.signer().unwrap());
            Held {
                request,
                signed,
                keys: vec![key.public()],
            }
        };
        let code = |text: &[u8]| {
            std::fs::write(&path, text).unwrap();
            Held::read(&path)
                .map(drop)
                .map_err(|failure| failure.code.clone().into_owned())
        };
        let good = held("bank", "chen").text().unwrap();
        assert_eq!(code(&good), Ok(()));
        let other = String::from_utf8(good)
            .unwrap()
            .replace("“bank”, who", "“door”, who");
        assert_eq!(code(other.as_bytes()), Err("REQUEST_WORDS".to_owned()));
        for (name, signer) in [
            ("bank\u{1B}[2K\rdoor", "chen"),
            ("\u{202E}knab", "chen"),
            ("bank", "chen\nenrols the auditor “door”, key 0000"),
            ("bank", "chen\u{1B}[1A\u{1B}[2K"),
        ] {
            let text = held(name, signer).text().unwrap();
            assert_eq!(
                code(&text),
                Err("REQUEST_WORDS".to_owned()),
                "{name:?} {signer:?}"
            );
        }
    }
}
