//! From commits that name their causes to a tree, and from the tree to lines.
//!
//! ```text
//! command ─► its events ─► commands and appends that name one of them as their cause
//!    └─────────────────► those that name the command itself
//! ```
//! Causes are what clients say, so the tree is made without trust: who names an unknown cause begins a
//! tree, and so does the oldest of those who name each other.

use std::collections::{HashMap, HashSet};

use annals_core::time::Timestamp;
use serde::Deserialize;

/// How deep lines are indented; what is deeper is printed as deep as this.
const INDENTED_MAX: usize = 40;

/// What was recorded together.
#[derive(Debug, Deserialize)]
pub(super) struct Commit {
    recorded_at: String,
    causation_id: Option<String>,
    principal: Option<String>,
    command: Option<Command>,
    events: Vec<Event>,
}

#[derive(Debug, Deserialize)]
struct Command {
    command_id: String,
    command: String,
    stream: String,
    outcome: String,
    rejection: Option<Rejection>,
}

#[derive(Debug, Deserialize)]
struct Rejection {
    code: String,
    message: String,
}

#[derive(Debug, Deserialize)]
struct Event {
    id: String,
    stream: String,
    revision: u64,
    r#type: String,
}

impl Commit {
    pub(super) fn events_count(&self) -> usize {
        self.events.len()
    }

    /// When it was recorded, as far as that can be read.
    fn time(&self) -> Timestamp {
        self.recorded_at.parse().unwrap_or_default()
    }

    /// Whether a schedule led to it: no message of the store did.
    fn is_of_schedule(&self) -> bool {
        self.principal.as_ref().is_some_and(|who| who.starts_with("schedule/"))
    }

    /// What happened, without when.
    fn text(&self) -> String {
        let what = match &self.command {
            Some(Command { command, stream, outcome, rejection, .. }) => {
                let why = rejection.as_ref().map_or(String::new(), |rejection| {
                    format!(" ({}): {}", rejection.code, rejection.message)
                });
                format!("{command} → {stream}   {outcome}{why}")
            }
            None => {
                let mut streams: Vec<&str> =
                    self.events.iter().map(|event| event.stream.as_str()).collect();
                streams.dedup();
                format!("append → {}", streams.join(", "))
            }
        };
        let who = self.principal.as_ref().map(|who| format!("   (by {who})")).unwrap_or_default();
        what + &who
    }
}

impl Event {
    fn text(&self) -> String {
        format!("{} {}@{}", self.r#type, self.stream, self.revision)
    }
}

/// Commits below their causes.
#[derive(Debug)]
pub(super) struct Tree {
    /// In order of time; of one time, in the order in which they were found.
    commits: Vec<Commit>,
    /// By the index of a commit, and the index of one of its events, or none for its command.
    children: HashMap<(usize, Option<usize>), Vec<usize>>,
    roots: Vec<usize>,
    /// Those of `roots` whose cause is in the tree, itself or below: they name each other in a circle.
    roots_in_circles: HashSet<usize>,
}

/// What is still to be printed, and where.
enum Next {
    /// A commit, by its index.
    Commit(usize, Branch),
    /// An event, by the index of its commit and its own.
    Event(usize, usize, Branch),
}

/// Where a line is below others.
struct Branch {
    /// What its line begins with, and those below it.
    indent: String,
    /// Whether nothing more comes at its place.
    is_last: bool,
}

impl Branch {
    fn line(&self, after_ms: u64, text: &str) -> String {
        let branch = if self.is_last { "└─" } else { "├─" };
        format!("{}{branch} +{} {text}", self.indent, elapsed(after_ms))
    }

    /// What lines below begin with.
    fn deeper(&self) -> String {
        if self.indent.chars().count() >= 3 * INDENTED_MAX {
            return self.indent.clone();
        }
        format!("{}{}", self.indent, if self.is_last { "   " } else { "│  " })
    }
}

impl Tree {
    pub(super) fn new(mut commits: Vec<Commit>) -> Self {
        commits.sort_by_key(Commit::time);
        let mut places = HashMap::new();
        for (index, commit) in commits.iter().enumerate() {
            // A command id may be used again on another stream: the first is taken for the cause.
            if let Some(command) = &commit.command {
                places.entry(command.command_id.clone()).or_insert((index, None));
            }
            for (ordinal, event) in commit.events.iter().enumerate() {
                places.entry(event.id.clone()).or_insert((index, Some(ordinal)));
            }
        }
        let mut tree = Self {
            commits: Vec::new(),
            children: HashMap::new(),
            roots: Vec::new(),
            roots_in_circles: HashSet::new(),
        };
        for (index, commit) in commits.iter().enumerate() {
            let cause = commit.causation_id.as_ref().and_then(|cause| places.get(cause));
            match cause {
                Some(place) if place.0 != index => {
                    tree.children.entry(*place).or_default().push(index);
                }
                Some(_) => {
                    tree.roots.push(index);
                    tree.roots_in_circles.insert(index);
                }
                None => tree.roots.push(index),
            }
        }
        tree.commits = commits;
        tree.add_roots_of_circles();
        tree
    }

