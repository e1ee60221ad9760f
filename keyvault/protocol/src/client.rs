//! The client over any byte stream: one function for every operation, and methods that spare their callers its words.

use std::time::Duration;

use card_applet_spec::codes::{Region, Role, Serial};
use getrandom::SysRng;
use jiff::civil::Date;
use p256::SecretKey;
use rand_core::{CryptoRng, UnwrapErr};
use service_contract::{Answer, Caller, Operation, socket};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::client::TlsStream;

use crate::bundle::{
    BundleRequest, DenyListRequest, ExportBundle, ExportDenyList, RevokeTerminal, TerminalInfo, Terminals,
};
use crate::caller::{CallerEntry, Callers, SuspendCaller};
use crate::card::{CardTask, CardVersions, ContinueCard, Script, SlotVersion, StartCard};
use crate::ceiling::{CeilingUse, Ceilings};
use crate::channel;
use crate::denial::{AllowCard, DenyCard, DenyChain, EndCard};
use crate::error::{Error, Refusal, RefusalCode};
use crate::frame;
use crate::identity::{Identity, Taken};
use crate::journal::{JournalPage, ReadJournal};
use crate::message::{Asked, Request, Response, Series, request_number};
use crate::order::{OpenOrder, OrderSession, SignedOrder};
use crate::photo::{DataKey, PhotoKeyContext, PhotoKeyNew, PhotoKeyOpen, SealedPhotoKey, WrappedKey};
use crate::request::{RequestOutcome, SignedRequest, SubmitRequest};
use crate::role_key::{CompromiseRole, RoleCompromised, RoleKeyInfo, RoleKeys};
use crate::sealed::{self, Common, Purpose};
use crate::settlement::{CheckLines, LineCheck, SettlementLine};
use crate::share::Share;
use crate::signing::{Anchors, CardBack, ReadAnchors, SignCardBack};
use crate::status::{
    Attempt, BeginUnseal, GiveShare, Greeting, Hello, PROTOCOL_VERSION, ReadStatus, Seal, SealedShare,
    Status, UnsealProgress, Welcome,
};
use crate::update::{
    AcceptReceipts, ExportUpdates, PendingUpdates, QueuedUpdate, ReadPending, Receipt, ReceiptOutcome,
    SealUpdate, UpdateTask, UpdatesRequest,
};
use crate::wire::{PointBytes, SignatureBytes};

/// How long a vault may take to say hello: it does so even while it works for somebody else.
const HELLO: Duration = Duration::from_secs(10);
/// How long it may take for an answer. The longest are the last share, which reads the whole store, and a lot of 50,000 cards.
const ANSWER: Duration = Duration::from_mins(5);

/// A connection to the vault. One request at a time; after an [`Error::ConnectionLost`] make a new one and resume.
pub struct Client<S> {
    // A channel has room for a record each way: whoever holds a client should not have to move that.
    stream: Box<TlsStream<S>>,
    vault: [u8; 16],
    transport: PointBytes,
    /// The generation of the store, where the vault is open and has proved that it is ours.
    generation: Option<u64>,
    /// What may be asked of who answers.
    proved: Proved,
    key: SecretKey,
    /// The ephemeral key by which this connection's secrets come, and what it has in common with ours.
    agreed: Option<Box<(PointBytes, Common)>>,
    patience: Duration,
    /// Under what its requests are numbered, and how many there were.
    series: Series,
    asked: u64,
}

/// What may be asked of who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Proved {
    /// It is the vault: everything.
    Vault,
    /// It did not show the operating key, which a sealed vault cannot: the status alone.
    Sealed,
    /// We know no vault: the status alone.
    Nothing,
}

impl<S> std::fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(..)")
    }
}

impl Client<tokio::net::UnixStream> {
    /// Connects to the vault's Unix socket. Whoever listens there is known by the key that they prove, not by their user.
    ///
    /// # Errors
    /// [`Error::SocketPath`] for a path that is too long, [`Error::NotRunning`] when nobody listens there, [`Error::OtherUser`] when
    /// the socket is not for us, else as [`Client::connect`].
    pub async fn connect_unix(path: &std::path::Path, identity: &Identity) -> Result<Self, Error> {
        check_path(path)?;
        let connecting = tokio::time::timeout(HELLO, tokio::net::UnixStream::connect(path));
        let stream = connecting.await.map_err(|_| Error::NoAnswer)?;
        let stream = stream.map_err(|error| Error::from_connecting(error, path))?;
        Self::connect(stream, identity).await
    }
}

