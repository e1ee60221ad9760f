//! The sealed objects: files of a folder, or whatever else is an object store.
//!
//! One folder a photo or a page, in a tree of two levels of 256. Left out: what is in an object; without its key it is noise.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::{ObjectStore, ObjectStoreExt as _};
use photo_store_protocol::{PageId, PhotoId, Profile};

use crate::error::Error;

/// Where the sealed objects are.
#[derive(Debug, Clone)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    /// The folder, where the store is one.
    files: Option<PathBuf>,
}

impl Objects {
    /// The objects below a folder, which exists. What was written survives a loss of power.
    ///
    /// # Errors
    /// The object store's codes.
    pub fn in_folder(folder: &Path) -> Result<Self, Error> {
        let files = LocalFileSystem::new_with_prefix(folder)?
            .with_fsync(true)
            .with_automatic_cleanup(true);
        Ok(Self {
            store: Arc::new(files),
            files: Some(folder.to_owned()),
        })
    }

    pub(crate) async fn put(&self, name: &str, sealed: Vec<u8>) -> Result<(), Error> {
        self.store.put(&name.into(), sealed.into()).await?;
        Ok(())
    }

    pub(crate) async fn get(&self, name: &str) -> Result<impl AsRef<[u8]> + use<>, Error> {
        Ok(self.store.get(&name.into()).await?.bytes().await?)
    }

    /// Removes the objects of a photo or a page but for those that the index names.
    pub(crate) async fn remove_unnamed(&self, of: impl Display, named: &[String]) -> Result<(), Error> {
        let folder = folder(&of.to_string());
        let prefix = object_store::path::Path::from(folder.as_str());
        let there: Vec<object_store::ObjectMeta> = self.store.list(Some(&prefix)).try_collect().await?;
        let unnamed = there.iter().map(|object| object.location.as_ref());
        self.remove(unnamed.filter(|name| !named.iter().any(|known| known == name)))
            .await;
        if let Some(files) = &self.files {
            remove_halves(&files.join(folder));
        }
        Ok(())
    }

    /// Removes objects as well as that goes: without their keys they are noise.
    pub(crate) async fn remove<'a>(&self, names: impl Iterator<Item = &'a str> + Send) {
        for name in names {
            if let Err(error) = self.store.delete(&name.into()).await
                && !matches!(error, object_store::Error::NotFound { .. })
            {
                tracing::warn!(
                    object = name,
                    "a sealed object without a key could not be removed"
                );
            }
        }
    }
}

/// The name of a rendition's object. `attempt` is random, so that a broken-off run and its repetition do not share an
/// object, and what the index does not name is found by the photo.
pub(crate) fn name(photo: PhotoId, profile: Profile, attempt: u64) -> String {
    format!("{}/{profile}.{attempt:016x}", folder(&photo.to_string()))
}

/// The name of a page's object, likewise.
pub(crate) fn name_of_page(page: PageId, attempt: u64) -> String {
    format!("{}/page.{attempt:016x}", folder(&page.to_string()))
}

/// Removes what a process that was killed while it wrote left behind: files that the object store has not yet renamed
/// (`NAME#1`) and never lists.
fn remove_halves(folder: &Path) {
    // A folder that is not there holds nothing.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains('#') && std::fs::remove_file(entry.path()).is_err() {
            tracing::warn!(path = %entry.path().display(), "half an object could not be removed");
        }
    }
}

/// The folder of a photo or a page, by its 32 hexadecimal digits.
fn folder(id: &str) -> String {
    format!("{}/{}/{id}", &id[..2], &id[2..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_index_does_not_name_is_removed_and_what_a_killed_process_half_wrote_too() {
        let place = tempfile::tempdir().unwrap();
        let objects = Objects::in_folder(place.path()).unwrap();
        let photo = PhotoId::from_bytes([7; 16]);
        let (named, unnamed) = (name(photo, Profile::Ga461, 1), name(photo, Profile::Ga461, 2));
        for object in [&named, &unnamed] {
            objects.put(object, b"sealed".to_vec()).await.unwrap();
        }
        std::fs::write(
            place.path().join(format!("{}#1", name(photo, Profile::Print, 3))),
            b"sea",
        )
        .unwrap();
        objects
            .remove_unnamed(photo, std::slice::from_ref(&named))
            .await
            .unwrap();
        let left: Vec<_> = std::fs::read_dir(place.path().join(folder(&photo.to_string())))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(left, [place.path().join(&named)]);
        assert_eq!(objects.get(&named).await.unwrap().as_ref(), b"sealed");
    }
}
