//! What plans hold, for each kind of commit.

use super::*;

fn row(name: &'static str) -> RowKey {
    RowKey { table: Arc::from("table"), key: Bytes::from_static(name.as_bytes()) }
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn condition(name: &'static str, value: Option<&'static str>) -> StateCondition {
    StateCondition { row: row(name), value: value.map(bytes) }
}

fn put(name: &'static str, value: &'static str) -> StateWrite {
    StateWrite::Put(row(name), bytes(value))
}

fn plan(
    conditions: &[StateCondition],
    writes: &[StateWrite],
    counters: &[(&'static str, &'static str)],
) -> Plan {
    let commit = StateCommit { conditions: conditions.to_vec(), writes: writes.to_vec() };
    let counters = counters.iter().map(|(name, value)| (row(name), bytes(value))).collect();
    Plan::of(&commit, &counters)
}

fn change(name: &'static str, before: Before, after: After) -> RowChange {
    RowChange { row: row(name), is_condition: false, before, after }
}

fn conditional(name: &'static str, before: Before, after: After) -> RowChange {
    RowChange { is_condition: true, ..change(name, before, after) }
}

fn is(value: &'static str) -> Before {
    Before::Is(Some(bytes(value)))
}

#[test]
fn many_writes_of_a_row_are_one() {
    // Guards transactions, which may name a row once: conditions come first, the last write counts.
    let conditions = [condition("b", Some("1")), condition("a", None), condition("b", Some("1"))];
    let writes = [
        put("c", "1"),
        put("a", "1"),
        put("a", "2"),
        put("d", "1"),
        StateWrite::Delete(row("d")),
        StateWrite::Delete(row("e")),
        StateWrite::Add(row("e"), 5),
    ];
    let plan = plan(&conditions, &writes, &[]);
    assert!(plan.fault.is_none());
    let expected = [
        conditional("b", is("1"), After::Same),
        conditional("a", Before::Is(None), After::Put(bytes("2"))),
        change("c", Before::Any, After::Put(bytes("1"))),
        change("d", Before::Any, After::Gone),
        change("e", Before::Any, After::Put(bytes("5"))),
    ];
    assert_eq!(plan.rows, expected);
}

#[test]
fn only_counters_of_unknown_value_are_read() {
    // Guards against reads that cost and tell nothing: a condition or an earlier write says it.
    let commit = StateCommit {
        conditions: vec![condition("met", Some("4"))],
        writes: vec![
            StateWrite::Add(row("met"), 1),
            put("put", "1"),
            StateWrite::Add(row("put"), 1),
            StateWrite::Add(row("unknown"), 1),
            StateWrite::Add(row("unknown"), 1),
            StateWrite::Delete(row("unknown")),
            StateWrite::Delete(row("deleted")),
            StateWrite::Add(row("deleted"), 1),
        ],
    };
    assert_eq!(unknown_counters(&commit), [&row("unknown")]);
    let plan = Plan::of(&commit, &HashMap::from([(row("unknown"), bytes("7"))]));
    assert!(plan.fault.is_none());
    let expected = [
        conditional("met", is("4"), After::Put(bytes("5"))),
        change("unknown", is("7"), After::Gone),
        change("put", Before::Any, After::Put(bytes("2"))),
        change("deleted", Before::Any, After::Put(bytes("1"))),
    ];
    assert_eq!(plan.rows, expected);
}

#[test]
fn a_fault_is_told_after_the_conditions() {
    // Guards the documented order of errors: the rows that a fault rests on are checked with the
    // conditions, in one moment, and nothing is written.
    let conditions = [condition("a", Some("1"))];
    let add = |name, amount| StateWrite::Add(row(name), amount);
    let checks = [conditional("a", is("1"), After::Same), change("n", is("x"), After::Same)];
    let refused = plan(&conditions, &[put("b", "1"), add("n", 1)], &[("n", "x")]);
    assert!(matches!(refused.fault, Some(StateError::NotACounter { .. })));
    assert_eq!(refused.rows, checks);
    let refused = plan(&[], &[add("n", i64::MAX), add("n", 1)], &[]);
    assert!(matches!(refused.fault, Some(StateError::CounterOverflow { .. })));
    assert_eq!(refused.rows, [change("n", Before::Is(None), After::Same)]);
}

#[test]
fn conditions_that_refute_each_other_are_checked_up_to_the_second() {
    // Guards which condition is told: the first that does not hold.
    let conditions = [
        condition("a", None),
        condition("b", Some("1")),
        condition("b", Some("2")),
        condition("c", None),
    ];
    let refused = plan(&conditions, &[put("a", "1")], &[]);
    let fault = refused.fault.map(|fault| format!("{fault:?}"));
    assert_eq!(fault, Some(format!("{:?}", unmet(&row("b")))));
    let expected =
        [conditional("a", Before::Is(None), After::Same), conditional("b", is("1"), After::Same)];
    assert_eq!(refused.rows, expected);
}
