//! The real key vault, founded and opened, on a Unix socket: one for all tests, and one of their own for those that seal it
//! or take it away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use getrandom::SysRng;
use keyvault::custody::ceremony;
use keyvault::custody::protection::Cost;
use keyvault::custody::share_envelope::ShareEnvelope;
use keyvault::serve::Server;
use keyvault_protocol::{ChannelKey, Client, Identity, Share, VaultAnchors};
use photo_store::keeping::vault::Vault;
use program_contract::{Clock, Founded};
use rand_core::UnwrapErr;
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
    key: ChannelKey,
}

impl Reach {
    /// The vault as a store in this process has it.
    pub(crate) fn vault(&self) -> Vault {
        let anchors = VaultAnchors::read(&self.anchors).unwrap();
        let identity = Identity::of(self.key.clone(), anchors, Clock::fixed(now()));
        Vault::at(self.socket.clone(), identity)
    }
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
            officers: (1..=3)
                .map(|number| ceremony::Officer {
                    name: format!("officer {number}"),
                    key: ChannelKey::fresh().public(),
                })
                .collect(),
            cost: Cost {
                memory_kib: 64,
                passes: 1,
            },
            founded,
        };
        let created = ceremony::create(&plan, now(), Box::new(UnwrapErr(SysRng)))
            .await
            .unwrap();
        let mut vault = Self {
            reach: Reach {
                socket: dir.join("vault.sock"),
                anchors: dir.join("anchors.json"),
                key: ChannelKey::fresh(),
            },
            envelopes: created.envelopes,
            folder,
            serving: None,
        };
        let served = vault.start().await;
        vault.unseal().await;
        let anchors = served.anchors().await.unwrap();
        let object = serde_json::json!({
            "vault": hex::encode(anchors.vault),
            "operating_key": hex::encode(anchors.operating_key),
        });
        std::fs::write(&vault.reach.anchors, object.to_string()).unwrap();
        vault
    }

    /// Starts it, sealed.
    pub(crate) async fn start(&mut self) -> Arc<keyvault::Vault> {
        let clock = Clock::fixed(now());
        let vault = keyvault::Vault::load(&self.folder, clock, Box::new(UnwrapErr(SysRng)))
            .await
            .unwrap();
        let server = Server::new(Arc::clone(&vault)).unwrap();
        let _ = std::fs::remove_file(&self.reach.socket);
        let listener = UnixListener::bind(&self.reach.socket).unwrap();
        self.serving = Some(tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                server.serve(stream);
            }
        }));
        vault
    }

    /// Gives both shares.
    pub(crate) async fn unseal(&self) {
        for custodian in 0..self.envelopes.len() {
            let share = self.share(custodian);
            self.as_custodian(&share)
                .await
                .submit_share(&share)
                .await
                .unwrap();
        }
    }

    async fn as_custodian(&self, share: &Share) -> Client<UnixStream> {
        let identity = Identity::custodian(share).unwrap();
        Client::connect_unix(&self.reach.socket, &identity).await.unwrap()
    }

    fn share(&self, custodian: usize) -> Share {
        let envelope = std::fs::read(&self.envelopes[custodian]).unwrap();
        let envelope = ShareEnvelope::parse(&envelope).unwrap();
        envelope.open(PASSPHRASES[custodian]).unwrap()
    }

    /// A custodian seals it.
    pub(crate) async fn seal(&self) {
        self.as_custodian(&self.share(0)).await.seal().await.unwrap();
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
