//! The index on both engines, empty: a SQLite file, and a database of a PostgreSQL of this test program's own.

use photo_store::keeping::store::index::Store;

/// One engine with an empty index.
pub(crate) struct Engine {
    pub(crate) name: &'static str,
    pub(crate) store: Store,
    _folder: Option<tempfile::TempDir>,
}

/// Both engines, each empty.
pub(crate) async fn both() -> Vec<Engine> {
    vec![sqlite().await, postgres().await]
}

pub(crate) async fn sqlite() -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open_file(&folder.path().join("photos.sqlite"))
        .await
        .unwrap();
    Engine {
        name: "SQLite",
        store,
        _folder: Some(folder),
    }
}

pub(crate) async fn postgres() -> Engine {
    let url = scratch_postgres::database(async |template| {
        Store::open_server(&template).await.unwrap().close().await;
    });
    Engine {
        name: "PostgreSQL",
        store: Store::open_server(&url.await).await.unwrap(),
        _folder: None,
    }
}
