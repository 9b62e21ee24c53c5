//! To-do lists over HTTP: the acceptance scenarios, on the real binary; and the page of them.

mod page;

use std::process::Command;

use serde_json::{Value, json};

use crate::support::{Answer, Daemon, at, folder, run};

/// A daemon with the plugins of to-do lists.
struct Lists {
    daemon: Daemon,
    folder: tempfile::TempDir,
}

impl Lists {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// The same, with more arguments.
    async fn start_with(more: impl FnOnce(&mut Command)) -> Self {
        let (folder, data) = folder();
        let daemon = Daemon::start_with(&data, more);
        daemon.install("todo", annals_components::todo()).await.ok();
        daemon.install("todo-lists", annals_components::todo_lists()).await.ok();
        Self { daemon, folder }
    }

    /// Runs a command of the list `l1`; its answer comes when the view has it.
    async fn say(&self, command: &str, data: &Value) -> Answer {
        let path = format!("/v1/aggregates/todo/l1/{command}?wait_for=todo-lists");
        self.daemon.post(&path, &[], &data.to_string()).await
    }

    /// The events of a command that must be accepted, as type and data.
    async fn events(&self, command: &str, data: Value) -> Vec<(String, Value)> {
        let accepted = self.say(command, &data).await.ok();
        assert_eq!(at(&accepted, "/waited_for/is_reached"), true, "{accepted:#}");
        let events = at(&accepted, "/events").as_array().unwrap();
        let event = |event: &Value| (event["type"].as_str().unwrap().into(), event["data"].clone());
        events.iter().map(event).collect()
    }

    /// The code with which the domain rejects a command.
    async fn rejection(&self, command: &str, data: Value) -> String {
        let rejected = self.say(command, &data).await;
        assert_eq!((rejected.status, rejected.code()), (422, "rejected"), "{:#}", rejected.body);
        at(&rejected.body, "/rejection/code").as_str().unwrap().to_owned()
    }

    /// The row of the list.
    async fn row(&self) -> Value {
        let row = self.daemon.get("/v1/views/todo-lists/lists/l1").await.ok();
        at(&row, "/value").clone()
    }

    async fn is_done(&self) -> Vec<(u64, bool)> {
        let row = self.row().await;
        let items = at(&row, "/items").as_array().unwrap();
        let item = |item: &Value| (item["id"].as_u64().unwrap(), item["completed"] == true);
        items.iter().map(item).collect()
    }

    /// Four items, of which 1 and 3 are done.
    async fn with_four_items() -> Self {
        let lists = Self::start().await;
        lists.events("create", json!({})).await;
        for description in ["zero", "one", "two", "three"] {
            lists.events("add-item", json!({ "description": description })).await;
        }
        for id in [1, 3] {
            lists.events("check-item", json!({ "id": id, "checked": true })).await;
        }
        lists
    }
}

#[test]
fn there_are_no_lists_before_anything() {
    // Guards T1.
    run(async {
        let lists = Lists::start().await;
        let page = lists.daemon.get("/v1/views/todo-lists/lists").await.ok();
        assert_eq!(page, json!({ "rows": [], "next_page": null }));
        let path = "/v1/views/todo-lists/queries/open-items";
        let open = lists.daemon.post(path, &[], "{}").await.ok();
        assert_eq!(open, json!({ "count": 0, "items": [] }));
    });
}

