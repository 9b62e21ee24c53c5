//! `StateStore::commit`: order, conditions, counters, limits and many writers at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use annals_core::limits::{ROW_BYTES_MAX, ROW_KEY_BYTES_MAX, STATE_COMMIT_WRITES_MAX};
use annals_core::port::state_store::{StateCommit, StateCondition, StateError, StateWrite};
use bytes::Bytes;
use futures_util::future::join_all;

use crate::support::assert_same;
use crate::support::state::{
    State, Stores, TABLE, commit, commit_if, condition, key, open, put, row, rows, scan_all, write,
};

/// Guards commits that write a row several times: in their order.
pub async fn writes_happen_in_their_order(stores: &Stores) {
    let state = open(stores).await;
    let writes = vec![
        put(b"replaced", b"1"),
        put(b"replaced", b"2"),
        put(b"removed", b"1"),
        StateWrite::Delete(key(b"removed")),
        StateWrite::Delete(key(b"back")),
        put(b"back", b"3"),
        put(b"counted", b"40"),
        StateWrite::Add(key(b"counted"), 2),
        StateWrite::Add(key(b"begun"), 5),
        StateWrite::Add(key(b"begun"), -7),
        put(b"again", b"9"),
        StateWrite::Delete(key(b"again")),
        StateWrite::Add(key(b"again"), 1),
    ];
    write(&state, writes).await;
    let expected = rows(&[
        (b"again", b"1"),
        (b"back", b"3"),
        (b"begun", b"-2"),
        (b"counted", b"42"),
        (b"replaced", b"2"),
    ]);
    assert_eq!(scan_all(&state).await, expected);
}

/// Guards optimistic writers: a condition on a value and on absence, met and not met. Nothing is
/// written when one does not hold, and the first that does not is named.
pub async fn commits_only_if_all_conditions_hold(stores: &Stores) {
    let state = open(stores).await;
    write(&state, vec![put(b"a", b"1"), put(b"empty", b"")]).await;
    let met =
        vec![condition(b"a", Some(b"1")), condition(b"b", None), condition(b"empty", Some(b""))];
    commit_if(&state, met, vec![put(b"b", b"2")]).await.unwrap();
    let expected = rows(&[(b"a", b"1"), (b"b", b"2"), (b"empty", b"")]);
    assert_eq!(scan_all(&state).await, expected);

    let refutations: [(&[u8], Option<&[u8]>); 6] = [
        (b"a", Some(b"2")),
        (b"a", Some(b"")),
        (b"a", None),
        (b"empty", None),
        (b"c", Some(b"1")),
        (b"c", Some(b"")),
    ];
    for (name, value) in refutations {
        let conditions = vec![
            condition(b"b", Some(b"2")),
            condition(name, value),
            condition(b"later", Some(b"1")),
        ];
        let refused = commit_if(&state, conditions, vec![put(b"a", b"9"), put(b"d", b"9")]).await;
        let error = StateError::ConditionFailed {
            table: Arc::from(TABLE),
            key: Bytes::copy_from_slice(name),
        };
        assert_same(&refused, &Err::<(), _>(&error));
        assert_eq!(scan_all(&state).await, expected);
    }
}

/// Guards conditions: they are about what was there before the commit, not about its own writes.
pub async fn conditions_are_checked_before_the_writes(stores: &Stores) {
    let state = open(stores).await;
    write(&state, vec![put(b"a", b"1")]).await;
    let conditions = || vec![condition(b"a", Some(b"1"))];
    commit_if(&state, conditions(), vec![put(b"a", b"2")]).await.unwrap();
    let refused = commit_if(&state, conditions(), vec![put(b"a", b"1")]).await;
    let error =
        StateError::ConditionFailed { table: Arc::from(TABLE), key: Bytes::from_static(b"a") };
    assert_same(&refused, &Err::<(), _>(&error));
    commit_if(&state, vec![condition(b"a", Some(b"2"))], Vec::new()).await.unwrap();
    assert_eq!(scan_all(&state).await, rows(&[(b"a", b"2")]));
}

/// Guards the documented order of the checks: conditions are told before what is wrong with writes,
/// and limits before both.
pub async fn checks_limits_then_conditions_then_writes(stores: &Stores) {
    let state = open(stores).await;
    write(&state, vec![put(b"text", b"abc")]).await;
    let add = StateWrite::Add(key(b"text"), 1);
    let too_large = put(b"large", &vec![0; ROW_BYTES_MAX + 1]);
    let unmet = || vec![condition(b"text", None)];

    let refused = commit_if(&state, unmet(), vec![add.clone(), too_large]).await;
    let error = too_large_error("bytes of a row", ROW_BYTES_MAX);
    assert_same(&refused, &Err::<(), _>(&error));
    let refused = commit_if(&state, unmet(), vec![add.clone()]).await;
    let error =
        StateError::ConditionFailed { table: Arc::from(TABLE), key: Bytes::from_static(b"text") };
    assert_same(&refused, &Err::<(), _>(&error));
    let refused = commit(&state, vec![add]).await;
    let error = StateError::NotACounter { table: Arc::from(TABLE) };
    assert_same(&refused, &Err::<(), _>(&error));
    assert_eq!(scan_all(&state).await, rows(&[(b"text", b"abc")]));
}

