//! `/v1/views/…`.

use serde_json::{Value, json};

use crate::support::Host;

/// Accounts a1 to a5 with 10 to 50 cents, in the view.
async fn host_with_accounts() -> (Host, u64) {
    let host = Host::start().await;
    let mut position = 0;
    for n in 1..=5 {
        position = host.open_account(&format!("a{n}"), n * 10).await;
    }
    let row =
        host.get(&format!("/v1/views/account-balances/balances/a5?position={position}")).await;
    assert_eq!(row.status.as_u16(), 200, "{row:?}");
    (host, position)
}

fn keys(page: &Value) -> Vec<&str> {
    page["rows"].as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_row_can_be_read_right_after_its_command() {
    // Guards P5: a read with the position of the command sees it.
    let host = Host::start().await;
    for n in 1..=20 {
        let position = host.open_account(&format!("a{n}"), n).await;
        let uri = format!("/v1/views/account-balances/balances/a{n}?position={position}");
        let row = host.get(&uri).await;
        let expected = json!({"key": format!("a{n}"), "value": {"balance_cents": n}});
        assert_eq!((row.status.as_u16(), row.json()), (200, expected));
        assert_eq!(row.header("annals-checkpoint"), Some(position.to_string().as_str()));
        assert_eq!(row.header("annals-partition"), Some("0"));
    }
}

#[tokio::test]
async fn a_position_that_is_not_reached_is_told_with_the_checkpoint() {
    // Guards P5: 504 after the wait, with how far the view is.
    let (host, position) = host_with_accounts().await;
    let ahead = position + 1;
    for uri in [
        format!("/v1/views/account-balances/balances/a1?position={ahead}&wait_ms=1"),
        format!("/v1/views/account-balances/balances?position={ahead}&wait_ms=1"),
    ] {
        host.get(&uri).await.assert_problem(
            504,
            &json!({
                "code": "not-reached",
                "detail": format!("Projection `account-balances` did not reach position {ahead} \
                    within 1 ms. Ask again, or wait longer with `wait_ms`."),
                "partition": 0,
                "position": ahead,
                "checkpoint": position,
                "phase": "caught-up",
            }),
        );
    }
    let uri =
        format!("/v1/views/account-balances/queries/richest-accounts?position={ahead}&wait_ms=0");
    host.post(&uri, &json!({"limit": 1})).await.assert_code(504, "not-reached");
    let too_long = host.get("/v1/views/account-balances/balances?position=1&wait_ms=60001").await;
    too_long.assert_code(400, "bad-query-parameter");
}

#[tokio::test]
async fn lists_rows_page_by_page() {
    // Guards lists: key order, prefix, and pages without gap or repeat.
    let (host, position) = host_with_accounts().await;
    host.open_account("b1", 1).await;
    let get = async |query: &str| {
        host.get(&format!("/v1/views/account-balances/balances?prefix=a&limit=2{query}")).await
    };
    let first = get("").await;
    assert_eq!(
        first.json()["rows"],
        json!([
            {"key": "a1", "value": {"balance_cents": 10}},
            {"key": "a2", "value": {"balance_cents": 20}},
        ])
    );
    let checkpoint: u64 = first.header("annals-checkpoint").unwrap().parse().unwrap();
    assert!(checkpoint >= position);
    let token = first.json()["next_page"].as_str().unwrap().to_owned();
    assert!(token.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
    let second = get(&format!("&page={token}")).await.json();
    assert_eq!(keys(&second), ["a3", "a4"]);
    let third = get(&format!("&page={}", second["next_page"].as_str().unwrap())).await.json();
    assert_eq!((keys(&third), &third["next_page"]), (vec!["a5"], &Value::Null));
    get("&page=%25").await.assert_code(400, "bad-query-parameter");
}

#[tokio::test]
async fn rows_that_are_not_text_come_in_base64() {
    // Guards views of bytes: every row can be listed, and read by its percent-encoded key.
    let (host, _) = host_with_accounts().await;
    let page = host.get("/v1/views/account-balances/traces?limit=1").await.json();
    let row = json!({"key_base64": "/2Ex", "value_base64": "AJ+Slg=="});
    assert_eq!(page["rows"], json!([row]));
    let one = host.get("/v1/views/account-balances/traces/%FFa1").await;
    assert_eq!((one.status.as_u16(), one.json()), (200, row));
    let token = page["next_page"].as_str().unwrap();
    let next = host.get(&format!("/v1/views/account-balances/traces?limit=1&page={token}")).await;
    assert_eq!(next.json()["rows"][0]["key_base64"], "/2Ey");
}

#[tokio::test]
async fn answers_named_questions() {
    // Guards queries: parameters in, the projection's own JSON out.
    let (host, position) = host_with_accounts().await;
    let uri = format!("/v1/views/account-balances/queries/richest-accounts?position={position}");
    let answer = host.post(&uri, &json!({"limit": 2})).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!(["a5", "a4"])));
    assert_eq!(answer.header("annals-checkpoint"), Some(position.to_string().as_str()));

    let malformed = host.post(&uri, &json!({"limit": "all"})).await;
    malformed.assert_code(400, "malformed-query");
    let unknown = host.post("/v1/views/account-balances/queries/poorest", &json!({})).await;
    unknown.assert_problem(
        404,
        &json!({
            "code": "unknown-query",
            "detail": "Projection `account-balances` has no query `poorest`. Look up its queries \
                where the plugin is documented.",
        }),
    );
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    // Guards 404: projection, table and row are told apart, with the known ones.
    let (host, position) = host_with_accounts().await;
    host.get("/v1/views/balances/balances/a1").await.assert_problem(
        404,
        &json!({
            "code": "unknown-projection",
            "detail": "There is no projection `balances`. Use one of `known`, or install its \
                plugin.",
            "known": ["account-balances"],
        }),
    );
    host.get("/v1/views/account-balances/accounts").await.assert_problem(
        404,
        &json!({
            "code": "unknown-table",
            "detail": "Projection `account-balances` has no table `accounts`. Use one of `known`.",
            "known": ["balances", "traces"],
        }),
    );
    host.get("/v1/views/account-balances/balances/a9").await.assert_problem(
        404,
        &json!({
            "code": "unknown-row",
            "detail": "Table `balances` of projection `account-balances` has no such row. Check \
                the key, or give the `position` of the command that makes it.",
            "partition": 0,
            "checkpoint": position,
        }),
    );
    // A path that also is the one of a question.
    host.get("/v1/views/account-balances/queries/a1").await.assert_code(404, "unknown-table");
}

#[tokio::test]
async fn a_wait_for_a_position_ends_when_the_host_stops() {
    // Guards stopping: whoever waits for a view is answered, and does not hold the daemon up.
    let (host, position) = host_with_accounts().await;
    let uri =
        format!("/v1/views/account-balances/balances/a1?position={}&wait_ms=50000", position + 1);
    let stop = async {
        tokio::task::yield_now().await;
        host.lifecycle.stop();
    };
    let (row, ()) = tokio::join!(host.get(&uri), stop);
    row.assert_code(503, "stopping");
}
