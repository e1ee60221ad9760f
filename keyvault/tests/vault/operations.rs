//! The policy of every operation, held against what the vault does.

use scratch_vault::{Approved as _, Outfit};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use card_applet_spec::crypto::PublicKey;
use card_applet_spec::deny_list::{DenyList, lists_of_file};
use jiff::Span;
use jiff::civil::Date;
use keyvault::{Vault, serve};
use keyvault_protocol::channel;
use keyvault_protocol::sealed::{self, Purpose};
use keyvault_protocol::{
    AcceptReceipts, AllowCard, Asked, BeginUnseal, BundleKind, BundleRequest, Callers, CardBack, CardTask,
    CardVersions, Ceilings, ChannelKey, CheckLines, CompromiseRole, ContinueCard, Counted, DenyCard,
    DenyChain, DenyListRequest, EndCard, Entitlement, ExportBundle, ExportDenyList, ExportUpdates, GiveShare,
    Greeting, Hello, LineCheck, LotRequest, OPERATIONS, OfficerAct, OpenOrder, OrderSession,
    PROTOCOL_VERSION, PendingUpdates, PhotoKeyContext, PhotoKeyNew, PhotoKeyOpen, PointBytes, ReadAnchors,
    ReadJournal, ReadPending, ReadStatus, Receipt, ReceiptOutcome, RefusalCode, Request, Response,
    RevokeTerminal, RewriteContent, Role, RoleKeyState, RoleKeys, Script, Seal, SealUpdate, SealedShare,
    SettlementLine, Share, SignCardBack, SignedRequest, SlotVersion, StartCard, SubmitRequest, SuspendCaller,
    TaskKind, TerminalEnrolment, Terminals, UpdateTask, UpdatesRequest, VaultState, Welcome, WrappedKey,
    custodian_key, frame, request_number, sign_as_custodian,
};
use p256::SecretKey;
use program_contract::day;
use rand::SeedableRng;
use rand::rngs::StdRng;
use service_contract::{Caller, Journal};
use sqlx::{Connection as _, Row as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use virtual_card::chip::Chip as _;

use super::custody::sealed as sealed_vault;
use super::gate::{Gate, REGION};
use super::program::Served;
use super::settlement::Shop;
use super::support::*;

/// One of every request, from the list that holds the wire.
pub(crate) fn requests() -> Vec<(String, Request)> {
    include_str!("../../protocol/src/encoding.txt")
        .lines()
        .filter_map(|line| line.strip_prefix("request ")?.split_once(": "))
        .map(|(name, bytes)| {
            let bytes = hex::decode(bytes).unwrap();
            (name.to_owned(), minicbor::decode(&bytes).unwrap())
        })
        .collect()
}

/// Asks the vault in frames of the channel, without the client and what it looks at.
pub(crate) async fn ask(
    vault: &Arc<Vault>,
    key: &ChannelKey,
    client_key: PointBytes,
    request: Request,
) -> (Response, Welcome) {
    let (near, far) = tokio::io::duplex(1 << 16);
    drop(serve::Server::new(Arc::clone(vault)).unwrap().serve(far));
    ask_over(near, key, client_key, request).await.unwrap()
}

/// The same over any stream; none where the other end goes away.
async fn ask_over<S: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: S,
    key: &ChannelKey,
    client_key: PointBytes,
    request: Request,
) -> Option<(Response, Welcome)> {
    let (mut near, _) = channel::dial(stream, key, None).await.ok()?;
    let hello = Hello(Greeting {
        version: PROTOCOL_VERSION,
        client_key,
    });
    let series = channel::series(near.get_ref().1).unwrap();
    let mut answers = Vec::new();
    for (count, request) in (1..).zip([Request::from(hello), request]) {
        let asked = Asked {
            id: request_number(series, count),
            request,
        };
        frame::write(&mut near, &asked).await.ok()?;
        answers.push(frame::read::<_, Response>(&mut near).await.ok()??);
    }
    let response = answers.pop().unwrap();
    let Some(Response::Welcome(welcome)) = answers.pop() else {
        panic!("no welcome");
    };
    Some((response, welcome))
}

#[tokio::test]
async fn a_sealed_vault_answers_what_its_policies_say_and_nothing_else() {
    let (_folder, _, _, vault) = sealed_vault(91).await;
    let requests = requests();
    for operation in OPERATIONS {
        let is_there = |(_, request): &(String, Request)| request.listed().number == operation.number;
        assert!(requests.iter().any(is_there), "{}", operation.name);
    }
    for (name, request) in requests {
        if matches!(request, Request::Hello(_)) {
            continue;
        }
        let (response, _) = ask(&vault, &ChannelKey::fresh(), [4; 65], request.clone()).await;
        let is_sealed =
            matches!(&response, Response::Refused(refusal) if refusal.code == RefusalCode::Sealed);
        assert_eq!(
            is_sealed,
            !request.listed().policy.while_sealed,
            "{name}: {response:?}"
        );
    }
}

