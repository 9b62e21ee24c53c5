//! The projection `account-balances`: JSON rows in `balances`, rows of mere bytes in `traces`, and
//! the query `richest-accounts`. Events of the account `slow` wait at the gate.

use std::sync::Arc;

use annals_core::columns::EventBatch;
use annals_core::name::TableName;
use annals_core::plugin::{
    Context, Description, GuestRowKey, GuestWrite, ProjectFailure, QueryRefusal,
};
use annals_core::port::guest::{GuestFailure, ProjectionGuest, ViewReader};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Gate;
use super::runtime::{bare, message};

pub(super) fn description() -> Description {
    let any = json!({});
    Description {
        events: ["account-opened", "funds-deposited", "funds-withdrawn"]
            .iter()
            .map(|name| message(name, &any))
            .collect(),
        tables: vec![TableName::new("balances").unwrap(), TableName::new("traces").unwrap()],
        ..bare("account-balances", "Balances of accounts.")
    }
}

#[derive(Debug)]
pub(super) struct BalancesGuest {
    gate: Arc<Gate>,
}

impl BalancesGuest {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

/// The account whose events wait at the gate.
const SLOW_ACCOUNT: &str = "slow";

const BALANCES: u32 = 0;
const TRACES: u32 = 1;

fn row(table: u32, key: &[u8]) -> GuestRowKey {
    GuestRowKey { table, key: key.to_vec() }
}

fn cents(row: Option<&[u8]>) -> u64 {
    let row: Value = row.map_or(Value::Null, |row| serde_json::from_slice(row).unwrap());
    row["balance_cents"].as_u64().unwrap_or_default()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    limit: usize,
}

impl ProjectionGuest for BalancesGuest {
    fn project(
        &mut self,
        events: &EventBatch,
        view: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<GuestWrite>, ProjectFailure>, GuestFailure> {
        let mut balances = std::collections::BTreeMap::new();
        let (mut start, mut index) = (0, 0);
        let indexes = events.stream_indexes.iter().zip(&events.event_types);
        for ((stream, event), end) in indexes.zip(events.data.ends()) {
            let end = usize::try_from(*end).unwrap();
            let data: Value = serde_json::from_slice(&events.data.bytes()[start..end]).unwrap();
            start = end;
            if *event == 1 && !data["cents"].is_u64() {
                return Ok(Err(ProjectFailure::Park(index, "no cents".to_owned())));
            }
            index += 1;
            let stream = &events.streams[usize::try_from(*stream).unwrap()];
            let id = stream.split_once('/').unwrap().1;
            if id == SLOW_ACCOUNT {
                self.gate.pass();
            }
            let key = row(BALANCES, id.as_bytes());
            let balance = balances.entry(id.to_owned()).or_insert_with(|| {
                let rows = view.get_many(std::slice::from_ref(&key)).unwrap();
                cents(rows[0].as_deref())
            });
            match event {
                0 => *balance = data["initial_cents"].as_u64().unwrap(),
                1 => *balance += data["cents"].as_u64().unwrap(),
                _ => *balance -= data["cents"].as_u64().unwrap(),
            }
        }
        let mut writes = Vec::new();
        for (id, balance) in balances {
            let value = json!({"balance_cents": balance}).to_string().into_bytes();
            writes.push(GuestWrite::Put(row(BALANCES, id.as_bytes()), value));
            // Neither key nor value is text.
            let key = [&[0xff], id.as_bytes()].concat();
            writes.push(GuestWrite::Put(row(TRACES, &key), vec![0, 159, 146, 150]));
        }
        Ok(Ok(writes))
    }

    fn answer(
        &mut self,
        _context: &Context,
        query: &str,
        parameters: &[u8],
        view: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<u8>, QueryRefusal>, GuestFailure> {
        if query != "richest-accounts" {
            return Ok(Err(QueryRefusal::Unknown));
        }
        let question: Question = match serde_json::from_slice(parameters) {
            Ok(question) => question,
            Err(error) => return Ok(Err(QueryRefusal::Malformed(error.to_string()))),
        };
        let rows = view.scan(BALANCES, b"", b"", 1_000).unwrap();
        let mut accounts: Vec<_> = rows
            .iter()
            .map(|(key, value)| (cents(Some(value)), String::from_utf8(key.clone()).unwrap()))
            .collect();
        accounts.sort_by_key(|(balance, id)| (std::cmp::Reverse(*balance), id.clone()));
        accounts.truncate(question.limit);
        let ids: Vec<_> = accounts.into_iter().map(|(_, id)| id).collect();
        Ok(Ok(json!(ids).to_string().into_bytes()))
    }
}
