//! State files: looked into with plain SQL, kept over restarts, refused when they are of another
//! store.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use annals_core::id::{Digest, StoreId};
use annals_core::name::PluginName;
use annals_core::port::state_store::{
    KeyRange, RowKey, StateCommit, StateError, StateSpace, StateWrite,
};
use annals_core::port::{StateStore, StateStores as _};
use bytes::Bytes;
use pollster::block_on;
use rusqlite::Connection;
use uuid::Uuid;

use super::connection::Durability;
use super::store::LocalStateStore;
use super::writer::REQUESTS_MAX;
use crate::LocalStateStores;

fn stores(folder: &Path, store: u128) -> LocalStateStores {
    LocalStateStores::new(folder.join("state"), StoreId::new(Uuid::from_u128(store)))
}

fn view() -> StateSpace {
    StateSpace::View {
        projection: PluginName::new("account-balances").unwrap(),
        digest: Digest::of(b"1"),
        build: 0,
    }
}

fn put(store: &dyn StateStore, table: &str, key: &str, value: &'static [u8]) {
    let row = RowKey { table: table.into(), key: Bytes::copy_from_slice(key.as_bytes()) };
    let writes = vec![StateWrite::Put(row, Bytes::from_static(value))];
    block_on(store.commit(StateCommit { conditions: Vec::new(), writes })).unwrap();
}

#[test]
fn writes_of_a_row_are_done_in_their_order_among_those_of_others() {
    // Guards the order: rows are written by their keys, but a row ends as its last write says.
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path(), 1);
    let store = block_on(stores.open(&view())).unwrap();
    let row =
        |key: &'static str| RowKey { table: "t".into(), key: Bytes::from_static(key.as_bytes()) };
    let writes = vec![
        StateWrite::Put(row("b"), Bytes::from_static(b"1")),
        StateWrite::Put(row("a"), Bytes::from_static(b"1")),
        StateWrite::Add(row("b"), 2),
        StateWrite::Delete(row("a")),
        StateWrite::Put(row("c"), Bytes::from_static(b"7")),
        StateWrite::Put(row("a"), Bytes::from_static(b"2")),
        StateWrite::Delete(row("c")),
    ];
    block_on(store.commit(StateCommit { conditions: Vec::new(), writes })).unwrap();
    let values = block_on(store.get_many(&["a", "b", "c"].map(row))).unwrap();
    assert_eq!(values, [Some(Bytes::from_static(b"2")), Some(Bytes::from_static(b"3")), None]);
}

#[test]
fn people_can_ask_views_in_plain_sql() {
    // Guards what makes SQLite worth having: JSON values, one SQL view per table.
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path(), 1);
    let store = block_on(stores.open(&view())).unwrap();
    put(&*store, "balances", "a1", b"{\"balance_cents\": 250}");
    put(&*store, "balances", "a2", b"{\"balance_cents\": 100}");
    put(&*store, "rows", "a1", b"\xff");
    put(&*store, "Balances", "a3", b"{}");
    let name = format!("state/views/account-balances@{}.sqlite", Digest::of(b"1"));
    assert_eq!(stores.path(&view()), folder.path().join(&name));
    let StateSpace::View { projection, digest, .. } = view() else { panic!("a view") };
    let rebuilt = StateSpace::View { projection, digest, build: 12 };
    let rebuilt_name = name.replace(".sqlite", "-12.sqlite");
    assert_eq!(stores.path(&rebuilt), folder.path().join(rebuilt_name));
    let connection = Connection::open(stores.path(&view())).unwrap();
    let sum: i64 = connection
        .query_row("SELECT sum(value->>'balance_cents') FROM balances", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sum, 350);
    let key: String = connection
        .query_row("SELECT key FROM \"balances\" ORDER BY key DESC", [], |row| row.get(0))
        .unwrap();
    assert_eq!(key, "a2");
    let kind: String =
        connection.query_row("SELECT typeof(value) FROM rows", [], |row| row.get(0)).unwrap();
    assert_eq!(kind, "blob");
}

#[test]
fn keeps_rows_over_a_restart() {
    // Guards checkpoints and views: a restart begins where the last run ended.
    let folder = tempfile::tempdir().unwrap();
    for space in [StateSpace::Host, view()] {
        let value = Bytes::from_static(b"\0\xff");
        let first = stores(folder.path(), 1);
        put(&*block_on(first.open(&space)).unwrap(), "t", "k", b"\0\xff");
        drop(first);
        let again = stores(folder.path(), 1);
        let store = block_on(again.open(&space)).unwrap();
        assert_eq!(block_on(store.get("t", b"k")).unwrap(), Some(value));
        put(&*store, "t", "k", b"after");
    }
    let spaces = block_on(stores(folder.path(), 1).list()).unwrap();
    assert_eq!(spaces, [StateSpace::Host, view()]);
}

