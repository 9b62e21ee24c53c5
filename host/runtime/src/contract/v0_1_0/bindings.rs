//! What wasmtime makes of `wit/`. One world with every interface, so that each type exists once;
//! the kinds of plugins load the interfaces they have.

wasmtime::component::bindgen!({
    path: "../../wit",
    inline: "
        package annals:host;

        world every-interface {
            import annals:plugin/log@0.1.0;
            import annals:plugin/view@0.1.0;
            export annals:plugin/descriptor@0.1.0;
            export annals:plugin/aggregate@0.1.0;
            export annals:plugin/projection@0.1.0;
            export annals:plugin/query@0.1.0;
            export annals:plugin/process-manager@0.1.0;
            export annals:plugin/upcaster@0.1.0;
        }
    ",
    world: "annals:host/every-interface",
    // What goes into a guest is lowered from where it is, without a copy.
    ownership: Borrowing { duplicate_if_necessary: true },
});
