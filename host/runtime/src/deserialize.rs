//! The one unsafe step of the crate: taking machine code from the compile cache.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::cache::Authentic;

/// The component of an artefact that this installation wrote itself.
///
/// # Errors
/// When the artefact is of another version or configuration of wasmtime.
pub(crate) fn component(engine: &Engine, artefact: &Authentic) -> wasmtime::Result<Component> {
    #[expect(
        unsafe_code,
        reason = "`Authentic` is made only of bytes that carry the authentication code of the cache's \
                  key, so they are what `Component::serialize` returned on this installation"
    )]
    // SAFETY: see the reason above; wasmtime itself checks version, target and configuration.
    unsafe {
        Component::deserialize(engine, artefact.bytes())
    }
}
