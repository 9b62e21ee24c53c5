//! Every limit of a call, reached.

use std::sync::Arc;

use annals_core::columns::{EventBatch, History};
use annals_core::place::{Position, Revision};
use annals_core::port::guest::{GuestFailure, ProjectionGuest};
use annals_core::time::Timestamp;
use annals_runtime::RuntimeLimits;

use crate::crafted::{self, EMPTY};
use crate::projection::Rows;
use crate::support::{Resident, load, load_with, text};

/// What becomes of an empty batch in a crafted projection.
fn project(body: &str) -> String {
    let mut guest = load(&crafted::projection(body)).projection().unwrap();
    text(guest.project(&EventBatch::default(), Arc::new(Rows::default())))
}

fn with(change: impl FnOnce(&mut RuntimeLimits)) -> RuntimeLimits {
    let mut limits = RuntimeLimits::default();
    change(&mut limits);
    limits
}

#[test]
fn a_crafted_projection_can_behave() {
    // Guards the other tests in here: their components fail for what they do, not for what they are.
    let mut guest = load(&crafted::projection(EMPTY)).projection().unwrap();
    let projected = guest.project(&batch(3, 10), Arc::new(Rows::default()));
    assert_eq!(projected, Ok(Ok(Vec::new())));
}

#[test]
fn growing_memory_or_tables_beyond_the_limit_ends_the_call() {
    // Guards the machine's memory. The guest does not see -1: how much there is, is the host's.
    assert_eq!(
        project(&format!(
            "(drop (memory.grow (i32.const 1022))) (drop (memory.grow (i32.const 1))) {EMPTY}"
        )),
        "plugin `crafted` reached a limit in `project`: linear memory 64 MiB \
         (limits.memory_bytes_max)"
    );
    assert_eq!(
        project(&format!(
            "(drop (table.grow $table (ref.null func) (i32.const 262143)))
             (drop (table.grow $table (ref.null func) (i32.const 1))) {EMPTY}"
        )),
        "plugin `crafted` reached a limit in `project`: 262144 table elements \
         (limits.table_elements_max)"
    );
}

#[test]
fn work_that_looks_like_one_instruction_costs_fuel_by_its_size() {
    // Guards time: `memory.fill` and `memory.copy` of a lot would run for minutes on the fuel of
    // instructions. The same for the host's own work: log lines and reads of the view.
    let fuel = "plugin `crafted` reached a limit in `project`: fuel 200000000 \
                (limits.event_fuel_max)";
    let forever = |what: &str| project(&format!("(loop $again {what} (br $again)) unreachable"));
    let size = "(i32.const 100000)";
    assert_eq!(forever(&format!("(memory.fill (i32.const 8192) (i32.const 0) {size})")), fuel);
    assert_eq!(forever(&format!("(memory.copy (i32.const 8192) (i32.const 8200) {size})")), fuel);
    assert_eq!(forever(&format!("(call $log (i32.const 2) (i32.const 8192) {size})")), fuel);
    let read = "(call $get_many (i32.const 0) (i32.const 0) (i32.const 4096))";
    assert_eq!(forever(read), fuel);
}

#[test]
fn forged_answers_are_refused_before_they_take_the_hosts_memory() {
    // Guards the host's memory: 2 000 writes that share one value of 128 KiB are 250 MiB here, and
    // pointers, lengths and tags may be anything.
    assert_eq!(
        project(
            "(i32.store (i32.const 4100) (i32.const 8192))
             (i32.store (i32.const 4104) (i32.const 2000))
             (loop $again
                (i32.store (i32.add (i32.const 8216) (i32.mul (local.get $i) (i32.const 32)))
                    (i32.const 131072))
                (local.set $i (i32.add (local.get $i) (i32.const 1)))
                (br_if $again (i32.lt_u (local.get $i) (i32.const 2000))))
             (i32.const 4096)"
        ),
        "plugin `crafted` reached a limit in `project`: 64 MiB returned (limits.output_bytes_max)"
    );
    let broke = |cause: &str| format!("plugin `crafted` broke the contract in `project`: {cause}");
    assert_eq!(project("(i32.const -4)"), broke("pointer out of bounds of memory"));
    assert_eq!(project("(i32.const 1)"), broke("return pointer not aligned"));
    assert_eq!(
        project("(i32.store8 (i32.const 4096) (i32.const 9)) (i32.const 4096)"),
        broke("invalid expected discriminant")
    );
    assert_eq!(
        project("(i32.store (i32.const 4104) (i32.const -1)) (i32.const 4096)"),
        broke("list pointer/length out of bounds of memory")
    );
}

