//! The figures of a projection, for people and for programs.

use std::time::Duration;

use annals_core::usage::PluginUsage;
use hdrhistogram::Histogram;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use super::super::machine::Machine;
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
    pub(super) beside: Option<Beside>,
}

/// How it was measured.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(super) struct Configuration {
    pub(super) events: u64,
    pub(super) streams: u64,
    pub(super) batch_events_max: usize,
    pub(super) is_release_build: bool,
}

/// What was used of the cores; `None` where the system does not tell.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cpu {
    /// The thread that reads the feed and calls the guest.
    pub(super) projection: Option<Duration>,
    /// The thread that writes the view.
    pub(super) writer: Option<Duration>,
    /// All, with what sends commands.
    pub(super) process: Duration,
}

/// Calls of the guest; of the view there are as many commits.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub(super) struct Calls {
    pub(super) calls_count: u64,
    /// How long they took, reading the view included.
    pub(super) time_ms: u64,
    pub(super) fuel: u64,
}

/// What commands waited, in microseconds.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(super) struct Latency {
    commands_count: u64,
    p50: u64,
    p99: u64,
    max: u64,
}

/// What commands waited, without and with the projection beside them.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub(super) struct Beside {
    rate_per_second: u64,
    alone_us: Latency,
    beside_us: Latency,
    /// The median beside the projection, in hundredths of the median alone.
    median_percent: u64,
}

impl Cpu {
    /// The time of the projection alone, or of the process where it is not known.
    fn counted(&self) -> Duration {
        match self.projection {
            Some(projection) => projection + self.writer.unwrap_or_default(),
            None => self.process,
        }
    }
}

impl Calls {
    pub(super) fn of(usage: &PluginUsage) -> Self {
        let project = usage.handlers.iter().find(|handler| handler.handler == "project");
        project.map_or_else(Self::default, |project| Self {
            calls_count: project.calls_count,
            time_ms: project.time_ns / 1_000_000,
            fuel: project.fuel,
        })
    }
}

impl Latency {
    fn of(latencies: &Histogram<u64>) -> Self {
        Self {
            commands_count: latencies.len(),
            p50: latencies.value_at_quantile(0.5),
            p99: latencies.value_at_quantile(0.99),
            max: latencies.max(),
        }
    }
}

impl Beside {
    pub(super) fn new(
        rate_per_second: u64,
        alone: &Histogram<u64>,
        beside: &Histogram<u64>,
    ) -> Self {
        let (alone_us, beside_us) = (Latency::of(alone), Latency::of(beside));
        let median_percent = beside_us.p50.saturating_mul(100) / alone_us.p50.max(1);
        Self { rate_per_second, alone_us, beside_us, median_percent }
    }
}

/// How many there are per second.
fn rate(count: u64, time: Duration) -> u64 {
    let per_second = u128::from(count) * 1_000_000 / time.as_micros().max(1);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

impl Report {
    /// Prints the report for people.
    pub(super) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        for (name, value) in self.rows() {
            output.line(format_args!("{name:<10} {value}"))?;
        }
        Ok(())
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let Self { machine, configuration, done, beside } = self;
        let seconds = |time: Duration| format!("{:.2} s", time.as_secs_f64());
        let of = |time: Option<Duration>| time.map_or_else(|| "?".to_owned(), seconds);
        let memory = text::bytes(machine.memory_bytes);
        let mut rows = vec![
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
                    "`{}` over {} events of {} streams, at most {} at once",
                    done.projection,
                    text::thousands(configuration.events),
                    text::thousands(configuration.streams),
                    configuration.batch_events_max,
                ),
            ),
            (
                "projected",
                format!("{} events in {}", text::thousands(done.events_count), seconds(done.time)),
            ),
            (
                "rate",
                format!(
                    "{} events per second, {} per CPU second",
                    text::thousands(rate(done.events_count, done.time)),
                    text::thousands(rate(done.events_count, done.cpu.counted()))
                ),
            ),
            (
                "cpu",
                format!(
                    "{} to read and project, {} to write, {} of the process",
                    of(done.cpu.projection),
                    of(done.cpu.writer),
                    seconds(done.cpu.process)
                ),
            ),
            (
                "guest",
                format!(
                    "{} batches in {}.{:02} s, fuel {}",
                    text::thousands(done.calls.calls_count),
                    done.calls.time_ms / 1_000,
                    done.calls.time_ms % 1_000 / 10,
                    text::thousands(done.calls.fuel)
                ),
            ),
            (
                "memory",
                format!(
                    "{} at most, {} before",
                    text::bytes(done.memory_bytes_max),
                    text::bytes(done.memory_before_bytes)
                ),
            ),
        ];
        if let Some(beside) = beside {
            rows.extend(beside.rows());
        }
        rows
    }
}

impl Beside {
    fn rows(&self) -> [(&'static str, String); 3] {
        let ms = |us: u64| format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10);
        let latency = |it: &Latency| {
            format!(
                "p50 {}, p99 {}, max {}, of {} commands",
                ms(it.p50),
                ms(it.p99),
                ms(it.max),
                text::thousands(it.commands_count)
            )
        };
        let rate = text::thousands(self.rate_per_second);
        let (whole, hundredths) = (self.median_percent / 100, self.median_percent % 100);
        [
            ("alone", latency(&self.alone_us)),
            ("beside", latency(&self.beside_us)),
            (
                "commands",
                format!("{rate} per second, median {whole}.{hundredths:02} times as long"),
            ),
        ]
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { machine, configuration, done, beside } = self;
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let mut report = serializer.serialize_struct("Report", 14)?;
        report.serialize_field("machine", machine)?;
        report.serialize_field("configuration", configuration)?;
        report.serialize_field("projection", &done.projection)?;
        report.serialize_field("events_count", &done.events_count)?;
        report.serialize_field("seconds", &done.time.as_secs_f64())?;
        report.serialize_field("events_per_second", &rate(done.events_count, done.time))?;
        let per_cpu_second = rate(done.events_count, done.cpu.counted());
        report.serialize_field("events_per_cpu_second", &per_cpu_second)?;
        report.serialize_field("projection_cpu_seconds", &seconds(done.cpu.projection))?;
        report.serialize_field("writer_cpu_seconds", &seconds(done.cpu.writer))?;
        report.serialize_field("process_cpu_seconds", &done.cpu.process.as_secs_f64())?;
        report.serialize_field("project_calls", &done.calls)?;
        report.serialize_field("peak_memory_bytes", &done.memory_bytes_max)?;
        report.serialize_field("memory_before_bytes", &done.memory_before_bytes)?;
        report.serialize_field("beside_commands", beside)?;
        report.end()
    }
}
