//! The DynamoDB emulator of the tests, on loopback, until it is stopped. It forgets everything then.
//!
//! `cargo run -p annals-store-dynamodb --example emulator -- 8000`
#![expect(clippy::print_stdout, reason = "an example speaks to whoever runs it")]

use std::error::Error;

use dynoxide::Database;
use tokio::net::TcpListener;

/// The port unless told otherwise.
const PORT: u16 = 8000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).map_or(Ok(PORT), |port| port.parse())?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("export ANNALS_DYNAMODB_ENDPOINT=http://{}", listener.local_addr()?);
    println!("export AWS_REGION=eu-central-1 AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local");
    dynoxide::server::serve_on(listener, Database::memory()?).await;
    Ok(())
}
