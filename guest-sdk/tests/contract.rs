//! What the host sees of a plugin: its description, and what becomes of bytes.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use annals_sdk::__private::{
    AggregateComponent, Exported, Package, QueryableComponent, UpcasterComponent,
};
use annals_sdk::bindings::annals::plugin::types;
use annals_sdk::bindings::exports::annals::plugin::aggregate::{self, GuestEntity as _, Refusal};
use annals_sdk::bindings::exports::annals::plugin::descriptor::Description;
use annals_sdk::bindings::exports::annals::plugin::projection::{self, Write};
use annals_sdk::bindings::exports::annals::plugin::query;
use annals_sdk::bindings::exports::annals::plugin::upcaster::{Guest as _, StoredEvent};
use annals_sdk::{
    Aggregate, Context, Decision, EventMeta, Failure, Projection, Queries, QueryContext,
    QueryError, Rejection, Table, Unreadable, Upcast, Upcaster, Value, View, Writes, ensure, json,
};

#[derive(Debug)]
struct Shop;

impl Package for Shop {
    const VERSION: &'static str = "1.2.3";
    const SUMMARY: &'static str = "A shop";
}

#[annals_sdk::state]
struct Cart {
    items: Vec<Item>,
}

#[annals_sdk::data]
struct Item {
    name: String,
}

#[annals_sdk::command]
enum Command {
    /// Puts an item in.
    AddItem {
        /// Which.
        item: Item,
    },
    #[annals(name = "order", schema_version = 3)]
    PlaceOrder,
    Rename(Item),
}

#[annals_sdk::event]
enum Event {
    ItemAdded {
        item: Item,
        #[serde(default)]
        is_gift: bool,
    },
    OrderPlaced,
}

impl Aggregate for Cart {
    const NAME: &'static str = "cart";
    type Command = Command;
    type Event = Event;

    fn evolve(&mut self, event: Event) {
        if let Event::ItemAdded { item, .. } = event {
            self.items.push(item);
        }
    }

    fn decide(&self, command: Command, ctx: &Context) -> Result<Decision<Event>, Rejection> {
        match command {
            Command::AddItem { item } | Command::Rename(item) => {
                let added = Event::ItemAdded { item, is_gift: false };
                Ok(Decision::from(added).claim_until("cart", ctx.id(), 7).release("old", "key"))
            }
            Command::PlaceOrder => {
                let rejection = Rejection::new("empty-cart", "there is nothing in the cart")
                    .with_detail(json!({ "items_count": self.items.len() }));
                if self.items.is_empty() {
                    return Err(rejection);
                }
                Ok([Event::OrderPlaced].into())
            }
        }
    }
}

type CartEntity = <AggregateComponent<Cart, Shop> as aggregate::Guest>::Entity;

fn context() -> types::Context {
    types::Context {
        message_id: "m".to_owned(),
        correlation_id: "c".to_owned(),
        now: 1,
        seed: (1, 2),
        namespace: "default".to_owned(),
        principal: None,
        extensions: Vec::new(),
    }
}

fn decide(command_type: u32, data: &str) -> Result<aggregate::Decision, Refusal> {
    let entity = CartEntity::new("cart/7".to_owned());
    entity.decide(context(), types::Command { command_type, data: data.as_bytes().to_vec() })
}

fn malformed(command_type: u32, data: &str) -> String {
    match decide(command_type, data) {
        Err(Refusal::Malformed(message)) => message,
        other => panic!("not malformed: {other:?}"),
    }
}

fn schema(text: &str) -> Value {
    annals_sdk::serde_json::from_str(text).unwrap()
}

#[test]
fn description_names_every_command_and_event_in_order() {
    // Guards type indexes: they are places in these lists.
    let description: Description = <AggregateComponent<Cart, Shop> as Exported>::describe();
    let names =
        |types: &[annals_sdk::bindings::exports::annals::plugin::descriptor::MessageType]| {
            let names = types.iter().map(|kind| (kind.name.clone(), kind.schema_version));
            names.collect::<Vec<_>>()
        };
    assert_eq!((description.name.as_str(), description.version.as_str()), ("cart", "1.2.3"));
    assert_eq!(description.summary, "A shop");
    let commands = [("add-item", 1), ("order", 3), ("rename", 1)];
    assert_eq!(names(&description.commands), commands.map(|(name, v)| (name.to_owned(), v)));
    let events = [("item-added", 1), ("order-placed", 1)];
    assert_eq!(names(&description.events), events.map(|(name, v)| (name.to_owned(), v)));
    assert!(description.state_schema.starts_with("1-"), "{}", description.state_schema);
}

