//! Ids of what a process manager sends, derived from what it reacts to: a repeat of a reaction has the
//! same ids, so that its commands have an effect once.
//!
//! An id says how deep it is: how many commands of process managers led to it, one after the other
//! without anybody waiting. So a process manager that triggers itself is found without keeping anything,
//! whoever else takes part.
//!
//! ```text
//! byte  0    4        6      8             16
//!       │ check │ depth │ part of a SHA-256 │     a UUID of version 8
//! ```

use annals_core::id::{CommandId, Digest};
use annals_core::name::PluginName;
use uuid::Uuid;

/// What a reaction is about.
#[derive(Debug, Clone, Copy)]
pub(super) enum Cause {
    /// A part of what an event has become by upcasting.
    Event(Uuid, u32),
    /// A timer.
    Timer(Uuid),
    /// The outcome of a command.
    Reply(Uuid),
}

impl Cause {
    fn parts(self) -> (u8, Uuid, u32) {
        match self {
            Self::Event(id, part) => (b'e', id, part),
            Self::Timer(id) => (b't', id, 0),
            Self::Reply(id) => (b'r', id, 0),
        }
    }
}

/// The id of the command number `ordinal` of a reaction of `instance`.
pub(super) fn command_id(
    (manager, instance): (&PluginName, &str),
    cause: Cause,
    ordinal: usize,
    depth: u16,
) -> CommandId {
    let (kind, id, part) = cause.parts();
    let ordinal = u64::try_from(ordinal).unwrap_or(u64::MAX);
    let numbers = [&[kind][..], id.as_bytes(), &part.to_be_bytes(), &ordinal.to_be_bytes()];
    CommandId::new(with_depth(hash(manager, instance, &numbers.concat()), depth))
}

/// The id of a timer of `instance` that a reaction to `cause` started.
pub(super) fn timer_id(
    (manager, instance): (&PluginName, &str),
    cause: Cause,
    timer: &str,
) -> Uuid {
    let (kind, id, part) = cause.parts();
    let text = [&[b'T', kind][..], id.as_bytes(), &part.to_be_bytes(), timer.as_bytes()];
    with_depth(hash(manager, instance, &text.concat()), 0)
}

/// How deep a command is; 0 when no process manager sent it.
pub(super) fn depth_of(command: CommandId) -> u16 {
    let uuid = command.uuid();
    let bytes = uuid.as_bytes();
    let (check, rest) = bytes.split_at(4);
    let is_ours = uuid.get_version_num() == 8 && check == self::check(rest);
    match rest {
        [high, low, ..] if is_ours => u16::from_be_bytes([*high, *low]),
        _ => 0,
    }
}

fn hash(manager: &PluginName, instance: &str, rest: &[u8]) -> Digest {
    // Names and instances hold no byte 0.
    let parts = [manager.as_str().as_bytes(), b"\0", instance.as_bytes(), b"\0", rest];
    Digest::of(&parts.concat())
}

fn with_depth(hash: Digest, depth: u16) -> Uuid {
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash.as_bytes()) {
        *byte = *hashed;
    }
    let [high, low] = depth.to_be_bytes();
    let [_, _, _, _, first, second, ..] = &mut bytes;
    (*first, *second) = (high, low);
    // Version and variant are part of what the check is over.
    let mut bytes = *uuid::Builder::from_custom_bytes(bytes).into_uuid().as_bytes();
    let (start, rest) = bytes.split_at_mut(4);
    start.copy_from_slice(&check(rest));
    Uuid::from_bytes(bytes)
}

fn check(rest: &[u8]) -> [u8; 4] {
    let parts = [b"annals depth", rest].concat();
    let mut check = [0; 4];
    for (byte, hashed) in check.iter_mut().zip(Digest::of(&parts).as_bytes()) {
        *byte = *hashed;
    }
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_each_time_and_differ_by_everything_they_are_made_of() {
        // Guards that a repeat has one effect, and that two commands are never taken for one.
        let manager = PluginName::new("transfer").unwrap();
        let other = PluginName::new("transfers").unwrap();
        let id = Uuid::from_u128(7);
        let made = |manager: &PluginName, instance: &str, cause, ordinal, depth| {
            command_id((manager, instance), cause, ordinal, depth)
        };
        let first = made(&manager, "t1", Cause::Event(id, 0), 0, 1);
        assert_eq!(first, made(&manager, "t1", Cause::Event(id, 0), 0, 1));
        assert_eq!(first.uuid().get_version_num(), 8);
        let others = [
            made(&other, "t1", Cause::Event(id, 0), 0, 1),
            made(&manager, "t2", Cause::Event(id, 0), 0, 1),
            made(&manager, "t1", Cause::Event(id, 1), 0, 1),
            made(&manager, "t1", Cause::Event(id, 0), 1, 1),
            made(&manager, "t1", Cause::Event(id, 0), 0, 2),
            made(&manager, "t1", Cause::Timer(id), 0, 1),
            made(&manager, "t1", Cause::Reply(id), 0, 1),
            made(&manager, "t1", Cause::Event(Uuid::from_u128(8), 0), 0, 1),
        ];
        let all: std::collections::HashSet<_> = others.iter().chain([&first]).collect();
        assert_eq!(all.len(), others.len() + 1);
        assert_eq!(first.to_string(), "0f78df58-0001-824a-9b9c-2b90b802c995");
    }

    #[test]
    fn an_id_tells_its_depth_and_foreign_ids_have_none() {
        // Guards the limit on process managers that trigger themselves, and against ids of clients.
        let manager = PluginName::new("transfer").unwrap();
        for depth in [0, 1, 1_000, u16::MAX] {
            let id = command_id((&manager, "t1"), Cause::Timer(Uuid::nil()), 0, depth);
            assert_eq!(depth_of(id), depth);
        }
        for foreign in [Uuid::nil(), Uuid::max(), Uuid::from_u128(1 << 80)] {
            assert_eq!(depth_of(CommandId::new(foreign)), 0);
        }
        let foreign = uuid::Builder::from_custom_bytes([5; 16]).into_uuid();
        assert_eq!(depth_of(CommandId::new(foreign)), 0);
    }
}