/// Refuses a path that no Unix socket can have.
///
/// # Errors
/// [`Error::SocketPath`].
pub fn check_path(path: &std::path::Path) -> Result<(), Error> {
    match path.as_os_str().len() {
        length if length > socket::MAX_PATH => Err(Error::SocketPath(length)),
        _ => Ok(()),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Client<S> {
    /// Opens the channel over a stream that is connected, and says hello; keys for the occasion come from the operating
    /// system's random source.
    ///
    /// # Errors
    /// [`Error::TransportKeyDiffers`], [`Error::VaultNotOurs`] or [`Error::NotAVault`] when it is not our vault that answers,
    /// [`Error::ClockApart`], [`Error::VersionMismatch`], [`Error::NoAnswer`], [`Error::HungUp`], or an error of the stream.
    pub async fn connect(stream: S, identity: &Identity) -> Result<Self, Error> {
        Self::connect_with(stream, identity, &mut UnwrapErr(SysRng)).await
    }

    /// As [`Client::connect`], with the random source of the client's ephemeral key as an argument.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_with(
        stream: S,
        identity: &Identity,
        rng: &mut (impl CryptoRng + Send),
    ) -> Result<Self, Error> {
        Self::connect_within(stream, identity, rng, HELLO, ANSWER).await
    }

    async fn connect_within(
        stream: S,
        identity: &Identity,
        rng: &mut (impl CryptoRng + Send),
        hello: Duration,
        answer: Duration,
    ) -> Result<Self, Error> {
        let dialing = Box::pin(channel::dial(stream, &identity.key, identity.pinned()));
        let dialed = tokio::time::timeout(hello, dialing).await;
        let (stream, transport) = dialed.map_err(|_| Error::NoAnswer)??;
        let key = sealed::fresh_key(rng);
        let greeting = Greeting {
            version: PROTOCOL_VERSION,
            client_key: sealed::point_of(&key.public_key()),
        };
        let mut client = Self {
            series: channel::series(stream.get_ref().1)?,
            asked: 0,
            stream: Box::new(stream),
            vault: [0; 16],
            transport,
            generation: None,
            proved: Proved::Vault,
            key,
            agreed: None,
            patience: hello,
        };
        let welcome = client
            .ask(Hello(greeting))
            .await
            .map_err(channel::before_asking)?;
        if welcome.version != PROTOCOL_VERSION {
            return Err(Error::VersionMismatch {
                ours: PROTOCOL_VERSION,
                theirs: welcome.version,
            });
        }
        client.proved = proved(identity, &welcome, &transport)?;
        client.vault = welcome.vault;
        client.generation = welcome.generation;
        client.patience = answer;
        Ok(client)
    }

    /// Number of the vault at the other end.
    #[must_use]
    pub fn vault(&self) -> [u8; 16] {
        self.vault
    }

    /// The transport key that the other end has proved.
    #[must_use]
    pub fn transport_key(&self) -> PointBytes {
        self.transport
    }

    /// The generation of the store when the connection was made, where the vault is open and showed that it is ours:
    /// whoever remembers the largest one finds a store of an earlier moment.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        self.generation.filter(|_| self.proved == Proved::Vault)
    }

    /// State of the vault; answered when sealed too.
    ///
    /// # Errors
    /// An error of the stream.
    pub async fn status(&mut self) -> Result<Status, Error> {
        self.ask(ReadStatus).await
    }

    /// Begins an unseal attempt, or joins the one that runs, as the custodian who the identity is.
    ///
    /// # Errors
    /// Refused with `NotACustodian`, `AlreadyOpen`, `Damaged` or `ClockBehind`.
    pub async fn begin_unseal(&mut self) -> Result<Attempt, Error> {
        self.ask(BeginUnseal).await
    }

    /// Gives one share to the attempt that runs (begun if none does), sealed to the vault's ephemeral key inside the channel,
    /// whose buffers are no place for it.
    ///
    /// # Errors
    /// As [`Client::begin_unseal`]; refused with `WrongVault`, `WrongEpoch`, `WrongShare` (naming the custodian), `SameShareTwice`,
    /// `NoAttempt`, `Damaged`, `ClockBehind` or `ClockLeap`; with a day `NotTheDay` and `OfficersThere`, and with a request what it is
    /// refused with.
    pub async fn submit_share(&mut self, share: &Share) -> Result<UnsealProgress, Error> {
        let attempt = self.begin_unseal().await?;
        let context = SealedShare::context(
            &attempt.id,
            &share.vault,
            share.epoch,
            share.index,
            share.seen,
            share.day,
        );
        let mut rng = UnwrapErr(SysRng);
        let sealed = sealed::seal(&attempt.key, Purpose::Share, &context, share.value(), &mut rng)?;
        let envelope = SealedShare {
            attempt: attempt.id,
            vault: share.vault,
            epoch: share.epoch,
            index: share.index,
            sealed,
            seen: share.seen,
            day: share.day,
        };
        self.ask(GiveShare(envelope, share.request.clone())).await
    }

    /// Seals the vault as the custodian or officer who the identity is: all keys leave memory.
    ///
    /// # Errors
    /// Refused with `Sealed` when it is already, `AttemptOfAnother` for an attempt that another custodian began.
    pub async fn seal(&mut self) -> Result<(), Error> {
        self.ask(Seal).await
    }

    /// Submits a request of officers, or of a quorum of custodians. The same request again is answered the same until it ends.
    ///
    /// # Errors
    /// Refused with `TwoOfficersNeeded`, `RequestExpired`, `WrongVault`, and whatever the act itself is refused with.
    pub async fn submit_request(&mut self, request: &SignedRequest) -> Result<RequestOutcome, Error> {
        self.ask(SubmitRequest(request.clone())).await
    }

    /// Suspends a caller at once. The same again changes nothing.
    ///
    /// # Errors
    /// Refused with `NotFound`.
    pub async fn suspend_caller(&mut self, name: &str) -> Result<(), Error> {
        self.ask(SuspendCaller {
            name: name.to_owned(),
        })
        .await
    }

    /// The access list, by name.
    ///
    /// # Errors
    /// Refused with `Sealed`.
    pub async fn callers(&mut self) -> Result<Vec<CallerEntry>, Error> {
        self.ask(Callers).await
    }

    /// What was used of every ceiling today.
    ///
    /// # Errors
    /// Refused with `Sealed`.
    pub async fn ceilings(&mut self) -> Result<Vec<CeilingUse>, Error> {
        self.ask(Ceilings).await
    }

    /// Makes a data key for one photo: the key to use now, and its wrapping to store.
    ///
    /// # Errors
    /// Refused with `Sealed` or `BadContent`.
    pub async fn photo_key_new(&mut self, context: &PhotoKeyContext) -> Result<(DataKey, WrappedKey), Error> {
        let answer = self.ask(PhotoKeyNew(context.clone())).await?;
        self.photo_key(context, answer)
    }

    /// Opens a wrapped data key under the context that it was made for.
    ///
    /// # Errors
    /// Refused with `Sealed`, or `NotWrappedHere` when key and context do not belong together.
    pub async fn photo_key_open(
        &mut self,
        context: &PhotoKeyContext,
        wrapped: &WrappedKey,
    ) -> Result<DataKey, Error> {
        let operation = PhotoKeyOpen {
            context: context.clone(),
            wrapped: wrapped.clone(),
        };
        let answer = self.ask(operation).await?;
        Ok(self.photo_key(context, answer)?.0)
    }

    /// Presents a signed order; an order may be presented again, with the same bytes.
    ///
    /// # Errors
    /// Refused with `UnknownIssuer`, `OrderNotSigned`, `OrderExpired`, `OrderConflict` or `BadContent`.
    pub async fn open_order(&mut self, order: &SignedOrder) -> Result<OrderSession, Error> {
        self.ask(OpenOrder(order.clone())).await
    }

    /// Begins a task for the card `index` of the order. Always returns commands that open a secure channel.
    ///
    /// # Errors
    /// Refused with `TaskNotOrdered`, `QuotaUsed`, `OrderExpired`, `CardConflict` or `BadContent`.
    pub async fn start_card(
        &mut self,
        session: &OrderSession,
        index: u32,
        serial: impl Into<Serial>,
        task: CardTask,
    ) -> Result<Script, Error> {
        self.ask(StartCard {
            order: session.order,
            index,
            serial: serial.into(),
            task,
        })
        .await
    }

    /// Goes on with the card's answers, until [`Script::Done`].
    ///
    /// # Errors
    /// Refused with `CardNotGenuine`, `CardRefused` (outcome unknown: reset the card and start it again with the same
    /// task), `CardState` or `NoCardSession`.
    pub async fn continue_card(
        &mut self,
        session: &OrderSession,
        index: u32,
        answers: Vec<Vec<u8>>,
    ) -> Result<Script, Error> {
        self.ask(ContinueCard {
            order: session.order,
            index,
            answers,
        })
        .await
    }

    /// The bundle of an enrolled terminal, sealed to the terminal's key.
    ///
    /// # Errors
    /// Refused with `NotFound`, `TerminalRevoked`, `EnrolmentEnded`, `BadContent` or `LimitExceeded`.
    pub async fn export_bundle(&mut self, request: &BundleRequest) -> Result<Vec<u8>, Error> {
        self.ask(ExportBundle(request.clone())).await
    }

    /// The document signer's signature for the QR on a card's back. The same again is signed again.
    ///
    /// # Errors
    /// Refused with `NotFound` when no finished card has the number, `NumberUsed` when its back says something else,
    /// `BadContent`.
    pub async fn sign_card_back(
        &mut self,
        card_number: &str,
        region: Region,
        issued_on: Date,
    ) -> Result<SignatureBytes, Error> {
        let back = CardBack {
            card_number: card_number.to_owned(),
            region,
            issued_on,
        };
        self.ask(SignCardBack(back)).await
    }

    /// The public keys.
    ///
    /// # Errors
    /// Refused with `Sealed`.
    pub async fn anchors(&mut self) -> Result<Anchors, Error> {
        self.ask(ReadAnchors).await
    }

    /// Puts the card's pseudonyms onto the deny lists of its roles; bundles exported later carry them.
    ///
    /// # Errors
    /// Refused with `NotFound` when the vault never wrote that card.
    pub async fn deny_card(&mut self, serial: impl Into<Serial>) -> Result<(), Error> {
        self.ask(DenyCard {
            serial: serial.into(),
        })
        .await
    }

    /// Takes a card that was found from the deny lists; lists exported later do not have it. A card that is on none
    /// changes nothing.
    ///
    /// # Errors
    /// Refused with `NotFound` when the vault never wrote that card.
    pub async fn allow_card(&mut self, serial: impl Into<Serial>) -> Result<(), Error> {
        self.ask(AllowCard {
            serial: serial.into(),
        })
        .await
    }

    /// Says that a card is out of use: denied, and counted for no key version any more.
    ///
    /// # Errors
    /// Refused with `NotFound` when the vault never wrote that card.
    pub async fn end_card(&mut self, serial: impl Into<Serial>) -> Result<(), Error> {
        self.ask(EndCard {
            serial: serial.into(),
        })
        .await
    }

    /// Denies the card behind a chain of [`Client::check_lines`]: two debits of one seq mean that it was copied.
    ///
    /// # Errors
    /// Refused with `NotFound` when the chain is none of this vault's cards.
    pub async fn deny_chain(&mut self, chain: [u8; 16]) -> Result<(), Error> {
        self.ask(DenyChain { chain }).await
    }

    /// The signed deny list of a role: a whole `A9` template (card specification, chapter 08); templates one behind the
    /// other are a list file. The version
    /// grows whenever anything of the list differs from the last one.
    ///
    /// # Errors
    /// Refused with `BadContent` or `LimitExceeded`.
    pub async fn export_deny_list(
        &mut self,
        role: Role,
        issued: Date,
        max_age_days: u16,
        grace_days: u16,
    ) -> Result<Vec<u8>, Error> {
        self.ask(ExportDenyList(DenyListRequest {
            role,
            issued,
            max_age_days,
            grace_days,
        }))
        .await
    }

    /// Says that a version is compromised: from now on no bundle carries it and nothing is delivered through it. It
    /// stays so; if it was Active, the next one is made with it. The same again changes nothing.
    ///
    /// # Errors
    /// Refused with `NotFound`, or `RoleKeyState` for a destroyed version.
    pub async fn compromise_role(
        &mut self,
        role: Role,
        region: Region,
        version: u8,
    ) -> Result<RoleCompromised, Error> {
        self.ask(CompromiseRole {
            role,
            region,
            version,
        })
        .await
    }

    /// All versions of all role keys, by role, region and version.
    ///
    /// # Errors
    /// Refused with `Sealed`.
    pub async fn role_keys(&mut self) -> Result<Vec<RoleKeyInfo>, Error> {
        self.ask(RoleKeys).await
    }

    /// The live slots of a card, as far as scripts and receipts have told.
    ///
    /// # Errors
    /// Refused with `NotFound` when the vault never wrote that card.
    pub async fn card_versions(&mut self, serial: impl Into<Serial>) -> Result<Vec<SlotVersion>, Error> {
        self.ask(CardVersions {
            serial: serial.into(),
        })
        .await
    }

    /// Seals a change of the card `index` of an order that allows [`TaskKind::Update`](crate::TaskKind::Update). The
    /// same again gives the same envelopes.
    ///
    /// # Errors
    /// Refused with `TaskNotOrdered`, `QuotaUsed`, `OrderExpired`, `CardConflict`, `CardState`, `CardDenied`,
    /// `NoActiveVersion`, `NoDelivery`, `NotFound` or `BadContent`.
    pub async fn seal_update(
        &mut self,
        session: &OrderSession,
        index: u32,
        serial: impl Into<Serial>,
        task: UpdateTask,
    ) -> Result<QueuedUpdate, Error> {
        self.ask(SealUpdate {
            order: session.order,
            index,
            serial: serial.into(),
            task,
        })
        .await
    }

    /// What waits for the roles and regions of a terminal: an update batch (card specification, chapter 09), sealed to
    /// the key of its last bundle. With more than [`MAX_BATCH_UPDATES`](crate::MAX_BATCH_UPDATES) waiting, each batch
    /// has another part of them.
    ///
    /// # Errors
    /// Refused with `NotFound` (no bundle yet), `TerminalRevoked` or `BadContent`.
    pub async fn export_updates(&mut self, request: &UpdatesRequest) -> Result<Vec<u8>, Error> {
        self.ask(ExportUpdates(request.clone())).await
    }

    /// Takes receipts; one outcome for each, in their order. A wrong one changes nothing and does not stop the others.
    ///
    /// # Errors
    /// Refused with `LimitExceeded` for more than [`MAX_RECEIPTS`](crate::MAX_RECEIPTS).
    pub async fn accept_receipts(&mut self, receipts: Vec<Receipt>) -> Result<Vec<ReceiptOutcome>, Error> {
        self.ask(AcceptReceipts { receipts }).await
    }

    /// Counts of what waits for a card.
    ///
    /// # Errors
    /// Refused with `NotFound` when the vault never wrote that card.
    pub async fn pending_updates(&mut self, serial: impl Into<Serial>) -> Result<PendingUpdates, Error> {
        self.ask(ReadPending {
            serial: serial.into(),
        })
        .await
    }

    /// A part of the journal.
    ///
    /// # Errors
    /// Refused with `Sealed`, or `Damaged` when what stands there is not the chain that the vault wrote.
    pub async fn journal(&mut self, ask: &ReadJournal) -> Result<JournalPage, Error> {
        self.ask(ask.clone()).await
    }

    /// Revokes a terminal: no bundle and no updates for it any more. The same again changes nothing; the terminal must
    /// come back under another name.
    ///
    /// # Errors
    /// Refused with `NotFound`.
    pub async fn revoke_terminal(&mut self, name: &str) -> Result<(), Error> {
        self.ask(RevokeTerminal {
            name: name.to_owned(),
        })
        .await
    }

    /// All terminals, by name: what each of them can still do, and until when.
    ///
    /// # Errors
    /// Refused with `Sealed`.
    pub async fn terminals(&mut self) -> Result<Vec<TerminalInfo>, Error> {
        self.ask(Terminals).await
    }

    /// Checks settlement lines; one verdict for each, in their order. The vault keeps nothing of them.
    ///
    /// # Errors
    /// Refused with `LimitExceeded` for more than [`MAX_LINES`](crate::MAX_LINES).
    pub async fn check_lines(&mut self, lines: &[SettlementLine]) -> Result<Vec<LineCheck>, Error> {
        let lines = lines.to_vec();
        self.ask(CheckLines { lines }).await
    }

    /// Asks for an operation.
    ///
    /// # Errors
    /// [`Error::Refused`] with the vault's reason, [`Error::ConnectionLost`], [`Error::Malformed`]; for all but the status
    /// [`Error::VaultUnknown`] where the client knows no vault.
    pub async fn ask<O>(&mut self, operation: O) -> Result<O::Answer, Error>
    where
        O: Operation + Into<Request>,
        O::Answer: Answer<Response>,
    {
        let id = self.number();
        self.ask_as(id, operation).await
    }

    /// The number of this connection's next request, for who keeps it and asks with [`Client::ask_as`].
    pub fn number(&mut self) -> [u8; 16] {
        self.asked += 1;
        request_number(self.series, self.asked)
    }

    /// Asks for an operation under a number that the caller keeps: the same operation under the same number again, on another
    /// connection after this one was lost, is done once and answered the same.
    ///
    /// # Errors
    /// As [`Client::ask`]; refused with `RequestIdUsed` for another operation under the same number, and with `RequestForgotten`
    /// where the vault does not know any more what became of it.
    pub async fn ask_as<O>(&mut self, id: [u8; 16], operation: O) -> Result<O::Answer, Error>
    where
        O: Operation + Into<Request>,
        O::Answer: Answer<Response>,
    {
        // Nothing of a person and nothing secret is said to who has not proved to be the vault.
        match self.proved {
            Proved::Vault => {}
            _ if O::POLICY.who == [Caller::Anyone] => {}
            Proved::Sealed => return Err(Error::Refused(sealed_or_another())),
            Proved::Nothing => return Err(Error::VaultUnknown),
        }
        let asked = Asked {
            id,
            request: operation.into(),
        };
        let asked = async {
            frame::write(&mut self.stream, &asked).await?;
            frame::read(&mut self.stream).await
        };
        let answered = tokio::time::timeout(self.patience, asked).await;
        match answered.map_err(|_| Error::NoAnswer)?? {
            Some(Response::Refused(refusal)) => Err(Error::Refused(refusal)),
            Some(response) => {
                O::Answer::from_response(response).ok_or(Error::Malformed("an answer to another question"))
            }
            None => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
        }
    }

    fn photo_key(
        &mut self,
        context: &PhotoKeyContext,
        answer: SealedPhotoKey,
    ) -> Result<(DataKey, WrappedKey), Error> {
        let ephemeral = sealed::ephemeral(&answer.sealed)?;
        let common = match self.agreed.take() {
            Some(common) if common.0 == *ephemeral => common,
            _ => Box::new((*ephemeral, sealed::agreed(&self.key, ephemeral)?)),
        };
        let plain = sealed::open_under(&common.1, Purpose::PhotoKey, &context.photo_id, &answer.sealed)?;
        self.agreed = Some(common);
        let key: [u8; 32] = plain.as_slice().try_into().map_err(|_| Error::NotOpened)?;
        Ok((DataKey::new(key), answer.wrapped))
    }
}

