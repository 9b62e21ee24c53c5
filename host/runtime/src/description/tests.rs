//! Every rule of a description, reached from both sides.

use super::*;

fn message(name: &str) -> descriptor::MessageType {
    descriptor::MessageType {
        name: name.to_owned(),
        schema_version: 1,
        content_type: "application/json".to_owned(),
        schema: r#"{"type":"object"}"#.to_owned(),
    }
}

fn said() -> descriptor::Description {
    descriptor::Description {
        name: "account".to_owned(),
        version: "1.2.0-rc.1+build.7".to_owned(),
        summary: "Keeps accounts".to_owned(),
        commands: vec![message("open-account"), message("close-account")],
        events: vec![message("account-opened")],
        targets: Vec::new(),
        tables: Vec::new(),
        state_schema: "1".to_owned(),
        extensions: Vec::new(),
    }
}

/// Checks what becomes of a description of an aggregate after `change`.
#[track_caller]
fn refused(change: impl FnOnce(&mut descriptor::Description), cause: &str) {
    refused_as(PluginKind::Aggregate, change, cause);
}

#[track_caller]
fn refused_as(kind: PluginKind, change: impl FnOnce(&mut descriptor::Description), cause: &str) {
    let mut said = said();
    change(&mut said);
    assert_eq!(check(kind, said), Err(InvalidDescription(cause.to_owned())));
}

#[track_caller]
fn accepted(kind: PluginKind, change: impl FnOnce(&mut descriptor::Description)) {
    let mut said = said();
    change(&mut said);
    assert_eq!(check(kind, said).map(drop), Ok(()));
}

#[test]
fn a_description_becomes_the_hosts_own() {
    // Guards that nothing is lost or mixed up on the way.
    let message = |schema: &str| (SchemaVersion(1), ContentType::Json, schema.to_owned());
    let object = r#"{"type":"object"}"#;
    let description = check(PluginKind::Aggregate, said()).unwrap();
    let ((schema_version, content_type, schema), name) = (message(object), "account-opened");
    assert_eq!(
        description.events,
        [MessageType { name: name.parse().unwrap(), schema_version, content_type, schema }]
    );
    let commands: Vec<_> = description.commands.iter().map(|ty| ty.name.as_str()).collect();
    assert_eq!(commands, ["open-account", "close-account"]);
    assert_eq!(
        (description.name.as_str(), description.version.as_str(), description.summary.as_str()),
        ("account", "1.2.0-rc.1+build.7", "Keeps accounts")
    );
    assert_eq!(description.state_schema, "1");
}

#[test]
fn texts_have_their_form_and_length() {
    // Guards names that go into keys, logs and pages.
    refused(
        |said| said.name = "Not Kebab".to_owned(),
        "`Not Kebab` is not a plugin name: use kebab-case, lower-case letters, digits and single \
         hyphens, starting with a letter, at most 64 bytes",
    );
    for version in ["", "1", "1.2", "01.2.3", "1.2.3.4", "1.2.x", "1.2.3-", "v1.2.3", "1.2.3 "] {
        refused(
            |said| said.version = version.to_owned(),
            &format!("`{version}` is not a semantic version, such as 1.2.0"),
        );
    }
    accepted(PluginKind::Aggregate, |said| said.version = "0.10.0".to_owned());
    for summary in ["two\nlines".to_owned(), "x".repeat(SUMMARY_BYTES_MAX + 1)] {
        refused(|said| said.summary = summary, "the summary is not one line of at most 1024 bytes");
    }
    accepted(PluginKind::Aggregate, |said| said.summary = "x".repeat(SUMMARY_BYTES_MAX));
    refused(
        |said| said.state_schema = "x".repeat(SHORT_TEXT_BYTES_MAX + 1),
        "the state schema has more than 128 bytes",
    );
}

