//! The event store and the state stores on DynamoDB.
