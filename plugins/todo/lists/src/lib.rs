//! The projection `todo-lists`: what is on every to-do list, and what is still open on all of them.
//!
//! A page that shows a list reads one row, with the revision that it shows. What is open is kept in
//! rows of its own, so that asking for it reads nothing else.
//!
//! It shares no code with the aggregate `todo`: recorded events are all they have in common.
//!
//! The tests are in `tests/rows.rs` and run natively.

use annals_sdk::{EventMeta, Failure, KeyRange, Projection, Queries, QueryContext, QueryError};
use annals_sdk::{Table, Value, View, Writes, json};

/// A row per list, by list id. A list that is deleted has none.
pub const LISTS: Table<ListRow> = Table::new("lists");

/// A row per item that is not done, by list id and number.
pub const OPEN_ITEMS: Table<OpenItem> = Table::new("open-items");

/// How many items are not done, by the name [`OPEN_ITEMS_COUNT`].
pub const TOTALS: Table<i64> = Table::new("totals");

/// The number of items that are not done.
pub const OPEN_ITEMS_COUNT: &str = "open_items_count";

/// Most items that one answer can have.
pub const LIMIT_MAX: u32 = 1_000;

/// Items in an answer, unless the question says otherwise.
pub const LIMIT_DEFAULT: u32 = 100;

/// A list.
#[annals_sdk::data]
#[derive(Default)]
pub struct ListRow {
    /// Up to which revision of its stream the row is.
    pub revision: u64,
    /// What is on it, in the order of their numbers.
    pub items: Vec<Item>,
}

/// An item of a list.
#[annals_sdk::data]
pub struct Item {
    /// Its number.
    pub id: u64,
    /// What to do.
    pub description: String,
    /// Whether it is done.
    pub completed: bool,
}

/// An item that is not done.
#[annals_sdk::data]
pub struct OpenItem {
    /// The list it is on.
    pub list: String,
    /// Its number.
    pub id: u64,
    /// What to do.
    pub description: String,
}

/// The events of lists.
#[annals_sdk::event]
#[expect(missing_docs, reason = "they are explained where they are decided, in `todo-list`")]
pub enum Event {
    ListCreated,
    ItemAdded { id: u64, description: String },
    ItemSet { id: u64, description: String },
    ItemChecked { id: u64, checked: bool },
    ItemRemoved { id: u64 },
    ListDeleted,
}

/// What can be asked.
#[annals_sdk::query]
pub enum Query {
    /// What is not done, of one list or of all: how many items, and the first of them by list and
    /// number.
    OpenItems {
        /// Only of this list.
        #[serde(skip_serializing_if = "Option::is_none")]
        list: Option<String>,
        /// How many items, 1 to 1000; 100 unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 1000))]
        limit: Option<u32>,
    },
}

/// The projection.
#[derive(Debug)]
pub struct TodoLists;

impl Projection for TodoLists {
    const NAME: &'static str = "todo-lists";
    const TABLES: &'static [&'static str] = &[LISTS.name(), OPEN_ITEMS.name(), TOTALS.name()];
    type Event = Event;

    fn project(event: Event, meta: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
        let id = meta.id();
        let mut list = view.get(LISTS, id).unwrap_or_default();
        list.revision = meta.revision;
        match event {
            Event::ListCreated => {}
            Event::ItemAdded { id: number, description } => {
                let item = Item { id: number, description, completed: false };
                open(view, id, &item);
                list.items.push(item);
            }
            Event::ItemSet { id: number, description } => {
                if let Some(item) = list.items.iter_mut().find(|item| item.id == number) {
                    item.description = description;
                    if !item.completed {
                        view.put(OPEN_ITEMS, place(id, number), &open_item(id, item));
                    }
                }
            }
            Event::ItemChecked { id: number, checked } => {
                if let Some(item) = list.items.iter_mut().find(|item| item.id == number) {
                    close(view, id, item);
                    item.completed = checked;
                    open(view, id, item);
                }
            }
            Event::ItemRemoved { id: number } => {
                for item in list.items.extract_if(.., |item| item.id == number) {
                    close(view, id, &item);
                }
            }
            Event::ListDeleted => {
                for item in &list.items {
                    close(view, id, item);
                }
                view.delete(LISTS, id);
                return Ok(());
            }
        }
        view.put(LISTS, id, &list);
        Ok(())
    }
}

impl Queries for TodoLists {
    type Query = Query;

    fn answer(query: Query, _: &QueryContext, view: &View) -> Result<Value, QueryError> {
        match query {
            Query::OpenItems { list, limit } => {
                let limit = limit.unwrap_or(LIMIT_DEFAULT);
                if !(1..=LIMIT_MAX).contains(&limit) {
                    return Err(QueryError::malformed(format!(
                        "`limit` is {limit}, and must be 1 to {LIMIT_MAX}"
                    )));
                }
                Ok(open_items(list.as_deref(), limit, view))
            }
        }
    }
}

annals_sdk::export_projection!(TodoLists, queries);

/// Notes an item among the open ones, if it is one.
fn open(view: &mut Writes, list: &str, item: &Item) {
    if !item.completed {
        view.put(OPEN_ITEMS, place(list, item.id), &open_item(list, item));
        view.add(TOTALS, OPEN_ITEMS_COUNT, 1);
    }
}

/// Takes an item from the open ones, if it is one.
fn close(view: &mut Writes, list: &str, item: &Item) {
    if !item.completed {
        view.delete(OPEN_ITEMS, place(list, item.id));
        view.add(TOTALS, OPEN_ITEMS_COUNT, -1);
    }
}

fn open_item(list: &str, item: &Item) -> OpenItem {
    OpenItem { list: list.to_owned(), id: item.id, description: item.description.clone() }
}

/// The key under which byte order is: by list, then by number. Ids of lists have no `/`.
fn place(list: &str, id: u64) -> String {
    format!("{list}/{id:020}")
}

fn open_items(list: Option<&str>, limit: u32, view: &View) -> Value {
    let range = list.map_or_else(KeyRange::all, |list| KeyRange::prefix(format!("{list}/")));
    let items: Vec<OpenItem> =
        view.scan(OPEN_ITEMS, &range, limit).into_iter().map(|row| row.value).collect();
    let count = match list {
        None => view.get(TOTALS, OPEN_ITEMS_COUNT).unwrap_or_default(),
        // The rules keep a list so small that its row has all of it.
        Some(list) => {
            let list = view.get(LISTS, list).unwrap_or_default();
            let open = list.items.iter().filter(|item| !item.completed);
            i64::try_from(open.count()).unwrap_or(i64::MAX)
        }
    };
    json!({ "count": count, "items": items })
}
