//! The real key vault, founded and opened, on a Unix socket: one for all tests, and one of their own for those that seal it
//! or take it away.

use std::path::{Path, PathBuf};

use getrandom::SysRng;
use keyvault::custody::ceremony;
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault::serve::Server;
use keyvault_protocol::{
    ChannelKey, Client, Identity, OfficerAct, PointBytes, RefusalCode, Share, VaultAnchors,
};
use photo_store::keeping::vault::Vault;
use program_contract::{Clock, Founded};
use rand_core::UnwrapErr;
use scratch_vault::{approved, enrolment};
use service_contract::Caller;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use crate::support::scratch::Scratch;

/// How a store reaches a vault: where it listens, by what it is known, and the key of a store in this process.
#[derive(Debug, Clone)]
pub(crate) struct Reach {
    pub(crate) socket: PathBuf,
    /// The anchors file, for `photo-store init`.
    pub(crate) anchors: PathBuf,
    pub(crate) key: ChannelKey,
    /// The first custodian's envelope, by whom officers' requests are submitted.
    pub(crate) envelope: PathBuf,
}

impl Reach {
    /// The vault as a store in this process has it.
    pub(crate) fn vault(&self) -> Vault {
        Vault::at(self.socket.clone(), self.identity(self.key.clone()))
    }

    fn identity(&self, key: ChannelKey) -> Identity {
        let anchors = VaultAnchors::read(&self.anchors).unwrap();
        Identity::of(key, anchors, Clock::fixed(now()))
    }

    /// Two officers enrol this key as a photo store's. One that is enrolled already stays so.
    pub(crate) async fn enrol(&self, key: PointBytes) {
        self.enrol_as(Caller::PhotoStore, key).await;
    }

    async fn enrol_as(&self, kind: Caller, key: PointBytes) {
        let share = share(&self.envelope, PASSPHRASES[0]);
        let mut client = custodian(&self.socket, &share).await;
        let act = OfficerAct::EnrolCaller(enrolment(&name(&key), kind, key));
        if let Err(error) = approved(&mut client, act).await {
            assert!(error.is(RefusalCode::NameTaken), "{error}");
        }
    }

    /// An officer suspends whoever has this key.
    pub(crate) async fn suspend(&self, key: PointBytes) {
        let officer = ChannelKey::fresh();
        self.enrol_as(Caller::KeyOfficer, officer.public()).await;
        let mut client = Client::connect_unix(&self.socket, &self.identity(officer))
            .await
            .unwrap();
        client.suspend_caller(&name(&key)).await.unwrap();
    }
}

/// The name of whoever has this key on the access list.
fn name(key: &PointBytes) -> String {
    hex::encode(&key[1..17])
}

fn share(envelope: &Path, passphrase: &[u8]) -> Share {
    let envelope = ShareEnvelope::parse(&std::fs::read(envelope).unwrap()).unwrap();
    envelope.open(passphrase).unwrap()
}

async fn custodian(socket: &Path, share: &Share) -> Client<UnixStream> {
    let identity = Identity::custodian(share).unwrap();
    Client::connect_unix(socket, &identity).await.unwrap()
}

/// An open vault and the shares that open it again.
pub(crate) struct TestVault {
    pub(crate) reach: Reach,
    envelopes: Vec<PathBuf>,
    folder: PathBuf,
    serving: Option<JoinHandle<()>>,
}

/// An open vault that no test seals or stops.
pub(crate) async fn shared() -> Reach {
    static SHARED: OnceCell<(Scratch, Reach)> = OnceCell::const_new();
    let start = || async {
        let scratch = Scratch::new();
        let folder = scratch.folder.clone();
        let (opened, reach) = tokio::sync::oneshot::channel();
        // On a thread of its own: the runtime of the test that came first ends with that test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let vault = TestVault::open(&folder).await;
                opened.send(vault.reach.clone()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        (scratch, reach.await.unwrap())
    };
    SHARED.get_or_init(start).await.1.clone()
}

const PASSPHRASES: [&[u8]; 2] = [
    b"kapok ferry moss quartz lantern",
    b"quartz lantern moss ferry kapok",
];

impl TestVault {
    /// Founds a rehearsal's vault in `dir`, serves it and opens it.
    pub(crate) async fn open(dir: &Path) -> Self {
        Self::founded(dir, Founded::Rehearsal).await
    }

    /// Founds a vault in `dir`, serves it and opens it.
    pub(crate) async fn founded(dir: &Path, founded: Founded) -> Self {
        let folder = dir.join("vault");
        let envelopes = dir.join("envelopes");
        std::fs::create_dir_all(&envelopes).unwrap();
        let custodians = PASSPHRASES
            .iter()
            .zip(["zhao", "qian"])
            .map(|(passphrase, name)| ceremony::Custodian {
                name: name.to_owned(),
                passphrase: passphrase.to_vec().into(),
            })
            .collect();
        let plan = ceremony::Plan {
            folder: folder.clone(),
            out: envelopes,
            threshold: 2,
            custodians,
            officers: scratch_vault::officers(),
            cost: scratch_vault::COST,
            founded,
        };
        let created = ceremony::create(&plan, now(), Box::new(UnwrapErr(SysRng)))
            .await
            .unwrap();
        let anchors = dir.join("anchors.json");
        let object = serde_json::json!({
            "vault": hex::encode(created.vault),
            "operating_key": hex::encode(created.anchors.operating_key),
        });
        std::fs::write(&anchors, object.to_string()).unwrap();
        let mut vault = Self {
            reach: Reach {
                socket: dir.join("vault.sock"),
                anchors,
                key: ChannelKey::fresh(),
                envelope: created.envelopes[0].clone(),
            },
            envelopes: created.envelopes,
            folder,
            serving: None,
        };
        vault.start().await;
        vault.unseal().await;
        vault.reach.enrol(vault.reach.key.public()).await;
        vault
    }

    /// Starts it, sealed.
    pub(crate) async fn start(&mut self) {
        let clock = Clock::fixed(now());
        let vault = keyvault::Vault::load(&self.folder, clock, Box::new(UnwrapErr(SysRng)))
            .await
            .unwrap();
        let server = Server::new(vault).unwrap();
        let _ = std::fs::remove_file(&self.reach.socket);
        let listener = UnixListener::bind(&self.reach.socket).unwrap();
        self.serving = Some(tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                server.serve(stream);
            }
        }));
    }

    /// Gives both shares.
    pub(crate) async fn unseal(&self) {
        for (envelope, passphrase) in self.envelopes.iter().zip(PASSPHRASES) {
            let share = share(envelope, passphrase);
            let mut client = custodian(&self.reach.socket, &share).await;
            client.submit_share(&share).await.unwrap();
        }
    }

    /// A custodian seals it.
    pub(crate) async fn seal(&self) {
        let share = share(&self.envelopes[0], PASSPHRASES[0]);
        let mut client = custodian(&self.reach.socket, &share).await;
        client.seal().await.unwrap();
    }

    /// Takes it away: nobody answers at the socket any more.
    pub(crate) fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
        let _ = std::fs::remove_file(&self.reach.socket);
    }
}

impl Drop for TestVault {
    fn drop(&mut self) {
        self.stop();
    }
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(crate::support::NOW).unwrap()
}
