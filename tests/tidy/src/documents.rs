//! That documents lead where they say, and that nothing points out of the repository.

use std::collections::{BTreeMap, HashSet};

use crate::files::{File, all, assert_none, texts};

/// The lines of a document outside of code blocks, with their numbers.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

/// The targets of the links on a line: `[text](target)`.
fn link_targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0))
}

/// The name by which a heading is linked to: lower case, words joined by `-`.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// The path that `target`, in a document at `from`, leads to.
fn resolve(from: &str, target: &str) -> String {
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The links of one document that lead nowhere. `documents` has the text of each by path; `paths`
/// all files and folders.
fn dead_links(
    path: &str,
    documents: &BTreeMap<&str, &str>,
    paths: &HashSet<String>,
) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in prose(documents[path]) {
        for target in link_targets(line).filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.to_owned() } else { resolve(path, file) };
            let has_heading = documents.get(&*file).is_some_and(|text| {
                let headings = prose(text).filter(|(_, line)| line.starts_with('#'));
                headings.map(|(_, line)| anchor(line)).any(|anchor| anchor == heading)
            });
            if !paths.contains(&file) {
                found.push(format!("{path}:{number}: there is no `{target}`"));
            } else if !heading.is_empty() && !has_heading {
                found.push(format!("{path}:{number}: `{file}` has no heading `#{heading}`"));
            }
        }
    }
    found
}

/// The pages of the reference that a line names.
fn reference_pages(line: &str) -> impl Iterator<Item = &str> {
    const FOLDER: &str = "docs/reference/";
    line.match_indices(FOLDER).map(|(start, _)| {
        let rest = &line[start..];
        let is_path = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_' | '.');
        rest[..rest.find(|c| !is_path(c)).unwrap_or(rest.len())].trim_end_matches(['.', '/'])
    })
}

/// What points out of the repository: folders of one machine, and the folder beside this one.
fn outside(line: &str) -> Option<&'static str> {
    // In two parts, so that this file does not break its own rule.
    const OUTSIDE: &[&str] = &[
        concat!("..", "/shared"),
        concat!("/", "home/"),
        concat!("/", "root/"),
        concat!("/", "work/"),
        concat!("/", "farm/"),
        concat!("/", "Users/"),
    ];
    OUTSIDE.iter().find(|outside| line.contains(**outside)).copied()
}

fn paths() -> HashSet<String> {
    let mut paths = HashSet::new();
    for file in all() {
        let folders = file.path.match_indices('/').map(|(end, _)| file.path[..end].to_owned());
        paths.extend(folders);
        paths.insert(file.path.clone());
    }
    paths
}

/// Every line of every text file but the lock file, which cargo writes.
fn lines() -> impl Iterator<Item = (&'static File, usize, &'static str)> {
    let texts = texts("").filter(|(file, _)| !file.ends_with("Cargo.lock"));
    texts.flat_map(|(file, text)| {
        (1..).zip(text.lines()).map(move |(number, line)| (file, number, line))
    })
}

#[test]
fn a_link_that_leads_nowhere_is_named() {
    // Guards the rule itself: a file, a folder and a heading that are there, and ones that are not.
    let guide = "# A guide\n[up](../README.md) [here](#a-guide) [far](https://example.org/x)\n\
                 [gone](gone.md) [too](../README.md#nothing) [folder](../docs)\n\
                 ```\n[code](is-not-a-link.md)\n```\n";
    let documents = BTreeMap::from([("README.md", "# Top"), ("docs/guide.md", guide)]);
    let paths = ["README.md", "docs/guide.md", "docs"].map(str::to_owned).into();
    assert_eq!(
        dead_links("docs/guide.md", &documents, &paths),
        [
            "docs/guide.md:3: there is no `gone.md`",
            "docs/guide.md:3: `README.md` has no heading `#nothing`",
        ]
    );
    assert_eq!(anchor("## What `annals` is: a *daemon*"), "what-annals-is-a-daemon");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    // Guards readers against dead ends after a file was renamed.
    let documents: BTreeMap<_, _> =
        texts(".md").map(|(file, text)| (file.path.as_str(), text)).collect();
    let paths = paths();
    let found = documents.keys().flat_map(|path| dead_links(path, &documents, &paths));
    assert_none(&found.collect::<Vec<_>>());
}

#[test]
fn every_page_of_the_reference_that_is_named_is_there() {
    // Guards error texts and comments that send somebody to a page.
    let named = "see `docs/reference/cli.md`, or docs/reference/errors/0007.md.";
    let pages: Vec<_> = reference_pages(named).collect();
    assert_eq!(pages, ["docs/reference/cli.md", "docs/reference/errors/0007.md"]);

    let paths = paths();
    let mut found = Vec::new();
    // This file names pages that are not there on purpose.
    for (file, number, line) in lines().filter(|(file, _, _)| !file.is_under(&["tests/tidy/"])) {
        let missing = reference_pages(line).filter(|page| !paths.contains(*page));
        found.extend(missing.map(|page| format!("{}:{number}: there is no {page}", file.path)));
    }
    assert_none(&found);
}

#[test]
fn nothing_points_out_of_the_repository() {
    // Guards that a clone on another machine is complete.
    assert_eq!(outside(concat!("see ", "/", "home/", "me")), Some(concat!("/", "home/")));
    assert_eq!(outside("host/core/src/lib.rs"), None);

    let found = lines().filter_map(|(file, number, line)| {
        Some(format!("{}:{number}: points at `{}`", file.path, outside(line)?))
    });
    assert_none(&found.collect::<Vec<_>>());
}
