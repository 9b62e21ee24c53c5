"""Aggregates through the contract: descriptions, columns, decisions, refusals, snapshots."""

import unittest
from types import SimpleNamespace
from typing import Annotated, Any

from annals_sdk import Decision, Random, Rejection, aggregate, command, ensure, event, log
from annals_sdk.aggregate import aggregate_of
from annals_sdk.canonical import canonical
from annals_sdk.entity import Stream, fnv1a_128, state_schema
from annals_sdk.message import Malformed, kebab_case, type_of_message
from annals_sdk.testing import given, logged


@event
class ItemAdded:
    """An item was put in."""

    item: Annotated[str, "Which."]
    cents: int


@command
class AddItem:
    """Puts an item in."""

    item: Annotated[str, "Which."]
    cents: int
    note: str | None


@command
class Try:
    """Does what a test wants."""

    what: str


@aggregate("cart", commands=[AddItem, Try], events=[ItemAdded])
class Cart:
    items: dict[str, int]

    def evolve(self, event: Any) -> None:
        self.items[event.item] = self.items.get(event.item, 0) + event.cents

    def decide(self, command: Any, ctx: Any) -> Any:
        match command:
            case AddItem(item, cents):
                return ItemAdded(item, cents)
            case Try("nothing"):
                return []
            case Try("mutate"):
                self.items["x"] = 1
                return []
            case Try("claim"):
                claimed = Decision([]).claim("email", ctx.id).claim("phone", "1", 5)
                return claimed.release("email", "old")
            case Try("reject"):
                raise Rejection("not-now", "later", {"after": 9})
            case Try("random"):
                return [ItemAdded(ctx.random().uuid(), 1)]


def add(item: str, cents: int) -> AddItem:
    return AddItem(item, cents, None)


