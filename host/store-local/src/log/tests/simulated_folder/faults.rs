//! What is done with a simulated folder, and what of it fails.

use std::io;

use crate::log::folder::OpenedBy;
use crate::log::tests::seed::Seed;

/// What can be done with a file or its folder, but for reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Write,
    Sync,
    Truncate,
    Create,
    /// Under the new name.
    Rename,
    Remove,
    SyncFolder,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) kind: Kind,
    /// The name of the file at the time; empty for the folder.
    pub(crate) name: String,
    pub(crate) opened_by: OpenedBy,
}

/// How much of an operation is done.
#[derive(Debug, Clone)]
pub(crate) enum Share {
    Nothing,
    /// Some of it, where there are parts; all of it, where there are none.
    Part(Seed),
    All,
}

impl PartialEq for Share {
    fn eq(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

/// The operation at which the process crashed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Crash {
    pub(crate) operation: Operation,
    pub(crate) share: Share,
}

/// Lets one operation fail: of those that match, the one after `skip` others.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) matches: fn(&Operation) -> bool,
    pub(crate) skip: u64,
}

/// What of the disk is free.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Room {
    #[default]
    Plenty,
    /// No file can grow, and none can be made.
    NoGrowth,
    /// As on a disk that writes everything to a new place: nothing can be written at all.
    Nothing,
    /// Index files cannot be made.
    NoIndexes,
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    pub(super) operations: Vec<Operation>,
    pub(super) crash_at: Option<(u64, Seed)>,
    pub(super) crashed: Option<Crash>,
    pub(super) once: Vec<Fault>,
    pub(super) room: Room,
    pub(super) refused: Vec<Operation>,
}

impl Faults {
    pub(super) fn operations_count(&self) -> u64 {
        self.operations.len() as u64
    }

    /// The process of a crash does nothing any more.
    pub(super) fn check_alive(&self) -> io::Result<()> {
        if self.crashed.is_some() { Err(io::Error::other("crashed")) } else { Ok(()) }
    }

    /// How many bytes from `start` on can be written to a file of this length.
    pub(super) fn room_for(&self, operation: &Operation, start: usize, length: usize) -> usize {
        match self.room {
            Room::Plenty => usize::MAX,
            Room::NoGrowth => length.saturating_sub(start),
            Room::Nothing => 0,
            Room::NoIndexes if operation.opened_by == OpenedBy::Index => 0,
            Room::NoIndexes => usize::MAX,
        }
    }

    /// Counts an operation, and tells how much of it to do and what to answer.
    pub(super) fn begin(&mut self, operation: Operation) -> (Share, io::Result<()>) {
        if let Err(error) = self.check_alive() {
            return (Share::Nothing, Err(error));
        }
        let number = self.operations_count();
        self.operations.push(operation.clone());
        if let Some((at, seed)) = &mut self.crash_at
            && *at == number
        {
            let share = match seed.below(3) {
                0 => Share::Nothing,
                1 => Share::Part(seed.fork()),
                _ => Share::All,
            };
            self.crashed = Some(Crash { operation, share: share.clone() });
            return (share, Err(io::Error::other("crashed")));
        }
        if self.fails_once(&operation) {
            // A write may be a short one.
            let is_write = operation.kind == Kind::Write;
            let share = if is_write { Share::Part(Seed::new(number)) } else { Share::Nothing };
            return (share, Err(io::Error::other("input/output error")));
        }
        if operation.kind == Kind::Create && self.room_for(&operation, 0, 0) == 0 {
            self.refused.push(operation);
            return (Share::Nothing, Err(io::Error::from(io::ErrorKind::StorageFull)));
        }
        (Share::All, Ok(()))
    }

    fn fails_once(&mut self, operation: &Operation) -> bool {
        let mut fails = false;
        self.once.retain_mut(|fault| {
            if fails || !(fault.matches)(operation) {
                return true;
            }
            fails = fault.skip == 0;
            fault.skip = fault.skip.saturating_sub(1);
            !fails
        });
        fails
    }
}