#[test]
fn schemas_are_json_schema_2020_12_with_documentation() {
    // Guards what the host shows and validates against.
    let description = <AggregateComponent<Cart, Shop> as Exported>::describe();
    let expected = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$defs": {
            "Item": {
                "type": "object",
                "properties": { "name": { "type": "string" } },
                "required": ["name"],
            },
        },
        "title": "add-item",
        "description": "Puts an item in.",
        "type": "object",
        "properties": { "item": { "description": "Which.", "$ref": "#/$defs/Item" } },
        "required": ["item"],
        "additionalProperties": false,
    });
    assert_eq!(schema(&description.commands[0].schema), expected);
    let expected = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "order-placed",
        "type": "object",
    });
    assert_eq!(schema(&description.events[1].schema), expected);
}

#[test]
fn a_decision_carries_the_fields_and_nothing_else() {
    // Guards the data on the wire: the name of an event is not in it.
    let decision = decide(0, r#"{"item":{"name":"lyre"}}"#).unwrap();
    let [event] = decision.events.as_slice() else { panic!("{decision:?}") };
    assert_eq!(event.event_type, 0);
    assert_eq!(event.data, br#"{"item":{"name":"lyre"},"is_gift":false}"#);
    let [claim] = decision.claims.as_slice() else { panic!("{decision:?}") };
    assert_eq!(
        (claim.scope.as_str(), claim.key.as_str(), claim.expires_at),
        ("cart", "7", Some(7))
    );
    assert_eq!(decision.releases, [("old".to_owned(), "key".to_owned())]);
    let renamed = decide(2, r#"{"name":"lyre"}"#).unwrap();
    assert_eq!(renamed.events[0].data, event.data);
}

#[test]
fn a_rejection_carries_its_detail() {
    // Guards a unit command without data, and the detail.
    for data in ["", "{}"] {
        let Err(Refusal::Rejected(rejection)) = decide(1, data) else { panic!("not rejected") };
        assert_eq!(rejection.code, "empty-cart");
        assert_eq!(rejection.message, "there is nothing in the cart");
        assert_eq!(rejection.detail, Some(br#"{"items_count":0}"#.to_vec()));
    }
}

#[test]
fn data_that_does_not_fit_is_malformed_and_says_where() {
    // Guards C2: the plugin's half of the answer.
    let cases = [
        (0, "", "data does not fit `add-item`: missing field `item` at line 1 column 2"),
        (0, "{", "data does not fit `add-item`: EOF while parsing an object at line 1 column 1"),
        (
            0,
            r#"{"item":{"name":1}}"#,
            "data does not fit `add-item`: invalid type: integer `1`, expected a string at line 1 \
             column 17",
        ),
        (
            1,
            r#"{"gift":1}"#,
            "data does not fit `order`: unknown field `gift`, there are no fields at line 1 \
             column 7",
        ),
        (9, "{}", "no message type 9"),
    ];
    for (command_type, data, expected) in cases {
        assert_eq!(malformed(command_type, data), expected);
    }
}

fn history(event_type: u32, data: &str) -> types::History {
    types::History {
        first_revision: 0,
        event_types: vec![event_type],
        recorded_at: vec![1],
        data_ends: vec![u32::try_from(data.len()).unwrap()],
        data: data.as_bytes().to_vec(),
    }
}

#[test]
fn history_of_another_version_evolves_the_state() {
    // Guards fields that came and went: a missing one has its default, another is skipped.
    let entity = CartEntity::new("cart/7".to_owned());
    entity.evolve(history(0, r#"{"item":{"name":"lyre"},"colour":"gold"}"#));
    assert_eq!(entity.snapshot(), br#"{"items":[{"name":"lyre"}]}"#);
}

#[test]
#[should_panic(expected = "recorded event: data does not fit `item-added`: missing field `item`")]
fn an_event_that_does_not_decode_traps() {
    // Guards against a state that misses an event.
    CartEntity::new("cart/7".to_owned()).evolve(history(0, "{}"));
}

const ITEMS: Table<i64> = Table::new("items");

struct Items;

#[annals_sdk::query]
enum Query {
    CountOf { item: String },
}

impl Projection for Items {
    const NAME: &'static str = "items";
    const TABLES: &'static [&'static str] = &[ITEMS.name()];
    type Event = Event;

    fn project(event: Event, meta: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
        match event {
            Event::ItemAdded { item, .. } => {
                view.add(ITEMS, item.name, 1);
                Ok(())
            }
            Event::OrderPlaced if meta.id() == "later" => Err(Failure::retry("come again")),
            Event::OrderPlaced => Err(Failure::park(format!("{meta:?}"))),
        }
    }
}

impl Queries for Items {
    type Query = Query;

    fn answer(query: Query, ctx: &QueryContext, view: &View) -> Result<Value, QueryError> {
        let Query::CountOf { item } = query;
        Ok(json!({ "count": view.get(ITEMS, item), "asked_at": ctx.now_ms() }))
    }
}

type ItemsComponent = QueryableComponent<Items, Shop>;

/// The same, of what happened lately.
struct LatestItems;

impl Projection for LatestItems {
    const NAME: &'static str = "latest-items";
    const TABLES: &'static [&'static str] = Items::TABLES;
    const BEGINS_LATER: bool = true;
    type Event = Event;

    fn project(event: Event, meta: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
        Items::project(event, meta, view)
    }
}

impl Queries for LatestItems {
    type Query = Query;

    fn answer(query: Query, ctx: &QueryContext, view: &View) -> Result<Value, QueryError> {
        Items::answer(query, ctx, view)
    }
}

#[test]
fn a_projection_says_whether_its_view_may_begin_later() {
    // Guards rebuilds from a place: only a projection that declares it is begun after the first event.
    let keys = |description: Description| {
        let extensions = description.extensions.into_iter();
        extensions.filter(|(key, _)| key == "begins_later").collect::<Vec<_>>()
    };
    let latest = keys(<QueryableComponent<LatestItems, Shop> as Exported>::describe());
    assert_eq!(latest, [("begins_later".to_owned(), b"true".to_vec())]);
    assert_eq!(keys(<ItemsComponent as Exported>::describe()), []);
}

/// A batch of an `item-added` and then of `second`.
fn batch(stream_id: &str, second: (u32, &str)) -> types::EventBatch {
    let first = r#"{"item":{"name":"lyre"}}"#;
    types::EventBatch {
        partition: 3,
        streams: vec!["cart/1".to_owned(), stream_id.to_owned()],
        stream_indexes: vec![0, 1],
        event_types: vec![0, second.0],
        revisions: vec![0, 5],
        positions: vec![10, 20],
        recorded_at: vec![100, 200],
        data_ends: vec![
            u32::try_from(first.len()).unwrap(),
            u32::try_from(first.len() + second.1.len()).unwrap(),
        ],
        data: format!("{first}{}", second.1).into_bytes(),
    }
}

fn project(batch: types::EventBatch) -> Result<Vec<Write>, projection::Failure> {
    <ItemsComponent as projection::Guest>::project(batch)
}

#[test]
fn a_batch_becomes_one_write_per_row() {
    // Guards the size of answers: two events on one row are one write.
    let writes = project(batch("cart/2", (0, r#"{"item":{"name":"lyre"}}"#))).unwrap();
    let [Write::Add((row, 2))] = writes.as_slice() else { panic!("{writes:?}") };
    assert_eq!((row.table, row.key.as_slice()), (0, b"lyre".as_slice()));
}

#[test]
fn a_failure_names_the_event_of_the_batch() {
    // Guards P4: the right event is parked, with what is known about it.
    let Err(projection::Failure::Park((1, message))) = project(batch("cart/2", (1, "{}"))) else {
        panic!("not parked")
    };
    let meta = "EventMeta { stream_id: \"cart/2\", revision: 5, position: 20, partition: 3, \
                recorded_at_ms: 200 }";
    assert_eq!(message, meta);
    let Err(projection::Failure::Retry((1, message))) = project(batch("cart/later", (1, "")))
    else {
        panic!("not retried")
    };
    assert_eq!(message, "come again");
    let Err(projection::Failure::Park((1, message))) = project(batch("cart/2", (0, "[]"))) else {
        panic!("not parked")
    };
    assert!(message.starts_with("data does not fit `item-added`: "), "{message}");
}

#[test]
fn queries_are_described_and_answered_by_name() {
    // Guards the extension that lists them, and both errors.
    let description = <ItemsComponent as Exported>::describe();
    assert_eq!(description.tables, ["items"]);
    let [(key, queries)] = description.extensions.as_slice() else { panic!("{description:?}") };
    assert_eq!(key, "queries");
    let queries: Value = annals_sdk::serde_json::from_slice(queries).unwrap();
    assert_eq!(queries[0]["name"], "count-of");
    assert_eq!(queries[0]["schema"]["required"], json!(["item"]));

    let answer = |name: &str, parameters: &str| {
        let parameters = parameters.as_bytes().to_vec();
        <ItemsComponent as query::Guest>::answer(context(), name.to_owned(), parameters)
    };
    let found = answer("count-of", r#"{"item":"lyre"}"#).unwrap();
    assert_eq!(found, br#"{"asked_at":1,"count":null}"#);
    assert!(matches!(answer("count", "{}"), Err(query::QueryError::Unknown)));
    let Err(query::QueryError::Malformed(message)) = answer("count-of", "") else {
        panic!("not malformed")
    };
    assert_eq!(message, "data does not fit `count-of`: missing field `item` at line 1 column 2");
}

#[test]
fn ensure_formats_its_message() {
    // Guards the macro's arguments.
    fn check(cents: i64) -> Result<(), Rejection> {
        ensure!(cents > 0, "invalid-amount", "{cents} is not more than {}", 0);
        Ok(())
    }
    assert_eq!(check(1), Ok(()));
    assert_eq!(check(-1), Err(Rejection::new("invalid-amount", "-1 is not more than 0")));
}

/// An upcaster of carts.
struct Carts;

/// What it takes.
#[annals_sdk::shapes]
enum OldCart {
    Filled {
        names: Vec<String>,
    },
    #[annals(name = "filled", schema_version = 2)]
    FilledWith {
        items: Vec<Item>,
    },
}

impl Upcaster for Carts {
    const NAME: &'static str = "carts";
    type From = OldCart;
    type To = Event;

    fn upcast(event: OldCart) -> Result<Upcast<Event>, Unreadable> {
        let items: Vec<Item> = match event {
            OldCart::Filled { names } => names.into_iter().map(|name| Item { name }).collect(),
            OldCart::FilledWith { items } => items,
        };
        let upcast = Upcast::from(Event::OrderPlaced);
        let added = items.into_iter().map(|item| Event::ItemAdded { item, is_gift: true });
        Ok(added.fold(upcast, Upcast::and))
    }
}

fn stored(schema_version: u32, data: &str) -> StoredEvent {
    StoredEvent { name: "filled".to_owned(), schema_version, data: data.as_bytes().to_vec() }
}

#[test]
fn an_upcaster_describes_what_it_takes_and_produces() {
    // Guards what the host plans with; what it produces comes from the type alone.
    let description: Description = <UpcasterComponent<Carts, Shop> as Exported>::describe();
    let takes = description.events.iter().map(|ty| (ty.name.as_str(), ty.schema_version));
    assert_eq!(takes.collect::<Vec<_>>(), [("filled", 1), ("filled", 2)]);
    let [(key, value)] = description.extensions.as_slice() else { panic!("{description:?}") };
    let mut produces: Value = annals_sdk::serde_json::from_slice(value).unwrap();
    for shape in produces.as_array_mut().unwrap() {
        let schema = shape.as_object_mut().unwrap().remove("schema").unwrap();
        assert_eq!(schema["type"], "object");
    }
    assert_eq!(key, "produces");
    let expected = json!([
        { "name": "item-added", "schema_version": 1 },
        { "name": "order-placed", "schema_version": 1 },
    ]);
    assert_eq!(produces, expected);
}

#[test]
fn an_upcaster_finds_the_version_and_says_what_it_cannot_read() {
    // Guards two versions of one name, and the texts that operators see.
    type Component = UpcasterComponent<Carts, Shop>;
    let events = vec![
        stored(1, r#"{"names":["tea"]}"#),
        stored(2, r#"{"items":[{"name":"tea"},{"name":"salt"}]}"#),
    ];
    let made = Component::upcast(events).unwrap();
    let names: Vec<Vec<_>> =
        made.iter().map(|all| all.iter().map(|event| event.name.as_str()).collect()).collect();
    assert_eq!(
        names,
        [vec!["order-placed", "item-added"], vec!["order-placed", "item-added", "item-added"]]
    );
    assert_eq!(made[0][1].data, br#"{"item":{"name":"tea"},"is_gift":true}"#);
    let refusal = |event| Component::upcast(vec![event]).unwrap_err();
    assert_eq!(refusal(stored(3, "{}")), "no `filled` of version 3");
    assert_eq!(
        refusal(stored(1, "{}")),
        "data does not fit `filled`: missing field `names` at line 1 column 2"
    );
}
