//! The aggregate `todo`: it keeps the rules of one to-do list.
//!
//! An item has a number, by which commands name it. Numbers are given in order and never again: who
//! removes an item and adds another does not change what an old number means.
//!
//! A command that changes nothing is accepted, and nothing happened: no event says that a description
//! is what it was.
//!
//! The tests are in `tests/rules.rs` and run natively.

mod rules;

use std::collections::BTreeMap;

use annals_sdk::{Aggregate, Context, Decision, Rejection};

/// Most items that a list holds at once. A view keeps a list in one row, of at most 256 KiB: with
/// descriptions as long as they may be, each byte written as six (`\u0000`), it still fits.
pub const ITEMS_MAX: usize = 100;

/// Longest description, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 400;

/// What the rules must know about a list.
#[annals_sdk::state]
pub struct List {
    /// Whether it was created and not deleted.
    pub is_there: bool,
    /// The number of the next item.
    pub next_id: u64,
    /// By number: the items that were not removed.
    pub items: BTreeMap<u64, Item>,
}

/// Something to do.
#[annals_sdk::data]
#[derive(Default)]
pub struct Item {
    /// What to do.
    pub description: String,
    /// Whether it is done.
    pub completed: bool,
}

/// What can be asked of a list.
#[annals_sdk::command]
pub enum Command {
    /// Creates the list, also again after it was deleted.
    Create,
    /// Adds an item at the end.
    AddItem {
        /// What to do; not blank, and at most 400 bytes.
        description: String,
    },
    /// Describes an item anew.
    SetItem {
        /// Number of the item.
        id: u64,
        /// What to do; not blank, and at most 400 bytes.
        description: String,
    },
    /// Marks an item as done, or as open again.
    CheckItem {
        /// Number of the item.
        id: u64,
        /// Whether it is done.
        checked: bool,
    },
    /// Takes an item off the list.
    RemoveItem {
        /// Number of the item.
        id: u64,
    },
    /// Takes every item off the list that is done.
    RemoveCompleted,
    /// Marks every item as done, or as open again.
    CheckAll {
        /// Whether they are done.
        checked: bool,
    },
    /// Deletes the list with all that is on it.
    Delete,
}

/// What happened to a list.
#[annals_sdk::event]
pub enum Event {
    /// The list is there from here on, with nothing on it.
    ListCreated,
    /// An item was added.
    ItemAdded {
        /// Its number.
        id: u64,
        /// What to do.
        description: String,
    },
    /// An item was described anew.
    ItemSet {
        /// Its number.
        id: u64,
        /// What to do.
        description: String,
    },
    /// An item was marked.
    ItemChecked {
        /// Its number.
        id: u64,
        /// Whether it is done.
        checked: bool,
    },
    /// An item was taken off the list.
    ItemRemoved {
        /// Its number.
        id: u64,
    },
    /// The list is no more.
    ListDeleted,
}

impl Aggregate for List {
    const NAME: &'static str = "todo";
    type Command = Command;
    type Event = Event;

    fn evolve(&mut self, event: Event) {
        match event {
            Event::ListCreated => self.is_there = true,
            Event::ItemAdded { id, description } => {
                self.next_id = id + 1;
                self.items.insert(id, Item { description, completed: false });
            }
            Event::ItemSet { id, description } => {
                self.items.entry(id).or_default().description = description;
            }
            Event::ItemChecked { id, checked } => {
                self.items.entry(id).or_default().completed = checked;
            }
            Event::ItemRemoved { id } => {
                self.items.remove(&id);
            }
            // The numbers go on: those of the old list are not given again.
            Event::ListDeleted => {
                self.is_there = false;
                self.items.clear();
            }
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Decision<Event>, Rejection> {
        match command {
            Command::Create => self.create(),
            Command::AddItem { description } => self.add(description),
            Command::SetItem { id, description } => self.set(id, description),
            Command::CheckItem { id, checked } => self.check(id, checked),
            Command::RemoveItem { id } => self.remove(id),
            Command::RemoveCompleted => self.remove_completed(),
            Command::CheckAll { checked } => self.check_all(checked),
            Command::Delete => self.delete(),
        }
    }
}

annals_sdk::export_aggregate!(List);
