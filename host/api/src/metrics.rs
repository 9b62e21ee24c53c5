//! `/metrics`: what operators watch, in the text format of Prometheus (0.0.4), which its successors and
//! relatives read too.
//!
//! The figures are there already, in the engine and beside the plugins; here they are only written. So
//! there is no registry, and the few rules of the format are in `Page`. Labels are names of plugins and
//! subscriptions, of which there are few, and words of this file: a client cannot make series without
//! end.

mod page;

use std::sync::Arc;

use annals_core::usage::HandlerUsage;
use annals_engine::figures::{CommandFigures, Figures, PluginFigures, ProcessFigures};
use annals_engine::process::ProcessProgress;
use annals_engine::schedule::ScheduleFigures;
use annals_engine::subscription::SubscriptionStatus;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;

use crate::Api;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::query::Query;
use page::{Kind, Page};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// Shows figures of the host and its plugins, for Prometheus.
#[utoipa::path(
    get,
    operation_id = "read_metrics",
    path = "/metrics",
    tag = "health",
    responses(
        (status = 200, description = "The figures, in the text format of Prometheus.", body = String, content_type = "text/plain; version=0.0.4; charset=utf-8"),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn serve(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let read = tokio::time::timeout(api.options.ready_wait_max, api.engine.figures());
    let figures = read.await.map_err(|late| {
        Problem::new(Code::Unavailable, "The event store does not answer. Try again in a moment.")
            .caused_by(&late)
    })?;
    let mut response = Response::new(text(&figures).into());
    response.headers_mut().insert(header::CONTENT_TYPE, TEXT);
    Ok(response)
}

fn text(figures: &Figures) -> String {
    let mut page = Page::default();
    commands(&mut page, figures);
    calls(&mut page, &figures.plugins);
    failures(&mut page, &figures.plugins);
    plugins(&mut page, &figures.plugins);
    lags(&mut page, figures);
    processes(&mut page, &figures.processes);
    subscriptions(&mut page, &figures.subscriptions);
    schedules(&mut page, &figures.schedules);
    page.into_text()
}

fn commands(page: &mut Page, figures: &Figures) {
    page.family(
        "annals_commands_in_flight",
        Kind::Gauge,
        "Commands and reads of states in the shards.",
    );
    page.sample(&[], figures.commands_in_flight);
    page.family("annals_commands_total", Kind::Counter, "Commands by how they ended.");
    let CommandFigures { accepted_count, rejected_count, refused_count, shed_count, failed_count } =
        figures.commands;
    for (outcome, count) in [
        ("accepted", accepted_count),
        ("rejected", rejected_count),
        ("refused", refused_count),
        ("shed", shed_count),
        ("failed", failed_count),
    ] {
        page.sample(&[("outcome", outcome)], count);
    }
}

/// A figure of one function of a plugin.
type HandlerFigure = (&'static str, &'static str, fn(&HandlerUsage) -> u64);

const CALLS: [HandlerFigure; 4] = [
    ("annals_plugin_calls_total", "Calls of plugins.", |usage| usage.calls_count),
    ("annals_plugin_fuel_total", "Fuel that plugins used, about one per instruction.", |usage| {
        usage.fuel
    }),
    ("annals_plugin_input_bytes_total", "Bytes passed to plugins.", |usage| usage.input_bytes),
    ("annals_plugin_output_bytes_total", "Bytes passed back by plugins.", |usage| {
        usage.output_bytes
    }),
];

fn calls(page: &mut Page, plugins: &[PluginFigures]) {
    for (name, help, figure) in CALLS {
        page.family(name, Kind::Counter, help);
        for (plugin, usage) in handlers(plugins) {
            page.sample(&[("plugin", plugin), ("handler", usage.handler)], figure(usage));
        }
    }
    page.family("annals_plugin_seconds_total", Kind::Counter, "Time that calls of plugins took.");
    for (plugin, usage) in handlers(plugins) {
        page.seconds(&[("plugin", plugin), ("handler", usage.handler)], usage.time_ns);
    }
}

fn failures(page: &mut Page, plugins: &[PluginFigures]) {
    page.family(
        "annals_plugin_failures_total",
        Kind::Counter,
        "Calls of plugins that trapped, reached a limit or broke the contract.",
    );
    for (plugin, usage) in handlers(plugins) {
        let kinds = [
            ("trap", usage.traps_count),
            ("limit", usage.limits_count),
            ("contract", usage.breaches_count),
        ];
        for (kind, count) in kinds {
            let labels = [("plugin", plugin), ("handler", usage.handler), ("kind", kind)];
            page.sample(&labels, count);
        }
    }
}

fn handlers(plugins: &[PluginFigures]) -> impl Iterator<Item = (&str, &HandlerUsage)> {
    plugins.iter().flat_map(|plugin| {
        plugin.usage.handlers.iter().map(move |usage| (plugin.name.as_str(), usage))
    })
}

/// A figure of a whole plugin.
type PluginFigure = (&'static str, &'static str, fn(&PluginFigures) -> u64);

const PLUGINS: [PluginFigure; 4] = [
    ("annals_plugin_memory_bytes", "Linear memory of all sandboxes of plugins.", |plugin| {
        plugin.usage.memory_bytes
    }),
    (
        "annals_plugin_memory_high_bytes",
        "Most linear memory that one sandbox of a plugin ever held.",
        |plugin| plugin.usage.memory_bytes_high,
    ),
    ("annals_plugin_entities", "Resident entities of plugins.", |plugin| {
        plugin.usage.entities_count
    }),
    ("annals_plugin_quarantined_streams", "Streams of plugins that are refused now.", |plugin| {
        u64::try_from(plugin.quarantined_count).unwrap_or(u64::MAX)
    }),
];

fn plugins(page: &mut Page, plugins: &[PluginFigures]) {
    for (name, help, figure) in PLUGINS {
        page.family(name, Kind::Gauge, help);
        for plugin in plugins {
            page.sample(&[("plugin", plugin.name.as_str())], figure(plugin));
        }
    }
}

fn lags(page: &mut Page, figures: &Figures) {
    page.family(
        "annals_projection_lag_events",
        Kind::Gauge,
        "Events after the checkpoints of projections.",
    );
    for plugin in &figures.plugins {
        if let Some(lag) = plugin.lag {
            page.sample(&[("plugin", plugin.name.as_str())], lag.events_count);
        }
    }
    page.family(
        "annals_projection_lag_seconds",
        Kind::Gauge,
        "Age of the oldest event after the checkpoints of projections.",
    );
    for plugin in &figures.plugins {
        if let Some(lag) = plugin.lag {
            let age_ns = lag.age_ms.saturating_mul(1_000_000);
            page.seconds(&[("plugin", plugin.name.as_str())], age_ns);
        }
    }
    page.family(
        "annals_projection_parked_streams",
        Kind::Gauge,
        "Streams of projections that wait behind a parked event.",
    );
    for plugin in &figures.plugins {
        if let Some(count) = plugin.parked_count {
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            page.sample(&[("plugin", plugin.name.as_str())], count);
        }
    }
    if let Some(lag) = figures.relay_lag_events {
        let help = "Durable events that the bus has not been given.";
        page.family("annals_relay_lag_events", Kind::Gauge, help);
        page.sample(&[], lag);
    }
}

/// A figure of the instances of a process manager.
type ProcessFigure = (&'static str, &'static str, fn(&ProcessProgress) -> u64);

const PROCESSES: [ProcessFigure; 5] = [
    ("annals_process_running_instances", "Instances of process managers that run.", |it| {
        it.running_count
    }),
    (
        "annals_process_parked_instances",
        "Instances with a message that they cannot handle.",
        |it| it.parked_count,
    ),
    (
        "annals_process_parked_streams",
        "Streams of process managers that wait behind an event that cannot be correlated.",
        |it| count(it.parked_streams_count),
    ),
    (
        "annals_process_stuck_instances",
        "Instances that did not get on when this host last looked.",
        |it| it.stuck_count,
    ),
    ("annals_process_sending_instances", "Instances with a command on the way.", |it| {
        count(it.sending_count)
    }),
];

fn processes(page: &mut Page, processes: &[ProcessFigures]) {
    if processes.is_empty() {
        return;
    }
    page.family(
        "annals_process_lag_events",
        Kind::Gauge,
        "Events after the checkpoints of process managers.",
    );
    let lags = || processes.iter().filter_map(|it| Some((it.name.as_str(), it.lag?)));
    for (plugin, lag) in lags() {
        page.sample(&[("plugin", plugin)], lag.events_count);
    }
    page.family(
        "annals_process_lag_seconds",
        Kind::Gauge,
        "Age of the oldest event after the checkpoints of process managers.",
    );
    for (plugin, lag) in lags() {
        page.seconds(&[("plugin", plugin)], lag.age_ms.saturating_mul(1_000_000));
    }
    for (name, help, figure) in PROCESSES {
        page.family(name, Kind::Gauge, help);
        for process in processes {
            page.sample(&[("plugin", process.name.as_str())], figure(&process.progress));
        }
    }
}

/// A figure of a subscription.
type SubscriptionFigure = (&'static str, Kind, &'static str, fn(&SubscriptionStatus) -> u64);

const SUBSCRIPTIONS: [SubscriptionFigure; 6] = [
    (
        "annals_subscription_lag_events",
        Kind::Gauge,
        "Events after the checkpoints of subscriptions.",
        |it| it.lag_events,
    ),
    (
        "annals_subscription_in_flight_events",
        Kind::Gauge,
        "Events that subscriptions read and members did not handle.",
        |it| count(it.in_flight_count),
    ),
    (
        "annals_subscription_leased_events",
        Kind::Gauge,
        "Events that members of subscriptions have.",
        |it| count(it.leased_count),
    ),
    (
        "annals_subscription_parked_events",
        Kind::Gauge,
        "Events that are parked; others may wait behind them.",
        |it| it.parked_count,
    ),
    (
        "annals_subscription_delivered_total",
        Kind::Counter,
        "Deliveries of all hosts since the subscription was made.",
        |it| it.delivered_count,
    ),
    (
        "annals_subscription_redelivered_total",
        Kind::Counter,
        "Deliveries that were not the first of their event.",
        |it| it.redelivered_count,
    ),
];

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn subscriptions(page: &mut Page, subscriptions: &[SubscriptionStatus]) {
    if subscriptions.is_empty() {
        return;
    }
    for (name, kind, help, figure) in SUBSCRIPTIONS {
        page.family(name, kind, help);
        for subscription in subscriptions {
            page.sample(&[("subscription", subscription.name.as_str())], figure(subscription));
        }
    }
}

fn schedules(page: &mut Page, figures: &ScheduleFigures) {
    if let Some(counts) = figures.counts {
        page.family("annals_schedules", Kind::Gauge, "Schedules by what they do, of all hosts.");
        for (status, count) in
            [("waiting", counts.waiting), ("parked", counts.parked), ("ended", counts.ended)]
        {
            page.sample(&[("status", status)], count);
        }
    }
    page.family(
        "annals_schedule_firings_total",
        Kind::Counter,
        "Scheduled commands that this host sent, by how that ended.",
    );
    for (outcome, count) in [
        ("accepted", figures.accepted_count),
        ("rejected", figures.rejected_count),
        ("failed", figures.failed_count),
    ] {
        page.sample(&[("outcome", outcome)], count);
    }
    page.family(
        "annals_schedules_parked_total",
        Kind::Counter,
        "Schedules that this host parked, as their command failed too often.",
    );
    page.sample(&[], figures.parked_count);
    page.family(
        "annals_schedules_late_seconds",
        Kind::Gauge,
        "For how long the oldest scheduled command has been due.",
    );
    page.seconds(&[], figures.late_ms.saturating_mul(1_000_000));
}
