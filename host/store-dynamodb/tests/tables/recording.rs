//! Notes what is sent, and sends it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use serde_json::Value;

/// Operations and bodies, in the order they were sent.
type Sent = Arc<Mutex<Vec<(String, Value)>>>;

/// An HTTP client that notes what is sent.
#[derive(Debug, Clone)]
pub(super) struct Recording {
    below: SharedHttpClient,
    sent: Sent,
}

impl Recording {
    pub(super) fn over(below: SharedHttpClient) -> Self {
        Self { below, sent: Sent::default() }
    }

    /// The operations that were sent since the last call.
    pub(super) fn take_operations(&self) -> BTreeSet<String> {
        let sent = std::mem::take(&mut *self.sent.lock().unwrap());
        sent.into_iter().map(|(operation, _)| operation).collect()
    }

    /// What was sent, apart from requests that only look.
    pub(super) fn changes(&self) -> Vec<(String, Value)> {
        let sent = self.sent.lock().unwrap();
        let is_change =
            |operation: &str| !operation.starts_with("Describe") && !operation.starts_with("Get");
        sent.iter().filter(|(operation, _)| is_change(operation)).cloned().collect()
    }
}

impl HttpClient for Recording {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let below = self.below.http_connector(settings, components);
        SharedHttpConnector::new(RecordingConnector { below, sent: Arc::clone(&self.sent) })
    }
}

#[derive(Debug)]
struct RecordingConnector {
    below: SharedHttpConnector,
    sent: Sent,
}

impl HttpConnector for RecordingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap();
        let operation = target.rsplit('.').next().unwrap().to_owned();
        let body = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        self.sent.lock().unwrap().push((operation, body));
        self.below.call(request)
    }
}
