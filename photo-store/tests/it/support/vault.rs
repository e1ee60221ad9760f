//! The real key vault, founded and opened, on a Unix socket: one for all tests, and one of their own for those that seal it
//! or take it away.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use getrandom::SysRng;
use keyvault::custody::ceremony;
use keyvault::custody::share_envelope::{Cost, ShareEnvelope};
use keyvault_protocol::{Client, Share};
use program_contract::{Clock, Founded};
use rand_core::UnwrapErr;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::OnceCell;
use tokio::task::JoinHandle;

use crate::support::scratch::Scratch;

/// An open vault and the shares that open it again.
pub(crate) struct TestVault {
    pub(crate) socket: PathBuf,
    envelopes: Vec<PathBuf>,
    folder: PathBuf,
    serving: Option<JoinHandle<()>>,
}

/// The socket of an open vault that no test seals or stops.
pub(crate) async fn shared() -> PathBuf {
    static SHARED: OnceCell<(Scratch, PathBuf)> = OnceCell::const_new();
    let start = || async {
        let scratch = Scratch::new();
        let folder = scratch.folder.clone();
        let (opened, socket) = tokio::sync::oneshot::channel();
        // On a thread of its own: the runtime of the test that came first ends with that test.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let vault = TestVault::open(&folder).await;
                opened.send(vault.socket.clone()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        (scratch, socket.await.unwrap())
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
            socket: dir.join("vault.sock"),
            envelopes: created.envelopes,
            folder,
            serving: None,
        };
        vault.start().await;
        vault.unseal().await;
        vault
    }

    /// Starts it, sealed.
    pub(crate) async fn start(&mut self) {
        let clock = Clock::fixed(now());
        let vault = keyvault::Vault::load(&self.folder, clock, Box::new(UnwrapErr(SysRng)))
            .await
            .unwrap();
        let _ = std::fs::remove_file(&self.socket);
        let listener = UnixListener::bind(&self.socket).unwrap();
        self.serving = Some(tokio::spawn(async move {
            loop {
                let (stream, _): (UnixStream, _) = listener.accept().await.unwrap();
                tokio::spawn(keyvault::serve::connection(stream, Arc::clone(&vault)));
            }
        }));
    }

    /// Gives both shares.
    pub(crate) async fn unseal(&self) {
        let mut client = Client::connect_unix(&self.socket).await.unwrap();
        for custodian in 0..self.envelopes.len() {
            client.submit_share(&self.share(custodian)).await.unwrap();
        }
    }

    fn share(&self, custodian: usize) -> Share {
        let envelope = std::fs::read(&self.envelopes[custodian]).unwrap();
        let envelope = ShareEnvelope::parse(&envelope).unwrap();
        envelope.open(PASSPHRASES[custodian]).unwrap()
    }

    /// A custodian seals it.
    pub(crate) async fn seal(&self) {
        let mut client = Client::connect_unix(&self.socket).await.unwrap();
        client.seal(&self.share(0)).await.unwrap();
    }

    /// Takes it away: nobody answers at the socket any more.
    pub(crate) fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
        let _ = std::fs::remove_file(&self.socket);
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