/// What takes back what an operation did.
pub(crate) enum Back {
    /// It leaves all that was there as it was, but for counts and last days in these tables.
    Nothing(&'static [&'static str]),
    /// This operation.
    By(Box<Request>),
    /// Enough shares.
    Unsealing,
    /// None: this fact about the vault is never again what it was.
    Never(fn(&View) -> String),
}

/// A vault in which every operation has something to do, and what it is asked with. It is copied for each of them.
pub(crate) struct Base {
    pub(crate) installation: Installation,
    /// Of the connections.
    key: SecretKey,
    session: OrderSession,
    /// A card in its holder's hands, which bought something and for which an update waits.
    written: TestCard,
    blank: TestCard,
    denied: TestCard,
    context: PhotoKeyContext,
    wrapped: WrappedKey,
    line: SettlementLine,
    chain: [u8; 16],
    receipt: Receipt,
    bus: Outfit,
}

fn entitlement(role: Role) -> Entitlement {
    let mut all = content(1).entitlements.into_iter();
    all.find(|wanted| wanted.role == role).unwrap()
}

const TODAY: Date = jiff::civil::date(2026, 11, 21);

fn until() -> Date {
    TODAY.saturating_add(Span::new().days(7))
}

impl Base {
    pub(crate) async fn new() -> Self {
        let installation = Installation::new(92).await;
        let mut client = installation.client().await;
        let client = &mut client;
        let mut order = installation.order(1, 8);
        order.tasks.extend([TaskKind::Rewrite, TaskKind::Update]);
        let order = order.sign(&installation.issuer).unwrap();
        let session = client.open_order(&order).await.unwrap();
        let [mut written, mut denied, blank]: [TestCard; 3] = installation
            .blanks(3)
            .await
            .try_into()
            .unwrap_or_else(|_| panic!("three"));
        for (index, card) in [(0, &mut written), (1, &mut denied)] {
            let salt = u8::try_from(index).unwrap() + 1;
            let activate = CardTask::Activate { date: TODAY };
            for task in [personalise(salt), activate] {
                card.reset();
                let (done, _) = run(client, &session, index, card, task, Mishap::None).await;
                done.unwrap();
            }
            card.reset();
        }
        let load = CardTask::Rewrite(Box::new(RewriteContent {
            entitlements: vec![entitlement(Role::SmallPayment)],
            loaded: Some(5_000),
            ..RewriteContent::default()
        }));
        let (done, _) = run(client, &session, 5, &mut written, load, Mishap::None).await;
        done.unwrap();
        written.reset();
        client.deny_card(denied.serial).await.unwrap();
        // A version that drains, for the ones that may be retired.
        for _ in 0..2 {
            let region = "110000".parse().unwrap();
            client.rotate_role(Role::Door, region, TODAY).await.unwrap();
        }
        let mut shop = Shop::new(client, "shop 1").await;
        let line = shop.sell(&mut written, 100);
        let checked = client.check_lines(std::slice::from_ref(&line)).await.unwrap();
        let [LineCheck::Genuine { chain, .. }] = checked[..] else {
            panic!("{checked:?}");
        };
        let mut bus = Gate::new(client, BundleKind::Bus, "bus 1", TODAY).await;
        let update = UpdateTask::Entitlement(entitlement(Role::Transit));
        client
            .seal_update(&session, 2, written.serial, update)
            .await
            .unwrap();
        assert!(bus.fetch(client, TODAY).await > 0);
        // The card has the update, and the vault has not heard of it.
        let receipt = bus.receipts(&mut written, TODAY).remove(0);
        let key = sealed::fresh_key(&mut StdRng::seed_from_u64(5));
        let context = PhotoKeyContext {
            photo_id: [1; 16],
            person: [2; 16],
            profile: "chip".into(),
            version: 1,
        };
        let (_, wrapped) = client.photo_key_new(&context).await.unwrap();
        let base = Self {
            key,
            session,
            written,
            blank,
            denied,
            context,
            wrapped,
            line,
            chain,
            receipt,
            bus: bus.request,
            installation,
        };
        // The numbers of the lists of today are given.
        let mut client = base.installation.client().await;
        for role in Role::ALL {
            client.export_deny_list(*role, TODAY, 30, 0).await.unwrap();
        }
        base
    }

