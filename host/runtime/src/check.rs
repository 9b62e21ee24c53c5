//! What can be read off a component's file, without executing or compiling anything.

mod exports;
mod imports;

use annals_core::id::Digest;
use annals_core::port::guest::{Inspection, LoadError};
use wasmparser::{
    ComponentExport, ComponentImport, FuncToValidate, FuncValidatorAllocations, FunctionBody,
    Parser, Payload, ValidPayload, Validator, ValidatorResources, types::Types,
};

use crate::limits::RuntimeLimits;
use crate::text::printable;

/// Checks that `bytes` are a valid component that this host can run, as far as the file tells.
pub(crate) fn inspect(bytes: &[u8], limits: &RuntimeLimits) -> Result<Inspection, LoadError> {
    if bytes.len() > limits.component_bytes_max {
        return Err(LoadError::TooLarge {
            component_bytes: bytes.len(),
            component_bytes_max: limits.component_bytes_max,
        });
    }
    check_header(bytes)?;
    let outline = Outline::read(bytes, limits)?;
    let found = exports::find(&outline.exports)?;
    let imports = imports::powers(&outline.imports, &outline.types);
    imports::check(found.kind, &imports)?;
    Ok(Inspection {
        kind: found.kind,
        has_queries: found.has_queries,
        contract_version: found.version.to_owned(),
        imports,
        exports: outline.exports,
        component_bytes: bytes.len(),
        digest: Digest::of(bytes),
    })
}

/// The first bytes of every WebAssembly file.
const MAGIC: &[u8] = b"\0asm";

/// What follows them in a core module: version 1, layer 0.
const CORE_MODULE: &[u8] = &[1, 0, 0, 0];

fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    let Some(rest) = bytes.strip_prefix(MAGIC) else {
        return Err(not_a_component("it does not start with the magic bytes of WebAssembly"));
    };
    if rest.starts_with(CORE_MODULE) {
        return Err(not_a_component(
            "it is a core module; make it a component with `annals plugin build`",
        ));
    }
    Ok(())
}

/// The outside of a component.
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    types: Types,
}

impl Outline {
    fn read(bytes: &[u8], limits: &RuntimeLimits) -> Result<Self, LoadError> {
        let mut walk = Walk {
            validator: Validator::new(),
            allocations: FuncValidatorAllocations::default(),
            limits,
            depth: 0,
            functions_count: 0,
            imports: Vec::new(),
            exports: Vec::new(),
            types: None,
        };
        for payload in Parser::new(0).parse_all(bytes) {
            walk.step(&payload.map_err(damaged)?)?;
        }
        let types = walk.types.ok_or_else(|| not_a_component("it is truncated"))?;
        Ok(Self { imports: walk.imports, exports: walk.exports, types })
    }
}

/// One pass over a component and all that is nested in it.
struct Walk<'l> {
    validator: Validator,
    allocations: FuncValidatorAllocations,
    limits: &'l RuntimeLimits,
    /// 1 in the component itself, more in what is nested in it.
    depth: usize,
    functions_count: usize,
    imports: Vec<String>,
    exports: Vec<String>,
    types: Option<Types>,
}

impl Walk<'_> {
    fn step(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::Version { .. } => self.depth = self.depth.saturating_add(1),
            Payload::ComponentImportSection(section) if self.depth == 1 => {
                for import in section.clone() {
                    let ComponentImport { name, .. } = import.map_err(damaged)?;
                    self.imports.push(name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if self.depth == 1 => {
                for export in section.clone() {
                    let ComponentExport { name, .. } = export.map_err(damaged)?;
                    self.exports.push(name.name.to_owned());
                }
            }
            _ => {}
        }
        match self.validator.payload(payload).map_err(damaged)? {
            ValidPayload::Func(function, body) => self.check_function(function, &body)?,
            ValidPayload::End(types) => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    self.types = Some(types);
                }
            }
            ValidPayload::Ok | ValidPayload::Parser(_) => {}
        }
        Ok(())
    }

    fn check_function(
        &mut self,
        function: FuncToValidate<ValidatorResources>,
        body: &FunctionBody<'_>,
    ) -> Result<(), LoadError> {
        let functions_max = self.limits.component_functions_max;
        self.functions_count = self.functions_count.saturating_add(1);
        if self.functions_count > functions_max {
            return Err(LoadError::Compile {
                cause: format!(
                    "it has more than {functions_max} functions (limits.component_functions_max)"
                ),
            });
        }
        let (bytes, bytes_max) = (body.range().len(), self.limits.function_bytes_max);
        if bytes > bytes_max {
            return Err(LoadError::Compile {
                cause: format!(
                    "a function has {bytes} bytes, at most {bytes_max} are allowed \
                     (limits.function_bytes_max)"
                ),
            });
        }
        let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
        validator.validate(body).map_err(damaged)?;
        self.allocations = validator.into_allocations();
        Ok(())
    }
}

/// Longest text of a damage, in bytes: it may quote names of the file.
const DAMAGE_BYTES_MAX: usize = 512;

fn damaged(error: wasmparser::BinaryReaderError) -> LoadError {
    let how = if error.message().contains("unexpected end") { "truncated" } else { "damaged" };
    let what = printable(error.message(), DAMAGE_BYTES_MAX);
    not_a_component(&format!("it is {how} at byte {}: {what}", error.offset()))
}

fn not_a_component(cause: &str) -> LoadError {
    LoadError::NotAComponent { cause: cause.to_owned() }
}