#[test]
fn message_types_are_complete_and_unique() {
    // Guards the type indexes, which stand for names from here on.
    refused(
        |said| said.events.push(message("account-opened")),
        "`account-opened` is in its events twice",
    );
    refused(
        |said| said.commands.push(message("open-account")),
        "`open-account` is in its commands twice",
    );
    refused(
        |said| said.events.iter_mut().for_each(|ty| ty.schema_version = 0),
        "the schema version of `account-opened` is 0, the first is 1",
    );
    for content_type in ["json", "text/ü", "a/\n"] {
        refused(
            |said| {
                let events = said.events.iter_mut();
                events.for_each(|ty| ty.content_type = content_type.to_owned());
            },
            "the content type of `account-opened` is not a media type",
        );
    }
    refused(
        |said| said.events.iter_mut().for_each(|ty| ty.schema = "{".to_owned()),
        "the schema of `account-opened` is not JSON: EOF while parsing an object at line 1 column 1",
    );
    accepted(PluginKind::Aggregate, |said| {
        said.events.iter_mut().for_each(|ty| ty.schema = String::new());
    });
}

#[test]
fn lists_have_a_length() {
    // Guards the host's memory and its pages against an endless description.
    let many =
        |count: usize| (0..count).map(|number| message(&format!("event-{number}"))).collect();
    accepted(PluginKind::Aggregate, |said| said.events = many(MESSAGE_TYPES_MAX));
    refused(
        |said| said.events = many(MESSAGE_TYPES_MAX + 1),
        "it has 1001 events, at most 1000 are allowed",
    );
    let tables = |count: usize| (0..count).map(|number| format!("table-{number}")).collect();
    accepted(PluginKind::Projection, |said| {
        (said.commands, said.tables) = (Vec::new(), tables(TABLES_MAX));
    });
    refused_as(
        PluginKind::Projection,
        |said| (said.commands, said.tables) = (Vec::new(), tables(TABLES_MAX + 1)),
        "it has 101 tables, at most 100 are allowed",
    );
    refused_as(
        PluginKind::Projection,
        |said| (said.commands, said.tables) = (Vec::new(), vec!["rows".to_owned(); 2]),
        "`rows` is in its tables twice",
    );
    refused(
        |said| said.extensions = vec![(String::new(), Vec::new()); EXTENSIONS_MAX + 1],
        "it has 101 extensions, at most 100 are allowed",
    );
    let rest = 1 + {
        let said = said();
        let texts = [&said.name, &said.version, &said.summary, &said.state_schema];
        let types = said.commands.iter().chain(&said.events);
        texts.into_iter().map(String::len).sum::<usize>()
            + types.map(|ty| ty.name.len() + ty.content_type.len() + ty.schema.len()).sum::<usize>()
    };
    let extension = |bytes: usize| vec![("x".to_owned(), vec![0; bytes])];
    accepted(PluginKind::Aggregate, |said| {
        said.extensions = extension(DESCRIPTION_BYTES_MAX - rest);
    });
    refused(
        |said| said.extensions = extension(DESCRIPTION_BYTES_MAX - rest + 1),
        "it has 1048577 bytes, at most 1048576 are allowed",
    );
}

#[test]
fn each_kind_has_its_own_lists() {
    // Guards that an index of a command always has a target, and no kind says what it does not do.
    let targets = |count: usize| vec!["account".to_owned(); count];
    accepted(PluginKind::ProcessManager, |said| said.targets = targets(2));
    refused_as(
        PluginKind::ProcessManager,
        |said| said.targets = targets(1),
        "a plugin of kind `process-manager` with 2 commands has 2 targets, not 1",
    );
    refused_as(
        PluginKind::ProcessManager,
        |said| {
            said.targets = targets(2);
            said.commands[1] = said.commands[0].clone();
        },
        &format!("`account {}` is in its commands twice", said().commands[0].name),
    );
    accepted(PluginKind::ProcessManager, |said| {
        said.targets = vec!["account".to_owned(), "door".to_owned()];
        said.commands[1] = said.commands[0].clone();
    });
    refused(
        |said| said.targets = targets(2),
        "a plugin of kind `aggregate` with 2 commands has 0 targets, not 2",
    );
    refused(
        |said| said.tables = vec!["rows".to_owned()],
        "a plugin of kind `aggregate` has no tables",
    );
    for kind in [PluginKind::Projection, PluginKind::Upcaster] {
        refused_as(kind, |_| {}, &format!("a plugin of kind `{kind}` has no commands"));
    }
}