    /// Has the oldest of those begin a tree that only name each other as causes.
    fn add_roots_of_circles(&mut self) {
        let mut reached = HashSet::new();
        let mut waiting = self.roots.clone();
        let mut rest = 0..self.commits.len();
        loop {
            while let Some(index) = waiting.pop() {
                if reached.insert(index) {
                    waiting.extend(self.children_of(index));
                }
            }
            let Some(oldest) = rest.find(|index| !reached.contains(index)) else { break };
            for children in self.children.values_mut() {
                children.retain(|child| *child != oldest);
            }
            self.roots.push(oldest);
            self.roots_in_circles.insert(oldest);
            waiting.push(oldest);
        }
        self.roots.sort_unstable();
    }

    /// Everything that names a commit or one of its events as cause.
    fn children_of(&self, index: usize) -> Vec<usize> {
        let events_count = self.commits.get(index).map_or(0, Commit::events_count);
        let places = std::iter::once(None).chain((0..events_count).map(Some));
        places.filter_map(|place| self.children.get(&(index, place))).flatten().copied().collect()
    }

    /// The tree, line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for &root in &self.roots {
            let Some(commit) = self.commits.get(root) else { continue };
            let began = commit.time();
            let is_in_circle = self.roots_in_circles.contains(&root);
            let where_ = if is_in_circle { "in a circle" } else { "which is not in here" };
            // What a schedule sends says that by whom it is sent.
            let cause = commit.causation_id.as_ref().filter(|_| !commit.is_of_schedule());
            let cause = cause.map(|id| format!("   (caused by {id}, {where_})"));
            let (at, text) = (&commit.recorded_at, commit.text());
            lines.push(format!("{at} {text}{}", cause.unwrap_or_default()));
            self.add_lines_below(root, began, &mut lines);
        }
        lines
    }

    fn add_lines_below(&self, root: usize, began: Timestamp, lines: &mut Vec<String>) {
        let mut waiting = Vec::new();
        self.put_below(root, "", &mut waiting);
        while let Some(next) = waiting.pop() {
            match next {
                Next::Commit(index, branch) => {
                    let Some(commit) = self.commits.get(index) else { continue };
                    let text = commit.text();
                    lines.push(branch.line(after(began, commit), &text));
                    self.put_below(index, &branch.deeper(), &mut waiting);
                }
                Next::Event(index, ordinal, branch) => {
                    let Some(commit) = self.commits.get(index) else { continue };
                    let Some(event) = commit.events.get(ordinal) else { continue };
                    lines.push(branch.line(after(began, commit), &event.text()));
                    let children = self.children.get(&(index, Some(ordinal)));
                    let children = children.map_or(&[][..], Vec::as_slice);
                    put_commits(children, &branch.deeper(), &mut waiting);
                }
            }
        }
    }

    /// Puts the events of a commit, and what names its command as cause, in front of what waits.
    fn put_below(&self, index: usize, indent: &str, waiting: &mut Vec<Next>) {
        let children = self.children.get(&(index, None)).map_or(&[][..], Vec::as_slice);
        put_commits(children, indent, waiting);
        let events_count = self.commits.get(index).map_or(0, Commit::events_count);
        for ordinal in (0..events_count).rev() {
            let is_last = children.is_empty() && ordinal + 1 == events_count;
            let branch = Branch { indent: indent.to_owned(), is_last };
            waiting.push(Next::Event(index, ordinal, branch));
        }
    }
}

/// Puts commits in front of what waits, the first of them first.
fn put_commits(children: &[usize], indent: &str, waiting: &mut Vec<Next>) {
    for (place, child) in children.iter().enumerate().rev() {
        let is_last = place + 1 == children.len();
        waiting.push(Next::Commit(*child, Branch { indent: indent.to_owned(), is_last }));
    }
}

fn after(began: Timestamp, commit: &Commit) -> u64 {
    commit.time().ms_since(began)
}

/// A time as exact as people read it: timers may fire after days.
fn elapsed(ms: u64) -> String {
    let (s, min, h) = (ms / 1_000, ms / 60_000, ms / 3_600_000);
    match ms {
        0..10_000 => format!("{ms} ms"),
        10_000..120_000 => format!("{s}.{} s", ms % 1_000 / 100),
        120_000..7_200_000 => format!("{min} min {} s", s % 60),
        7_200_000..172_800_000 => format!("{h} h {} min", min % 60),
        _ => format!("{} d {} h", h / 24, h % 24),
    }
}

#[cfg(test)]
mod tests;
