//! `StateStore`: reads of the rows of one space. Commits have a file of their own.

use annals_core::limits::{ROW_BYTES_MAX, SCAN_ROWS_MAX};
use annals_core::port::state_store::{KeyRange, Row, StateWrite};
use bytes::Bytes;

use crate::support::state::{
    Stores, TABLE, key, key_in, open, put, put_in, row, rows, scan_all, write, write_many,
};

/// Guards readers of new views: what nobody wrote is not there, and asking makes nothing.
pub async fn a_row_that_nobody_wrote_is_not_there(stores: &Stores) {
    let state = open(stores).await;
    assert_eq!(state.get(TABLE, b"key").await.unwrap(), None);
    let keys = [key(b"a"), key(b"b")];
    assert_eq!(state.get_many(&keys).await.unwrap(), [None, None]);
    assert_eq!(scan_all(&state).await, []);
    write(&state, vec![StateWrite::Delete(key(b"a"))]).await;
    assert_eq!(scan_all(&state).await, []);
}

/// Guards rows against a driver that changes a byte: empty keys and values, NUL, no UTF-8.
pub async fn keeps_keys_and_values_byte_for_byte(stores: &Stores) {
    let state = open(stores).await;
    let parts: [&[u8]; 6] = [b"", b"\0", b"\0\0", b"a", b"\xf0\x9f\x98\x80", b"\xff\xfe"];
    for (index, name) in parts.iter().enumerate() {
        write(&state, vec![put(name, parts[parts.len() - 1 - index])]).await;
    }
    for (index, name) in parts.iter().enumerate() {
        let value = Bytes::from_static(parts[parts.len() - 1 - index]);
        assert_eq!(state.get(TABLE, name).await.unwrap(), Some(value));
    }
}

/// Guards writes: the last one counts, and a removed row is gone.
pub async fn puts_replace_and_deletes_remove(stores: &Stores) {
    let state = open(stores).await;
    write(&state, vec![put(b"a", b"1"), put(b"b", b"1")]).await;
    write(&state, vec![put(b"a", b"2")]).await;
    assert_eq!(scan_all(&state).await, rows(&[(b"a", b"2"), (b"b", b"1")]));
    write(&state, vec![StateWrite::Delete(key(b"a"))]).await;
    assert_eq!(scan_all(&state).await, rows(&[(b"b", b"1")]));
}

/// Guards tables: the same key in two tables is two rows, also for names with `$` and the longest.
pub async fn keeps_tables_apart(stores: &Stores) {
    let state = open(stores).await;
    let longest = "T".repeat(64);
    let tables = ["a", "A", "ab", "a-b", "$host", &longest, "0"];
    for table in tables {
        write(&state, vec![put_in(table, b"key", table.as_bytes())]).await;
    }
    for table in tables {
        let value = Bytes::copy_from_slice(table.as_bytes());
        let row = Row { key: Bytes::from_static(b"key"), value: value.clone() };
        assert_eq!(state.get(table, b"key").await.unwrap(), Some(value));
        let found = state.scan(table, KeyRange::default(), 10).await.unwrap();
        assert_eq!(found, [row]);
    }
}

/// Guards lookups: values in the order of the keys, repeated and absent ones included, over tables.
pub async fn gets_many_rows_in_the_order_asked_for(stores: &Stores) {
    let state = open(stores).await;
    let writes = vec![put(b"a", b"1"), put(b"b", b"2"), put_in("other", b"a", b"3")];
    write(&state, writes).await;
    let keys =
        [key(b"b"), key(b"c"), key_in("other", b"a"), key(b"a"), key(b"b"), key_in("absent", b"a")];
    let expected = [Some("2"), None, Some("3"), Some("1"), Some("2"), None];
    let expected = expected.map(|value| value.map(Bytes::from));
    assert_eq!(state.get_many(&keys).await.unwrap(), expected);
    assert_eq!(state.get_many(&[]).await.unwrap(), Vec::<Option<Bytes>>::new());
}

/// Guards lookups of whole batches: more rows than a statement of any driver has places for.
pub async fn gets_thousands_of_rows_at_once(stores: &Stores) {
    let state = open(stores).await;
    let numbers = 0..10_000_u32;
    let writes = numbers.clone().step_by(2).map(|n| put(&n.to_be_bytes(), &n.to_be_bytes()));
    write_many(stores, &state, writes.collect()).await;
    let keys: Vec<_> = numbers.clone().rev().map(|n| key(&n.to_be_bytes())).collect();
    let expected = numbers.rev().map(|n| {
        let value = Bytes::copy_from_slice(&n.to_be_bytes());
        n.is_multiple_of(2).then_some(value)
    });
    let values = state.get_many(&keys).await.unwrap();
    assert!(values.into_iter().eq(expected));
}