#[test]
fn an_item_that_is_added_is_in_the_view_with_its_revision() {
    // Guards T2.
    run(async {
        let lists = Lists::start().await;
        lists.events("create", json!({})).await;
        let added = lists.events("add-item", json!({ "description": "desc" })).await;
        let event = json!({ "id": 0, "description": "desc" });
        assert_eq!(added, [("item-added".to_owned(), event)]);
        let items = json!([{ "id": 0, "description": "desc", "completed": false }]);
        assert_eq!(lists.row().await, json!({ "revision": 1, "items": items }));
        let page = lists.daemon.get("/v1/views/todo-lists/lists").await.ok();
        assert_eq!(at(&page, "/rows/0/key"), "l1");
        let path = "/v1/views/todo-lists/queries/open-items";
        let open = lists.daemon.post(path, &[], r#"{"list":"l1"}"#).await.ok();
        let items = json!([{ "list": "l1", "id": 0, "description": "desc" }]);
        assert_eq!(open, json!({ "count": 1, "items": items }));
    });
}

#[test]
fn what_is_against_the_rules_is_rejected_with_its_code() {
    // Guards T3: create twice, anything before create, missing items.
    run(async {
        let lists = Lists::start().await;
        let commands = [
            ("remove-item", json!({ "id": 7 })),
            ("set-item", json!({ "id": 7, "description": "desc" })),
            ("check-item", json!({ "id": 7, "checked": true })),
            ("add-item", json!({ "description": "desc" })),
            ("remove-completed", json!({})),
            ("check-all", json!({ "checked": true })),
            ("delete", json!({})),
        ];
        for (command, data) in &commands {
            assert_eq!(lists.rejection(command, data.clone()).await, "not-created", "{command}");
        }
        lists.events("create", json!({})).await;
        assert_eq!(lists.rejection("create", json!({})).await, "already-created");
        for (command, data) in &commands[..3] {
            assert_eq!(lists.rejection(command, data.clone()).await, "item-not-found", "{command}");
        }
        assert_eq!(lists.row().await, json!({ "revision": 0, "items": [] }));
    });
}

#[test]
fn what_is_so_already_is_accepted_without_an_event() {
    // Guards T4.
    run(async {
        let lists = Lists::with_four_items().await;
        let before = lists.row().await;
        for (command, data) in [
            ("set-item", json!({ "id": 0, "description": "zero" })),
            ("check-item", json!({ "id": 0, "checked": false })),
            ("check-item", json!({ "id": 1, "checked": true })),
        ] {
            assert_eq!(lists.events(command, data).await, [], "{command}");
        }
        assert_eq!(lists.row().await, before);
    });
}

#[test]
fn what_is_done_to_all_is_one_event_per_affected_item() {
    // Guards T5: remove-completed, and check-all both ways.
    run(async {
        let lists = Lists::with_four_items().await;
        let checked = |id: u64, checked: bool| {
            ("item-checked".to_owned(), json!({ "id": id, "checked": checked }))
        };
        let events = lists.events("check-all", json!({ "checked": true })).await;
        assert_eq!(events, [checked(0, true), checked(2, true)]);
        assert_eq!(lists.is_done().await, [(0, true), (1, true), (2, true), (3, true)]);
        let events = lists.events("check-all", json!({ "checked": false })).await;
        assert_eq!(events, [0, 1, 2, 3].map(|id| checked(id, false)));
        lists.events("check-item", json!({ "id": 2, "checked": true })).await;
        lists.events("check-item", json!({ "id": 0, "checked": true })).await;
        let removed = |id: u64| ("item-removed".to_owned(), json!({ "id": id }));
        let events = lists.events("remove-completed", json!({})).await;
        assert_eq!(events, [removed(0), removed(2)]);
        assert_eq!(lists.is_done().await, [(1, false), (3, false)]);
    });
}

#[test]
fn a_deleted_list_has_no_row() {
    // Guards T6.
    run(async {
        let lists = Lists::with_four_items().await;
        let deleted = lists.events("delete", json!({})).await;
        assert_eq!(deleted, [("list-deleted".to_owned(), json!({}))]);
        let gone = lists.daemon.get("/v1/views/todo-lists/lists/l1").await;
        assert_eq!((gone.status, gone.code()), (404, "unknown-row"));
        let page = lists.daemon.get("/v1/views/todo-lists/lists").await.ok();
        assert_eq!(page, json!({ "rows": [], "next_page": null }));
    });
}
