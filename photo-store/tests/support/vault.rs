//! The real key vault, founded and opened for a test, on a Unix socket.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use getrandom::SysRng;
use keyvault::FixedClock;
use keyvault::custody::ceremony;
use keyvault::custody::share_envelope::{Cost, Package};
use keyvault_protocol::Client;
use rand_core::UnwrapErr;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

/// An open vault and the shares that open it again.
pub struct TestVault {
    pub socket: PathBuf,
    packages: Vec<PathBuf>,
    folder: PathBuf,
    serving: Option<JoinHandle<()>>,
}

const PASSPHRASES: [&[u8]; 2] = [b"first custodian", b"second custodian"];

impl TestVault {
    /// Founds a vault in `dir`, serves it and opens it.
    pub async fn open(dir: &Path) -> Self {
        let folder = dir.join("vault");
        let packages = dir.join("packages");
        std::fs::create_dir_all(&packages).unwrap();
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
            out: packages,
            threshold: 2,
            custodians,
            cost: Cost {
                memory_kib: 64,
                passes: 1,
            },
        };
        let founded = ceremony::init(&plan, now(), Box::new(UnwrapErr(SysRng)))
            .await
            .unwrap();
        let mut vault = Self {
            socket: dir.join("vault.sock"),
            packages: founded.packages,
            folder,
            serving: None,
        };
        vault.start().await;
        vault.unseal().await;
        vault
    }

    /// Starts it, sealed.
    pub async fn start(&mut self) {
        let clock = Arc::new(FixedClock(now()));
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
    pub async fn unseal(&self) {
        let mut client = Client::connect_unix(&self.socket).await.unwrap();
        client.begin_unseal().await.unwrap();
        for (path, passphrase) in self.packages.iter().zip(PASSPHRASES) {
            let share = Package::parse(&std::fs::read(path).unwrap())
                .unwrap()
                .open(passphrase)
                .unwrap();
            client.submit_share(&share).await.unwrap();
        }
    }

    /// A custodian seals it.
    pub async fn seal(&self) {
        Client::connect_unix(&self.socket)
            .await
            .unwrap()
            .seal("zhao")
            .await
            .unwrap();
    }

    /// Takes it away: nobody answers at the socket any more.
    pub fn stop(&mut self) {
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
    jiff::Timestamp::from_second(super::NOW).unwrap()
}