fn upcaster(produces: &str) -> descriptor::Description {
    let mut said = said();
    said.commands.clear();
    said.events = [(1, "account-opened"), (2, "account-opened")]
        .map(|(schema_version, name)| descriptor::MessageType { schema_version, ..message(name) })
        .to_vec();
    said.extensions = vec![(PRODUCES.to_owned(), produces.as_bytes().to_vec())];
    said
}

#[test]
fn an_upcaster_lists_what_it_makes() {
    // Guards the plan of who leads where: names, versions, content types and schemas are as said.
    let produces = r#"[
        {"name": "account-opened", "schema_version": 3, "schema": {"type": "object"}},
        {"name": "scanned", "schema_version": 1, "content_type": "image/png", "more": 1}
    ]"#;
    let description = check(PluginKind::Upcaster, upcaster(produces)).unwrap();
    assert_eq!(description.events.len(), 2);
    let shape = |name: &str, version, content_type: &str, schema: &str| MessageType {
        name: name.parse().unwrap(),
        schema_version: SchemaVersion(version),
        content_type: ContentType::from(content_type),
        schema: schema.to_owned(),
    };
    let expected = [
        shape("account-opened", 3, "", r#"{"type": "object"}"#),
        shape("scanned", 1, "image/png", ""),
    ];
    assert_eq!(description.produces, expected);
}

#[test]
fn a_list_of_what_is_made_that_is_none_is_refused() {
    // Guards the extension, which is bytes of a guest.
    let refused = |said, cause: &str| {
        assert_eq!(check(PluginKind::Upcaster, said), Err(InvalidDescription(cause.to_owned())));
    };
    let mut without = upcaster("[]");
    without.extensions.clear();
    refused(without, "an upcaster lists the shapes that it makes in the extension `produces`");
    refused(upcaster("[]"), "the extension `produces` of an upcaster is empty");
    refused(
        upcaster(r#"[{"name": "a"}]"#),
        "the extension `produces` is not a JSON list of names and schema versions: missing field \
         `schema_version` at line 1 column 14",
    );
    refused(
        upcaster(r#"[{"name": "a", "schema_version": 0}]"#),
        "the schema version of `a` is 0, the first is 1",
    );
    let twice = r#"[{"name": "a", "schema_version": 1}, {"name": "a", "schema_version": 1}]"#;
    refused(upcaster(twice), "`a 1` is in its produces twice");
    let mut twice = upcaster(r#"[{"name": "a", "schema_version": 1}]"#);
    twice.events.push(message("account-opened"));
    refused(twice, "`account-opened 1` is in its events twice");
    // Of another kind, an extension of that name is not ours.
    accepted(PluginKind::Aggregate, |said| {
        said.extensions = vec![(PRODUCES.to_owned(), b"anything".to_vec())];
    });
}

fn projection() -> descriptor::Description {
    let mut said = said();
    said.commands.clear();
    said
}

#[test]
fn a_projection_says_whether_its_view_may_begin_later() {
    // Guards rebuilds from a place: only a projection that says so is begun after the first event, and
    // what is neither yes nor no is refused.
    let said = |value: &[u8]| {
        let mut said = projection();
        said.extensions = vec![(BEGINS_LATER.to_owned(), value.to_vec())];
        check(PluginKind::Projection, said).map(|description| description.begins_later)
    };
    assert_eq!((said(b"true"), said(b"false")), (Ok(true), Ok(false)));
    let cause = "the extension `begins_later` is not `true` or `false`".to_owned();
    assert_eq!(said(b"perhaps"), Err(InvalidDescription(cause)));
    let without = check(PluginKind::Projection, projection());
    assert_eq!(without.map(|description| description.begins_later), Ok(false));
}
