//! To whom commands are sent: the engine in this process, or a daemon over HTTP.

use std::fmt::Write as _;
use std::sync::Arc;

use annals_core::event::Origin;
use annals_core::name::{CommandName, PluginName};
use annals_core::place::ExpectedRevision;
use annals_engine::Engine;
use annals_engine::command::{CommandRequest, Verdict};
use bytes::Bytes;
use serde::Deserialize;

use super::load::Kind;
use crate::client::{ApiPath, Call, Client};
use crate::failure::{Failure, Fault};

/// Data of a deposit, command and event alike.
const DEPOSIT: &str = r#"{"cents":1}"#;

/// Data of an opening.
const OPENING: &str = r#"{"owner":"Athena","initial_cents":0}"#;

/// Size of a deposit's data, in bytes.
pub(super) const EVENT_DATA_BYTES: usize = DEPOSIT.len();

/// The aggregate that is asked.
const AGGREGATE: &str = "account";

/// To whom commands are sent.
pub(super) enum Target {
    /// The engine in this process.
    Engine { engine: Arc<Engine>, aggregate: PluginName, open: CommandName, deposit: CommandName },
    /// A daemon, with a connection of one sender.
    Http { server: String, client: Client, batch: Option<u32> },
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Target {
    /// The engine, with the aggregate installed.
    pub(super) async fn engine(engine: &Arc<Engine>, component: &[u8]) -> Result<Self, Failure> {
        let installed = engine.install(None, Bytes::copy_from_slice(component), None).await;
        installed.map_err(|error| Failure::of(Fault::Yours, &error))?;
        let bad_name = |error| Failure::of(Fault::Ours, &error);
        Ok(Self::Engine {
            engine: Arc::clone(engine),
            aggregate: PluginName::new(AGGREGATE).map_err(bad_name)?,
            open: CommandName::new(name_of(Kind::Open)).map_err(bad_name)?,
            deposit: CommandName::new(name_of(Kind::Deposit)).map_err(bad_name)?,
        })
    }

    /// A daemon, with the aggregate installed.
    pub(super) async fn http(
        server: &str,
        component: &[u8],
        batch: Option<u32>,
    ) -> Result<Self, Failure> {
        let mut client = Client::connect_to(server).await?;
        let path = ApiPath::new("/v1/plugins").join(AGGREGATE);
        client.send(Call::put_component(path, component.to_owned())).await?;
        Ok(Self::Http { server: server.to_owned(), client, batch })
    }

    /// The same, for another sender.
    pub(super) async fn another(&self) -> Result<Self, Failure> {
        Ok(match self {
            Self::Engine { engine, aggregate, open, deposit } => Self::Engine {
                engine: Arc::clone(engine),
                aggregate: aggregate.clone(),
                open: open.clone(),
                deposit: deposit.clone(),
            },
            Self::Http { server, batch, .. } => Self::Http {
                server: server.clone(),
                client: Client::connect_to(server).await?,
                batch: *batch,
            },
        })
    }

    /// What it is called in the report.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Engine { .. } => "in-process",
            Self::Http { batch: None, .. } => "http",
            Self::Http { batch: Some(_), .. } => "http, ndjson",
        }
    }

    /// How many commands go out together.
    pub(super) fn batch(&self) -> u64 {
        match self {
            Self::Engine { .. } | Self::Http { batch: None, .. } => 1,
            Self::Http { batch: Some(batch), .. } => u64::from(*batch),
        }
    }

    /// Sends a command to each of the streams, and waits for the outcomes.
    pub(super) async fn send(
        &mut self,
        kind: Kind,
        streams: impl Iterator<Item = u64> + Send,
    ) -> Result<(), Failure> {
        match self {
            Self::Engine { engine, aggregate, open, deposit } => {
                let command = if kind == Kind::Open { open } else { deposit };
                for stream in streams {
                    decide(engine, aggregate, command, (stream, kind)).await?;
                }
                Ok(())
            }
            Self::Http { client, batch: None, .. } => {
                for stream in streams {
                    let path = ApiPath::new("/v1/aggregates").join(AGGREGATE).join(&id(stream));
                    client.send(Call::post(path.join(name_of(kind)), data_of(kind))).await?;
                }
                Ok(())
            }
            Self::Http { client, batch: Some(_), .. } => send_batch(client, kind, streams).await,
        }
    }
}

async fn decide(
    engine: &Engine,
    aggregate: &PluginName,
    command: &CommandName,
    (stream, kind): (u64, Kind),
) -> Result<(), Failure> {
    let outcome = engine.execute(CommandRequest {
        aggregate: aggregate.clone(),
        id: id(stream),
        command: command.clone(),
        data: Bytes::from_static(data_of(kind).as_bytes()),
        command_id: None,
        id_is_new: false,
        expected: ExpectedRevision::Any,
        origin: Origin::default(),
    });
    let outcome = outcome.await.map_err(|error| Failure::of(Fault::Ours, &error))?;
    match outcome.verdict {
        Verdict::Accepted(_) => Ok(()),
        Verdict::Rejected(rejection) => Err(rejected(&rejection.code, kind)),
    }
}

#[derive(Deserialize)]
struct Line {
    status: u16,
}

async fn send_batch(
    client: &mut Client,
    kind: Kind,
    streams: impl Iterator<Item = u64>,
) -> Result<(), Failure> {
    let mut body = String::new();
    let mut sent_count: usize = 0;
    for stream in streams {
        sent_count += 1;
        // Writing to a string cannot fail.
        _ = writeln!(
            body,
            r#"{{"aggregate":"{AGGREGATE}","id":"{}","command":"{}","data":{}}}"#,
            id(stream),
            name_of(kind),
            data_of(kind)
        );
    }
    let answer = client.send(Call::post_lines(ApiPath::new("/v1/commands"), body)).await?;
    let answer = answer.text();
    let is_accepted =
        |line: &&str| serde_json::from_str::<Line>(line).is_ok_and(|line| line.status == 200);
    match answer.lines().find(|line| !is_accepted(line)) {
        Some(line) => Err(Failure::ours(format!("a command of a batch failed: {line}"))),
        None if answer.lines().count() == sent_count => Ok(()),
        None => Err(Failure::ours("a batch was answered in part")),
    }
}

fn rejected(code: &str, kind: Kind) -> Failure {
    Failure::yours(format!("`{}` was rejected: {code}", name_of(kind)))
        .with_hint("measure on a daemon without accounts of earlier measurements")
}

fn id(stream: u64) -> String {
    format!("bench-{stream}")
}

const fn name_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Open => "open-account",
        Kind::Deposit => "deposit-funds",
    }
}

const fn data_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Open => OPENING,
        Kind::Deposit => DEPOSIT,
    }
}
