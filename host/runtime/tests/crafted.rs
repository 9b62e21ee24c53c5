//! Hostile components written by hand: what no compiler would return.
//!
//! A module in the text format is made a component of one of the contract's worlds. What `describe`
//! answers is laid out by hand, as the canonical ABI has it; the rest of the module is the test's.

use std::path::Path;

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

/// A projection with one table, `rows`, whose `project` is `body`: it has the parameter `$events` and
/// returns the address of its answer. At [`EMPTY`] is an answer without writes.
pub(crate) fn projection(body: &str) -> Vec<u8> {
    projection_with(DESCRIBE, body)
}

/// The body of an honest `describe`.
pub(crate) const DESCRIBE: &str = "(i32.const 1024)";

/// Where zeros are that nobody writes: an answer without writes, or an empty list.
pub(crate) const EMPTY: &str = "(i32.const 3072)";

/// The same with another `describe`.
pub(crate) fn projection_with(describe: &str, project: &str) -> Vec<u8> {
    component("projection-plugin", &projection_text(describe, project))
}

/// A projection that answers without writes, with `to` instead of `from` in its text.
pub(crate) fn projection_replacing(from: &str, to: &str) -> Vec<u8> {
    let text = projection_text(DESCRIBE, EMPTY);
    assert!(text.contains(from), "{text}");
    component("projection-plugin", &text.replace(from, to))
}

fn projection_text(describe: &str, project: &str) -> String {
    format!(
        r#"
        (import "annals:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32)))
        (import "annals:plugin/view@0.1.0" "get-many" (func $get_many (param i32 i32 i32)))
        (import "annals:plugin/view@0.1.0" "scan"
            (func $scan (param i32 i32 i32 i32 i32 i32 i32)))
        {}
        (func (export "annals:plugin/descriptor@0.1.0#describe") (result i32) {describe})
        (func (export "annals:plugin/projection@0.1.0#project") (param $events i32) (result i32)
            (local $i i32)
            {project})
        "#,
        memory("rows")
    )
}

/// An aggregate without commands and events, whose constructor is `body`: it returns a handle that
/// `$new` made of a number.
pub(crate) fn aggregate(body: &str) -> Vec<u8> {
    let functions = format!(
        r#"
        (import "[export]annals:plugin/aggregate@0.1.0" "[resource-new]entity"
            (func $new (param i32) (result i32)))
        {}
        (func (export "annals:plugin/descriptor@0.1.0#describe") (result i32) {DESCRIBE})
        (func (export "annals:plugin/aggregate@0.1.0#[constructor]entity")
            (param i32 i32) (result i32) {body})
        (func (export "annals:plugin/aggregate@0.1.0#[static]entity.restore")
            (param i32 i32 i32 i32) (result i32) unreachable)
        (func (export "annals:plugin/aggregate@0.1.0#[method]entity.evolve")
            (param i32 i64 i32 i32 i32 i32 i32 i32 i32 i32))
        (func (export "annals:plugin/aggregate@0.1.0#[method]entity.decide")
            (param i32) (result i32) unreachable)
        (func (export "annals:plugin/aggregate@0.1.0#[method]entity.snapshot")
            (param i32) (result i32) {EMPTY})
        "#,
        memory("")
    );
    component("aggregate-plugin", &functions)
}

/// Two pages of memory with the description in the first, and an allocator that never frees in the
/// second and after.
fn memory(table: &str) -> String {
    let text = |address: u32, text: &str| [address, u32::try_from(text.len()).unwrap()];
    let nothing = [0, 0];
    let tables = if table.is_empty() { nothing } else { [2_080, 1] };
    // name, version, summary, commands, events, targets, tables, state schema, extensions
    let description = [
        text(2_048, "crafted"),
        text(2_064, "1.0.0"),
        nothing,
        nothing,
        nothing,
        nothing,
        tables,
        nothing,
        nothing,
    ];
    format!(
        r#"
        (memory (export "memory") 2)
        (table $table 1 funcref)
        (global $heap (mut i32) (i32.const 65536))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (local $start i32)
            (local.set $start
                (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
            (global.set $heap (i32.add (local.get $start) (local.get 3)))
            (loop $more
                (if (i32.gt_u (global.get $heap)
                        (i32.mul (memory.size) (i32.const 65536)))
                    (then (drop (memory.grow (i32.const 1))) (br $more))))
            (local.get $start))
        (data (i32.const 1024) "{}")
        (data (i32.const 2048) "crafted")
        (data (i32.const 2064) "1.0.0")
        (data (i32.const 2080) "{}")
        (data (i32.const 2096) "{table}")
        "#,
        bytes(description.as_flattened()),
        bytes(&text(2_096, table)),
    )
}

/// Numbers as a string of the text format, little-endian.
fn bytes(numbers: &[u32]) -> String {
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes());
    bytes.map(|byte| format!("\\{byte:02x}")).collect()
}

fn component(world: &str, functions: &str) -> Vec<u8> {
    let mut module = wat::parse_str(format!("(module {functions})")).unwrap();
    let mut resolve = Resolve::default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let (package, _) = resolve.push_dir(folder).unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)
        .unwrap();
    let encoder = ComponentEncoder::default().validate(true);
    encoder.module(&module).unwrap().encode().unwrap()
}