/// Guards checkpoints: with the old one as condition, one that was overtaken is refused, and the
/// checkpoint never goes back.
pub async fn a_checkpoint_never_goes_back(stores: &Stores) {
    let (one, other) = (open(stores).await, open(stores).await);
    let advance = |from: Option<u8>, to: u8| {
        let value = from.map(|from| Bytes::from(vec![from]));
        let condition = StateCondition { row: key(b"checkpoint"), value };
        (vec![condition], vec![put(b"checkpoint", &[to]), StateWrite::Add(key(b"events"), 1)])
    };
    let steps = [(&one, None, 3, true), (&other, None, 2, false), (&other, Some(3), 5, true)];
    let stale = [(&one, Some(3), 4, false), (&one, Some(2), 9, false), (&one, Some(5), 6, true)];
    for (state, from, to, is_met) in steps.into_iter().chain(stale) {
        let (conditions, writes) = advance(from, to);
        assert_eq!(commit_if(state, conditions, writes).await.is_ok(), is_met, "{from:?} {to}");
    }
    assert_eq!(scan_all(&one).await, rows(&[(b"checkpoint", &[6]), (b"events", b"3")]));
}

/// Guards counters: decimal text, up and down, through zero, to both ends of the range.
pub async fn counters_are_decimal_text(stores: &Stores) {
    let state = open(stores).await;
    let steps = [
        (5, "5"),
        (-5, "0"),
        (-7, "-7"),
        (7, "0"),
        (i64::MAX, "9223372036854775807"),
        (i64::MIN, "-1"),
        (-i64::MAX, "-9223372036854775808"),
    ];
    for (amount, text) in steps {
        write(&state, vec![StateWrite::Add(key(b"counter"), amount)]).await;
        let value = state.get(TABLE, b"counter").await.unwrap();
        assert_eq!(value, Some(Bytes::from(text)), "{amount}");
    }
    write(&state, vec![put(b"counter", b"41"), StateWrite::Add(key(b"zero"), 0)]).await;
    write(&state, vec![StateWrite::Add(key(b"counter"), 1)]).await;
    assert_eq!(scan_all(&state).await, rows(&[(b"counter", b"42"), (b"zero", b"0")]));
}

/// Guards values that are no counters: refused, and nothing of the commit is written.
pub async fn refuses_to_add_to_what_is_not_a_counter(stores: &Stores) {
    let state = open(stores).await;
    let error = StateError::NotACounter { table: Arc::from(TABLE) };
    let values: [&[u8]; 6] = [b"", b"abc", b"1.5", b"1 ", b"{}", b"\xff"];
    for value in values {
        write(&state, vec![put(b"value", value)]).await;
        let add = StateWrite::Add(key(b"value"), 1);
        let refused = commit(&state, vec![put(b"before", b"1"), add]).await;
        assert_same(&refused, &Err::<(), _>(&error));
        assert_eq!(scan_all(&state).await, vec![row(b"value", value)]);
    }
}

/// Guards counters against turning round: refused, and nothing of the commit is written.
pub async fn refuses_to_leave_the_range_of_a_counter(stores: &Stores) {
    let state = open(stores).await;
    let error = StateError::CounterOverflow { table: Arc::from(TABLE) };
    for (value, amount) in [(i64::MAX, 1), (i64::MIN, -1), (1, i64::MAX), (-2, i64::MIN)] {
        let value = value.to_string();
        write(&state, vec![put(b"counter", value.as_bytes())]).await;
        let add = StateWrite::Add(key(b"counter"), amount);
        let refused = commit(&state, vec![put(b"before", b"1"), add]).await;
        assert_same(&refused, &Err::<(), _>(&error));
        assert_eq!(scan_all(&state).await, vec![row(b"counter", value.as_bytes())]);
    }
}

