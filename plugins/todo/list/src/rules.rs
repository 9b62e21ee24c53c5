//! The rules of a list: one function per command, which says what it leads to or why not.

use annals_sdk::{Decision, Rejection, ensure};

use crate::{DESCRIPTION_BYTES_MAX, Event, ITEMS_MAX, Item, List};

/// What every rule answers.
type Decided = Result<Decision<Event>, Rejection>;

impl List {
    pub(crate) fn create(&self) -> Decided {
        ensure!(!self.is_there, "already-created", "the list is there already");
        Ok(Event::ListCreated.into())
    }

    pub(crate) fn add(&self, description: String) -> Decided {
        self.must_be_there()?;
        must_be_description(&description)?;
        ensure!(self.items.len() < ITEMS_MAX, "list-full", "a list has at most {ITEMS_MAX} items");
        Ok(Event::ItemAdded { id: self.next_id, description }.into())
    }

    pub(crate) fn set(&self, id: u64, description: String) -> Decided {
        let item = self.item(id)?;
        must_be_description(&description)?;
        if item.description == description {
            return Ok(Decision::none());
        }
        Ok(Event::ItemSet { id, description }.into())
    }

    #[expect(clippy::fn_params_excessive_bools, reason = "the value that the command has")]
    pub(crate) fn check(&self, id: u64, checked: bool) -> Decided {
        if self.item(id)?.completed == checked {
            return Ok(Decision::none());
        }
        Ok(Event::ItemChecked { id, checked }.into())
    }

    pub(crate) fn remove(&self, id: u64) -> Decided {
        self.item(id)?;
        Ok(Event::ItemRemoved { id }.into())
    }

    pub(crate) fn remove_completed(&self) -> Decided {
        self.must_be_there()?;
        let completed = self.items.iter().filter(|(_, item)| item.completed);
        Ok(completed.map(|(id, _)| Event::ItemRemoved { id: *id }).collect::<Vec<_>>().into())
    }

    #[expect(clippy::fn_params_excessive_bools, reason = "the value that the command has")]
    pub(crate) fn check_all(&self, checked: bool) -> Decided {
        self.must_be_there()?;
        let others = self.items.iter().filter(|(_, item)| item.completed != checked);
        let events = others.map(|(id, _)| Event::ItemChecked { id: *id, checked });
        Ok(events.collect::<Vec<_>>().into())
    }

    pub(crate) fn delete(&self) -> Decided {
        self.must_be_there()?;
        Ok(Event::ListDeleted.into())
    }

    fn must_be_there(&self) -> Result<(), Rejection> {
        ensure!(self.is_there, "not-created", "the list is not there; create it first");
        Ok(())
    }

    fn item(&self, id: u64) -> Result<&Item, Rejection> {
        self.must_be_there()?;
        let missing = || Rejection::new("item-not-found", format!("there is no item {id}"));
        self.items.get(&id).ok_or_else(missing)
    }
}

fn must_be_description(description: &str) -> Result<(), Rejection> {
    let fits = !description.trim().is_empty() && description.len() <= DESCRIPTION_BYTES_MAX;
    ensure!(
        fits,
        "invalid-description",
        "a description is not blank, and has at most {DESCRIPTION_BYTES_MAX} bytes"
    );
    Ok(())
}
