//! `photo-store init`: founds a store under the vault of an anchors file, with the key by which that vault will know it.
//!
//! A store of before such keys is given its two files, and so is one that lost them. No vault is asked.

use std::path::Path;

use keyvault_protocol::VaultAnchors;
use photo_store_protocol::FailureCode;
use program_contract::language::Words;
use program_contract::{Failure, Founded, Outcome, line};
use rand_core::{TryCryptoRng, UnwrapErr};
use serde_json::json;

use crate::cli::serve::server_index;
use crate::error::Error;
use crate::keeping::folder::Folder;
use crate::keeping::identity;
use crate::keeping::store::index::Store;

/// Founds it.
pub(crate) fn run(
    schema: &'static str,
    dir: &Path,
    anchors: &Path,
    database_file: Option<&Path>,
    random: impl TryCryptoRng,
) -> Result<Outcome, Failure> {
    let anchors = VaultAnchors::read(anchors).map_err(|_| FailureCode::AnchorsUnusable)?;
    let runtime = tokio::runtime::Runtime::new().map_err(|_| FailureCode::SocketUnusable)?;
    let (folder, is_new) = runtime.block_on(async {
        // On a server it is asked before the folder is made.
        let mut server = None;
        if let Some(file) = database_file {
            let store = server_index(file).await?;
            let is_new = found(&store, &anchors.vault).await?;
            server = Some((store, is_new));
        }
        let (folder, was_ours) = Folder::found(dir)?;
        let (store, is_new) = if let Some((store, is_new)) = server {
            // One more place of a store is new too.
            (store, is_new || !was_ours)
        } else {
            let store = Store::open_file(&folder.index()).await?;
            let is_new = found(&store, &anchors.vault).await?;
            (store, is_new)
        };
        store.close().await;
        Ok::<_, Failure>((folder, is_new))
    })?;
    let (public_key, added) = identity::complete(&folder, &anchors, &mut UnwrapErr(random))?;
    if !is_new && !added {
        return Err(FailureCode::StoreExists.into());
    }
    let founded = Founded::around(&anchors.vault);
    let done = if is_new {
        Words("照片库已建立于", "a photo store was founded in")
    } else {
        Words(
            "已补上密钥或锚点文件的原有照片库：",
            "key or anchors were added to the photo store that is in",
        )
    };
    let public_key = hex::encode(public_key);
    let mut lines = vec![
        line!(done, " ", dir.display()),
        line!(Words(
            "请两名密钥官员登记其公钥（`keyvault request new enrol-caller --kind photo-store`）：",
            "have two officers enrol its public key (`keyvault request new enrol-caller --kind photo-store`):"
        )),
        line!(&public_key),
    ];
    lines.extend(founded.banner().map(|banner| line!(banner)));
    let object = json!({
        "dir": dir.to_string_lossy(),
        "vault": hex::encode(anchors.vault),
        "vault_key": folder.vault_key().to_string_lossy(),
        "public_key": public_key,
        "founded": is_new,
        "rehearsal": founded.is_rehearsal(),
    });
    Outcome::done(schema, &object, lines)
}

/// Writes the vault's number down, and says whether it did: it stands in a store that was founded. A founding that was cut is
/// finished; a store of before there was such a row stays without one, for nobody can say what its photos are sealed under.
async fn found(store: &Store, vault: &[u8; 16]) -> Result<bool, Error> {
    let mut index = store.begin().await?;
    match index.founded_under().await? {
        Some(under) if under != *vault => Err(Error::Refused(FailureCode::OtherVault)),
        None if index.is_empty().await? => {
            index.found_under(vault).await?;
            index.commit().await?;
            Ok(true)
        }
        Some(_) | None => Ok(false),
    }
}
