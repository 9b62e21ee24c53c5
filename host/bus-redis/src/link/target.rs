//! Where Redis is and how to connect to it.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, ProtocolVersion,
    PushInfo, TlsCertificates,
};

use crate::ConnectError;
use crate::failure::Failure;
use crate::options::RedisOptions;

/// Where Redis is and how to connect to it.
pub(crate) struct Target {
    client: Client,
    connect_wait_max: Duration,
    pub(crate) response_wait_max: Duration,
    pub(crate) reconnect_wait: Duration,
    pub(crate) reconnect_wait_max: Duration,
}

impl Target {
    /// Checks the options.
    pub(crate) fn new(options: &RedisOptions) -> Result<Self, ConnectError> {
        check_namespace(&options.namespace)?;
        let info = options.url.as_str().into_connection_info();
        let info = info.map_err(|error| ConnectError::url(&error))?;
        // Wakes come on the same connection, which takes the newer protocol. Without `nodelay` a
        // command waits for the acknowledgement of the one before.
        let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
        let redis = redis.set_lib_name("annals", env!("CARGO_PKG_VERSION"));
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        let info = info.set_redis_settings(redis);
        if let ConnectionAddr::TcpTls { insecure, .. } = info.addr() {
            if *insecure {
                let cause = "TLS without a check of the certificate (`#insecure`) is not supported";
                return Err(ConnectError::Url { cause: cause.to_owned() });
            }
            // An error means that the process has chosen before, which is fine: what matters is that
            // there is a choice, without which rustls panics.
            drop(rustls::crypto::ring::default_provider().install_default());
        }
        let client = match &options.ca_certificates {
            None => Client::open(info).map_err(|error| ConnectError::url(&error))?,
            Some(root_cert) => {
                let certificates =
                    TlsCertificates { client_tls: None, root_cert: Some(root_cert.clone()) };
                Client::build_with_tls(info, certificates)
                    .map_err(|error| ConnectError::Certificates { cause: error.to_string() })?
            }
        };
        Ok(Self {
            client,
            connect_wait_max: options.connect_wait_max,
            response_wait_max: options.response_wait_max,
            reconnect_wait: options.reconnect_wait,
            reconnect_wait_max: options.reconnect_wait_max,
        })
    }

    /// Host and port, or a path; nothing secret.
    pub(crate) fn address(&self) -> String {
        self.client.get_connection_info().addr().to_string()
    }

    /// Connects and logs in; what the server says unasked goes to `push`.
    pub(super) async fn connect(
        &self,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<MultiplexedConnection, Failure> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_wait_max))
            .set_response_timeout(Some(self.response_wait_max))
            .set_push_sender(move |info| {
                push(info);
                Ok::<(), Arc<()>>(())
            });
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        connecting.await.map_err(|error| Failure::of(&error))
    }
}

fn check_namespace(namespace: &str) -> Result<(), ConnectError> {
    let is_valid = (1..=ConnectError::NAMESPACE_BYTES_MAX).contains(&namespace.len())
        && namespace
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if is_valid {
        return Ok(());
    }
    let namespace = namespace.chars().take(ConnectError::NAMESPACE_BYTES_MAX).collect();
    Err(ConnectError::Namespace { namespace })
}