    /// The same vault again, open.
    pub(crate) async fn copy(&self) -> Copied<'_> {
        self.opened(self.copied_folder()).await
    }

    /// What the vault of another process has on its disk at this moment, open.
    pub(crate) async fn found_in(&self, other: &Path) -> Copied<'_> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("vault")).unwrap();
        for file in [
            "vault/vault.sqlite",
            "vault/vault.sqlite-wal",
            "vault/transport.key",
        ] {
            std::fs::copy(other.join(file), folder.path().join(file)).unwrap();
        }
        self.opened(folder).await
    }

    async fn opened(&self, folder: tempfile::TempDir) -> Copied<'_> {
        let clock = TestClock::at(NOON);
        let envelopes = &self.installation.envelopes;
        let vault = scratch_vault::reopen(folder.path(), envelopes, clock.clock(), random(93))
            .await
            .unwrap();
        Copied::of(self, folder, clock, Reached::Here(vault))
    }

    /// The same vault again, open in a process of its own, which this command starts.
    pub(crate) async fn served_by(&self, program: &mut Command) -> Copied<'_> {
        let folder = self.copied_folder();
        let mut child = program
            .args(["--json", "--dir"])
            .arg(folder.path().join("vault"))
            .args(["serve", "--at", &TODAY.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It says so when it serves.
        let mut told = String::new();
        let said = BufReader::new(child.stdout.take().unwrap()).read_line(&mut told);
        assert!(said.is_ok_and(|length| length > 0), "the vault does not start");
        let served = Served { child };
        let at = Copied::of(self, folder, TestClock::at(NOON), Reached::Process(served));
        for custodian in 0..2 {
            let share = at.share(custodian).await;
            assert!(matches!(at.ask(share).await, Response::Progress(_)));
        }
        at
    }

    fn copied_folder(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy_folder(
            &self.installation.folder.path().join("vault"),
            &folder.path().join("vault"),
        );
        folder
    }
}

/// Where a copy is open.
enum Reached {
    Here(Arc<Vault>),
    Process(Served),
}

pub(crate) struct Copied<'a> {
    base: &'a Base,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) clock: TestClock,
    reached: Reached,
}

/// What clients see of a vault.
#[derive(Debug, PartialEq)]
pub(crate) struct View {
    state: Option<VaultState>,
    role_keys: Vec<(Role, String, u8, RoleKeyState, u64, u64)>,
    revoked: BTreeSet<String>,
    denied: Vec<Vec<u8>>,
    written: Option<Vec<SlotVersion>>,
    blank: Option<Vec<SlotVersion>>,
    pending: Option<PendingUpdates>,
}

/// Every row's version by table and id, and the lines of the journal.
#[derive(Debug, PartialEq)]
pub(crate) struct Rows {
    pub(crate) tables: BTreeMap<String, BTreeMap<Vec<u8>, i64>>,
    journal: usize,
}

impl Rows {
    /// Of the vault in a folder, as they are on disk at this moment.
    pub(crate) async fn of(vault: &Path) -> Self {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(vault, copy.path());
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(copy.path().join("vault.sqlite"));
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        let journal: i64 = sqlx::query_scalar("SELECT count(*) FROM journal")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let names: Vec<String> = sqlx::query_scalar(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'sealed_%'",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        let mut tables = BTreeMap::new();
        // The state row changes with every line of the journal.
        for table in names.into_iter().filter(|name| name != "sealed_state") {
            let query = format!("SELECT id, row_version FROM {table}");
            let rows = sqlx::query(sqlx::AssertSqlSafe(query))
                .fetch_all(&mut connection)
                .await
                .unwrap();
            let rows = rows.iter().map(|row| (row.get("id"), row.get("row_version")));
            tables.insert(table, rows.collect());
        }
        Self {
            tables,
            journal: usize::try_from(journal).unwrap(),
        }
    }

    /// Tables of which a row is another one now, or gone. What ceilings count is not brought back by anything.
    fn changed(&self, after: &Self) -> BTreeSet<&str> {
        let changed = |table: &str, rows: &BTreeMap<Vec<u8>, i64>| {
            rows.iter()
                .any(|(id, version)| after.tables[table].get(id) != Some(version))
        };
        self.tables
            .iter()
            .filter(|(table, rows)| *table != "sealed_count" && changed(table, rows))
            .map(|(table, _)| table.as_str())
            .collect()
    }
}

/// Every act of officers, as this vault does it, and what is asked before it.
pub(crate) fn acts() -> Vec<(OfficerAct, Vec<Request>)> {
    let enrolment = |name: &str, kind| scratch_vault::enrolment(name, kind, scratch_vault::point(name));
    let suspended = |name: &str| {
        SuspendCaller {
            name: name.to_owned(),
        }
        .into()
    };
    let [_, second, third] = scratch_vault::OFFICERS;
    let lot = LotRequest {
        issuer: [0x44, 0x03],
        lot: [0, 0, 0, 2],
        first: 1,
        count: 1,
        maker: "card maker".into(),
        maker_key: scratch_vault::point("card maker"),
    };
    let terminal = TerminalEnrolment {
        kind: BundleKind::Door,
        terminal: "door 9".into(),
        sealing_key: scratch_vault::point("door 9"),
        authentication_key: scratch_vault::point("door 9, certificates"),
        regions: vec![REGION.parse().unwrap()],
        zones: 0,
        until: until(),
        replaces: false,
    };
    let (role, region) = (Role::Door, "110000".parse().unwrap());
    let acts = vec![
        (OfficerAct::EnrolCaller(enrolment("he", Caller::Auditor)), vec![]),
        (
            OfficerAct::RestoreCaller { name: third.into() },
            vec![suspended(third)],
        ),
        (
            OfficerAct::ReplaceKey {
                name: third.into(),
                key: scratch_vault::point("another"),
            },
            vec![],
        ),
        (OfficerAct::EnrolTerminal(terminal), vec![]),
        (
            OfficerAct::RotateRole {
                role,
                region,
                drain_until: TODAY,
            },
            vec![],
        ),
        (
            OfficerAct::RetireRole {
                role,
                region,
                version: 1,
            },
            vec![],
        ),
        (OfficerAct::ExportLot(lot), vec![]),
        (
            OfficerAct::ReplaceOfficers {
                officers: ["hu", "luo"]
                    .map(|name| enrolment(name, Caller::KeyOfficer))
                    .to_vec(),
            },
            vec![suspended(third), suspended(second)],
        ),
    ];
    for (act, _) in &acts {
        // A new act has a line above.
        match act {
            OfficerAct::EnrolCaller(_)
            | OfficerAct::RestoreCaller { .. }
            | OfficerAct::ReplaceKey { .. }
            | OfficerAct::EnrolTerminal(_)
            | OfficerAct::RotateRole { .. }
            | OfficerAct::RetireRole { .. }
            | OfficerAct::ExportLot(_)
            | OfficerAct::ReplaceOfficers { .. }
            // Comes with shares.
            | OfficerAct::SetTime { .. } => {}
        }
    }
    acts
}

impl<'a> Copied<'a> {
    fn of(base: &'a Base, folder: tempfile::TempDir, clock: TestClock, reached: Reached) -> Self {
        Self {
            base,
            folder,
            clock,
            reached,
        }
    }

