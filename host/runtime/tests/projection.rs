//! The bank's projection `account-balances`, and what a projection may read.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_core::columns::EventBatch;
use annals_core::place::{Position, Revision};
use annals_core::plugin::{GuestRowKey, GuestWrite, QueryRefusal};
use annals_core::port::guest::{GuestPlugin, ProjectionGuest, ViewReadError, ViewReader, ViewRow};
use annals_core::time::Timestamp;
use annals_runtime::RuntimeLimits;
use serde_json::{Value, json};

use crate::crafted::{self, EMPTY};
use crate::support::{context, index, load, load_with, text, unusable};

/// A view in memory.
#[derive(Debug, Default, Clone)]
pub(crate) struct Rows {
    rows: BTreeMap<(u32, Vec<u8>), Vec<u8>>,
    /// What every read says instead of answering.
    failure: Option<&'static str>,
}

impl Rows {
    fn failing() -> Self {
        Self { failure: Some("the store is unavailable"), ..Self::default() }
    }

    fn check(&self) -> Result<(), ViewReadError> {
        self.failure.map_or(Ok(()), |failure| Err(ViewReadError(failure.to_owned())))
    }

    fn apply(&mut self, writes: Vec<GuestWrite>) {
        for write in writes {
            match write {
                GuestWrite::Put(key, value) => drop(self.rows.insert((key.table, key.key), value)),
                GuestWrite::Delete(key) => drop(self.rows.remove(&(key.table, key.key))),
                GuestWrite::Add(key, amount) => {
                    let row = self.rows.entry((key.table, key.key)).or_insert(b"0".to_vec());
                    let sum: i64 = String::from_utf8(row.clone()).unwrap().parse().unwrap();
                    *row = (sum + amount).to_string().into_bytes();
                }
            }
        }
    }

    /// A table as text.
    fn table(&self, plugin: &dyn GuestPlugin, name: &str) -> Vec<(String, Value)> {
        let names = plugin.description().tables.iter().map(|table| table.as_str());
        let wanted = index(names, name);
        let rows = self.rows.iter().filter(|((table, _), _)| *table == wanted);
        rows.map(|((_, key), value)| {
            let key = String::from_utf8(key.clone()).unwrap();
            (key, serde_json::from_slice(value).unwrap())
        })
        .collect()
    }
}

impl ViewReader for Rows {
    fn get_many(&self, keys: &[GuestRowKey]) -> Result<Vec<Option<Vec<u8>>>, ViewReadError> {
        self.check()?;
        let row = |key: &GuestRowKey| self.rows.get(&(key.table, key.key.clone())).cloned();
        Ok(keys.iter().map(row).collect())
    }

