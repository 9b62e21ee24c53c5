//! TLS, with certificates that `openssl` makes for each test.

use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use annals_bus_redis::RedisOptions;
use annals_core::place::Partition;
use annals_core::port::Bus as _;

use crate::support::{KEY, Logs, Server, Setup, connect, eventually, options, publish_all, told};

fn openssl(folder: &Path, arguments: &str) {
    let ran = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .stdin(Stdio::null())
        .output();
    let output = ran.unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => panic!(
            "there is no `openssl`, which makes the certificates of this test: \
             install it, on Debian with `apt-get install openssl`"
        ),
        _ => panic!("`openssl` does not run: {error}"),
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an authority and a certificate for 127.0.0.1.
fn make_certificates(folder: &Path) {
    const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    let authority = "-x509 -days 2 -subj /CN=authority -keyout ca.key -out ca.crt";
    openssl(folder, &format!("req {KEY} {authority}"));
    openssl(folder, &format!("req {KEY} -subj /CN=redis -keyout server.key -out server.csr"));
    std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    let signed = "-CA ca.crt -CAkey ca.key -set_serial 7 -days 2 -extfile names";
    openssl(folder, &format!("x509 -req -in server.csr {signed} -out server.crt"));
}

async fn start() -> Server {
    let setup = Setup { is_tls: true, lines: "requirepass secret" };
    let mut server = Server::absent(setup);
    make_certificates(server.folder.path());
    server.launch();
    server
}

#[tokio::test]
async fn a_tls_server_of_a_known_authority_is_talked_to() {
    // Guards `rediss://` with a password, over an authority of one's own, and no panic of rustls.
    let server = start().await;
    let ca_certificates = Some(std::fs::read(server.folder.path().join("ca.crt")).unwrap());
    let url = format!("rediss://:secret@127.0.0.1:{}", server.port);
    let bus = connect(&RedisOptions { ca_certificates, ..options(&url) });
    publish_all(&bus, 1_000).await;
    let plain = format!("redis://:secret@127.0.0.1:{}", server.port);
    let plain = connect(&options(&plain));
    plain.last_published(Partition::ZERO).await.unwrap_err();
    assert_eq!(bus.last_published(Partition::ZERO).await.unwrap().unwrap().get(), 999);
    assert_eq!(KEY, "annals:{default:0}");
}

#[tokio::test]
async fn a_tls_server_of_an_unknown_authority_is_refused_in_words() {
    // Guards against a man in the middle, and tells an operator what is wrong.
    let logs = Logs::begin();
    let server = start().await;
    let bus = connect(&options(&format!("rediss://:secret@127.0.0.1:{}", server.port)));
    let words = "invalid peer certificate: UnknownIssuer";
    eventually(|| async {
        match bus.last_published(Partition::ZERO).await.map_err(|error| told(&error)) {
            Err(error) if error.contains(words) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    logs.until("redis is not available", 1).await;
}