/// Guards the narrowest driver's items: keys, values and the size of a commit, at the edge and over
/// it, in conditions too.
pub async fn limits_keys_values_and_commits(stores: &Stores) {
    let state = open(stores).await;
    let (longest, largest) = (vec![b'k'; ROW_KEY_BYTES_MAX], vec![b'v'; ROW_BYTES_MAX]);
    let too_long = vec![b'k'; ROW_KEY_BYTES_MAX + 1];
    let too_large = vec![b'v'; ROW_BYTES_MAX + 1];
    let is_absent = condition(&longest, None);
    commit_if(&state, vec![is_absent], vec![put(&longest, &largest)]).await.unwrap();
    assert_eq!(scan_all(&state).await, [row(&longest, &largest)]);

    let key_error = too_large_error("bytes of a row's key", ROW_KEY_BYTES_MAX);
    for write in [
        put(&too_long, b""),
        StateWrite::Delete(key(&too_long)),
        StateWrite::Add(key(&too_long), 1),
    ] {
        let refused = commit(&state, vec![put(b"a", b"1"), write]).await;
        assert_same(&refused, &Err::<(), _>(&key_error));
    }
    let refused = commit_if(&state, vec![condition(&too_long, None)], vec![put(b"a", b"1")]).await;
    assert_same(&refused, &Err::<(), _>(&key_error));
    let refused = commit(&state, vec![put(b"a", b"1"), put(b"b", &too_large)]).await;
    let error = too_large_error("bytes of a row", ROW_BYTES_MAX);
    assert_same(&refused, &Err::<(), _>(&error));

    let many = |count: usize| vec![put(b"many", b"1"); count];
    let conditions = vec![condition(b"absent", None); 100];
    let full = many(STATE_COMMIT_WRITES_MAX - conditions.len());
    commit_if(&state, conditions.clone(), full).await.unwrap();
    let over = many(STATE_COMMIT_WRITES_MAX - conditions.len() + 1);
    let error = too_large_error("writes and conditions of a commit", STATE_COMMIT_WRITES_MAX);
    let refused = commit_if(&state, conditions, over).await;
    assert_same(&refused, &Err::<(), _>(&error));
    let expected = vec![row(&longest, &largest), row(b"many", b"1")];
    assert_eq!(scan_all(&state).await, expected);
}

/// Guards projections: a batch that is within what every driver allows is never too large.
pub async fn allows_at_least_what_every_driver_does(stores: &Stores) {
    let capabilities = stores.capabilities();
    assert_eq!(capabilities, stores.capabilities());
    assert!(capabilities.commit_rows_max >= 90);
    assert!(capabilities.commit_bytes_max >= 3 << 20);
    let state = open(stores).await;
    // Most rows and most bytes at once.
    let value = vec![b'v'; (3 << 20) / 90 - 1];
    let writes: Vec<_> = (0..90_u8).map(|number| put(&[number], &value)).collect();
    write(&state, writes).await;
    let expected: Vec<_> = (0..90_u8).map(|number| row(&[number], &value)).collect();
    assert!(scan_all(&state).await == expected);
}

/// Guards transactions of the narrowest driver: the rows that conditions and writes name, each
/// counted once, at the edge and over it.
pub async fn limits_the_rows_of_a_commit(stores: &Stores) {
    let (state, max) = (open(stores).await, stores.capabilities().commit_rows_max);
    if max == STATE_COMMIT_WRITES_MAX {
        // No limit of its own: the one of writes and conditions comes first.
        return;
    }
    let name = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
    // Some rows are named by conditions only, some by two writes, and one by both.
    let commit_of = |rows_count: usize| {
        let conditions = (0..20).map(|number| condition(&name(number), None));
        let writes = (19..rows_count).chain(40..60).map(|number| put(&name(number), b"1"));
        StateCommit { conditions: conditions.collect(), writes: writes.collect() }
    };
    let refused = state.commit(commit_of(max + 1)).await;
    assert_same(&refused, &Err::<(), _>(&too_large_error("rows of a commit", max)));
    assert_eq!(scan_all(&state).await, []);
    state.commit(commit_of(max)).await.unwrap();
    let expected = (19..max).map(|number| row(&name(number), b"1"));
    assert_eq!(scan_all(&state).await, expected.collect::<Vec<_>>());
}

/// Guards transactions of the narrowest driver: keys and values together, at the edge and over it, a
/// row that is written twice twice.
pub async fn limits_the_bytes_of_a_commit(stores: &Stores) {
    let (state, max) = (open(stores).await, stores.capabilities().commit_bytes_max);
    if max == usize::MAX {
        // No limit.
        return;
    }
    let commit_of = |bytes_count: usize| {
        let mut writes = vec![put(b"twice", b"1"), put(b"twice", b"2")];
        let mut rest = bytes_count - 2 * (b"twice".len() + 1);
        for number in 0_u8.. {
            if rest == 0 {
                break;
            }
            let value_bytes = (rest - 1).min(ROW_BYTES_MAX);
            rest -= 1 + value_bytes;
            writes.push(put(&[number], &vec![b'v'; value_bytes]));
        }
        StateCommit { conditions: Vec::new(), writes }
    };
    let over = commit_of(max + 1);
    assert_eq!(over.bytes_count(), max + 1);
    let refused = state.commit(over).await;
    assert_same(&refused, &Err::<(), _>(&too_large_error("bytes of a commit", max)));
    assert_eq!(scan_all(&state).await, []);
    let full = commit_of(max);
    let rows_count = full.rows().len();
    state.commit(full).await.unwrap();
    assert_eq!(scan_all(&state).await.len(), rows_count);
}