    /// The vault in this process.
    pub(crate) fn vault(&self) -> &Arc<Vault> {
        let Reached::Here(vault) = &self.reached else {
            panic!("it is open in another process");
        };
        vault
    }

    /// The process in which it is open.
    pub(crate) fn process(&mut self) -> &mut Child {
        let Reached::Process(served) = &mut self.reached else {
            panic!("it is open in this process");
        };
        &mut served.child
    }

    pub(crate) async fn ask(&self, request: Request) -> Response {
        let name = request.listed().name;
        let answer = self.try_ask(request).await;
        answer.unwrap_or_else(|| panic!("{name}: the vault is gone"))
    }

    /// The same; none where the vault goes away.
    pub(crate) async fn try_ask(&self, request: Request) -> Option<Response> {
        // Who may ask for it.
        let key = match &request {
            Request::BeginUnseal(_) | Request::GiveShare(_) | Request::Seal(_) => {
                custodian_key(&self.opened(0)).unwrap()
            }
            _ => match request.listed().policy.who {
                who if who.contains(&Caller::Issuer) => scratch_vault::key("shenzhen"),
                who if who.contains(&Caller::KeyOfficer) => scratch_vault::key("chen"),
                who if who.contains(&Caller::Settlement) => scratch_vault::key("scratch settlement"),
                who if who.contains(&Caller::PhotoStore) => scratch_vault::key(scratch_vault::PHOTO_STORE),
                _ => ChannelKey::fresh(),
            },
        };
        let client_key = sealed::point_of(&self.base.key.public_key());
        let is_hello = matches!(request, Request::Hello(_));
        let (response, welcome) = match &self.reached {
            Reached::Here(vault) => {
                let (near, far) = tokio::io::duplex(1 << 16);
                drop(serve::Server::new(Arc::clone(vault)).unwrap().serve(far));
                ask_over(near, &key, client_key, request).await?
            }
            Reached::Process(_) => {
                let socket = self.folder.path().join("vault/keyvault.sock");
                let stream = UnixStream::connect(socket).await.ok()?;
                ask_over(stream, &key, client_key, request).await?
            }
        };
        Some(if is_hello {
            Response::Welcome(welcome)
        } else {
            response
        })
    }

    /// What the vault has in memory, as callers see it.
    pub(crate) async fn seen(&self) -> Vec<Response> {
        let serial = self.base.written.serial;
        let mut seen = Vec::new();
        for request in [
            RoleKeys.into(),
            Callers.into(),
            Terminals.into(),
            CardVersions { serial }.into(),
            ReadPending { serial }.into(),
        ] {
            seen.push(self.ask(request).await);
        }
        seen
    }

    async fn rows(&self) -> Rows {
        Rows::of(&self.folder.path().join("vault")).await
    }