class Aggregates(unittest.TestCase):
    def test_a_schema_has_its_name_and_its_documentation(self) -> None:
        # Guards what a host reads at install.
        schema = (
            '{"$schema":"https://json-schema.org/draft/2020-12/schema","additionalProperties":false,'
            '"description":"Puts an item in.","properties":{"cents":{"format":"int64",'
            '"type":"integer"},"item":{"description":"Which.","type":"string"},'
            '"note":{"type":["string","null"]}},"required":["item","cents"],"title":"add-item",'
            '"type":"object"}'
        )
        self.assertEqual(canonical(type_of_message(AddItem).schema), schema)
        event_schema = type_of_message(ItemAdded).schema
        self.assertNotIn("additionalProperties", event_schema)

    def test_names_become_kebab_case_as_in_rust(self) -> None:
        # Guards the names on the wire: changing this rule would orphan recorded events.
        cases = {
            "OpenAccount": "open-account",
            "Accept": "accept",
            "OpenURLNow": "open-url-now",
            "Step2Done": "step2-done",
        }
        self.assertEqual({name: kebab_case(name) for name in cases}, cases)

    def test_events_come_as_columns_and_snapshots_are_canonical(self) -> None:
        # Guards the boundaries between events, an event with a field of another version among them.
        stream = Stream(Cart, "cart/1")
        columns = b'{"item":"b","cents":1}{"item":"a","cents":2,"colour":"blue"}'
        stream.evolve([0, 0], [22, len(columns)], columns)
        self.assertEqual(stream.snapshot(), b'{"items":{"a":2,"b":1}}')
        restored = Stream.restore(Cart, "cart/1", stream.snapshot())
        self.assertEqual(restored.state, stream.state)
        with self.assertRaises(ValueError):
            Stream.restore(Cart, "cart/1", b'{"items":[]}')
        with self.assertRaisesRegex(Malformed, "data does not fit `item-added`: /item: missing"):
            stream.evolve([0], [2], b"{}")

    def test_decisions_are_type_indexes_and_json(self) -> None:
        # Guards the bytes that are recorded, and absent data and fields of commands.
        stream = Stream(Cart, "cart/1")
        call = SimpleNamespace(
            message_id="m", correlation_id="c", now=0, namespace="n", principal=None
        )
        decided = stream.decide(call, 0, b'{"item":"a","cents":9223372036854775807}')
        self.assertEqual(decided.events, [(0, b'{"item":"a","cents":9223372036854775807}')])
        for malformed in (b"", b'{"item":"a","cents":1,"colour":"blue"}', b"[" * 100_000, b"1"):
            with self.assertRaises(Malformed):
                stream.decide(call, 0, malformed)

    def test_the_testing_kit_notices_what_is_not_as_expected(self) -> None:
        # Guards the kit: a test that cannot fail is none.
        outcome = given(Cart, ItemAdded("a", 1)).when(add("a", 2))
        outcome.then(ItemAdded("a", 2)).then_state(items={"a": 3})
        with self.assertRaisesRegex(AssertionError, "other events were recorded"):
            outcome.then()
        with self.assertRaisesRegex(AssertionError, "was not rejected"):
            outcome.then_rejected("not-now")
        rejected = given(Cart).when(Try("reject")).then_rejected("not-now", "later")
        with self.assertRaisesRegex(AssertionError, "for another reason"):
            rejected.then_rejected("never")
        with self.assertRaisesRegex(AssertionError, "not accepted: not-now: later"):
            rejected.then()
        with self.assertRaisesRegex(AssertionError, "`decide` changed the state"):
            given(Cart).when(Try("mutate"))
        claimed = given(Cart).in_stream("cart/9").when(Try("claim"))
        claimed.then_claims(("email", "9", None), ("phone", "1", 5)).then_releases(("email", "old"))

    def test_a_mistake_of_the_plugin_is_no_rejection(self) -> None:
        # Guards a `return` that was forgotten, and data that is not what was declared.
        with self.assertRaisesRegex(TypeError, "return one, a list of them, or"):
            given(Cart).when(Try("unknown"))
        with self.assertRaisesRegex(TypeError, "data does not fit `item-added`: /cents"):
            given(Cart, ItemAdded("a", "many"))  # type: ignore[arg-type]

    def test_declarations_with_a_mistake_are_refused(self) -> None:
        # Guards names and lists, which a host would refuse much later.
        rules = {"evolve": lambda self, event: None, "decide": lambda self, command, ctx: []}
        cls = lambda: type("Cart", (), dict(rules))
        with self.assertRaises(TypeError):
            aggregate("Cart", commands=[], events=[])
        with self.assertRaises(TypeError):
            aggregate("cart", commands=[AddItem, AddItem], events=[])
        with self.assertRaises(TypeError):
            aggregate("cart", commands=[ItemAdded], events=[])
        with self.assertRaises(TypeError):
            aggregate("cart", commands=[], events=[])(type("Cart", (), {}))
        with self.assertRaises(TypeError):
            command(name="Not-Kebab")(type("Any", (), {}))
        with self.assertRaises(Rejection):
            ensure(False, "no", "never")
        self.assertEqual(aggregate("cart", commands=[], events=[])(cls()).__name__, "Cart")

    def test_the_state_schema_differs_by_version_and_by_shape(self) -> None:
        # Guards against a snapshot of another build.
        def schema(annotations: dict[str, Any], version: int = 1) -> str:
            rules = {"evolve": print, "decide": print, "__annotations__": annotations}
            cls = type("Cart", (), rules)
            made = aggregate("cart", commands=[], events=[], state_version=version)(cls)
            return state_schema(aggregate_of(made))

        schemas = {schema({}), schema({}, 2), schema({"a": int}), schema({"a": str})}
        self.assertEqual(len(schemas), 4)
        self.assertTrue(all(text.startswith("python-") for text in schemas))
        self.assertEqual(fnv1a_128(b"a"), 0xD228CB696F1A8CAF78912B704E4A8964)

    def test_random_numbers_are_those_of_the_rust_sdk(self) -> None:
        # Guards determinism: recorded decisions were made with these numbers.
        random = Random((1, 2))
        found = (random.next_u64(), random.below(1_000_000), random.uuid())
        expected = (12966619160104079557, 311119, "ce23ce6d-3dd8-43ad-8f9d-e247da873325")
        self.assertEqual(found, expected)
        self.assertEqual(random.below(0), 0)
        given(Cart).when(Try("random")).then_state(
            items={Random((1, 2)).uuid(): 1},
        )

    def test_log_lines_are_kept_for_tests(self) -> None:
        # Guards what a test sees of `log`.
        logged()
        log.info("opened")
        log.error("broken")
        self.assertEqual(logged(), ["info: opened", "error: broken"])


if __name__ == "__main__":
    unittest.main()
