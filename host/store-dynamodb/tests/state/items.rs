//! What is in the table: bytes that later versions must read.

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::port::state_store::StateSpace;

use super::{commit, condition, host, items, open_state_stores, put};

#[tokio::test]
async fn items_are_as_documented() {
    // Guards stored state: keys and attributes of every kind of item, as `state.rs` says.
    let (stores, emulator) = open_state_stores().await;
    let view = StateSpace::View {
        projection: PluginName::new("account-balances").unwrap(),
        digest: Digest::of(b"1"),
        build: 0,
    };
    stores.open(&view).await.unwrap();
    stores.open(&StateSpace::Process { name: PluginName::new("transfer").unwrap() }).await.unwrap();
    let state = host(&*stores).await;
    commit(&*state, vec![], vec![put("plain", "1")]).await.unwrap();
    commit(&*state, vec![condition("conditional", None)], vec![put("conditional", "2")])
        .await
        .unwrap();
    let both = vec![put("one", "3"), put("other", "4")];
    commit(&*state, vec![condition("one", None)], both).await.unwrap();

    let found = items(&emulator).await;
    let generation = found[0].split(['#', ' ']).nth(2).unwrap();
    assert_eq!(generation.len(), 32);
    let digest = Digest::of(b"1");
    let row = |rest: &str| format!("pk=r#default#{generation}#table sk={rest}");
    let space = |name: &str| format!("pk=spaces#default sk={name} g=16 bytes");
    let expected = [
        row("kconditional c=16 bytes v=2"),
        row("kone v=3"),
        row("kother v=4"),
        row("kplain v=1"),
        space("host"),
        space("process/transfer"),
        space(&format!("view/account-balances/{digest}")),
        format!("pk=tables#default#{generation} sk=table"),
    ];
    assert_eq!(found, expected);
}