/// Whether who answers is the vault of this identity.
fn proved(identity: &Identity, welcome: &Welcome, transport: &PointBytes) -> Result<Proved, Error> {
    match &identity.taken {
        Taken::Anybody => Ok(Proved::Nothing),
        Taken::Transport { vault, .. } if *vault == welcome.vault => Ok(Proved::Vault),
        Taken::Transport { .. } => Err(Error::VaultNotOurs),
        Taken::Operating(anchors, _) if anchors.vault != welcome.vault => Err(Error::VaultNotOurs),
        Taken::Operating(anchors, clock) => match &welcome.statement {
            None => Ok(Proved::Sealed),
            Some(statement) if !statement.is_signed(anchors, transport) => Err(Error::VaultNotOurs),
            Some(statement) if statement.is_of(&anchors.vault, clock.now()) => Ok(Proved::Vault),
            Some(statement) => Err(Error::ClockApart {
                now: clock.now(),
                from: statement.from,
                until: statement.until,
            }),
        },
    }
}

/// What a sealed vault would say; said here, since nothing is asked of who did not prove to be it.
fn sealed_or_another() -> Refusal {
    Refusal {
        code: RefusalCode::Sealed,
        message: "the vault is sealed".to_owned(),
        action: "ask the custodians to unseal it, then try again; nothing was sent".to_owned(),
        message_zh: "密钥库处于封存状态".to_owned(),
        action_zh: "请保管人解封后再试；没有发送任何内容".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use p256::ecdsa::signature::Signer as _;
    use program_contract::Clock;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::channel::Acceptor;
    use crate::identity::{TransportStatement, VaultAnchors};
    use crate::key_file::ChannelKey;

    /// Answers a hello as the vault with this number, without its operating key.
    async fn welcome(far: tokio::io::DuplexStream, transport: &ChannelKey, vault: [u8; 16]) -> Far {
        let acceptor = Acceptor::new(transport).unwrap();
        let (mut far, _) = acceptor.accept(far).await.unwrap();
        let hello: Option<Asked> = frame::read(&mut far).await.unwrap();
        assert!(matches!(hello.unwrap().request, Request::Hello(_)));
        let welcome = Welcome {
            version: PROTOCOL_VERSION,
            vault,
            statement: None,
            generation: None,
        };
        frame::write(&mut far, &Response::Welcome(welcome)).await.unwrap();
        far
    }

    type Far = tokio_rustls::server::TlsStream<tokio::io::DuplexStream>;

    #[tokio::test]
    async fn a_vault_that_hangs_is_told_from_one_that_is_not_there() {
        const SHORT: Duration = Duration::from_millis(200);
        let mut rng = UnwrapErr(SysRng);
        let nobody = Identity::nobody();
        // It takes the connection and never says hello.
        let (near, _far) = tokio::io::duplex(4096);
        let error = Client::connect_within(near, &nobody, &mut rng, SHORT, ANSWER)
            .await
            .unwrap_err();
        assert_eq!((error.code(), error.exit_code()), ("VAULT_NO_ANSWER", 4));
        assert!(error.to_string().contains("start it again"));
        // It says hello and never answers.
        let (near, far) = tokio::io::duplex(4096);
        let other = tokio::spawn(async move { welcome(far, &ChannelKey::fresh(), [2; 16]).await });
        let mut client = Client::connect_within(near, &nobody, &mut rng, HELLO, SHORT)
            .await
            .unwrap();
        let _far = other.await.unwrap();
        assert_eq!(client.status().await.unwrap_err().code(), "VAULT_NO_ANSWER");
    }

    #[tokio::test]
    async fn who_answers_is_told_by_its_name_and_nothing_is_unknown_before_something_was_asked() {
        let dial = async |first: &'static [u8], code, exit| {
            let (near, mut far) = tokio::io::duplex(4096);
            let answering = async move {
                // What a client says first; then whoever it is speaks in a way of its own, and goes.
                let said = far.read(&mut [0; 4096]).await.unwrap();
                far.write_all(first).await.unwrap();
                said
            };
            let nobody = Identity::nobody();
            let (connected, said) = tokio::join!(Client::connect(near, &nobody), answering);
            assert!(said > 0);
            let error = connected.unwrap_err();
            assert_eq!((error.code(), error.exit_code()), (code, exit));
            error
        };
        dial(b"", "VAULT_HUNG_UP", 3).await;
        for other in [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            dial(other, "NOT_A_VAULT", 5).await;
        }
        // An alert of somebody who speaks TLS, and has nothing in common with us.
        dial(&[21, 3, 3, 0, 2, 2, 40], "NOT_A_VAULT", 5).await;
        let error = dial(&channel::TURNED_AWAY, "VAULT_OTHER_USER", 5).await;
        let own = program_contract::user::own();
        assert!(error.to_string().contains(&format!("user {own}")), "{error}");
    }

    #[test]
    fn a_proof_of_another_time_is_a_wrong_clock_and_a_forged_one_another_vault() {
        let (operating, transport) = (ChannelKey::fresh(), ChannelKey::fresh().public());
        let anchors = VaultAnchors {
            vault: [1; 16],
            operating_key: operating.public(),
        };
        let from: Timestamp = "2026-11-30T08:00:00Z".parse().unwrap();
        let until: Timestamp = "2026-12-01T08:00:00Z".parse().unwrap();
        let bytes = TransportStatement::signed_bytes(&anchors.vault, &transport, from, until);
        let signature: p256::ecdsa::Signature = operating.signer().unwrap().sign(&bytes);
        let welcome = Welcome {
            version: PROTOCOL_VERSION,
            vault: anchors.vault,
            statement: Some(TransportStatement {
                from,
                until,
                signature: signature.to_bytes().into(),
            }),
            generation: None,
        };
        let at = |now: &str, transport: &PointBytes| {
            let clock = Clock::fixed(now.parse().unwrap());
            let identity = Identity::of(ChannelKey::fresh(), anchors, clock);
            proved(&identity, &welcome, transport).map(|_| ())
        };
        at("2026-11-30T08:00:00Z", &transport).unwrap();
        for wrong in [
            "2026-11-30T07:59:59Z",
            "2026-12-04T03:17:55Z",
            "1970-01-01T00:00:00Z",
        ] {
            let error = at(wrong, &transport).unwrap_err();
            assert_eq!((error.code(), error.exit_code()), ("CLOCK_APART", 5));
            let said = error.to_string();
            assert!(said.contains("2026-12-01 16:00:00 (UTC+8)"), "{said}");
            // Whoever shows another key is not to be believed about the time either.
            let other = ChannelKey::fresh().public();
            assert_eq!(at(wrong, &other).unwrap_err().code(), "VAULT_NOT_OURS");
        }
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_wrong_usage() {
        let path = |length| std::path::PathBuf::from("s".repeat(length));
        assert!(check_path(&path(107)).is_ok());
        let error = check_path(&path(108)).unwrap_err();
        assert_eq!((error.code(), error.exit_code()), ("SOCKET_PATH", 2));
        assert!(error.to_string().contains("107"));
    }

    #[tokio::test]
    async fn nothing_but_the_status_is_asked_of_who_did_not_prove_to_be_our_vault() {
        let transport = ChannelKey::fresh();
        let anchors = VaultAnchors {
            vault: [1; 16],
            operating_key: ChannelKey::fresh().public(),
        };
        let service = Identity::of(ChannelKey::fresh(), anchors, Clock::fixed(Timestamp::UNIX_EPOCH));
        let share = Share::new([1; 16], 1, 1, [7; 32]);
        assert_eq!(
            Identity::custodian(&share).unwrap_err().code(),
            "TRANSPORT_KEY_NOT_PINNED"
        );
        let custodian = Identity::custodian(&share.pinned_to(transport.public())).unwrap();
        for (identity, vault, code) in [
            (&service, [2; 16], Err("VAULT_NOT_OURS")),
            (&custodian, [2; 16], Err("VAULT_NOT_OURS")),
            // It may be sealed: then it cannot show its key, and is told nothing either.
            (&service, [1; 16], Ok("VAULT_SEALED")),
            (&Identity::nobody(), [1; 16], Ok("VAULT_UNKNOWN")),
        ] {
            let (near, far) = tokio::io::duplex(4096);
            let (connected, mut far) =
                tokio::join!(Client::connect(near, identity), welcome(far, &transport, vault));
            match (connected, code) {
                (Err(error), Err(code)) => assert_eq!(error.code(), code),
                (Ok(mut client), Ok(code)) => {
                    assert_eq!(client.anchors().await.unwrap_err().code(), code);
                    assert_eq!(client.generation(), None);
                    drop(client);
                }
                (connected, _) => panic!("{connected:?}"),
            }
            // Nothing came, not even a goodbye of TLS.
            assert!(!matches!(frame::read::<_, Asked>(&mut far).await, Ok(Some(_))));
        }
    }
}