    async fn view(&self) -> View {
        let mut client = connect(self.vault()).await;
        let state = client.status().await.unwrap().state;
        let mut view = View {
            state: Some(state),
            role_keys: Vec::new(),
            revoked: BTreeSet::new(),
            denied: Vec::new(),
            written: None,
            blank: None,
            pending: None,
        };
        if state != VaultState::Open {
            return view;
        }
        for key in client.role_keys().await.unwrap() {
            let region = key.region.to_string();
            view.role_keys.push((
                key.role,
                region,
                key.version,
                key.state,
                key.cards,
                key.cards_alone,
            ));
        }
        let terminals = client.terminals().await.unwrap();
        let revoked = terminals
            .into_iter()
            .filter(|terminal| terminal.revoked.is_some());
        view.revoked = revoked.map(|terminal| terminal.name).collect();
        let signer = client.anchors().await.unwrap().deny_list_signer;
        let signer = PublicKey::from_point65(&signer).unwrap();
        for role in Role::ALL {
            let list = client.export_deny_list(*role, TODAY, 30, 0).await.unwrap();
            let list = lists_of_file(&list).next().unwrap().unwrap();
            view.denied.push(
                DenyList::parse_and_verify(list, &signer)
                    .unwrap()
                    .entries
                    .to_vec(),
            );
        }
        view.written = client.card_versions(self.base.written.serial).await.ok();
        view.blank = client.card_versions(self.base.blank.serial).await.ok();
        view.pending = client.pending_updates(self.base.written.serial).await.ok();
        view
    }

    async fn attempt(&self) -> keyvault_protocol::Attempt {
        match self.ask(BeginUnseal.into()).await {
            Response::Attempt(attempt) => attempt,
            other => panic!("{other:?}"),
        }
    }

    fn opened(&self, custodian: usize) -> Share {
        let envelope = &self.base.installation.envelopes[custodian];
        envelope
            .open(scratch_vault::passphrase(&envelope.custodian).as_bytes())
            .unwrap()
    }

    /// A custodian's share for the attempt that runs.
    pub(crate) async fn share(&self, custodian: usize) -> Request {
        let attempt = self.attempt().await;
        let share = self.opened(custodian);
        let context = SealedShare::context(&attempt.id, &share.vault, share.epoch, share.index, 0, None);
        let mut rng = StdRng::seed_from_u64(6);
        let sealed = sealed::seal(&attempt.key, Purpose::Share, &context, share.value(), &mut rng).unwrap();
        let share = SealedShare {
            attempt: attempt.id,
            vault: share.vault,
            epoch: share.epoch,
            index: share.index,
            sealed,
            seen: 0,
            day: None,
        };
        GiveShare(share, None).into()
    }

    fn unsigned(&self, act: OfficerAct) -> SignedRequest {
        let vault = self.base.installation.vault.id();
        scratch_vault::request(vault, act, "tests", self.clock.now()).unwrap()
    }

    /// What two officers signed.
    pub(crate) fn approved(&self, act: OfficerAct) -> Request {
        let mut request = self.unsigned(act);
        scratch_vault::sign(&mut request, &scratch_vault::OFFICERS[..2]);
        SubmitRequest(request).into()
    }

    /// An act that those have signed who may, behind what is asked before it.
    pub(crate) async fn ready_for(&self, (act, before): (OfficerAct, Vec<Request>)) -> Request {
        for request in before {
            assert_eq!(self.ask(request).await, Response::Done);
        }
        if !act.is_custodians() {
            return self.approved(act);
        }
        let mut request = self.unsigned(act);
        for custodian in 0..2 {
            sign_as_custodian(&self.opened(custodian), &mut request).unwrap();
        }
        SubmitRequest(request).into()
    }

    /// A change that is sealed for the card in its holder's hands.
    pub(crate) fn sealing(&self, like: &UpdateTask) -> Request {
        let task = match like {
            UpdateTask::Entitlement(_) => UpdateTask::Entitlement(entitlement(Role::Door)),
            UpdateTask::PermitBlock { .. } => UpdateTask::PermitBlock { dg3: content(1).dg3 },
            UpdateTask::DateFloor(_) => UpdateTask::DateFloor(TODAY),
            UpdateTask::Block => UpdateTask::Block,
            UpdateTask::EraseVersion { .. } => UpdateTask::EraseVersion {
                role: Role::Door,
                version: 1,
            },
            UpdateTask::Load { .. } => UpdateTask::Load { loaded: 6_000 },
        };
        SealUpdate {
            order: self.base.session.order,
            index: 6,
            serial: self.base.written.serial,
            task,
        }
        .into()
    }

    /// A whole task on a card, behind the tasks that bring it there.
    pub(crate) async fn write(&self, like: &CardTask) {
        let (session, mut client) = (&self.base.session, connect(self.vault()).await);
        let (mut card, task) = match like {
            CardTask::Personalise(_) => (self.base.blank.copy(), personalise(3)),
            CardTask::Activate { .. } => {
                let mut card = self.base.blank.copy();
                let (done, _) = run(&mut client, session, 6, &mut card, personalise(3), Mishap::None).await;
                done.unwrap();
                card.reset();
                (card, CardTask::Activate { date: TODAY })
            }
            CardTask::Rewrite(_) => {
                let content = RewriteContent {
                    entitlements: vec![entitlement(Role::Door)],
                    ..RewriteContent::default()
                };
                (self.base.written.copy(), CardTask::Rewrite(Box::new(content)))
            }
            CardTask::Unblock => {
                let mut card = self.base.written.copy();
                let (done, _) = run(&mut client, session, 7, &mut card, CardTask::Block, Mishap::None).await;
                done.unwrap();
                card.reset();
                (card, CardTask::Unblock)
            }
            CardTask::Block | CardTask::Inspect | CardTask::Terminate => {
                (self.base.written.copy(), like.clone())
            }
        };
        let (done, _) = run(&mut client, session, 6, &mut card, task, Mishap::None).await;
        done.unwrap();
    }

