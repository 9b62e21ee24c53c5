//! `annals subscription create`.

use serde_json::{Map, Value, json};

use super::{ask, path, show};
use crate::args::ServerArgs;
use crate::client::Call;
use crate::failure::Failure;
use crate::output::Output;

/// Make a subscription
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It is safe to repeat: a subscription that is there with the same settings stays as it is. With other
settings it is refused, as settings never change.

Examples:
  annals subscription create mail                              All events from the beginning
  annals subscription create mail --type account-opened --from now
  annals subscription create audit --category account,money-transfer --attempts-max 10
  annals subscription create rest --from 0:41,1:7              After positions of two partitions")]
pub(crate) struct CreateArgs {
    /// Its name, in kebab-case
    name: String,

    /// Only these categories, separated by commas
    #[arg(long, value_delimiter = ',')]
    category: Option<Vec<String>>,

    /// Only these event types, separated by commas
    #[arg(long = "type", value_name = "TYPE", value_delimiter = ',')]
    event_type: Option<Vec<String>>,

    /// Only streams whose `category/id` begins with this
    #[arg(long, value_name = "PREFIX")]
    stream_prefix: Option<String>,

    /// Begin with the first event (`beginning`), with the next one (`now`), or after positions, each as
    /// `PARTITION:POSITION`, separated by commas
    #[arg(long, value_name = "START")]
    from: Option<String>,

    /// Give members so many milliseconds for a delivery; 30000 unless said
    #[arg(long, value_name = "MS")]
    lease_ms: Option<u64>,

    /// Park an event after so many deliveries; 5 unless said
    #[arg(long, value_name = "COUNT")]
    attempts_max: Option<u32>,

    /// Read no further when so many events are not handled; 1000 unless said
    #[arg(long, value_name = "COUNT")]
    in_flight_events_max: Option<u32>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(args: &CreateArgs, output: &mut Output) -> Result<(), Failure> {
    let mut filter = Map::new();
    let filters = [
        ("categories", args.category.as_ref().map(|names| json!(names))),
        ("types", args.event_type.as_ref().map(|names| json!(names))),
        ("stream_prefix", args.stream_prefix.as_ref().map(|prefix| json!(prefix))),
    ];
    filter.extend(said(filters));
    let mut body = Map::from_iter([("filter".to_owned(), Value::Object(filter))]);
    let settings = [
        ("start", args.from.as_deref().map(start).transpose()?),
        ("lease_ms", args.lease_ms.map(Value::from)),
        ("attempts_max", args.attempts_max.map(Value::from)),
        ("in_flight_events_max", args.in_flight_events_max.map(Value::from)),
    ];
    body.extend(said(settings));
    let call = Call::put(path(&args.name), Value::Object(body).to_string());
    show::print(&ask(&args.server, call)?, output)
}

fn said<const COUNT: usize>(
    fields: [(&str, Option<Value>); COUNT],
) -> impl Iterator<Item = (String, Value)> {
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)))
}

/// Where it begins, as the API takes it.
fn start(text: &str) -> Result<Value, Failure> {
    if matches!(text, "beginning" | "now") {
        return Ok(Value::from(text));
    }
    let place = |place: &str| {
        let (partition, position) = place.split_once(':')?;
        let (partition, position): (u32, u64) = (partition.parse().ok()?, position.parse().ok()?);
        Some(json!({"partition": partition, "position": position}))
    };
    let places: Option<Vec<_>> = text.split(',').map(place).collect();
    places.map(Value::from).ok_or_else(|| {
        Failure::yours(format!("`{text}` is not where a subscription can begin"))
            .with_hint("use `beginning`, `now`, or positions such as `0:41` or `0:41,1:7`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_begins_at_a_word_or_after_positions() {
        // Guards `--from`.
        assert_eq!(start("now").unwrap(), json!("now"));
        let places = json!([{"partition": 0, "position": 41}, {"partition": 1, "position": 7}]);
        assert_eq!(start("0:41,1:7").unwrap(), places);
        for bad in ["", "41", "0:", "0:1,", "-1:2", "then"] {
            assert!(start(bad).is_err(), "{bad}");
        }
    }
}
