//! Which permissions IAM must give. A transaction needs those of its actions, and none of its own.
//!
//! A test compares them with the requests that the sources send, and with `docs/deploy/terraform`.

/// What a daemon does with the table of events.
pub const EVENTS_ACTIONS: [&str; 7] = [
    "BatchGetItem",
    "ConditionCheckItem",
    "DeleteItem",
    "DescribeTable",
    "GetItem",
    "PutItem",
    "Query",
];

/// What a daemon does with the table of state.
pub const STATE_ACTIONS: [&str; 8] = [
    "BatchGetItem",
    "BatchWriteItem",
    "ConditionCheckItem",
    "DeleteItem",
    "DescribeTable",
    "GetItem",
    "PutItem",
    "Query",
];

/// What an operator does with both tables: [`create`](CREATE_ACTIONS), [`describe`](DESCRIBE_ACTIONS),
/// [`delete`](DELETE_ACTIONS), [`export`](EXPORT_ACTIONS), and import, which needs what a daemon needs.
pub const OPERATOR_ACTIONS: [&str; 15] = [
    "BatchGetItem",
    "BatchWriteItem",
    "ConditionCheckItem",
    "CreateTable",
    "DeleteItem",
    "DeleteTable",
    "DescribeContinuousBackups",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "PutItem",
    "Query",
    "UpdateContinuousBackups",
    "UpdateTable",
    "UpdateTimeToLive",
];

/// What `annals store create` does with both tables.
pub const CREATE_ACTIONS: [&str; 8] = [
    "CreateTable",
    "DescribeContinuousBackups",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "PutItem",
    "UpdateContinuousBackups",
    "UpdateTimeToLive",
];

/// What `annals store describe` does with both tables.
pub const DESCRIBE_ACTIONS: [&str; 4] =
    ["DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive", "GetItem"];

/// What `annals store delete` does with both tables, which it describes before it asks.
pub const DELETE_ACTIONS: [&str; 6] = [
    "DeleteTable",
    "DescribeContinuousBackups",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "UpdateTable",
];

/// What `annals store export` does with both tables. It opens the stores as a daemon does, which puts
/// an item into the table of state where no daemon was before.
pub const EXPORT_ACTIONS: [&str; 5] =
    ["BatchGetItem", "DescribeTable", "GetItem", "PutItem", "Query"];
