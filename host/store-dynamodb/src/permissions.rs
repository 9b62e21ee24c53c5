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

/// What an operator does with both tables, by [`tables`](crate::tables).
pub const OPERATOR_ACTIONS: [&str; 10] = [
    "CreateTable",
    "DeleteTable",
    "DescribeContinuousBackups",
    "DescribeTable",
    "DescribeTimeToLive",
    "GetItem",
    "PutItem",
    "UpdateContinuousBackups",
    "UpdateTable",
    "UpdateTimeToLive",
];
