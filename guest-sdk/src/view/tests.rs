//! What a call reads after what it wrote.

use super::{Row, View, Writes};
use crate::bindings::exports::annals::plugin::projection::Write;
use crate::host::native::{commit, replace_rows, take_asked};
use crate::{KeyRange, Table};

const NAMES: Table<String> = Table::new("names");
const COUNTS: Table<i64> = Table::new("counts");
const TABLES: &[&str] = &["names", "counts"];

/// A call after one that wrote `stored`.
fn after(stored: impl FnOnce(&mut Writes)) -> Writes {
    replace_rows(std::collections::BTreeMap::new());
    let mut writes = Writes::new(TABLES);
    stored(&mut writes);
    commit(writes.finish());
    Writes::new(TABLES)
}

fn put(writes: &mut Writes, key: &str) {
    writes.put(NAMES, key, &key.to_uppercase());
}

fn keys(view: &View, range: &KeyRange, limit: u32) -> Vec<String> {
    let rows: Vec<Row<String>> = view.scan(NAMES, range, limit);
    rows.iter().map(|row| row.key_text().into_owned()).collect()
}

#[test]
fn a_call_reads_its_own_writes() {
    // Guards two events of one batch that change the same row.
    let mut writes = after(|stored| {
        put(stored, "a");
        put(stored, "b");
    });
    writes.put(NAMES, "a", &"changed".to_owned());
    writes.delete(NAMES, "b");
    put(&mut writes, "c");
    let expected = vec![Some("changed".to_owned()), None, Some("C".to_owned()), None];
    assert_eq!(writes.get_many(NAMES, ["a", "b", "c", "d"]), expected);
}

#[test]
fn counters_add_up_over_stored_put_and_deleted_rows() {
    // Guards `add` after every other write to the same row.
    let mut writes = after(|stored| {
        stored.add(COUNTS, "stored", 5);
        stored.add(COUNTS, "deleted", 5);
    });
    writes.add(COUNTS, "stored", -7);
    writes.delete(COUNTS, "deleted");
    writes.add(COUNTS, "deleted", 1);
    writes.put(COUNTS, "put", &10);
    writes.add(COUNTS, "put", 1);
    writes.add(COUNTS, "new", 1);
    writes.add(COUNTS, "new", 2);
    let keys = ["stored", "deleted", "put", "new"];
    let expected = [Some(-2), Some(1), Some(11), Some(3)];
    assert_eq!(writes.get_many(COUNTS, keys), expected);
    commit(writes.finish());
    assert_eq!(View::new(TABLES).get_many(COUNTS, keys), expected);
}

#[test]
fn scan_lays_writes_over_stored_rows_and_keeps_its_limit() {
    // Guards the rows that come up when the call deleted those before them.
    let mut writes = after(|stored| {
        for key in ["a", "c", "e", "g"] {
            put(stored, key);
        }
    });
    writes.delete(NAMES, "a");
    writes.delete(NAMES, "c");
    put(&mut writes, "b");
    put(&mut writes, "z");
    assert_eq!(keys(&writes, &KeyRange::all(), 3), ["b", "e", "g"]);
    assert_eq!(keys(&writes, &KeyRange::all(), 10), ["b", "e", "g", "z"]);
    assert_eq!(keys(&writes, &KeyRange::between("b", "g"), 10), ["b", "e"]);
    assert_eq!(keys(&writes, &KeyRange::starting_at("f"), 10), ["g", "z"]);
    assert_eq!(keys(&writes, &KeyRange::between("g", "b"), 10), Vec::<String>::new());
    assert_eq!(keys(&writes, &KeyRange::all(), 0), Vec::<String>::new());
}

#[test]
fn scan_stays_in_its_table_and_goes_on_after_a_short_page() {
    // Guards the host's freedom to answer fewer rows than asked for.
    let writes = after(|stored| {
        for number in 0..250 {
            stored.put(NAMES, format!("{number:03}"), &String::new());
        }
        stored.add(COUNTS, "a", 1);
    });
    let found = keys(&writes, &KeyRange::all(), 249);
    let expected: Vec<String> = (0..249).map(|number| format!("{number:03}")).collect();
    assert_eq!(found, expected);
    assert_eq!(keys(&writes, &KeyRange::all(), u32::MAX).len(), 250);
}

