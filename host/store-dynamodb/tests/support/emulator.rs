//! A DynamoDB emulator in this process, on a free port of loopback.

use std::sync::Arc;

use annals_core::id::IdGenerator;
use annals_store_dynamodb::DynamoOptions;
use annals_store_dynamodb::client::DynamoClient;
use aws_sdk_dynamodb::config::Credentials;
use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Ids as the daemon makes them.
#[derive(Debug)]
pub(crate) struct RandomIds;

impl IdGenerator for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "the generator that the tests give")]
    fn next_uuid(&self) -> Uuid {
        Uuid::new_v4()
    }
}

/// An emulator that holds nothing yet. It ends when it is dropped.
pub(crate) struct Emulator {
    pub(crate) endpoint: String,
    server: JoinHandle<()>,
}

impl Emulator {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let database = Database::memory().unwrap();
        let server = tokio::spawn(dynoxide::server::serve_on(listener, database));
        Self { endpoint, server }
    }

    /// How to reach it.
    pub(crate) fn options(&self) -> DynamoOptions {
        DynamoOptions {
            region: Some("eu-central-1".to_owned()),
            endpoint: Some(self.endpoint.clone()),
            credentials: Some(Credentials::new("test", "test", None, None, "tests")),
            // A pool of connections belongs to one runtime, and each check has its own.
            http_client: Some(aws_smithy_http_client::Builder::new().build_http()),
            ..DynamoOptions::new("annals-test")
        }
    }

    pub(crate) async fn client(&self) -> DynamoClient {
        self.client_with(self.options()).await
    }

    pub(crate) async fn client_with(&self, options: DynamoOptions) -> DynamoClient {
        DynamoClient::connect(options, Arc::new(RandomIds)).await.unwrap()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.server.abort();
    }
}
