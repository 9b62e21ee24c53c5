//! Spaces that are removed: by others, and not to the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_core::name::PluginName;
use annals_core::port::StateStores as _;
use annals_core::port::state_store::{StateError, StateSpace};
use annals_store_dynamodb::state::SPACE_LOOK_WAIT;
use annals_store_dynamodb::{DynamoOptions, DynamoStateStores};

use super::{commit, host, items, put, value};
use crate::support::emulator::Emulator;
use crate::support::faults::{Fault, http_with};
use crate::tables::make_tables;

fn other_space() -> StateSpace {
    StateSpace::Process { name: PluginName::new("other").unwrap() }
}

#[tokio::test]
async fn another_host_learns_of_a_removal() {
    // Guards a cut-over: a host that still holds a removed space is told after a while, and does not
    // reach the one that is made in its place.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_tables(&client).await;
    let one = DynamoStateStores::open(client).await.unwrap();
    let other = DynamoStateStores::open(emulator.client().await).await.unwrap();
    let held = host(&other).await;
    commit(&*held, vec![], vec![put("a", "1")]).await.unwrap();
    one.remove(&StateSpace::Host).await.unwrap();
    let made_again = host(&one).await;
    commit(&*made_again, vec![], vec![put("b", "2")]).await.unwrap();
    assert_eq!((value(&*held, "a").await, value(&*held, "b").await), (None, None));

    tokio::time::pause();
    tokio::time::advance(SPACE_LOOK_WAIT).await;
    tokio::time::resume();
    for _ in 0..2 {
        let refused = commit(&*held, vec![], vec![put("a", "3")]).await;
        assert!(matches!(refused, Err(StateError::Unavailable(_))), "{refused:?}");
    }
    assert_eq!(value(&*made_again, "b").await, Some("2".to_owned()));
    // Opening again gives the one that is there.
    assert_eq!(value(&*host(&other).await, "b").await, Some("2".to_owned()));
}

#[tokio::test]
async fn a_handle_of_a_space_that_is_there_stays_good() {
    // Guards hosts that run for long: looking after it costs a read and nothing else.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_tables(&client).await;
    let stores = DynamoStateStores::open(client.clone()).await.unwrap();
    let state = host(&stores).await;
    commit(&*state, vec![], vec![put("a", "1")]).await.unwrap();
    let before = client.units();
    assert_eq!(value(&*state, "a").await, Some("1".to_owned()));
    assert_eq!((client.units() - before).requests_count, 1);
    tokio::time::pause();
    tokio::time::advance(SPACE_LOOK_WAIT).await;
    tokio::time::resume();
    for _ in 0..3 {
        assert_eq!(value(&*state, "a").await, Some("1".to_owned()));
    }
    assert_eq!((client.units() - before).requests_count, 5);
}

#[tokio::test]
async fn what_an_interrupted_removal_leaves_is_removed_with_the_next() {
    // Guards storage that is paid for: no row stays for ever because a host crashed.
    let emulator = Emulator::start().await;
    make_tables(&emulator.client().await).await;
    let is_broken = Arc::new(AtomicBool::new(true));
    let plan = {
        let is_broken = Arc::clone(&is_broken);
        Arc::new(move |seen: &crate::support::faults::Seen| {
            let is_delete = seen.operation == "BatchWriteItem";
            let is_broken = is_broken.load(Ordering::SeqCst);
            if is_delete && is_broken { Fault::Refused } else { Fault::None }
        })
    };
    let options = DynamoOptions {
        http_client: Some(http_with(plan)),
        operation_wait_max: std::time::Duration::from_millis(50),
        ..emulator.options()
    };
    let client = emulator.client_with(options).await;
    let stores = DynamoStateStores::open(client.clone()).await.unwrap();
    let state = host(&stores).await;
    commit(&*state, vec![], vec![put("a", "1"), put("b", "2")]).await.unwrap();
    let refused = stores.remove(&StateSpace::Host).await;
    assert!(matches!(refused, Err(StateError::Unavailable(_))), "{refused:?}");
    // It is removed for everybody, but its rows, its table and a note of it are there.
    assert_eq!(stores.list().await.unwrap(), []);
    let left: Vec<_> = items(&emulator).await;
    assert_eq!(left.len(), 4, "{left:?}");
    assert!(left[0].starts_with("pk=r#") && left[2].starts_with("pk=removed#default"), "{left:?}");
    is_broken.store(false, Ordering::SeqCst);
    let stores = DynamoStateStores::open(client).await.unwrap();
    stores.remove(&other_space()).await.unwrap();
    assert_eq!(items(&emulator).await, Vec::<String>::new());
}
