//! The figures, for people and for programs.

use serde::Serialize;
use serde::ser::{SerializeStruct as _, Serializer};

use super::load::Done;
use super::machine::{Machine, Usage};
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// What was measured.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) configuration: Configuration,
    pub(super) syncs_per_second: Before,
    pub(super) done: Done,
    pub(super) cost: Usage,
    /// Whether `cost` has what the daemon used, and not only who sent.
    pub(super) is_cost_of_all: bool,
}

/// How it was measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Configuration {
    pub(super) target: &'static str,
    pub(super) in_flight: u32,
    pub(super) streams: u64,
    pub(super) batch: Option<u32>,
    pub(super) is_durable: bool,
    pub(super) is_release_build: bool,
    pub(super) event_data_bytes: usize,
}

/// The speed of the disk alone.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Before {
    pub(super) before: u64,
    pub(super) after: u64,
}

#[derive(Debug, Serialize)]
struct Latency {
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl Report {
    fn commands_per_second(&self) -> u64 {
        let us = self.done.time.as_micros().max(1);
        let per_second = u128::from(self.done.commands_count) * 1_000_000 / us;
        u64::try_from(per_second).unwrap_or(u64::MAX)
    }

    fn latency(&self) -> Latency {
        let of = &self.done.latency;
        Latency {
            p50: of.value_at_quantile(0.5),
            p99: of.value_at_quantile(0.99),
            p999: of.value_at_quantile(0.999),
            max: of.max(),
        }
    }

    /// Prints the report for people.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let Self { machine, configuration, syncs_per_second, done, cost, .. } = self;
        let memory = text::bytes(machine.memory_bytes);
        let batch = configuration.batch.map(|batch| format!(", {batch} commands per request"));
        let latency = self.latency();
        let ms = |us: u64| format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10);
        let whose = if self.is_cost_of_all { "" } else { " (of the sender alone)" };
        let Before { before, after } = *syncs_per_second;
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
                    "{}, {} in flight{}, {} streams, deposits of {} bytes of JSON, each durable",
                    configuration.target,
                    configuration.in_flight,
                    batch.unwrap_or_default(),
                    text::thousands(configuration.streams),
                    configuration.event_data_bytes,
                ),
            ),
            (
                "disk",
                format!(
                    "{} syncs of 4 KiB per second before, {} after",
                    text::thousands(before),
                    text::thousands(after)
                ),
            ),
            (
                "commands",
                format!(
                    "{} in {:.2} s",
                    text::thousands(done.commands_count),
                    done.time.as_secs_f64()
                ),
            ),
            (
                "rate",
                format!("{} commands per second", text::thousands(self.commands_per_second())),
            ),
            (
                "latency",
                format!(
                    "p50 {}, p99 {}, p99.9 {}, max {}",
                    ms(latency.p50),
                    ms(latency.p99),
                    ms(latency.p999),
                    ms(latency.max)
                ),
            ),
            ("cpu", format!("{:.2} s{whose}", cost.cpu.as_secs_f64())),
            ("memory", format!("{} at most{whose}", text::bytes(cost.peak_memory_bytes))),
        ];
        for (name, value) in rows {
            output.line(format_args!("{name:<9} {value}"))?;
        }
        if after < before / 2 {
            output.warning("the disk became much slower meanwhile: discard this measurement");
        }
        Ok(())
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut report = serializer.serialize_struct("Report", 10)?;
        report.serialize_field("machine", &self.machine)?;
        report.serialize_field("configuration", &self.configuration)?;
        report.serialize_field("syncs_per_second", &self.syncs_per_second)?;
        report.serialize_field("commands_count", &self.done.commands_count)?;
        report.serialize_field("seconds", &self.done.time.as_secs_f64())?;
        report.serialize_field("commands_per_second", &self.commands_per_second())?;
        report.serialize_field("latency_us", &self.latency())?;
        report.serialize_field("cpu_seconds", &self.cost.cpu.as_secs_f64())?;
        report.serialize_field("peak_memory_bytes", &self.cost.peak_memory_bytes)?;
        report.serialize_field("is_cost_of_all", &self.is_cost_of_all)?;
        report.end()
    }
}