    /// What this custodian gives, who says the day that the machine shows; the first with what two officers asked for.
    pub(crate) async fn give_on_the_day(&self, custodian: usize) {
        let day = day::of(self.clock.now());
        let act = OfficerAct::SetTime {
            day,
            generation: self.vault().status().await.generation,
        };
        let Request::SubmitRequest(SubmitRequest(request)) = self.approved(act) else {
            panic!("a request");
        };
        let share = self.opened(custodian).on_day(Some(day));
        let share = share.with_request((custodian == 0).then_some(request));
        let client = scratch_vault::connect_custodian(self.vault(), &share).await;
        client.unwrap().submit_share(&share).await.unwrap();
    }

    pub(crate) async fn seal(&self) {
        let seal = Seal;
        assert_eq!(self.ask(seal.into()).await, Response::Done);
    }

    /// Brings the blank to the last answers of its personalisation, which are not given yet.
    async fn last_answers(&self) -> Request {
        let (order, index) = (self.base.session.order, 3);
        let mut card = self.base.blank.copy();
        let start = StartCard {
            order,
            index,
            serial: card.serial,
            task: for_card(card.serial, personalise(3)),
        };
        let mut request = Request::from(start);
        // The channel, the first part, the second with FINALISE.
        for _ in 0..3 {
            let response = self.ask(request).await;
            let Response::Script(Script::Send { commands }) = response else {
                panic!("{response:?}");
            };
            let answers = commands
                .iter()
                .map(|command| card.chip.process(command).unwrap())
                .collect();
            request = ContinueCard {
                order,
                index,
                answers,
            }
            .into();
        }
        request
    }