    fn scan(
        &self,
        table: u32,
        start: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<ViewRow>, ViewReadError> {
        self.check()?;
        let from = (table, start.to_vec());
        let is_before_end =
            |key: &(u32, Vec<u8>)| key.0 == table && (end.is_empty() || key.1.as_slice() < end);
        let rows = self.rows.range(from..).take_while(|(key, _)| is_before_end(key));
        Ok(rows
            .take(limit.try_into().unwrap())
            .map(|((_, key), value)| (key.clone(), value.clone()))
            .collect())
    }
}

/// A batch of events of accounts, as account, event type and data.
fn batch(plugin: &dyn GuestPlugin, events: &[(&str, &str, &str)]) -> EventBatch {
    let mut batch = EventBatch::default();
    for (number, (account, event, data)) in (0_u64..).zip(events) {
        let stream = format!("account/{account}");
        let known = batch.streams.iter().position(|known| **known == *stream);
        let stream_index = known.unwrap_or_else(|| {
            batch.streams.push(Arc::from(stream.as_str()));
            batch.streams.len() - 1
        });
        batch.stream_indexes.push(stream_index.try_into().unwrap());
        let names = plugin.description().events.iter().map(|ty| ty.name.as_str());
        batch.event_types.push(index(names, event));
        batch.revisions.push(Revision::new(number));
        batch.positions.push(Position::new(number * 3 + 1));
        batch.recorded_at.push(Timestamp::from_ms(1_000 + number));
        batch.data.push(data.as_bytes()).unwrap();
    }
    batch
}

fn project(
    plugin: &dyn GuestPlugin,
    guest: &mut dyn ProjectionGuest,
    rows: &mut Rows,
    events: &[(&str, &str, &str)],
) {
    let batch = batch(plugin, events);
    let writes = guest.project(&batch, Arc::new(rows.clone())).unwrap().unwrap();
    rows.apply(writes);
}

#[test]
fn balances_follow_the_events_over_several_batches() {
    // Guards B1's view: writes in order, rows read back from the host, counters added.
    let plugin = load(annals_components::account_balances());
    let mut guest = plugin.projection().unwrap();
    let mut rows = Rows::default();
    let mut project = |events: &[(&str, &str, &str)]| {
        project(plugin.as_ref(), guest.as_mut(), &mut rows, events);
    };
    project(&[
        ("a1", "account-opened", r#"{"owner":"Athena","initial_cents":10}"#),
        ("a2", "account-opened", r#"{"owner":"Zeus","initial_cents":10}"#),
        ("a1", "funds-deposited", r#"{"cents":190}"#),
    ]);
    project(&[
        ("a1", "funds-withdrawn", r#"{"cents":100}"#),
        ("a1", "debited-for-transfer", r#"{"transfer":"t1","cents":10}"#),
        ("a2", "credited-for-transfer", r#"{"transfer":"t1","cents":10}"#),
    ]);
    let accounts = rows.table(plugin.as_ref(), "accounts");
    let row = |owner, balance_cents| json!({"owner": owner, "balance_cents": balance_cents, "is_open": true});
    assert_eq!(
        accounts,
        [("a1".to_owned(), row("Athena", 90)), ("a2".to_owned(), row("Zeus", 20))]
    );
    assert_eq!(
        rows.table(plugin.as_ref(), "totals"),
        [("balance_cents".to_owned(), json!(110)), ("open_accounts".to_owned(), json!(2))]
    );
}

#[test]
fn a_query_reads_the_view_and_is_answered_in_json() {
    // Guards named questions: known, unknown, malformed, and that the view is scanned in order.
    let plugin = load(annals_components::account_balances());
    let mut guest = plugin.projection().unwrap();
    let mut rows = Rows::default();
    for (account, cents) in [("a1", 5), ("a2", 70), ("a3", 6)] {
        let opened = format!(r#"{{"owner":"{account}","initial_cents":{cents}}}"#);
        let events = [(account, "account-opened", opened.as_str())];
        project(plugin.as_ref(), guest.as_mut(), &mut rows, &events);
    }
    let rows: Arc<dyn ViewReader> = Arc::new(rows);
    let mut answer = |query: &str, parameters: &[u8]| {
        guest.answer(&context(1), query, parameters, Arc::clone(&rows)).unwrap()
    };
    let richest = answer("richest-accounts", br#"{"limit":2}"#).unwrap();
    let richest: Value = serde_json::from_slice(&richest).unwrap();
    let row = |id, balance_cents| json!({"id": id, "owner": id, "balance_cents": balance_cents, "is_open": true});
    assert_eq!(richest, json!([row("a2", 70), row("a3", 6)]));
    assert_eq!(answer("poorest-accounts", b""), Err(QueryRefusal::Unknown));
    let malformed = answer("richest-accounts", br#"{"limit":0}"#);
    assert!(matches!(malformed, Err(QueryRefusal::Malformed(_))), "{malformed:?}");
}

#[test]
fn a_projection_without_queries_knows_none() {
    // Guards that `query` is optional.
    let mut guest = load(&crafted::projection(EMPTY)).projection().unwrap();
    let answered = guest.answer(&context(1), "any", b"", Arc::new(Rows::default()));
    assert_eq!(answered, Ok(Err(QueryRefusal::Unknown)));
}

#[test]
fn a_view_that_cannot_be_read_ends_the_call_as_the_hosts_failure() {
    // Guards the line between parking an event and trying again: the plugin is not to blame.
    let plugin = load(annals_components::account_balances());
    let mut guest = plugin.projection().unwrap();
    let opened = r#"{"owner":"Athena","initial_cents":10}"#;
    let batch = batch(plugin.as_ref(), &[("a1", "account-opened", opened)]);
    let failed = guest.project(&batch, Arc::new(Rows::failing()));
    assert_eq!(
        text(failed),
        "the view of plugin `account-balances` could not be read in `project`: the store is \
         unavailable"
    );
    let after = guest.project(&batch, Arc::new(Rows::default()));
    assert_eq!(text(after), unusable("account-balances", "project"));
}

/// What becomes of an empty batch in a crafted projection, with small limits of the view.
fn read(body: &str, rows: Rows) -> String {
    let limits = RuntimeLimits {
        view_keys_max: 10,
        view_scan_rows_max: 2,
        input_bytes_max: 1_000,
        ..RuntimeLimits::default()
    };
    let plugin = load_with(&crafted::projection(&format!("{body} {EMPTY}")), limits);
    let mut guest = plugin.projection().unwrap();
    match guest.project(&EventBatch::default(), Arc::new(rows)) {
        Ok(projected) => format!("{projected:?}"),
        failed => text(failed),
    }
}

/// A table of `rows_count` rows with keys of one byte and values of `value_bytes`.
fn rows(rows_count: u8, value_bytes: usize) -> Rows {
    let row = |number| ((0, vec![number]), vec![b'1'; value_bytes]);
    Rows { rows: (0..rows_count).map(row).collect(), failure: None }
}

/// `get-many` of `count` keys, the first of which has an index, an address and a length.
fn get_many(count: u32, [table, key, length]: [u32; 3]) -> String {
    format!(
        "(i32.store (i32.const 8192) (i32.const {table}))
         (i32.store (i32.const 8196) (i32.const {key}))
         (i32.store (i32.const 8200) (i32.const {length}))
         (call $get_many (i32.const 8192) (i32.const {count}) (i32.const 4096))"
    )
}

/// `scan` of all rows of `table` from a start of `start_bytes` zeros, failing unless `expected` rows
/// come.
fn scan(table: u32, start_bytes: u32, expected: u32) -> String {
    format!(
        "(call $scan (i32.const {table}) (i32.const 16384) (i32.const {start_bytes})
            (i32.const 0) (i32.const 0) (i32.const -1) (i32.const 4096))
         (if (i32.ne (i32.load (i32.const 4100)) (i32.const {expected})) (then unreachable))"
    )
}

#[test]
fn keys_and_tables_of_a_read_are_checked() {
    // Guards the store against keys that it cannot hold and tables that are not there.
    let broke = |cause: &str| format!("plugin `crafted` broke the contract in `project`: {cause}");
    let ok = "Ok([])";
    assert_eq!(read(&get_many(1, [0, 16_384, 1_023]), Rows::default()), ok);
    assert_eq!(
        read(&get_many(1, [0, 16_384, 1_024]), Rows::default()),
        broke("a key of `view.get-many` has 1024 bytes, not 1 to 1023")
    );
    assert_eq!(
        read(&get_many(1, [0, 16_384, 0]), Rows::default()),
        broke("a key of `view.get-many` has 0 bytes, not 1 to 1023")
    );
    let unknown_table = broke("table index 1 is out of range: the plugin describes 1 tables");
    assert_eq!(read(&get_many(1, [1, 16_384, 1]), Rows::default()), unknown_table);
    assert_eq!(read(&scan(0, 1_024, 0), Rows::default()), ok);
    assert_eq!(
        read(&scan(0, 1_025, 0), Rows::default()),
        broke("a bound of `view.scan` has 1025 bytes, more than 1024")
    );
    assert_eq!(read(&scan(1, 1, 0), Rows::default()), unknown_table);
}

#[test]
fn reads_of_the_view_have_a_size() {
    // Guards the host's and the guest's memory: keys, rows and bytes of one read.
    let limit = |what: &str| format!("plugin `crafted` reached a limit in `project`: {what}");
    assert_eq!(
        read(&get_many(11, [0, 16_384, 1]), Rows::default()),
        limit("10 keys in one `view.get-many` (limits.view_keys_max)")
    );
    assert_eq!(read(&get_many(1, [0, 16_384, 1]), rows(1, 1_000)), "Ok([])");
    assert_eq!(
        read(&get_many(1, [0, 16_384, 1]), rows(1, 1_001)),
        limit("1000 bytes read from the view in one call (limits.input_bytes_max)")
    );
    // A scan answers less instead: so many rows, or so many bytes.
    assert_eq!(read(&scan(0, 0, 2), rows(3, 10)), "Ok([])");
    assert_eq!(read(&scan(0, 0, 1), rows(3, 600)), "Ok([])");
    assert_eq!(
        read(&scan(0, 0, 1), rows(3, 1_000)),
        limit("1000 bytes read from the view in one call (limits.input_bytes_max)")
    );
}

#[test]
fn there_is_no_view_in_describe() {
    // Guards the sandbox of `describe`: a description must not depend on data.
    let read = "(call $get_many (i32.const 0) (i32.const 0) (i32.const 4096)) (i32.const 1024)";
    let refused = crate::support::refusal(&crafted::projection_with(read, EMPTY));
    assert!(
        refused.ends_with("broke the contract in `describe`: the view cannot be read in this call"),
        "{refused}"
    );
}
