//! The figures of transfers, for people and for programs.

use std::time::Duration;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::super::machine::{Machine, Usage};
use super::Done;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// What was measured.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) configuration: Configuration,
    pub(super) done: Done,
    pub(super) time: Duration,
    pub(super) cost: Usage,
}

/// How it was measured.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(super) struct Configuration {
    pub(super) transfers: u64,
    pub(super) in_flight: u32,
    pub(super) accounts: u64,
    pub(super) is_release_build: bool,
}

/// From asking for a transfer to its end, in microseconds.
#[derive(Debug, serde::Serialize)]
struct Latency {
    p50: u64,
    p99: u64,
    max: u64,
}

impl Report {
    fn transfers_per_second(&self) -> u64 {
        let us = self.time.as_micros().max(1);
        let per_second = u128::from(self.configuration.transfers) * 1_000_000 / us;
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }

    fn latency(&self) -> Latency {
        let of = &self.done.latency;
        Latency { p50: of.value_at_quantile(0.5), p99: of.value_at_quantile(0.99), max: of.max() }
    }

    /// Prints the report for people.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let Self { machine, configuration, done, time, cost } = self;
        let memory = text::bytes(machine.memory_bytes);
        let latency = self.latency();
        let ms = |us: u64| format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10);
        let rows = [
            (
                "machine",
                format!(
                    "{} cores, {}, {memory}, Linux {}",
                    machine.cores, machine.cpu, machine.kernel
                ),
            ),
            (
                "load",
                format!(
                    "{} transfers between {} accounts, {} unfinished at once",
                    text::thousands(configuration.transfers),
                    text::thousands(configuration.accounts),
                    configuration.in_flight,
                ),
            ),
            (
                "ended",
                format!(
                    "{} completed and {} failed in {:.2} s",
                    text::thousands(done.completed_count),
                    text::thousands(done.failed_count),
                    time.as_secs_f64()
                ),
            ),
            (
                "rate",
                format!("{} transfers per second", text::thousands(self.transfers_per_second())),
            ),
            (
                "latency",
                format!(
                    "p50 {}, p99 {}, max {}",
                    ms(latency.p50),
                    ms(latency.p99),
                    ms(latency.max)
                ),
            ),
            ("cpu", format!("{:.2} s", cost.cpu.as_secs_f64())),
            ("memory", format!("{} at most", text::bytes(cost.peak_memory_bytes))),
        ];
        rows.into_iter()
            .try_for_each(|(name, value)| output.line(format_args!("{name:<9} {value}")))
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 9)?;
        report.serialize_field("machine", &self.machine)?;
        report.serialize_field("configuration", &self.configuration)?;
        report.serialize_field("completed_count", &self.done.completed_count)?;
        report.serialize_field("failed_count", &self.done.failed_count)?;
        report.serialize_field("seconds", &self.time.as_secs_f64())?;
        report.serialize_field("transfers_per_second", &self.transfers_per_second())?;
        report.serialize_field("latency_us", &self.latency())?;
        report.serialize_field("cpu_seconds", &self.cost.cpu.as_secs_f64())?;
        report.serialize_field("peak_memory_bytes", &self.cost.peak_memory_bytes)?;
        report.end()
    }
}
