//! Tables of a test's own, on one DynamoDB emulator that all tests of this process share.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use dynoxide::Database;
use tokio::net::TcpListener;

use crate::support::annals;

/// The address of the emulator, which runs on a thread of its own until the tests end.
pub(crate) fn emulator() -> &'static str {
    static ENDPOINT: OnceLock<String> = OnceLock::new();
    ENDPOINT.get_or_init(|| {
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread();
            let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                dynoxide::server::serve_on(listener, Database::memory().unwrap()).await;
            });
        });
        format!("http://{}", told.recv().unwrap())
    })
}

/// The tables of one test.
pub(crate) struct Tables {
    pub(crate) prefix: String,
}

impl Tables {
    /// Names that nobody else has. Nothing is made yet.
    pub(crate) fn unmade() -> Self {
        // The emulator is this process' own, so a number is enough.
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        Self { prefix: format!("test-{}", NUMBER.fetch_add(1, Ordering::Relaxed)) }
    }

    /// Makes tables as an operator does.
    pub(crate) fn create(partitions: u32) -> Self {
        let tables = Self::unmade();
        let mut command = annals();
        tables.set_environment(&mut command);
        command.args(["store", "create", "--driver", "dynamodb", "--prefix", &tables.prefix]);
        command.args(["--partitions", &partitions.to_string()]);
        let made = command.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        tables
    }

    /// Where the emulator is, and who asks.
    pub(crate) fn set_environment(&self, command: &mut Command) {
        command.env("ANNALS_DYNAMODB_ENDPOINT", emulator());
        command.env("AWS_REGION", "eu-central-1").env("AWS_ACCESS_KEY_ID", "test");
        command.env("AWS_SECRET_ACCESS_KEY", "test").env("AWS_EC2_METADATA_DISABLED", "true");
    }

    /// Tells a command to use these tables.
    pub(crate) fn configure(&self, command: &mut Command) {
        self.set_environment(command);
        command.env("ANNALS_STORE_DRIVER", "dynamodb");
        command.env("ANNALS_DYNAMODB_PREFIX", &self.prefix);
    }

    /// Deletes every row but those of plugin bytes.
    pub(crate) async fn delete_what_is_derived(&self) {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .region(Region::new("eu-central-1"))
            .endpoint_url(emulator())
            .credentials_provider(Credentials::new("test", "test", None, None, "tests"))
            .build();
        let client = Client::from_conf(config);
        let table = format!("{}-state", self.prefix);
        let mut deleted = 0;
        let mut pages = client.scan().table_name(&table).into_paginator().items().send();
        while let Some(mut item) = pages.next().await.transpose().unwrap() {
            let pk = item["pk"].as_s().unwrap().clone();
            if !pk.starts_with("r#") || pk.ends_with("#blobs") {
                continue;
            }
            let sk: AttributeValue = item.remove("sk").unwrap();
            let delete = client.delete_item().table_name(&table);
            let delete = delete.key("pk", AttributeValue::S(pk)).key("sk", sk);
            delete.send().await.unwrap();
            deleted += 1;
        }
        assert!(deleted > 0, "nothing was derived");
    }
}
