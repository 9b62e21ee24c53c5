//! A real browser without a screen, told what to do as its developer tools are: messages of the DevTools
//! protocol over a pipe, each ended by a zero byte.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};

/// Names that the browser may have.
const PROGRAMS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Longest wait for an answer of the browser; for what a page is to show, half of it.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// A running browser with a profile of its own. Dropping it ends it.
pub(crate) struct Browser {
    child: Child,
    requests: ChildStdin,
    answers: Receiver<Value>,
    last_id: u64,
    // The sessions of pages that have told that they are loaded.
    loaded: Vec<Value>,
    _profile: tempfile::TempDir,
}

/// A page that is open in a browser.
#[derive(Debug, Clone)]
pub(crate) struct Page(String);

impl Browser {
    #[track_caller]
    pub(crate) fn start() -> Self {
        let program = PROGRAMS.iter().find(|program| is_there(program)).unwrap_or_else(|| {
            panic!(
                "there is no `chromium`, in which the tests open pages: install it, on Debian with \
                 `apt-get install chromium`"
            )
        });
        let profile = tempfile::tempdir().unwrap();
        // The browser speaks on its files 3 and 4, which are our end of its input and output.
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh", program]);
        command.args(["--headless=new", "--remote-debugging-pipe", "--no-first-run"]);
        command.args(["--disable-gpu", "--disable-dev-shm-usage", "--window-size=1100,760"]);
        // The tests may run as root and in a container, and open nothing but pages of their own.
        command.args(["--no-sandbox", "--disable-background-networking", "--hide-scrollbars"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let requests = child.stdin.take().unwrap();
        let answers = read(child.stdout.take().unwrap());
        Self { child, requests, answers, last_id: 0, loaded: Vec::new(), _profile: profile }
    }

    /// Opens a page in a tab of its own.
    #[track_caller]
    pub(crate) fn open(&mut self, url: &str) -> Page {
        let target = self.ask(None, "Target.createTarget", json!({ "url": "about:blank" }));
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = self.ask(None, "Target.attachToTarget", attach)["sessionId"].clone();
        let page = Page(session.as_str().unwrap().to_owned());
        self.ask(Some(&page), "Page.enable", json!({}));
        self.loaded.clear();
        self.ask(Some(&page), "Page.navigate", json!({ "url": url }));
        while !self.loaded.contains(&session) {
            self.next("Page.loadEventFired");
        }
        page
    }

    /// What a script of the page says; a promise is waited for.
    #[track_caller]
    pub(crate) fn evaluate(&mut self, page: &Page, script: &str) -> Value {
        let script = json!({ "expression": script, "awaitPromise": true, "returnByValue": true });
        let said = self.ask(Some(page), "Runtime.evaluate", script);
        assert_eq!(said.get("exceptionDetails"), None, "{said:#}");
        said["result"]["value"].clone()
    }

    /// Waits until a script of the page says `expected`.
    #[track_caller]
    pub(crate) fn until(&mut self, page: &Page, script: &str, expected: &Value) {
        let wait_ms = WAIT_MAX.as_millis() / 2;
        // It looks whenever the document changes; and, for what is no change of it, now and then.
        let waiting = format!(
            "new Promise((resolve) => {{
               const expected = JSON.stringify({expected});
               const said = () => {{ try {{ return {script}; }} catch (error) {{ return `${{error}}`; }} }};
               const end = () => {{ observer.disconnect(); clearInterval(timer); resolve(said()); }};
               const look = () => {{ if (JSON.stringify(said()) === expected) end(); }};
               const observer = new MutationObserver(look);
               observer.observe(document, {{ subtree: true, childList: true, attributes: true }});
               const timer = setInterval(look, 50);
               setTimeout(end, {wait_ms});
               look();
             }})"
        );
        assert_eq!(&self.evaluate(page, &waiting), expected, "`{script}` does not come to this");
    }

    /// Types a text into the field that a selector names, and presses Enter.
    #[track_caller]
    pub(crate) fn enter(&mut self, page: &Page, selector: &str, text: &str) {
        self.evaluate(page, &format!("document.querySelector({}).focus()", json!(selector)));
        self.ask(Some(page), "Input.insertText", json!({ "text": text }));
        for kind in ["keyDown", "keyUp"] {
            let key = json!({
                "type": kind, "key": "Enter", "code": "Enter", "text": "\r",
                "windowsVirtualKeyCode": 13,
            });
            self.ask(Some(page), "Input.dispatchKeyEvent", key);
        }
    }

    /// Clicks with the mouse on what a selector names.
    #[track_caller]
    pub(crate) fn click(&mut self, page: &Page, selector: &str) {
        let place = format!(
            "(() => {{ const at = document.querySelector({}).getBoundingClientRect();
               return [at.x + at.width / 2, at.y + at.height / 2]; }})()",
            json!(selector)
        );
        let place = self.evaluate(page, &place);
        for kind in ["mousePressed", "mouseReleased"] {
            let mouse = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.ask(Some(page), "Input.dispatchMouseEvent", mouse);
        }
    }

    #[track_caller]
    fn ask(&mut self, page: Option<&Page>, method: &str, parameters: Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        let mut request = json!({ "id": id, "method": method, "params": parameters });
        if let Some(Page(session)) = page {
            request["sessionId"] = json!(session);
        }
        self.requests.write_all(format!("{request}\0").as_bytes()).unwrap();
        loop {
            let answer = self.next(method);
            if answer["id"] == id {
                assert_eq!(answer.get("error"), None, "`{method}` failed");
                return answer["result"].clone();
            }
        }
    }

    /// The next message, while something is waited for.
    #[track_caller]
    fn next(&mut self, waited_for: &str) -> Value {
        let message = self.answers.recv_timeout(WAIT_MAX);
        let message = message.unwrap_or_else(|error| panic!("no `{waited_for}`: {error}"));
        if message["method"] == "Page.loadEventFired" {
            self.loaded.push(message["sessionId"].clone());
        }
        message
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        self.child.wait().map(drop).unwrap_or_default();
    }
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    let output = command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    output.is_ok_and(|status| status.success())
}

/// Reads messages on a thread of its own, until the browser ends.
fn read(output: ChildStdout) -> Receiver<Value> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for message in BufReader::new(output).split(0) {
            let Ok(message) = message else { return };
            let message = serde_json::from_slice(&message).unwrap_or_default();
            if sender.send(message).is_err() {
                return;
            }
        }
    });
    receiver
}