#[test]
fn scan_adds_to_counters_behind_the_last_row_it_fetched() {
    // Guards a counter that is changed but not among the rows that the limit lets in.
    let mut writes = after(|stored| {
        for key in ["a", "b", "c"] {
            stored.add(COUNTS, key, 10);
        }
    });
    writes.add(COUNTS, "c", 1);
    let rows = |limit| -> Vec<(String, i64)> {
        let rows = writes.scan(COUNTS, &KeyRange::all(), limit);
        rows.into_iter().map(|row| (row.key_text().into_owned(), row.value)).collect()
    };
    let all = [("a".to_owned(), 10), ("b".to_owned(), 10), ("c".to_owned(), 11)];
    assert_eq!(rows(2), all[..2]);
    assert_eq!(rows(3), all);
}

#[test]
#[should_panic(expected = "table `other` is not in `TABLES`")]
fn a_table_that_is_not_declared_traps() {
    // Guards against writing to whatever table has index 0.
    after(|_| ()).delete(Table::<i64>::new("other"), "a");
}

#[test]
#[should_panic(expected = "counter is out of range")]
fn a_counter_out_of_range_traps() {
    // Guards against totals that wrap around.
    let mut writes = after(|_| ());
    writes.add(COUNTS, "a", i64::MAX);
    writes.add(COUNTS, "a", 1);
}

#[test]
fn the_host_is_asked_once_for_rows_read_ahead_and_never_for_rows_written() {
    // Guards catching up: each call of the host costs more than most events.
    let mut writes = after(|stored| {
        put(stored, "a");
        put(stored, "b");
        stored.add(COUNTS, "c", 5);
    });
    take_asked();
    writes.read_ahead(|reads| {
        for key in ["a", "absent", "a"] {
            reads.row(NAMES, key);
        }
        reads.row(COUNTS, "c");
    });
    assert_eq!(take_asked(), [3]);
    put(&mut writes, "new");
    writes.delete(NAMES, "b");
    writes.add(COUNTS, "c", 2);
    let expected = [Some("A".to_owned()), None, None, Some("NEW".to_owned())];
    assert_eq!(writes.get_many(NAMES, ["a", "b", "absent", "new"]), expected);
    assert_eq!(["a", "b", "absent", "new"].map(|key| writes.get(NAMES, key)), expected);
    assert_eq!(writes.get(COUNTS, "c"), Some(7));
    assert_eq!(take_asked(), Vec::<usize>::new());
    assert_eq!(writes.get(NAMES, "other"), None::<String>);
    assert_eq!(take_asked(), [1]);
}

#[test]
fn rows_are_read_ahead_in_calls_of_a_thousand() {
    // Guards the limit of what the host answers at once.
    let mut writes = after(|_| {});
    take_asked();
    writes.read_ahead(|reads| {
        for key in 0..2_001 {
            reads.row(NAMES, key.to_string());
        }
    });
    assert_eq!(take_asked(), [1_000, 1_000, 1]);
}

#[test]
fn a_row_that_came_and_went_is_no_write_where_it_is_known_not_to_be_there() {
    // Guards writes for nothing, and that a row which may be there is deleted.
    let mut writes = after(|stored| put(stored, "stored"));
    writes.read_ahead(|reads| {
        for key in ["stored", "absent"] {
            reads.row(NAMES, key);
        }
    });
    for key in ["stored", "absent", "unknown"] {
        put(&mut writes, key);
        writes.delete(NAMES, key);
    }
    let deleted: Vec<Vec<u8>> = writes
        .finish()
        .into_iter()
        .map(|write| match write {
            Write::Delete(row) => row.key,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(deleted, [b"stored".to_vec(), b"unknown".to_vec()]);
}
