//! From what wasmtime reports to a [`GuestFailure`] that names plugin, call and limit.

use annals_core::port::guest::GuestFailure;
use wasmtime::{Trap, WasmBacktrace};

use crate::limits::{Budget, RuntimeLimits, STACK_BYTES, bytes_text};
use crate::text::printable;

/// Why a function of the host stopped the guest that called it.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum HostStop {
    #[error("{0}")]
    Limit(String),
    #[error("{0}")]
    Contract(String),
    #[error("{0}")]
    View(String),
}

/// Where a failure happened and what is known of it.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    pub(crate) plugin: &'a str,
    pub(crate) call: &'static str,
    pub(crate) budget: Budget,
    pub(crate) limits: &'a RuntimeLimits,
    /// The last line of level `error` that the guest logged in the call: panics are told this way.
    pub(crate) last_error: Option<&'a str>,
}

/// Longest cause, in bytes: room for a panic's text and a backtrace.
const CAUSE_BYTES_MAX: usize = 4 << 10;

/// Most functions named of a backtrace.
const BACKTRACE_FRAMES_MAX: usize = 12;

impl Scene<'_> {
    /// The failure that `error` is.
    pub(crate) fn failure(&self, error: &wasmtime::Error) -> GuestFailure {
        if let Some(stop) = error.downcast_ref::<HostStop>() {
            return self.stopped(stop.clone());
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return self.trapped(*trap, error);
        }
        self.refused(&error.root_cause().to_string())
    }

    pub(crate) fn limit(&self, limit: String) -> GuestFailure {
        GuestFailure::Limit { plugin: self.plugin.to_owned(), call: self.call, limit }
    }

    pub(crate) fn contract(&self, cause: &str) -> GuestFailure {
        GuestFailure::Contract {
            plugin: self.plugin.to_owned(),
            call: self.call,
            cause: printable(cause, CAUSE_BYTES_MAX),
        }
    }

    fn stopped(&self, stop: HostStop) -> GuestFailure {
        match stop {
            HostStop::Limit(limit) => self.limit(limit),
            HostStop::Contract(cause) => self.contract(&cause),
            HostStop::View(cause) => {
                GuestFailure::View { plugin: self.plugin.to_owned(), call: self.call, cause }
            }
        }
    }

    fn trapped(&self, trap: Trap, error: &wasmtime::Error) -> GuestFailure {
        match trap {
            Trap::OutOfFuel => {
                self.limit(format!("fuel {} (limits.{})", self.budget.fuel, self.budget.key))
            }
            Trap::StackOverflow => self.limit(format!("call stack {}", bytes_text(STACK_BYTES))),
            _ => GuestFailure::Trap {
                plugin: self.plugin.to_owned(),
                call: self.call,
                cause: printable(&self.trap_text(trap, error), CAUSE_BYTES_MAX),
            },
        }
    }

    fn trap_text(&self, trap: Trap, error: &wasmtime::Error) -> String {
        let mut text = trap.to_string();
        if let Some(line) = self.last_error {
            text.push_str("; it logged: ");
            text.push_str(line);
        }
        if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
            let mut separator = "; in ";
            for frame in backtrace.frames().iter().take(BACKTRACE_FRAMES_MAX) {
                text.push_str(separator);
                match frame.func_name() {
                    // As people write it, without the hash behind it.
                    Some(name) => text.push_str(&format!("{:#}", rustc_demangle::demangle(name))),
                    None => text.push_str(&format!("function {}", frame.func_index())),
                }
                separator = " < ";
            }
        }
        text
    }

    /// What wasmtime refuses without a type of its own is told apart by its text; the tests reach
    /// each.
    fn refused(&self, cause: &str) -> GuestFailure {
        if cause.contains("fuel allocated for hostcalls has been exhausted") {
            self.limit(format!(
                "{} returned (limits.output_bytes_max)",
                bytes_text(self.limits.output_bytes_max)
            ))
        } else if cause.contains("store handle limit exceeded") {
            self.limit(format!("{} handles (limits.entities_max)", self.limits.handles_max()))
        } else if cause.starts_with("resource limit exceeded") {
            self.limit(format!(
                "{} instances, memories or tables (limits.instances_max)",
                self.limits.instances_max
            ))
        } else {
            self.contract(cause)
        }
    }
}