/// Guards leases: of many writers with one condition exactly one wins.
pub async fn of_writers_with_one_condition_exactly_one_wins(stores: &Stores) {
    let state = open(stores).await;
    for round in 0..5_u8 {
        let before = round.checked_sub(1).map(|before| Bytes::from(vec![before]));
        let commits = (0..16_u8).map(|writer| StateCommit {
            conditions: vec![StateCondition { row: key(b"epoch"), value: before.clone() }],
            writes: vec![put(b"epoch", &[round]), put(b"winner", &[writer])],
        });
        let outcomes = commit_at_once(&state, commits.collect()).await;
        let winners: Vec<usize> = (0..outcomes.len()).filter(|it| outcomes[*it].is_ok()).collect();
        assert_eq!(winners.len(), 1);
        let winner = Bytes::from(vec![u8::try_from(winners[0]).unwrap()]);
        assert_eq!(state.get(TABLE, b"winner").await.unwrap(), Some(winner));
    }
}

/// Guards counters: none of many additions at once is lost.
pub async fn additions_at_once_all_count(stores: &Stores) {
    let state = open(stores).await;
    let commits = (0..32).map(|_| StateCommit {
        conditions: Vec::new(),
        writes: vec![StateWrite::Add(key(b"a"), 3), StateWrite::Add(key(b"b"), -1)],
    });
    for outcome in commit_at_once(&state, commits.collect()).await {
        outcome.unwrap();
    }
    assert_eq!(scan_all(&state).await, rows(&[(b"a", b"96"), (b"b", b"-32")]));
}

/// Guards readers while a writer runs: what a commit wrote that has returned is seen by every kind of
/// read and does not go away, and where the driver promises it, a commit is seen whole or not at all.
pub async fn reads_see_commits_whole(stores: &Stores) {
    const COMMITS_COUNT: u8 = 100;
    let are_of_one_moment = stores.capabilities().reads_are_of_one_moment;
    let state = open(stores).await;
    write(&state, vec![put(b"a", &[0]), put(b"b", &[0])]).await;
    let returned = Arc::new(AtomicU8::new(0));
    let writer = {
        let (state, returned) = (Arc::clone(&state), Arc::clone(&returned));
        tokio::spawn(async move {
            for number in 1..=COMMITS_COUNT {
                write(&state, vec![put(b"a", &[number]), put(b"b", &[number])]).await;
                returned.store(number, Ordering::SeqCst);
                let value = state.get(TABLE, b"a").await.unwrap();
                assert_eq!(value, Some(Bytes::from(vec![number])));
            }
        })
    };
    // The least that each read must show: what the ones before it have shown, and what has returned.
    let mut seen = [0, 0];
    while seen.into_iter().min() < Some(COMMITS_COUNT) {
        for is_scan in [false, true] {
            let least = seen.map(|seen| seen.max(returned.load(Ordering::SeqCst)));
            seen = if is_scan {
                let found = scan_all(&state).await;
                [found[0].value[0], found[1].value[0]]
            } else {
                let values = state.get_many(&[key(b"a"), key(b"b")]).await.unwrap();
                let values: Vec<u8> = values.iter().flatten().map(|value| value[0]).collect();
                [values[0], values[1]]
            };
            let is_behind = seen.iter().zip(least).any(|(seen, least)| *seen < least);
            assert!(!is_behind, "{seen:?} was seen after {least:?}");
            assert!(seen[0] == seen[1] || !are_of_one_moment, "half a commit was seen: {seen:?}");
        }
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

/// Commits all at once, each in a task of its own.
async fn commit_at_once(state: &State, commits: Vec<StateCommit>) -> Vec<Result<(), StateError>> {
    let tasks = commits.into_iter().map(|commit| {
        let state = Arc::clone(state);
        tokio::spawn(async move { state.commit(commit).await })
    });
    let outcomes = join_all(tasks).await;
    outcomes.into_iter().map(Result::unwrap).collect()
}

/// The refusal of one more than `max`.
fn too_large_error(what: &'static str, max: usize) -> StateError {
    StateError::TooLarge { what, size: max + 1, max }
}
