//! What IAM must allow, and the Terraform module: as the sources say.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use annals_core::place::{Partition, Revision};
use annals_core::port::EventStore as _;
use annals_core::port::event_store::Direction;
use annals_store_dynamodb::permissions::{
    CREATE_ACTIONS, DELETE_ACTIONS, DESCRIBE_ACTIONS, EVENTS_ACTIONS, EXPORT_ACTIONS,
    OPERATOR_ACTIONS, STATE_ACTIONS,
};
use annals_store_dynamodb::tables::{
    EVENTS, PARTITION_KEY, SORT_KEY, STATE, TTL_ATTRIBUTE, check, delete,
};
use annals_store_dynamodb::{ChunkedBlobStore, DynamoEventStore, DynamoStateStores};
use aws_sdk_dynamodb::config::SharedHttpClient;

use super::recording::Recording;
use super::{described, make_tables};
use crate::events::support::{counted, stream};
use crate::support::emulator::Emulator;

/// Calls in the sources, and the permissions that they need.
const CALLS: [(&str, &str); 23] = [
    (".batch_get_item()", "BatchGetItem"),
    (".batch_write_item()", "BatchWriteItem"),
    (".create_table()", "CreateTable"),
    (".delete_item()", "DeleteItem"),
    (".delete_table()", "DeleteTable"),
    (".describe_continuous_backups()", "DescribeContinuousBackups"),
    (".describe_table()", "DescribeTable"),
    (".describe_time_to_live()", "DescribeTimeToLive"),
    (".get_item()", "GetItem"),
    (".list_tables()", "ListTables"),
    (".put_item()", "PutItem"),
    (".query()", "Query"),
    (".scan()", "Scan"),
    (".tag_resource()", "TagResource"),
    (".update_continuous_backups()", "UpdateContinuousBackups"),
    (".update_item()", "UpdateItem"),
    (".update_table()", "UpdateTable"),
    (".update_time_to_live()", "UpdateTimeToLive"),
    // The actions of transactions.
    (" Put::builder()", "PutItem"),
    (" Update::builder()", "UpdateItem"),
    (" Delete::builder()", "DeleteItem"),
    (" ConditionCheck::builder()", "ConditionCheckItem"),
    (" Get::builder()", "GetItem"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The text of all sources below a folder.
fn sources(folder: &Path) -> String {
    let mut text = String::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let more =
            if path.is_dir() { sources(&path) } else { std::fs::read_to_string(&path).unwrap() };
        text.push_str(&more);
    }
    text
}

/// The permissions that the sources below a folder of the crate need.
fn needed(folder: &str) -> BTreeSet<&'static str> {
    let text = sources(&root().join("src").join(folder));
    CALLS.iter().filter(|(call, _)| text.contains(call)).map(|(_, action)| *action).collect()
}

fn listed<'a>(actions: &[&'a str]) -> BTreeSet<&'a str> {
    let listed: BTreeSet<_> = actions.iter().copied().collect();
    assert!(actions.is_sorted() && listed.len() == actions.len());
    listed
}

#[test]
fn the_permissions_are_those_of_the_requests_that_are_sent() {
    // Guards least privilege: none is missing when it is needed, and none is given for nothing.
    // Both tables are described at start, and the item of the store is read.
    let mut events = needed("events");
    events.extend(["DescribeTable", "GetItem"]);
    assert_eq!(listed(&EVENTS_ACTIONS), events);
    let mut state = needed("state");
    state.insert("DescribeTable");
    assert_eq!(listed(&STATE_ACTIONS), state);
    let mut operator = needed("tables");
    operator.extend(EVENTS_ACTIONS);
    operator.extend(STATE_ACTIONS);
    assert_eq!(listed(&OPERATOR_ACTIONS), operator);
}

#[tokio::test]
async fn each_tool_of_an_operator_sends_what_is_listed_for_it() {
    // Guards roles for one tool only: what is sent in a whole life of a store.
    let emulator = Emulator::start().await;
    let mut options = emulator.options();
    let recording = Recording::over(options.http_client.take().unwrap());
    options.http_client = Some(SharedHttpClient::new(recording.clone()));
    let client = emulator.client_with(options).await;
    let sent = || recording.take_operations();
    let of = |actions: &[&str]| -> BTreeSet<String> {
        listed(actions).into_iter().map(str::to_owned).collect()
    };

    make_tables(&client).await;
    assert_eq!(sent(), of(&CREATE_ACTIONS));

    described(&client).await;
    assert_eq!(sent(), of(&DESCRIBE_ACTIONS));

    let filled = DynamoEventStore::open(emulator.client().await).await.unwrap();
    filled.append(counted("a", 0)).await.unwrap();
    check(&client).await.unwrap();
    let store = DynamoEventStore::open(client.clone()).await.unwrap();
    let states = DynamoStateStores::open(client.clone()).await.unwrap();
    ChunkedBlobStore::open(&states).await.unwrap();
    for partition in (0..store.capabilities().partitions_count).map(Partition) {
        store.head(partition).await.unwrap();
        store.read_commits(partition, 0, 100).await.unwrap();
    }
    let from = Revision::FIRST;
    store.read_stream(&stream("a"), from, 1, Direction::Forwards).await.unwrap();
    assert_eq!(sent(), of(&EXPORT_ACTIONS));
    drop(store);

    described(&client).await;
    delete(&client, &mut |_| {}).await.unwrap();
    assert_eq!(sent(), of(&DELETE_ACTIONS));

    let all = [&CREATE_ACTIONS[..], &DELETE_ACTIONS, &DESCRIBE_ACTIONS, &EXPORT_ACTIONS];
    assert!(all.concat().iter().all(|action| OPERATOR_ACTIONS.contains(action)));
}

