//! The rows of `todo-lists` after events, and the answers from them.

use annals_sdk::testing::{Projected, project};
use annals_sdk::{QueryError, Value, json};
use todo_lists::{
    Event, Item, LISTS, ListRow, OPEN_ITEMS, OPEN_ITEMS_COUNT, Query, TOTALS, TodoLists,
};

const HOME: &str = "todo/home";
const WORK: &str = "todo/work";

fn added(id: u64, description: &str) -> Event {
    Event::ItemAdded { id, description: description.to_owned() }
}

fn checked(id: u64) -> Event {
    Event::ItemChecked { id, checked: true }
}

fn unchecked(id: u64) -> Event {
    Event::ItemChecked { id, checked: false }
}

fn open(id: u64, description: &str) -> Item {
    Item { id, description: description.to_owned(), completed: false }
}

fn done(id: u64, description: &str) -> Item {
    Item { completed: true, ..open(id, description) }
}

fn open_items(view: &Projected<TodoLists>, list: Option<&str>, limit: Option<u32>) -> Value {
    let list = list.map(ToOwned::to_owned);
    view.query(Query::OpenItems { list, limit }).unwrap_or_else(|error| json!(error.to_string()))
}

/// Two lists with two items each, of which one is done.
fn two_lists() -> Projected<TodoLists> {
    project([
        (HOME, Event::ListCreated),
        (HOME, added(0, "milk")),
        (WORK, Event::ListCreated),
        (WORK, added(0, "post")),
        (HOME, added(1, "bread")),
        (HOME, checked(0)),
    ])
}

#[test]
fn a_list_has_a_row_with_its_revision_and_items() {
    // Guards T2: revision 1 and one item that is not done; and T1: no rows before anything.
    let nothing = project::<TodoLists>(Vec::<(&str, Event)>::new());
    assert_eq!(nothing.rows(LISTS), []);
    let view = project::<TodoLists>([(HOME, Event::ListCreated), (HOME, added(0, "desc"))]);
    let expected = ListRow { revision: 1, items: vec![open(0, "desc")] };
    assert_eq!(view.row(LISTS, "home"), Some(expected));
}

#[test]
fn items_change_and_go() {
    // Guards the row through every event.
    let view = two_lists().and([
        (HOME, Event::ItemSet { id: 0, description: "oat milk".to_owned() }),
        (HOME, Event::ItemSet { id: 1, description: "rye bread".to_owned() }),
    ]);
    let items = vec![done(0, "oat milk"), open(1, "rye bread")];
    assert_eq!(view.row(LISTS, "home"), Some(ListRow { revision: 5, items }));
    let view = view.and([(HOME, unchecked(0)), (HOME, Event::ItemRemoved { id: 1 })]);
    let items = vec![open(0, "oat milk")];
    assert_eq!(view.row(LISTS, "home"), Some(ListRow { revision: 7, items }));
}

#[test]
fn a_deleted_list_leaves_nothing() {
    // Guards T6: no row, and nothing of it among the open items; created again, it is empty.
    let view = two_lists().and([(HOME, Event::ListDeleted)]);
    assert_eq!(view.row(LISTS, "home"), None);
    assert_eq!(view.rows(OPEN_ITEMS).len(), 1);
    assert_eq!(view.row(TOTALS, OPEN_ITEMS_COUNT), Some(1));
    let again = view.and([(HOME, Event::ListCreated)]);
    assert_eq!(again.row(LISTS, "home"), Some(ListRow { revision: 5, items: Vec::new() }));
}

#[test]
fn open_items_are_counted_and_listed_across_lists() {
    // Guards the query: by list and number, only what is not done, and the count of all of it
    // whatever the limit is.
    let view = two_lists();
    let entry = |list: &str, id: u64, description: &str| -> Value {
        json!({ "list": list, "id": id, "description": description })
    };
    let (bread, post) = (entry("home", 1, "bread"), entry("work", 0, "post"));
    assert_eq!(open_items(&view, None, None), json!({ "count": 2, "items": [bread, post] }));
    assert_eq!(open_items(&view, None, Some(1)), json!({ "count": 2, "items": [bread] }));
    assert_eq!(open_items(&view, Some("work"), None), json!({ "count": 1, "items": [post] }));
    assert_eq!(open_items(&view, Some("wor"), None), json!({ "count": 0, "items": [] }));
    let view = view.and([
        (HOME, checked(1)),
        (HOME, unchecked(0)),
        (WORK, Event::ItemSet { id: 0, description: "parcel".to_owned() }),
    ]);
    let expected = [entry("home", 0, "milk"), entry("work", 0, "parcel")];
    assert_eq!(open_items(&view, None, None), json!({ "count": 2, "items": expected }));
}

#[test]
fn items_of_an_answer_are_a_hundred_unless_asked_and_a_thousand_at_most() {
    // Guards the limit, on both sides.
    let items = (0..1_001).map(|id| (HOME, added(id, "desc")));
    let view = project::<TodoLists>([(HOME, Event::ListCreated)].into_iter().chain(items));
    let answered = |limit| -> Result<usize, QueryError> {
        let answer = view.query(Query::OpenItems { list: None, limit })?;
        Ok(answer["items"].as_array().map_or(0, Vec::len))
    };
    assert_eq!(answered(None), Ok(100));
    assert_eq!(answered(Some(1_000)), Ok(1_000));
    for limit in [0, 1_001, u32::MAX] {
        let message = format!("`limit` is {limit}, and must be 1 to 1000");
        assert_eq!(answered(Some(limit)), Err(QueryError::Malformed(message)));
    }
}
