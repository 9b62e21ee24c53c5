//! The exports of a component and the section that names its world.
//!
//! The bindings hold one world with all that a plugin could import and export. A component gets
//! the exports of its own kind only, and the encoded world that says which they are.

/// The encoded world `aggregate-plugin`.
pub const AGGREGATE_WORLD: &[u8; AGGREGATE_WORLD_BYTES] =
    include_bytes!("../bindings/aggregate-plugin.world");
/// The encoded world `projection-plugin`.
pub const PROJECTION_WORLD: &[u8; PROJECTION_WORLD_BYTES] =
    include_bytes!("../bindings/projection-plugin.world");
/// The encoded world `queryable-projection-plugin`.
pub const QUERYABLE_PROJECTION_WORLD: &[u8; QUERYABLE_PROJECTION_WORLD_BYTES] =
    include_bytes!("../bindings/queryable-projection-plugin.world");
/// The encoded world `process-manager-plugin`.
pub const PROCESS_MANAGER_WORLD: &[u8; PROCESS_MANAGER_WORLD_BYTES] =
    include_bytes!("../bindings/process-manager-plugin.world");
/// The encoded world `upcaster-plugin`.
pub const UPCASTER_WORLD: &[u8; UPCASTER_WORLD_BYTES] =
    include_bytes!("../bindings/upcaster-plugin.world");

const AGGREGATE_WORLD_BYTES: usize = include_bytes!("../bindings/aggregate-plugin.world").len();
const PROJECTION_WORLD_BYTES: usize = include_bytes!("../bindings/projection-plugin.world").len();
const QUERYABLE_PROJECTION_WORLD_BYTES: usize =
    include_bytes!("../bindings/queryable-projection-plugin.world").len();
const PROCESS_MANAGER_WORLD_BYTES: usize =
    include_bytes!("../bindings/process-manager-plugin.world").len();
const UPCASTER_WORLD_BYTES: usize = include_bytes!("../bindings/upcaster-plugin.world").len();

/// Exports a component: its functions, interface by interface, and its world.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    (
        $component:ident<$plugin:ty>,
        $world:ident,
        $($interface:ident::$export:ident,)+
    ) => {
        const _: () = {
            struct Package;

            impl $crate::__private::Package for Package {
                const VERSION: &'static str = ::core::env!("CARGO_PKG_VERSION");
                const SUMMARY: &'static str = ::core::env!("CARGO_PKG_DESCRIPTION");
            }

            type Component = $crate::__private::$component<$plugin, Package>;

            const fn is_component<T: $crate::__private::Exported>() {}
            is_component::<Component>();

            $(
                #[cfg(target_arch = "wasm32")]
                $crate::bindings::exports::annals::plugin::$interface::$export!(
                    Component with_types_in $crate::bindings::exports::annals::plugin::$interface
                );
            )+

            #[cfg(target_arch = "wasm32")]
            #[unsafe(link_section = "component-type:annals-sdk")]
            static WORLD: [u8; $crate::__private::$world.len()] = *$crate::__private::$world;
        };
    };
}
