//! The client over any byte stream: one function for every operation, and methods that spare their callers its words.

use std::time::Duration;

use card_applet_spec::codes::{Region, Role, Serial};
use getrandom::SysRng;
use jiff::civil::Date;
use p256::SecretKey;
use rand_core::{CryptoRng, UnwrapErr};
use service_contract::{Answer, Operation, socket};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::bundle::{
    BundleRequest, DenyListRequest, ExportBundle, ExportDenyList, ExportLot, LotRequest, RevokeTerminal,
    TerminalInfo, Terminals,
};
use crate::card::{CardTask, CardVersions, ContinueCard, Script, SlotVersion, StartCard};
use crate::custodian::{Act, Connection, CustodianKey};
use crate::denial::{AllowCard, DenyCard, DenyChain, EndCard};
use crate::error::{Error, Refusal, RefusalCode};
use crate::frame;
use crate::journal::{JournalPage, ReadJournal};
use crate::message::{Request, Response};
use crate::order::{EnrolIssuer, IssuerKey, OpenOrder, OrderSession, SignedOrder};
use crate::photo::{DataKey, PhotoKeyContext, PhotoKeyNew, PhotoKeyOpen, SealedPhotoKey, WrappedKey};
use crate::role_key::{CompromiseRole, RetireRole, RoleKeyInfo, RoleKeys, RotateRole};
use crate::sealed::{self, Purpose};
use crate::settlement::{CheckLines, LineCheck, SettlementLine};
use crate::share::Share;
use crate::signing::{Anchors, CardBack, ReadAnchors, SignCardBack};
use crate::status::{
    Attempt, BeginUnseal, GiveShare, Greeting, Hello, PROTOCOL_VERSION, ReadStatus, Seal, SealedShare,
    Status, UnsealProgress,
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
    stream: S,
    on: Connection,
    transport: PointBytes,
    key: SecretKey,
    patience: Duration,
}

impl<S> std::fmt::Debug for Client<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client(..)")
    }
}