#[test]
fn state_of_another_store_is_refused() {
    // Guards R13: checkpoints of another store would skip events or repeat them.
    let folder = tempfile::tempdir().unwrap();
    put(&*block_on(stores(folder.path(), 1).open(&view())).unwrap(), "t", "k", b"1");
    let error = block_on(stores(folder.path(), 2).open(&view())).unwrap_err();
    let StateError::Damaged(cause) = error else { panic!("{error}") };
    let text = cause.to_string();
    assert!(text.contains("belongs to store `00000000-0000-0000-0000-000000000001`"), "{text}");
    assert!(text.contains("the log here is store `00000000-0000-0000-0000-000000000002`"));
}

#[test]
fn an_empty_or_overwritten_state_file_is_damage() {
    // Guards R4: a state file that lost its content is never taken for a new one.
    for content in [&b""[..], &[7; 8_192]] {
        let folder = tempfile::tempdir().unwrap();
        let stores = stores(folder.path(), 1);
        fs::create_dir(folder.path().join("state")).unwrap();
        fs::write(stores.path(&StateSpace::Host), content).unwrap();
        let error = block_on(stores.open(&StateSpace::Host)).unwrap_err();
        assert!(matches!(error, StateError::Damaged(_)), "{error:?}");
    }
}

#[test]
fn what_an_interrupted_creation_left_is_made_anew() {
    // Guards a crash while a file is made: the unfinished file is not in the way.
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path(), 1);
    fs::create_dir(folder.path().join("state")).unwrap();
    fs::write(folder.path().join("state/host.sqlite.new"), b"half").unwrap();
    fs::write(folder.path().join("state/host.sqlite.new-wal"), b"half").unwrap();
    let store = block_on(stores.open(&StateSpace::Host)).unwrap();
    assert_eq!(block_on(store.scan("t", KeyRange::default(), 9)).unwrap(), []);
    assert_eq!(block_on(stores.list()).unwrap(), [StateSpace::Host]);
}

#[test]
fn more_commits_than_may_wait_are_all_made_and_none_after_removal() {
    // Guards R20: who finds the queue full waits for room, also when one thread runs everything, and
    // removal does not wait for somebody who cannot run.
    let folder = tempfile::tempdir().unwrap();
    let stores = stores(folder.path(), 1);
    let store = block_on(stores.open(&view())).unwrap();
    let add = |key: &'static str| {
        let row = RowKey { table: "t".into(), key: Bytes::from_static(key.as_bytes()) };
        let writes = vec![StateWrite::Add(row, 1)];
        store.commit(StateCommit { conditions: Vec::new(), writes })
    };
    let commits = (0..REQUESTS_MAX * 3).map(|_| add("a"));
    let outcomes = block_on(futures_util::future::join_all(commits));
    assert!(outcomes.iter().all(Result::is_ok));
    let count = (REQUESTS_MAX * 3).to_string();
    assert_eq!(block_on(store.get("t", b"a")).unwrap(), Some(Bytes::from(count)));

    let commits = futures_util::future::join_all((0..REQUESTS_MAX * 3).map(|_| add("b")));
    let space = view();
    let removal = stores.remove(&space);
    let (outcomes, removed) = block_on(futures_util::future::join(commits, removal));
    removed.unwrap();
    let made_count = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert!((1..outcomes.len()).contains(&made_count), "{made_count}");
}

#[test]
fn keeps_few_connections_however_many_readers_there_were() {
    // Guards file handles: a burst of readers leaves only a handful of connections.
    let folder = tempfile::tempdir().unwrap();
    let id = StoreId::new(Uuid::from_u128(1));
    let path = folder.path().join("state/host.sqlite");
    let store = Arc::new(LocalStateStore::open(path, id, Durability::Soon).unwrap());
    let barrier = Arc::new(std::sync::Barrier::new(16));
    let readers: Vec<_> = (0..16)
        .map(|_| {
            let (store, barrier) = (Arc::clone(&store), Arc::clone(&barrier));
            std::thread::spawn(move || {
                barrier.wait();
                for _ in 0..50 {
                    block_on(store.get("t", b"k")).unwrap();
                }
            })
        })
        .collect();
    for reader in readers {
        reader.join().unwrap();
    }
    assert!((1..=4).contains(&store.idle_readers_count()));
}
