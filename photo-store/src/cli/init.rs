//! `photo-store init`: founds a store, under the vault that answers at a socket. Without the vault nothing is made.

use std::path::{Path, PathBuf};

use photo_store_protocol::FailureCode;
use program_contract::language::Words;
use program_contract::{Failure, Founded, Outcome, line};
use serde_json::json;

use crate::cli::serve::server_index;
use crate::error::Error;
use crate::keeping::folder::Folder;
use crate::keeping::store::index::Store;
use crate::keeping::vault::Vault;

/// Founds it.
pub(crate) fn run(
    schema: &'static str,
    dir: &Path,
    vault: PathBuf,
    database_file: Option<&Path>,
) -> Result<Outcome, Failure> {
    keyvault_protocol::check_path(&vault)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|_| FailureCode::SocketUnusable)?;
    let vault = runtime.block_on(async {
        let vault = Vault::at(vault).number().await?;
        // On a server it is asked before the folder is made.
        let mut server = None;
        if let Some(file) = database_file {
            let store = server_index(file).await?;
            found(&store, &vault, false).await?;
            server = Some(store);
        }
        let (folder, was_ours) = Folder::found(dir)?;
        let store = if let Some(store) = server {
            store
        } else {
            let store = Store::open_file(&folder.index()).await?;
            found(&store, &vault, was_ours).await?;
            store
        };
        store.close().await;
        Ok::<_, Failure>(vault)
    })?;
    let founded = Founded::around(&vault);
    let mut lines = vec![line!(
        Words("照片库已建立于", "a photo store was founded in"),
        " ",
        dir.display()
    )];
    lines.extend(founded.banner().map(|banner| line!(banner)));
    let object = json!({
        "dir": dir.to_string_lossy(),
        "vault": hex::encode(vault),
        "rehearsal": founded.is_rehearsal(),
    });
    Outcome::done(schema, &object, lines)
}

/// Writes the vault's number down; refuses a store that is in use. A founding that was cut is finished.
async fn found(store: &Store, vault: &[u8; 16], is_whole: bool) -> Result<(), Error> {
    let mut index = store.begin().await?;
    match index.founded_under().await? {
        Some(under) if under != *vault => Err(Error::Refused(FailureCode::OtherVault)),
        // One more place of a store whose index is on a server.
        Some(_) if !is_whole => Ok(()),
        None if index.is_empty().await? => {
            index.found_under(vault).await?;
            index.commit().await
        }
        Some(_) | None => Err(Error::Refused(FailureCode::StoreExists)),
    }
}