#[test]
fn the_guide_names_the_permissions_of_the_code() {
    // Guards whoever writes a policy by hand, from the guide.
    let guide = std::fs::read_to_string(root().join("../../docs/guide/dynamodb.md")).unwrap();
    let row = |what: &str, actions: &[&str]| {
        let quoted: Vec<_> = actions.iter().map(|action| format!("`{action}`")).collect();
        format!("| {what} | {} |", quoted.join(" "))
    };
    let rows = [
        row("`PREFIX-events`", &EVENTS_ACTIONS),
        row("`create`", &CREATE_ACTIONS),
        row("`describe`", &DESCRIBE_ACTIONS),
        row("`delete`", &DELETE_ACTIONS),
        row("`export`", &EXPORT_ACTIONS),
    ];
    for row in rows {
        assert!(guide.lines().any(|line| line == row), "{row}");
    }
    let more: Vec<_> = STATE_ACTIONS.iter().filter(|it| !EVENTS_ACTIONS.contains(it)).collect();
    assert_eq!(more, [&"BatchWriteItem"]);
    assert!(guide.contains("| `PREFIX-state` | the same, and `BatchWriteItem` |"));
}

/// `main.tf` without spaces, and the part of it that follows `header` up to the next block.
fn block(header: &str) -> String {
    let path = root().join("../../docs/deploy/terraform/main.tf");
    let text = std::fs::read_to_string(path).unwrap();
    let start = text.find(header).unwrap_or_else(|| panic!("there is no `{header}`"));
    let rest = &text[start + header.len()..];
    let end = ["\nresource ", "\ndata "].iter().filter_map(|next| rest.find(next)).min();
    rest[..end.unwrap_or(rest.len())].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn terraform_makes_the_same_tables() {
    // Guards tables that others make: keys, types, expiry, names and billing are those of the code.
    for (name, shape) in [("events", &EVENTS), ("state", &STATE)] {
        let block = block(&format!("resource \"aws_dynamodb_table\" \"{name}\""));
        let attribute =
            |name: &str, of: &str| format!("attribute {{ name = \"{name}\" type = \"{of}\" }}");
        let expected = [
            format!("name = \"${{var.prefix}}{}\"", shape.suffix),
            "billing_mode = \"PAY_PER_REQUEST\"".to_owned(),
            format!("hash_key = \"{PARTITION_KEY}\" range_key = \"{SORT_KEY}\""),
            attribute(PARTITION_KEY, shape.partition_key_type.as_str()),
            attribute(SORT_KEY, shape.sort_key_type.as_str()),
            format!("ttl {{ enabled = true attribute_name = \"{TTL_ATTRIBUTE}\" }}"),
            "point_in_time_recovery {".to_owned(),
            "server_side_encryption {".to_owned(),
        ];
        for part in expected {
            assert!(block.contains(&part), "{name}: {part}\n{block}");
        }
        assert_eq!(block.matches("attribute {").count(), 2);
    }
}

#[test]
fn terraform_allows_what_is_needed() {
    // Guards the policies: exactly the permissions of the code, for each table and each role.
    let actions = |actions: &[&str]| {
        let quoted = actions.iter().map(|action| format!("\"dynamodb:{action}\","));
        format!("actions = [ {} ]", quoted.collect::<Vec<_>>().join(" "))
    };
    let daemon = block("data \"aws_iam_policy_document\" \"daemon\"");
    for (table, of) in [("events", &EVENTS_ACTIONS[..]), ("state", &STATE_ACTIONS[..])] {
        let expected = format!("resources = [aws_dynamodb_table.{table}.arn] {}", actions(of));
        assert!(daemon.contains(&expected), "{expected}\n{daemon}");
    }
    assert_eq!(daemon.matches("statement {").count(), 2);
    let operator = block("data \"aws_iam_policy_document\" \"operator\"");
    assert!(operator.contains(&actions(&OPERATOR_ACTIONS)), "{operator}");
    assert_eq!(operator.matches("statement {").count(), 1);
}