impl Client<tokio::net::UnixStream> {
    /// Connects to the vault's Unix socket.
    ///
    /// # Errors
    /// [`Error::SocketPath`] for a path that is too long, [`Error::NotRunning`] when nobody listens there, [`Error::OtherUser`] when it is not the vault's user who does,
    /// else as [`Client::connect`].
    pub async fn connect_unix(path: &std::path::Path) -> Result<Self, Error> {
        let connecting = tokio::time::timeout(HELLO, socket::connect(path));
        let stream = connecting.await.map_err(|_| Error::NoAnswer)?;
        let stream = stream.map_err(|error| Error::from_connecting(error, path.as_os_str().len()))?;
        Self::connect(stream).await
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
    /// Says hello over a stream that is connected; the ephemeral key comes from the operating system's random source.
    ///
    /// # Errors
    /// [`Error::VersionMismatch`], [`Error::NoAnswer`], or an error of the stream.
    pub async fn connect(stream: S) -> Result<Self, Error> {
        Self::connect_with(stream, &mut UnwrapErr(SysRng)).await
    }

    /// As [`Client::connect`], with the random source as an argument.
    ///
    /// # Errors
    /// [`Error::VersionMismatch`], or an error of the stream.
    pub async fn connect_with(stream: S, rng: &mut (impl CryptoRng + Send)) -> Result<Self, Error> {
        Self::connect_within(stream, rng, HELLO, ANSWER).await
    }

    async fn connect_within(
        stream: S,
        rng: &mut (impl CryptoRng + Send),
        hello: Duration,
        answer: Duration,
    ) -> Result<Self, Error> {
        let key = sealed::fresh_key(rng);
        let client_key = sealed::point_of(&key.public_key());
        let mut client = Self {
            stream,
            on: Connection {
                vault: [0; 16],
                challenge: [0; 16],
                client_key,
            },
            transport: [0; 65],
            key,
            patience: hello,
        };
        let greeting = Greeting {
            version: PROTOCOL_VERSION,
            client_key,
        };
        let welcome = client.ask(Hello(greeting)).await?;
        if welcome.version != PROTOCOL_VERSION {
            return Err(Error::VersionMismatch {
                ours: PROTOCOL_VERSION,
                theirs: welcome.version,
            });
        }
        client.on.vault = welcome.vault;
        client.on.challenge = welcome.challenge;
        client.transport = welcome.transport;
        client.patience = answer;
        Ok(client)
    }

    /// Number of the vault at the other end.
    #[must_use]
    pub fn vault(&self) -> [u8; 16] {
        self.on.vault
    }

    /// The transport key that the other end says is its own. Nothing is proved by it.
    #[must_use]
    pub fn transport_key(&self) -> PointBytes {
        self.transport
    }

    /// State of the vault; answered when sealed too.
    ///
    /// # Errors
    /// An error of the stream.
    pub async fn status(&mut self) -> Result<Status, Error> {
        self.ask(ReadStatus).await
    }

    /// Begins an unseal attempt, or joins the one that runs, as the custodian of this share.
    ///
    /// # Errors
    /// [`Error::TransportKeyNotPinned`] for a share that is for no vault yet ([`Share::pinned_to`]), [`Error::TransportKeyDiffers`]
    /// when another process answers; refused with `WrongVault`, `NotACustodian`, `AlreadyOpen`, `Damaged` or `ClockBehind`.
    pub async fn begin_unseal(&mut self, share: &Share) -> Result<Attempt, Error> {
        let transport = self.claimed_by(share)?;
        let proof = CustodianKey::of(share)?.prove(Act::BeginUnseal, &self.on);
        let proved = self.ask(BeginUnseal(proof)).await?;
        proved
            .by(&transport, &self.on.vault, &self.on.client_key)
            .ok_or(Error::TransportKeyDiffers)
    }

    /// The transport key that the share is for, where who answers says that it is its own.
    fn claimed_by(&self, share: &Share) -> Result<PointBytes, Error> {
        if share.vault != self.on.vault {
            // Asked before anything is sealed: another vault learns no share of ours.
            return Err(Error::Refused(Refusal {
                code: RefusalCode::WrongVault,
                message: "the share belongs to another vault".to_owned(),
                action: "look for the envelope of this vault; nothing was sent to it".to_owned(),
                message_zh: "密钥分片属于另一个密钥库".to_owned(),
                action_zh: "请找出本密钥库的分片信封；没有向密钥库发送任何内容".to_owned(),
            }));
        }
        let transport = share.transport.ok_or(Error::TransportKeyNotPinned)?;
        if self.transport == transport {
            Ok(transport)
        } else {
            Err(Error::TransportKeyDiffers)
        }
    }

    /// Gives one share to the attempt that runs (begun if none does), sealed to the vault's ephemeral key, which the vault's
    /// transport key has signed for this connection.
    ///
    /// # Errors
    /// As [`Client::begin_unseal`]: nothing was sealed then. Refused with `WrongVault`, `WrongEpoch`, `WrongShare` (naming the custodian), `SameShareTwice`, `NoAttempt`,
    /// `Damaged` or `ClockBehind`.
    pub async fn submit_share(&mut self, share: &Share) -> Result<UnsealProgress, Error> {
        let attempt = self.begin_unseal(share).await?;
        let context = SealedShare::context(&attempt.id, &share.vault, share.epoch, share.index, share.seen);
        let mut rng = UnwrapErr(SysRng);
        let sealed = sealed::seal(&attempt.key, Purpose::Share, &context, share.value(), &mut rng)?;
        let envelope = SealedShare {
            attempt: attempt.id,
            vault: share.vault,
            epoch: share.epoch,
            index: share.index,
            sealed,
            seen: share.seen,
        };
        self.ask(GiveShare(envelope)).await
    }

    /// Seals the vault as the custodian of this share: all keys leave memory. The share itself is not given.
    ///
    /// # Errors
    /// As [`Client::begin_unseal`]; refused with `Sealed` when it is already, `AttemptOfAnother` for an attempt that another
    /// custodian began.
    pub async fn seal(&mut self, share: &Share) -> Result<(), Error> {
        self.claimed_by(share)?;
        let proof = CustodianKey::of(share)?.prove(Act::Seal, &self.on);
        self.ask(Seal(proof)).await
    }

    /// Enrols an issuer's service key; the same name with the same key again changes nothing.
    ///
    /// # Errors
    /// Refused with `NameTaken` when the name has another key.
    pub async fn enrol_issuer(&mut self, name: &str, key: &PointBytes) -> Result<(), Error> {
        self.ask(EnrolIssuer(IssuerKey {
            name: name.to_owned(),
            key: *key,
        }))
        .await
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

    /// A terminal's bundle, sealed to the terminal's key.
    ///
    /// # Errors
    /// Refused with `BadContent` or `LimitExceeded`.
    pub async fn export_bundle(&mut self, request: &BundleRequest) -> Result<Vec<u8>, Error> {
        self.ask(ExportBundle(request.clone())).await
    }

    /// The transport keys of blanks, sealed to the card maker's key: a lot file of the card specification.
    ///
    /// # Errors
    /// Refused with `BadContent` or `LimitExceeded`.
    pub async fn export_lot(&mut self, request: &LotRequest) -> Result<Vec<u8>, Error> {
        self.ask(ExportLot(request.clone())).await
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

    /// Makes a new Active version of a role key; the one that was Active drains until the day given, included.
    ///
    /// # Errors
    /// Refused with `BadContent` (a day before today), or `LimitExceeded` when the 255 numbers are used up.
    pub async fn rotate_role(
        &mut self,
        role: Role,
        region: Region,
        drain_until: Date,
    ) -> Result<RoleKeyInfo, Error> {
        self.ask(RotateRole {
            role,
            region,
            drain_until,
        })
        .await
    }

    /// Says that a version is compromised: from now on no bundle carries it and nothing is delivered through it. It
    /// stays so; if it was Active, [`Client::rotate_role`] makes the next one. The same again changes nothing.
    ///
    /// # Errors
    /// Refused with `NotFound`, or `RoleKeyState` for a destroyed version.
    pub async fn compromise_role(
        &mut self,
        role: Role,
        region: Region,
        version: u8,
    ) -> Result<RoleKeyInfo, Error> {
        self.ask(CompromiseRole {
            role,
            region,
            version,
        })
        .await
    }

    /// Destroys the keys of a version. The same again changes nothing.
    ///
    /// # Errors
    /// Refused with `StillHeld` while live cards have it alone, `RoleKeyState` for the Active one, `NotFound`.
    pub async fn retire_role(
        &mut self,
        role: Role,
        region: Region,
        version: u8,
    ) -> Result<RoleKeyInfo, Error> {
        self.ask(RetireRole {
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
    /// [`Error::Refused`] with the vault's reason, [`Error::ConnectionLost`], [`Error::Malformed`].
    pub async fn ask<O>(&mut self, operation: O) -> Result<O::Answer, Error>
    where
        O: Operation + Into<Request>,
        O::Answer: Answer<Response>,
    {
        let asked = async {
            frame::write(&mut self.stream, &operation.into()).await?;
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
        &self,
        context: &PhotoKeyContext,
        answer: SealedPhotoKey,
    ) -> Result<(DataKey, WrappedKey), Error> {
        let plain = sealed::open(&self.key, Purpose::PhotoKey, &context.photo_id, &answer.sealed)?;
        let key: [u8; 32] = plain.as_slice().try_into().map_err(|_| Error::NotOpened)?;
        Ok((DataKey::new(key), answer.wrapped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_vault_that_hangs_is_told_from_one_that_is_not_there() {
        const SHORT: Duration = Duration::from_millis(20);
        let mut rng = UnwrapErr(SysRng);
        // It takes the connection and never says hello.
        let (near, _far) = tokio::io::duplex(4096);
        let error = Client::connect_within(near, &mut rng, SHORT, ANSWER)
            .await
            .unwrap_err();
        assert_eq!((error.code(), error.exit_code()), ("VAULT_NO_ANSWER", 4));
        assert!(error.to_string().contains("start it again"));
        // It says hello and never answers.
        let (near, mut far) = tokio::io::duplex(4096);
        let other = tokio::spawn(async move {
            let _: Option<Request> = frame::read(&mut far).await.unwrap();
            let welcome = crate::status::Welcome {
                version: PROTOCOL_VERSION,
                vault: [2; 16],
                transport: [4; 65],
                challenge: [6; 16],
            };
            frame::write(&mut far, &Response::Welcome(welcome)).await.unwrap();
            far
        });
        let mut client = Client::connect_within(near, &mut rng, HELLO, SHORT)
            .await
            .unwrap();
        let _far = other.await.unwrap();
        assert_eq!(client.status().await.unwrap_err().code(), "VAULT_NO_ANSWER");
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
    async fn a_share_is_not_sealed_for_another_vault() {
        let (near, mut far) = tokio::io::duplex(4096);
        let other = tokio::spawn(async move {
            let hello: Option<Request> = frame::read(&mut far).await.unwrap();
            assert!(matches!(hello, Some(Request::Hello(_))));
            let welcome = crate::status::Welcome {
                version: PROTOCOL_VERSION,
                vault: [2; 16],
                transport: [4; 65],
                challenge: [6; 16],
            };
            frame::write(&mut far, &Response::Welcome(welcome)).await.unwrap();
            // Nothing more is asked of it.
            frame::read::<_, Request>(&mut far).await.unwrap().is_none()
        });
        let mut client = Client::connect(near).await.unwrap();
        let share = Share::new([1; 16], 1, 1, [7; 32]);
        let error = client.submit_share(&share).await.unwrap_err();
        assert!(error.is(RefusalCode::WrongVault));
        drop(client);
        assert!(other.await.unwrap());
    }
}
