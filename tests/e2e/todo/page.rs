//! The page of to-do lists, in a real browser on a real daemon.

use serde_json::{Value, json};

use super::Lists;
use crate::browser::{Browser, Page};
use crate::drivers::Place;
use crate::support::{Daemon, annals};

/// The folder of the page.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plugins/todo/web");

impl Lists {
    async fn start_with_page() -> Self {
        Self::start_with(|command| {
            command.arg("--web").arg(format!("todo={FOLDER}"));
        })
        .await
    }

    /// Kills the daemon, and starts it again at the same address.
    fn restart_on(&mut self, address: &str) {
        self.daemon.kill();
        let mut command = annals();
        command.arg("serve").arg("--data").arg(self.folder.path().join("data"));
        command.args(["--listen", address, "--web", &format!("todo={FOLDER}")]);
        self.daemon = Daemon::spawn(command);
    }

    /// Opens the page in a tab, when it shows that it follows the events.
    fn open(&self, browser: &mut Browser) -> Page {
        let page = browser.open(&format!("{}/apps/todo/#l1", self.daemon.url()));
        browser.until(&page, "document.querySelector('#connection').textContent", &json!("live"));
        page
    }
}

/// What a page shows of its items: their descriptions, the done ones in brackets.
const ITEMS: &str = "[...document.querySelectorAll('#items li')].map((entry) => {
    const description = entry.querySelector('.description').value;
    return entry.querySelector('.checked').checked ? `[${description}]` : description;
})";

#[test]
fn what_is_entered_on_the_page_is_there_and_in_the_other_tab_at_once() {
    // Guards the page: a list and items by keyboard and mouse, an item added by the API, and all of it
    // live in two tabs.
    crate::support::run(async {
        let lists = Lists::start_with_page().await;
        let mut browser = Browser::start();
        let (first, second) = (lists.open(&mut browser), lists.open(&mut browser));
        let nothing = "document.querySelector('#nothing').hidden";
        browser.until(&first, nothing, &json!(false));

        browser.enter(&first, "#new-list input", "l1");
        for page in [&first, &second] {
            browser.until(page, nothing, &json!(true));
        }
        browser.enter(&first, "#new-item input", "buy milk");
        for page in [&first, &second] {
            browser.until(page, ITEMS, &json!(["buy milk"]));
        }
        lists.events("add-item", json!({ "description": "by <b>API</b>" })).await;
        for page in [&first, &second] {
            browser.until(page, ITEMS, &json!(["buy milk", "by <b>API</b>"]));
        }
        browser.click(&second, "#items li .checked");
        for page in [&first, &second] {
            browser.until(page, ITEMS, &json!(["[buy milk]", "by <b>API</b>"]));
        }
        browser.click(&first, "#remove-completed");
        for page in [&first, &second] {
            browser.until(page, ITEMS, &json!(["by <b>API</b>"]));
        }
        let item = json!({ "id": 1, "description": "by <b>API</b>", "completed": false });
        assert_eq!(lists.row().await, json!({ "revision": 4, "items": [item] }));
        lists.events("delete", json!({})).await;
        for page in [&first, &second] {
            browser.until(page, nothing, &json!(false));
        }
    });
}

#[test]
fn the_page_says_why_something_was_not_done() {
    // Guards rejections: the sentence of the domain is shown, and what is so stays on the page.
    crate::support::run(async {
        let lists = Lists::with_page_and_item().await;
        let mut browser = Browser::start();
        let page = lists.open(&mut browser);
        browser.enter(&page, "#new-list input", "l1");
        let message = "document.querySelector('#message').textContent";
        browser.until(&page, message, &json!("the list is there already"));
        browser.until(&page, ITEMS, &json!(["desc"]));
    });
}

#[test]
fn the_page_goes_on_where_it_was_after_the_daemon_was_away() {
    // Guards the event stream of the page: what happened meanwhile is shown without a reload.
    crate::support::run(async {
        let mut lists = Lists::with_page_and_item().await;
        let mut browser = Browser::start();
        let page = lists.open(&mut browser);
        let address = lists.daemon.url().trim_start_matches("http://").to_owned();
        lists.restart_on(&address);
        lists.events("add-item", json!({ "description": "later" })).await;
        browser.until(&page, ITEMS, &json!(["desc", "later"]));
        browser.until(&page, "document.querySelector('#connection').textContent", &json!("live"));
    });
}

#[test]
fn the_page_is_live_on_a_store_of_several_partitions_too() {
    // Guards the page on DynamoDB, where a stream of events is of one partition: it polls.
    crate::support::run(async {
        let place = Place::dynamodb_and_redis();
        let lists = Lists::start_with(|command| {
            place.configure(command);
            command.arg("--web").arg(format!("todo={FOLDER}"));
        })
        .await;
        let mut browser = Browser::start();
        let (first, second) = (lists.open(&mut browser), lists.open(&mut browser));
        for list in ["l1", "l2", "l3"] {
            browser.enter(&first, "#new-list input", list);
            let shown = "document.querySelector('#name').textContent";
            browser.until(&first, shown, &json!(list));
        }
        lists.events("add-item", json!({ "description": "desc" })).await;
        browser.until(&second, ITEMS, &json!(["desc"]));
        let names = "[...document.querySelectorAll('#lists a span:first-child')]
            .map((name) => name.textContent)";
        for page in [&first, &second] {
            browser.until(page, names, &json!(["l1", "l2", "l3"]));
        }
    });
}

#[test]
fn the_page_keeps_to_the_policy_it_is_served_with() {
    // Guards the page's files: nothing of it is refused by the policy, and nothing comes from elsewhere.
    crate::support::run(async {
        let lists = Lists::with_page_and_item().await;
        let mut browser = Browser::start();
        let page = lists.open(&mut browser);
        let styled = "getComputedStyle(document.querySelector('#new-item')).display";
        browser.until(&page, styled, &json!("flex"));
        let loaded = browser.evaluate(
            &page,
            "performance.getEntriesByType('resource').every(({ name }) => name.startsWith(origin))",
        );
        assert_eq!(loaded, json!(true));
        // A script in the page, and another host, are what the policy is there to refuse.
        let refused = browser.evaluate(
            &page,
            "new Promise((resolve) => {
               document.addEventListener('securitypolicyviolation', (event) =>
                 resolve(event.effectiveDirective));
               const script = document.createElement('script');
               script.textContent = 'document.title = `taken over`';
               document.body.append(script);
             })",
        );
        assert_eq!(refused, json!("script-src-elem"));
    });
}

impl Lists {
    /// A list with one item, and its page.
    async fn with_page_and_item() -> Self {
        let lists = Self::start_with_page().await;
        lists.events("create", json!({})).await;
        let added: Vec<(String, Value)> =
            lists.events("add-item", json!({ "description": "desc" })).await;
        assert_eq!(added.len(), 1);
        lists
    }
}