    /// The operation as this vault does it: no wildcard, so that a new one must say here what it does.
    #[allow(clippy::too_many_lines, reason = "an arm for each operation, read as a table")]
    pub(crate) async fn ready(&self, operation: &Request) -> (Request, Back) {
        let base = self.base;
        let (serial, session) = (base.written.serial, &base.session);
        let (role, region) = (Role::Door, "110000".parse().unwrap());
        let nothing = Back::Nothing(&[]);
        match operation {
            Request::Hello(_) => (operation.clone(), nothing),
            Request::ReadStatus(_) => (ReadStatus.into(), nothing),
            Request::BeginUnseal(_) => {
                self.seal().await;
                (BeginUnseal.into(), nothing)
            }
            Request::GiveShare(_) => {
                self.seal().await;
                let first = self.share(0).await;
                assert!(matches!(self.ask(first).await, Response::Progress(_)));
                let seal = Seal;
                (self.share(1).await, Back::By(Box::new(seal.into())))
            }
            Request::Seal(_) => {
                let seal = Seal;
                (seal.into(), Back::Unsealing)
            }
            Request::PhotoKeyNew(_) => (PhotoKeyNew(base.context.clone()).into(), nothing),
            Request::PhotoKeyOpen(_) => {
                let open = PhotoKeyOpen {
                    context: base.context.clone(),
                    wrapped: base.wrapped.clone(),
                };
                (open.into(), nothing)
            }
            Request::OpenOrder(_) => (OpenOrder(base.installation.signed(2, 1)).into(), nothing),
            // The first commands select the application and open the channel.
            Request::StartCard(_) => {
                let start = StartCard {
                    order: session.order,
                    index: 3,
                    serial: base.blank.serial,
                    task: for_card(base.blank.serial, personalise(3)),
                };
                (start.into(), nothing)
            }
            Request::ContinueCard(_) => {
                let finished = |view: &View| format!("{}", view.blank.is_some());
                (self.last_answers().await, Back::Never(finished))
            }
            Request::ExportBundle(_) => (
                ExportBundle(BundleRequest {
                    terminal: base.bus.terminal.clone(),
                    zones: None,
                    from: base.bus.from,
                    to: base.bus.to,
                })
                .into(),
                Back::Nothing(&["sealed_terminal"]),
            ),
            Request::SignCardBack(_) => {
                let back = CardBack {
                    card_number: number_of(serial),
                    region: REGION.parse().unwrap(),
                    issued_on: TODAY,
                };
                (SignCardBack(back).into(), Back::Nothing(&["sealed_card"]))
            }
            Request::ReadAnchors(_) => (ReadAnchors.into(), nothing),
            Request::DenyCard(_) => {
                let allow = AllowCard { serial };
                (DenyCard { serial }.into(), Back::By(Box::new(allow.into())))
            }
            Request::EndCard(_) => {
                let allow = AllowCard { serial };
                (EndCard { serial }.into(), Back::By(Box::new(allow.into())))
            }
            Request::AllowCard(_) => {
                let serial = base.denied.serial;
                let deny = DenyCard { serial };
                (AllowCard { serial }.into(), Back::By(Box::new(deny.into())))
            }
            Request::DenyChain(_) => {
                let listed = |view: &View| format!("{:?}", view.denied[0]);
                let chain = base.chain;
                (DenyChain { chain }.into(), Back::Never(listed))
            }
            Request::ExportDenyList(_) => {
                let list = DenyListRequest {
                    role: Role::Transit,
                    issued: TODAY,
                    max_age_days: 29,
                    grace_days: 0,
                };
                (ExportDenyList(list).into(), Back::Nothing(&["sealed_list"]))
            }
            Request::CompromiseRole(_) => {
                let compromise = CompromiseRole {
                    role,
                    region,
                    version: 2,
                };
                (compromise.into(), Back::Never(|view| state_of_door(view, 2)))
            }
            Request::RoleKeys(_) => (RoleKeys.into(), nothing),
            Request::CardVersions(_) => (CardVersions { serial }.into(), nothing),
            Request::SealUpdate(_) => {
                let update = SealUpdate {
                    order: session.order,
                    index: 4,
                    serial,
                    task: UpdateTask::DateFloor(TODAY),
                };
                (update.into(), Back::Nothing(&["sealed_card", "sealed_role_key"]))
            }
            Request::ExportUpdates(_) => {
                let updates = UpdatesRequest {
                    terminal: base.bus.terminal.clone(),
                    to: until(),
                };
                (ExportUpdates(updates).into(), Back::Nothing(&["sealed_terminal"]))
            }
            Request::AcceptReceipts(_) => {
                let receipts = vec![base.receipt];
                let heard = |view: &View| {
                    let transit = |slot: &&SlotVersion| slot.role == Role::Transit;
                    let slots = view.written.iter().flatten().filter(transit);
                    format!("{}", slots.map(|slot| slot.issue_counter).max().unwrap_or(0) > 1)
                };
                (AcceptReceipts { receipts }.into(), Back::Never(heard))
            }
            Request::ReadPending(_) => (ReadPending { serial }.into(), nothing),
            Request::ReadJournal(_) => (ReadJournal::default().into(), nothing),
            Request::RevokeTerminal(_) => {
                let name = base.bus.terminal.clone();
                let revoked = |view: &View| format!("{}", view.revoked.contains("bus 1"));
                (RevokeTerminal { name }.into(), Back::Never(revoked))
            }
            Request::Terminals(_) => (Terminals.into(), nothing),
            Request::SubmitRequest(_) => {
                let rotate = OfficerAct::RotateRole {
                    role,
                    region,
                    drain_until: TODAY,
                };
                (self.approved(rotate), Back::Never(|view| state_of_door(view, 2)))
            }
            Request::SuspendCaller(_) => {
                let name = scratch_vault::OFFICERS[2].to_owned();
                let restore = self.approved(OfficerAct::RestoreCaller { name: name.clone() });
                (SuspendCaller { name }.into(), Back::By(Box::new(restore)))
            }
            Request::Callers(_) => (Callers.into(), nothing),
            Request::Ceilings(_) => (Ceilings.into(), nothing),
            Request::CheckLines(_) => {
                let lines = vec![base.line.clone()];
                (CheckLines { lines }.into(), nothing)
            }
        }
    }

