//! `StateStores`: spaces are made, kept apart, listed and removed.

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::port::state_store::{KeyRange, Row, RowKey, StateCommit, StateError, StateSpace};
use futures_util::future::join_all;

use crate::support::state::{State, Stores, TABLE, put, row, rows, scan_all, write};

/// Guards new installations: nothing is there before it was opened.
pub async fn lists_no_space_before_one_was_opened(stores: &Stores) {
    assert_eq!(list(stores).await, []);
}

/// Guards start-up: every space that was made is found again, in order, each once.
pub async fn lists_spaces_in_order(stores: &Stores) {
    let mut spaces = spaces();
    for space in spaces.iter().rev().chain(&spaces) {
        stores.open(space).await.unwrap();
    }
    spaces.sort();
    assert_eq!(list(stores).await, spaces);
}

/// Guards the host against a projection: the same row in each space is a row of its own.
pub async fn keeps_spaces_apart(stores: &Stores) {
    for (number, space) in (0..).zip(&spaces()) {
        let state = stores.open(space).await.unwrap();
        assert_eq!(scan_all(&state).await, [], "{space}");
        write(&state, vec![put(b"key", &[number])]).await;
    }
    for (number, space) in (0..).zip(&spaces()) {
        let state = stores.open(space).await.unwrap();
        assert_eq!(scan_all(&state).await, [row(b"key", &[number])], "{space}");
    }
}

/// Guards two parts of the host that open one space: they see each other's commits.
pub async fn opening_again_gives_the_same_store(stores: &Stores) {
    for space in spaces() {
        let first = stores.open(&space).await.unwrap();
        write(&first, vec![put(b"a", b"1")]).await;
        let second = stores.open(&space).await.unwrap();
        write(&second, vec![put(b"b", b"2")]).await;
        let expected = rows(&[(b"a", b"1"), (b"b", b"2")]);
        assert_eq!(scan_all(&first).await, expected);
        assert_eq!(scan_all(&second).await, expected);
    }
}

/// Guards start-up, where many parts of the host open at once: one store is made, and none of their
/// commits is lost.
pub async fn opening_at_once_gives_one_store(stores: &Stores) {
    for space in spaces() {
        let openers = (0..16_u8).map(|number| {
            let (stores, space) = (Arc::clone(stores), space.clone());
            tokio::spawn(async move {
                let state = stores.open(&space).await.unwrap();
                write(&state, vec![put(&[number], b"")]).await;
            })
        });
        for opener in join_all(openers).await {
            opener.unwrap();
        }
        let state = stores.open(&space).await.unwrap();
        let expected: Vec<Row> = (0..16_u8).map(|number| row(&[number], b"")).collect();
        assert_eq!(scan_all(&state).await, expected);
    }
}

/// Guards disk space and rebuilds: a removed space is gone with all its rows, the others stay, and
/// it can be made again.
pub async fn removes_a_space_with_all_it_holds(stores: &Stores) {
    for space in spaces() {
        write(&stores.open(&space).await.unwrap(), vec![put(b"a", b"1")]).await;
    }
    for removed in spaces() {
        stores.remove(&removed).await.unwrap();
        let mut others = spaces();
        others.retain(|space| *space != removed);
        others.sort();
        assert_eq!(list(stores).await, others);
        let state = stores.open(&removed).await.unwrap();
        assert_eq!(scan_all(&state).await, []);
        write(&state, vec![put(b"a", b"1")]).await;
        for space in others {
            let state = stores.open(&space).await.unwrap();
            assert_eq!(scan_all(&state).await, [row(b"a", b"1")]);
        }
    }
}

/// Guards clean-up that runs twice: a space that is not there is passed over, and not made.
pub async fn removing_what_is_not_there_is_passed_over(stores: &Stores) {
    for space in spaces() {
        stores.remove(&space).await.unwrap();
        stores.open(&space).await.unwrap();
        stores.remove(&space).await.unwrap();
        stores.remove(&space).await.unwrap();
    }
    assert_eq!(list(stores).await, []);
}

/// Guards a cut-over: who still holds a removed space is told, by every operation, and does not
/// reach the one that is made in its place.
pub async fn a_removed_space_answers_unavailable(stores: &Stores) {
    for space in spaces() {
        let removed = stores.open(&space).await.unwrap();
        write(&removed, vec![put(b"a", b"1")]).await;
        stores.remove(&space).await.unwrap();
        assert_unavailable(&removed).await;
        let made_again = stores.open(&space).await.unwrap();
        assert_unavailable(&removed).await;
        assert_eq!(scan_all(&made_again).await, []);
    }
}

async fn assert_unavailable(state: &State) {
    let row_key = RowKey { table: Arc::from(TABLE), key: b"a"[..].into() };
    let commit = StateCommit { conditions: Vec::new(), writes: vec![put(b"a", b"2")] };
    let outcomes = [
        state.get(TABLE, b"a").await.map(drop),
        state.get_many(&[row_key]).await.map(drop),
        state.scan(TABLE, KeyRange::default(), 1).await.map(drop),
        state.commit(commit).await,
        state.clear(TABLE).await,
    ];
    for outcome in outcomes {
        assert!(matches!(outcome, Err(StateError::Unavailable(_))), "{outcome:?}");
    }
}

async fn list(stores: &Stores) -> Vec<StateSpace> {
    stores.list().await.unwrap()
}

/// Spaces of each kind, some of which differ in one part only.
fn spaces() -> Vec<StateSpace> {
    let name = |name| PluginName::new(name).unwrap();
    let build = |projection, content: &[u8], build| StateSpace::View {
        projection: name(projection),
        digest: Digest::of(content),
        build,
    };
    let view = |projection, content: &[u8]| build(projection, content, 0);
    vec![
        StateSpace::Process { name: name("transfer") },
        view("account-balances", b"2"),
        StateSpace::Host,
        view("account", b"1"),
        build("account", b"1", 10),
        build("account", b"1", 2),
        build("account", b"2", 2),
        view("account-balances", b"1"),
        view("transfer", b"1"),
        StateSpace::Process { name: name("host") },
    ]
}
