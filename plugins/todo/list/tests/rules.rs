//! The rules of to-do lists, row by row.

use annals_sdk::testing::given;
use todo_list::{Command, DESCRIPTION_BYTES_MAX, Event, ITEMS_MAX, Item, List};

fn add(description: &str) -> Command {
    Command::AddItem { description: description.to_owned() }
}

fn added(id: u64, description: &str) -> Event {
    Event::ItemAdded { id, description: description.to_owned() }
}

fn set(id: u64, description: &str) -> Command {
    Command::SetItem { id, description: description.to_owned() }
}

fn checked(id: u64) -> Event {
    Event::ItemChecked { id, checked: true }
}

fn unchecked(id: u64) -> Event {
    Event::ItemChecked { id, checked: false }
}

/// A list with the items 0 to 3, of which 1 and 3 are done.
fn four_items() -> Vec<Event> {
    let mut events = vec![Event::ListCreated];
    events.extend((0..4).map(|id| added(id, "desc")));
    events.extend([checked(1), checked(3)]);
    events
}

#[test]
fn creates_a_list_and_adds_items() {
    // Guards T2: the items and their numbers.
    given([])
        .when(Command::Create)
        .then([Event::ListCreated])
        .when(add("desc"))
        .then([added(0, "desc")])
        .when(add("other"))
        .then([added(1, "other")])
        .then_state(|list: &List| {
            let item =
                |description: &str| Item { description: description.to_owned(), completed: false };
            let items = [(0, item("desc")), (1, item("other"))].into();
            assert_eq!(*list, List { is_there: true, next_id: 2, items });
        });
}

#[test]
fn a_list_is_created_once() {
    // Guards T3: create twice.
    given::<List>([Event::ListCreated]).when(Command::Create).then_rejected("already-created");
}

#[test]
fn nothing_can_be_done_before_there_is_a_list() {
    // Guards T3: anything before create, and after delete.
    let commands = || {
        [
            add("desc"),
            set(0, "desc"),
            Command::CheckItem { id: 0, checked: true },
            Command::RemoveItem { id: 0 },
            Command::RemoveCompleted,
            Command::CheckAll { checked: true },
            Command::Delete,
        ]
    };
    for command in commands() {
        given::<List>([]).when(command).then_rejected("not-created");
    }
    for command in commands() {
        let deleted = [Event::ListCreated, added(0, "desc"), Event::ListDeleted];
        given::<List>(deleted).when(command).then_rejected("not-created");
    }
}

#[test]
fn a_missing_item_is_not_found() {
    // Guards T3: remove, set and check a missing item; a removed one is missing.
    for command in
        [set(0, "new"), Command::CheckItem { id: 0, checked: true }, Command::RemoveItem { id: 0 }]
    {
        let events = [Event::ListCreated, added(0, "desc"), Event::ItemRemoved { id: 0 }];
        given::<List>(events).when(command).then_rejected("item-not-found");
    }
}

#[test]
fn what_is_so_already_is_no_event() {
    // Guards T4: the same description, and the same value.
    let list = || given::<List>(four_items());
    list().when(set(0, "desc")).then([]);
    list().when(Command::CheckItem { id: 0, checked: false }).then([]);
    list().when(Command::CheckItem { id: 1, checked: true }).then([]);
    list().when(set(0, "new")).then([Event::ItemSet { id: 0, description: "new".to_owned() }]);
    list().when(Command::CheckItem { id: 0, checked: true }).then([checked(0)]);
    list().when(Command::CheckItem { id: 1, checked: false }).then([unchecked(1)]);
}

#[test]
fn what_is_done_to_all_is_an_event_per_affected_item() {
    // Guards T5: remove-completed and check-all; again, there is nothing left to do.
    let list = || given::<List>(four_items());
    list()
        .when(Command::RemoveCompleted)
        .then([Event::ItemRemoved { id: 1 }, Event::ItemRemoved { id: 3 }])
        .when(Command::RemoveCompleted)
        .then([]);
    for (all, affected) in [(true, [checked(0), checked(2)]), (false, [unchecked(1), unchecked(3)])]
    {
        list()
            .when(Command::CheckAll { checked: all })
            .then(affected)
            .when(Command::CheckAll { checked: all })
            .then([]);
    }
}

#[test]
fn numbers_are_never_given_again() {
    // Guards commands under way: the number of an item that is gone does not come to mean another
    // one, after removal or with a new list of the same id.
    let gone = [Event::ListCreated, added(0, "a"), Event::ItemRemoved { id: 0 }];
    given::<List>(gone).when(add("b")).then([added(1, "b")]);
    given::<List>([Event::ListCreated, added(0, "a")])
        .when(Command::Delete)
        .then([Event::ListDeleted])
        .when(Command::Create)
        .then([Event::ListCreated])
        .then_state(|list| assert_eq!(list.items.len(), 0))
        .when(add("b"))
        .then([added(1, "b")]);
}

#[test]
fn descriptions_and_lists_have_a_size() {
    // Guards the row of a list: neither a description nor a list grows without end.
    let list = || given::<List>([Event::ListCreated, added(0, "desc")]);
    let longest = "x".repeat(DESCRIPTION_BYTES_MAX);
    list().when(add(&longest)).then([added(1, &longest)]);
    for description in ["", " \n", &format!("{longest}x")] {
        list().when(add(description)).then_rejected("invalid-description");
        list().when(set(0, description)).then_rejected("invalid-description");
    }
    let items_max = u64::try_from(ITEMS_MAX).unwrap_or(u64::MAX);
    let full = || {
        let items = (0..items_max).map(|id| added(id, "desc"));
        given::<List>([Event::ListCreated].into_iter().chain(items))
    };
    full().when(add("desc")).then_rejected("list-full");
    full().when(Command::CheckAll { checked: true }).then((0..items_max).map(checked));
}