#[test]
fn what_the_host_passes_in_has_a_size() {
    // Guards the guest's memory against the host: the limit itself passes, one byte more does not.
    let limits = with(|limits| limits.input_bytes_max = 1_000);
    let project = |data_bytes| {
        let plugin = load_with(&crafted::projection(EMPTY), limits.clone());
        let mut guest = plugin.projection().unwrap();
        guest.project(&batch(1, data_bytes), Arc::new(Rows::default()))
    };
    // 36 bytes of columns, and 18 for the stream.
    assert_eq!(project(1_000 - 54), Ok(Ok(Vec::new())));
    assert_eq!(
        text(project(1_001 - 54)),
        "plugin `crafted` reached a limit in `project`: 1000 bytes passed in \
         (limits.input_bytes_max)"
    );
    let plugin = load_with(annals_components::account(), limits);
    let mut account = Resident::new(&plugin);
    let long = "x".repeat(1_001);
    assert_eq!(
        text(account.decide("open-account", &long)),
        "plugin `account` reached a limit in `decide`: 1000 bytes passed in \
         (limits.input_bytes_max)"
    );
    let create = plugin.aggregate().unwrap().create(&long);
    assert_eq!(
        text(create),
        "plugin `account` reached a limit in `constructor`: 1000 bytes passed in \
         (limits.input_bytes_max)"
    );
    let mut history = History::starting_at(Revision::new(0));
    history.push(0, Timestamp::from_ms(0), &[b' '; 985]).unwrap();
    let mut account = Resident::new(&plugin);
    assert_eq!(
        text(account.guest.evolve(account.entity, &history)),
        "plugin `account` reached a limit in `evolve`: 1000 bytes passed in \
         (limits.input_bytes_max)"
    );
    let mut guest = plugin.aggregate().unwrap();
    assert_eq!(
        text(guest.restore("account/1", &[0; 992])),
        "plugin `account` reached a limit in `restore`: 1000 bytes passed in \
         (limits.input_bytes_max)"
    );
}

#[test]
fn a_sandbox_holds_so_many_entities_and_handles() {
    // Guards the tables of handles, which are the host's memory: the engine's entities, and those a
    // guest makes for itself.
    let limits = with(|limits| limits.entities_max = 3);
    let plugin = load_with(annals_components::account(), limits);
    let mut guest = plugin.aggregate().unwrap();
    let made: Result<Vec<_>, GuestFailure> =
        (0..4).map(|number| guest.create(&format!("account/{number}"))).collect();
    assert_eq!(
        text(made),
        "plugin `account` reached a limit in `constructor`: 3 entities (limits.entities_max)"
    );
    let hoarder = crafted::aggregate(
        "(loop $again (drop (call $new (i32.const 0))) (br $again)) unreachable",
    );
    let mut guest = load(&hoarder).aggregate().unwrap();
    assert_eq!(
        text(guest.create("crafted/1")),
        "plugin `crafted` reached a limit in `constructor`: 101000 handles (limits.entities_max)"
    );
}

#[test]
fn a_sandbox_has_so_many_instances() {
    // Guards against a component of very many modules. Every component has one instance at least.
    let limits = with(|limits| limits.instances_max = 0);
    let refused = crate::support::refusal_with(annals_components::account(), limits);
    let ends = "reached a limit in `instantiate`: 0 instances, memories or tables \
                (limits.instances_max)";
    assert!(refused.ends_with(ends), "{refused}");
}

#[test]
fn a_bad_allocator_is_a_breach_and_not_a_crash() {
    // Guards lowering: where the guest says there is room, there need not be.
    let text_of = |module: Vec<u8>| {
        let mut guest = load(&module).projection().unwrap();
        text(guest.project(&batch(1, 100_000), Arc::new(Rows::default())))
    };
    // An honest allocator that the batch pushes beyond the memory's limit.
    let mut guest: Box<dyn ProjectionGuest> =
        load_with(&crafted::projection(EMPTY), with(|limits| limits.memory_bytes_max = 128 << 10))
            .projection()
            .unwrap();
    assert_eq!(
        text(guest.project(&batch(1, 100_000), Arc::new(Rows::default()))),
        "plugin `crafted` reached a limit in `project`: linear memory 128 KiB \
         (limits.memory_bytes_max)"
    );
    // One that answers with the end of the address space.
    let honest = "(i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8))";
    let hostile = crafted::projection_replacing(honest, "(i32.const -8)");
    let said = text_of(hostile);
    let starts = "plugin `crafted` broke the contract in `project`: realloc return";
    assert!(said.starts_with(starts), "{said}");
}

/// A batch of `events_count` events of `stream/one`, each with `data_bytes` bytes.
fn batch(events_count: u64, data_bytes: usize) -> EventBatch {
    let mut batch = EventBatch { streams: vec![Arc::from("stream/one")], ..EventBatch::default() };
    for number in 0..events_count {
        batch.stream_indexes.push(0);
        batch.event_types.push(0);
        batch.revisions.push(Revision::new(number));
        batch.positions.push(Position::new(number));
        batch.recorded_at.push(Timestamp::from_ms(number));
        batch.data.push(&vec![b' '; data_bytes]).unwrap();
    }
    batch
}