/// Guards pages of a driver's own, in bytes: a scan of many megabytes is whole.
pub async fn scans_many_megabytes(stores: &Stores) {
    let state = open(stores).await;
    let value = vec![b'v'; ROW_BYTES_MAX];
    for number in 0..40_u8 {
        write(&state, vec![put(&[number], &value)]).await;
    }
    let found = scan_all(&state).await;
    let expected: Vec<Row> = (0..40_u8).map(|number| row(&[number], &value)).collect();
    assert!(found == expected);
}

/// Guards lists: in the order of the keys' bytes, from the start (inclusive) to the end (exclusive).
pub async fn scans_a_range_in_key_order(stores: &Stores) {
    let state = open(stores).await;
    let names: [&[u8]; 8] = [b"", b"\0", b"A", b"a", b"a\0", b"ab", b"b", b"\xff"];
    for name in names.iter().rev() {
        write(
            &state,
            vec![put(name, b"x"), put_in("tabl", name, b"y"), put_in("table2", name, b"z")],
        )
        .await;
    }
    type Case<'a> = (&'a [u8], Option<&'a [u8]>, &'a [&'a [u8]]);
    let cases: [Case<'_>; 10] = [
        (b"", None, &names),
        (b"a", None, &names[3..]),
        (b"a", Some(b"b"), &names[3..6]),
        (b"a\0", Some(b"ab"), &names[4..5]),
        (b"aa", Some(b"az"), &names[5..6]),
        (b"", Some(b"\0"), &names[..1]),
        (b"c", Some(b"d"), &[]),
        (b"a", Some(b"a"), &[]),
        (b"b", Some(b"a"), &[]),
        (b"", Some(b""), &[]),
    ];
    for (start, end, expected) in cases {
        let range =
            KeyRange { start: Bytes::copy_from_slice(start), end: end.map(Bytes::copy_from_slice) };
        let found = state.scan(TABLE, range.clone(), 100).await.unwrap();
        let expected: Vec<Row> = expected.iter().map(|name| row(name, b"x")).collect();
        assert_eq!(found, expected, "{range:?}");
    }
    let prefixed = state.scan(TABLE, KeyRange::prefix(b"a"), 100).await.unwrap();
    assert_eq!(prefixed, rows(&[(b"a", b"x"), (b"a\0", b"x"), (b"ab", b"x")]));
}

/// Guards pages of lists: a limit short, exact, over and zero; no row twice, none left out.
pub async fn scan_pages_neither_repeat_nor_skip(stores: &Stores) {
    let state = open(stores).await;
    let numbers = (0..20_u8).map(|number| put(&[number], &[number]));
    write(&state, numbers.collect()).await;
    let all = scan_all(&state).await;
    assert_eq!(all.len(), 20);
    for limit in [1, 3, 19, 20, 21] {
        let (mut found, mut range) = (Vec::new(), KeyRange::default());
        loop {
            let page = state.scan(TABLE, range.clone(), limit).await.unwrap();
            assert!(page.len() <= limit);
            let Some(last) = page.last() else { break };
            range = range.after(&last.key);
            found.extend(page);
        }
        assert_eq!(found, all);
    }
    assert_eq!(state.scan(TABLE, KeyRange::default(), 0).await.unwrap(), []);
}

/// Guards memory: whatever the caller asks for, a scan has an end.
pub async fn limits_the_rows_of_a_scan(stores: &Stores) {
    let state = open(stores).await;
    let rows_count = u32::try_from(SCAN_ROWS_MAX).unwrap() + 1;
    let numbers = (0..rows_count).map(|number| put(&number.to_be_bytes(), b""));
    write_many(stores, &state, numbers.collect()).await;
    let found = scan_all(&state).await;
    let expected = (0..rows_count - 1).map(|number| row(&number.to_be_bytes(), b""));
    assert_eq!(found, expected.collect::<Vec<_>>());
}

/// Guards rebuilds: all rows of one table go, those of others stay, and an empty table is fine.
pub async fn clears_one_table(stores: &Stores) {
    let state = open(stores).await;
    let writes = vec![put(b"a", b"1"), put(b"b", b"2"), put_in("table2", b"a", b"3")];
    write(&state, writes).await;
    for _ in 0..2 {
        state.clear(TABLE).await.unwrap();
        assert_eq!(scan_all(&state).await, []);
    }
    let other = state.scan("table2", KeyRange::default(), 10).await.unwrap();
    assert_eq!(other, rows(&[(b"a", b"3")]));
    write(&state, vec![put(b"c", b"4")]).await;
    assert_eq!(scan_all(&state).await, rows(&[(b"c", b"4")]));
}