    /// Whether two answers say the same; signatures and seals are drawn anew each time.
    async fn same(&self, one: &Response, two: &Response) -> bool {
        match (one, two) {
            (
                Response::PhotoKey { sealed: one, wrapped },
                Response::PhotoKey {
                    sealed: two,
                    wrapped: again,
                },
            ) => {
                let photo = &self.base.context.photo_id;
                let open = |value| sealed::open(&self.base.key, Purpose::PhotoKey, photo, value).unwrap();
                *open(one) == *open(two) && wrapped == again
            }
            (Response::Export(one), Response::Export(two)) => {
                let signer = connect(self.vault())
                    .await
                    .anchors()
                    .await
                    .unwrap()
                    .deny_list_signer;
                let signer = PublicKey::from_point65(&signer).unwrap();
                let says = |file: &[u8]| {
                    let list = lists_of_file(file).next()?.ok()?;
                    let list = DenyList::parse_and_verify(list, &signer).ok()?;
                    Some((
                        list.version,
                        list.issued,
                        list.max_age,
                        list.grace,
                        list.entries.to_vec(),
                    ))
                };
                says(one).is_some() && says(one) == says(two)
            }
            // That it was known already is how a repetition is told from the first time.
            (Response::Receipts(one), Response::Receipts(two)) => {
                let proved = |outcomes: &[ReceiptOutcome]| -> Vec<_> {
                    let proved = |outcome: &ReceiptOutcome| match outcome {
                        ReceiptOutcome::Done { serial, change }
                        | ReceiptOutcome::AlreadyKnown { serial, change } => Some((*serial, *change)),
                        _ => None,
                    };
                    outcomes.iter().map(proved).collect()
                };
                proved(one) == proved(two)
            }
            (one, two) => one == two,
        }
    }
}

fn state_of_door(view: &View, wanted: u8) -> String {
    view.role_keys
        .iter()
        .filter(|(role, region, version, ..)| {
            (*role, region.as_str(), *version) == (Role::Door, "110000", wanted)
        })
        .map(|(_, _, _, state, ..)| state.as_str())
        .collect()
}

fn is_refused(response: &Response) -> bool {
    matches!(response, Response::Refused(_))
}

#[tokio::test]
async fn every_operation_does_what_its_policy_says() {
    let base = Box::pin(Base::new()).await;
    let mut all: BTreeMap<u32, Request> = BTreeMap::new();
    for (_, request) in requests() {
        all.entry(request.listed().number).or_insert(request);
    }
    assert_eq!(all.len(), OPERATIONS.len());
    for operation in all.values() {
        let listed = operation.listed();
        let (name, policy) = (listed.name, listed.policy);
        let at = base.copy().await;
        let (request, back) = at.ready(operation).await;
        assert_eq!(request.listed().number, listed.number, "{name}");
        let (seen, before) = (at.view().await, at.rows().await);
        let answer = at.ask(request.clone()).await;
        let after = at.rows().await;
        assert!(!is_refused(&answer), "{name}: {answer:?}");

        let lines = after.journal - before.journal;
        match policy.journal {
            Journal::Before => assert!(lines > 0, "{name} leaves no line"),
            Journal::None => assert_eq!(lines, 0, "{name} leaves a line"),
            Journal::Grouped => panic!("{name}: nothing writes grouped lines"),
        }

        let again = at.ask(request).await;
        let same =
            !is_refused(&again) && at.same(&answer, &again).await && at.rows().await.tables == after.tables;
        assert_eq!(same, policy.idempotent, "{name}: {answer:?} and then {again:?}");

        assert_eq!(matches!(back, Back::Never(_)), policy.irreversible, "{name}");
        match back {
            Back::Nothing(but) => {
                let changed = before.changed(&after);
                assert!(
                    changed.iter().all(|table| but.contains(table)),
                    "{name} changes {changed:?}"
                );
            }
            Back::By(inverse) => {
                let taken_back = at.ask(*inverse).await;
                assert!(!is_refused(&taken_back), "{name}: {taken_back:?}");
                let view = at.view().await;
                // The attempt that ran before the last share is over.
                let state = |view: &View| view.state.filter(|state| *state == VaultState::Open);
                assert_eq!(state(&view), state(&seen), "{name}");
                assert_eq!(
                    (view.denied, view.role_keys),
                    (seen.denied, seen.role_keys),
                    "{name}"
                );
            }
            Back::Unsealing => {
                for custodian in 0..2 {
                    let share = at.share(custodian).await;
                    at.ask(share).await;
                }
                assert_eq!(at.view().await, seen, "{name}");
            }
            Back::Never(fact) => {
                assert_ne!(fact(&at.view().await), fact(&seen), "{name} does nothing");
                // Whatever else is asked, it never is as it was.
                for other in all.values() {
                    let sealing = matches!(
                        other,
                        Request::Seal(_)
                            | Request::BeginUnseal(_)
                            | Request::GiveShare(_)
                            | Request::ContinueCard(_)
                    );
                    if !sealing {
                        let (request, _) = at.ready(other).await;
                        at.ask(request).await;
                    }
                }
                let serial = base.written.serial;
                at.ask(AllowCard { serial }.into()).await;
                assert_ne!(fact(&at.view().await), fact(&seen), "{name} was taken back");
            }
        }
    }
}

#[test]
fn a_ceiling_in_a_policy_has_the_name_and_the_number_of_what_is_counted() {
    for operation in OPERATIONS {
        let Some(ceiling) = operation.policy.ceiling else {
            continue;
        };
        let name = operation.name;
        let counted = Counted::ALL
            .iter()
            .find(|counted| counted.name() == ceiling.counted);
        let counted = counted.unwrap_or_else(|| panic!("{name}: nobody counts {}", ceiling.counted));
        assert_eq!(ceiling.per_day, Some(counted.per_day()), "{name}");
    }
    // Money, loads and blanks are counted beside what carries them; lots and rotations are acts of a request.
    for counted in Counted::ALL {
        let is_beside = matches!(
            counted,
            Counted::Fen | Counted::Loads | Counted::Blanks | Counted::Lots | Counted::Rotations
        );
        let ceilings = OPERATIONS.iter().filter_map(|operation| operation.policy.ceiling);
        let is_in_a_policy = ceilings
            .map(|ceiling| ceiling.counted)
            .any(|name| name == counted.name());
        assert_ne!(is_beside, is_in_a_policy, "{counted:?}");
    }
}
