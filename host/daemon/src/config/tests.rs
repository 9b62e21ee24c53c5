//! Settings from files, variables and flags; and what is said when they are not right.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use annals_engine::{EngineOptions, PluginOptions};

use super::*;

fn environment(variables: &[(&str, &str)]) -> Environment {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Loads a file with this text.
fn load(text: &str) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("annals.toml");
    std::fs::write(&file, text).unwrap();
    let source = ConfigSource { file: Some(file), ..ConfigSource::default() };
    Config::load(&source).map_err(|error| told(&error, folder.path()))
}

/// An error and its hint, without the folder.
fn told(error: &ConfigError, folder: &Path) -> String {
    let hint = error.hint().map(|hint| format!("; hint: {hint}")).unwrap_or_default();
    let folder = format!("{}/", folder.display());
    format!("{error}{hint}").replace(&folder, "")
}

#[test]
fn flags_go_before_variables_and_variables_before_the_file() {
    // Guards the order of settings.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("annals.toml");
    let text = "[store]\ndata = \"file\"\n[engine]\nshards_count = 3\nqueries_in_flight_max = 1\n";
    std::fs::write(&file, text).unwrap();
    let source = ConfigSource {
        file: Some(file.clone()),
        environment: environment(&[
            ("ANNALS_STORE_DATA", "variable"),
            ("ANNALS_ENGINE_QUERIES_IN_FLIGHT_MAX", "2"),
            ("ANNALS_SERVER", "http://127.0.0.1:1"),
        ]),
        flags: vec![("--data", "store", "data", "flag".to_owned())],
    };
    let mut expected = Config::default();
    expected.store.data = PathBuf::from("flag");
    expected.engine.shards_count = ShardsCount::Exactly(NonZeroUsize::new(3).unwrap());
    expected.engine.queries_in_flight_max = NonZeroUsize::new(2).unwrap();
    let loaded = Config::load(&source).unwrap();
    assert_eq!(loaded, Loaded { config: expected, file: Some(file), warnings: Vec::new() });
}

#[test]
fn a_printed_configuration_is_read_as_itself() {
    // Guards `--print-config`, for every key there is.
    let mut config = Config::default();
    assert_eq!(load(&config.to_toml()).unwrap().config, config);
    config.server.listen = "[::1]:80".parse().unwrap();
    config.server.insecure = true;
    config.store.data = PathBuf::from("with \"quotes\" and \\");
    config.store.driver = StoreDriver::Memory;
    config.store.segment_bytes = SegmentBytes::parse("4KiB").unwrap();
    config.limits.memory_bytes_max = ByteCount::new(3 << 20);
    config.shutdown.engine_wait_max = Duration::from_millis(1_500);
    config.log.format = LogFormat::Json;
    config.log.filter = LogFilter::parse("warn,annals_engine=debug").unwrap();
    config.dynamodb.region = Setting::parse("eu-central-1").unwrap();
    config.dynamodb.endpoint = Setting::parse("http://127.0.0.1:8000").unwrap();
    config.bus.driver = BusDriver::Redis;
    config.redis.ca_file = Some(PathBuf::from("ca.pem"));
    config.web.folders = Setting::parse("shop=shop/web,todo=/srv/a b").unwrap();
    assert_eq!(load(&config.to_toml()).unwrap().config, config);
}

#[test]
fn folders_of_pages_are_written_in_one_line_or_as_a_table() {
    // Guards `[web]`: both forms of a TOML table say the same.
    let folders: WebFolders = Setting::parse("shop=b,todo=a/web").unwrap();
    let expected = Web { folders, ..Web::default() };
    for text in [
        "[web]\nfolders = { todo = \"a/web\", shop = \"b\" }\n",
        "[web.folders]\ntodo = \"a/web\"\nshop = \"b\"\n",
        "[web]\nfolders = \"todo=a/web,shop=b\"\n",
    ] {
        assert_eq!(load(text).unwrap().config.web, expected, "{text}");
    }
}

#[test]
fn a_plugin_may_have_limits_of_its_own() {
    // Guards `[plugins.NAME]`: its keys are in force for that plugin alone, the others of `[limits]` go
    // on, and what is printed is read as itself.
    let text = "[limits]\ndecide_fuel_max = 5\nmemory_bytes_max = \"1MiB\"\n\
                [plugins.shop-cart]\nmemory_bytes_max = \"2MiB\"\nlog_lines_per_second_max = 0\n\
                compile_wait_max = \"2s\"\n\
                residents_max = 7\n";
    let config = load(text).unwrap().config;
    let mut expected = config.limits.clone();
    expected.memory_bytes_max = ByteCount::new(2 << 20);
    expected.log_lines_per_second_max = 0;
    expected.compile_wait_max = Duration::from_secs(2);
    let of =
        |name: &str| config.limits_of_plugins.limits_of(&name.parse().unwrap(), &config.limits);
    assert_eq!(of("shop-cart"), expected);
    assert_eq!(of("account"), config.limits);
    assert_eq!(load(&config.to_toml()).unwrap().config, config);
    let in_force = crate::options::runtime(&config);
    let memory = |name: &str| in_force.of(&name.parse().unwrap()).memory_bytes_max;
    assert_eq!((memory("shop-cart"), memory("account")), (2 << 20, 1 << 20));
    assert_eq!(in_force.of_nameless().memory_bytes_max, 2 << 20);
    let own = PluginOptions { residents_max: NonZeroUsize::new(7), ..PluginOptions::default() };
    let options = crate::options::engine(&config);
    assert_eq!(options.plugins, [("shop-cart".parse().unwrap(), own)].into());
    assert_eq!(options.residents_max, EngineOptions::default().residents_max);
}

#[test]
fn areas_of_plugins_are_as_strict_as_the_others() {
    // Guards against a limit of a plugin that is misspelt and silently not in force.
    let cases = [
        (
            "[plugins.shop-cart]\nmemory_byte_max = 1",
            "unknown key `plugins.shop-cart.memory_byte_max` in `annals.toml`; hint: the nearest key \
             is `plugins.shop-cart.memory_bytes_max`",
        ),
        (
            "[plugins.shop-cart]\nmemory_bytes_max = \"1MB\"",
            "`plugins.shop-cart.memory_bytes_max` in `annals.toml`: `1MB` is not allowed: write a \
             size such as `512`, `16KiB`, `64MiB` or `1GiB`",
        ),
        (
            "[plugins]\nshop-cart = 1",
            "unknown key `plugins.shop-cart` in `annals.toml`; hint: the nearest key is `plugins.watch`",
        ),
        (
            "[plugins.\"Shop Cart\"]\nmemory_bytes_max = 1",
            "`plugins.Shop Cart` in `annals.toml` is not the area of a plugin",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(load(text).unwrap_err(), expected);
    }
}

#[test]
fn unknown_keys_name_file_key_and_the_nearest_known_one() {
    // Guards against a setting that is misspelt and silently not in force.
    let cases = [
        (
            "[server]\nlisen = \"127.0.0.1:1\"",
            "unknown key `server.lisen` in `annals.toml`; hint: the nearest key is `server.listen`",
        ),
        (
            "[sever]\nlisten = \"127.0.0.1:1\"",
            "unknown key `sever` in `annals.toml`; hint: the nearest key is `server`",
        ),
        (
            "listen = \"127.0.0.1:1\"",
            "unknown key `listen` in `annals.toml`; hint: the nearest key is `server.listen`",
        ),
        (
            "[[server]]\nlisten = 1",
            "`server` in `annals.toml` is not a table; hint: write `[server]` above its keys",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(load(text).unwrap_err(), expected);
    }
}

#[test]
fn bad_values_name_the_key_and_what_is_allowed() {
    // Guards every form of value, one each.
    let cases = [
        (
            "[store]\ndriver = \"postgres\"",
            "`store.driver` in `annals.toml`: `postgres` is not allowed: write `local`, `memory` or \
             `dynamodb`",
        ),
        (
            "[store]\nsegment_bytes = \"1KiB\"",
            "`store.segment_bytes` in `annals.toml`: `1KiB` is not allowed: write a size from `4KiB` \
             to `1GiB`, such as `64MiB`",
        ),
        (
            "[limits]\nmemory_bytes_max = \"64MB\"",
            "`limits.memory_bytes_max` in `annals.toml`: `64MB` is not allowed: write a size such as \
             `512`, `16KiB`, `64MiB` or `1GiB`",
        ),
        (
            "[shutdown]\nengine_wait_max = 5",
            "`shutdown.engine_wait_max` in `annals.toml`: `5` is not allowed: write a duration such \
             as `500ms`, `5s`, `2m` or `1h`, at most `24h`",
        ),
        (
            "[engine]\nshards_count = 257",
            "`engine.shards_count` in `annals.toml`: `257` is not allowed: write `auto` or a number \
             from 1 to 256",
        ),
        (
            "[engine]\nresidents_max = 0",
            "`engine.residents_max` in `annals.toml`: `0` is not allowed: write a whole number from \
             1 on",
        ),
        (
            "[server]\ninsecure = \"yes\"",
            "`server.insecure` in `annals.toml`: `yes` is not allowed: write `true` or `false`",
        ),
        (
            "[log]\nfilter = \"loud\"",
            "`log.filter` in `annals.toml`: `loud` is not allowed: write `error`, `warn`, `info`, \
             `debug` or `trace`, also by part as in `info,annals_engine=debug`",
        ),
        ("[server\nlisten", "`annals.toml` is not TOML: line 1: "),
        ("\n\n[store]\ndata = ", "`annals.toml` is not TOML: line 4: "),
    ];
    for (text, expected) in cases {
        let error = load(text).unwrap_err();
        assert!(error.starts_with(expected), "{error}\n{expected}");
    }
}

#[test]
fn variables_and_flags_are_checked_as_the_file_is() {
    // Guards the text of errors: where the bad value is.
    let source = |variables: &[_], flags| ConfigSource {
        file: None,
        environment: environment(variables),
        flags,
    };
    let error = Config::load(&source(&[("ANNALS_SERVER_LISTEN", "here")], Vec::new())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`server.listen` in the variable `ANNALS_SERVER_LISTEN`: `here` is not allowed: write an \
         address and a port such as `127.0.0.1:7070` or `[::1]:7070`"
    );
    let flags = vec![("--data", "store", "data", String::new())];
    let error = Config::load(&source(&[], flags)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`store.data` in the flag `--data`: `` is not allowed: write the path of a folder"
    );
}

#[test]
fn a_variable_that_looks_like_ours_is_warned_of() {
    // Guards against a misspelt variable; no error, as clusters set variables by themselves.
    let environment = environment(&[("ANNALS_SERVER_LISTNE", "127.0.0.1:1"), ("NO_COLOR", "1")]);
    let loaded = Config::load(&ConfigSource { environment, ..ConfigSource::default() }).unwrap();
    assert_eq!(
        loaded.warnings,
        ["the variable `ANNALS_SERVER_LISTNE` sets nothing; the nearest is `ANNALS_SERVER_LISTEN`"]
    );
}

#[test]
fn a_secret_is_neither_printed_nor_repeated() {
    // Guards `--print-config` and errors; a printed secret is not taken for a real one.
    let text = "[redis]\nurl = \"redis://:secret@host\"";
    let config = load(text).unwrap().config;
    assert_eq!(config.redis.url.secret(), "redis://:secret@host");
    assert!(!config.to_toml().contains("secret") && !format!("{config:?}").contains("secret"));
    let error = load(&config.to_toml()).unwrap_err();
    assert!(error.starts_with("`redis.url` in `annals.toml`: `***` is not allowed"), "{error}");
}

#[test]
fn a_file_that_is_named_must_be_there_and_not_too_large() {
    // Guards `--config`: a path that is misspelt is not taken for no configuration.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("annals.toml");
    let source = ConfigSource { file: Some(file.clone()), ..ConfigSource::default() };
    let read = |source: &ConfigSource| told(&Config::load(source).unwrap_err(), folder.path());
    assert_eq!(read(&source), "failed to read the configuration `annals.toml`");
    std::fs::write(&file, "#".repeat((1 << 20) + 1)).unwrap();
    assert_eq!(read(&source), "failed to read the configuration `annals.toml`");
    std::fs::write(&file, "#".repeat(1 << 20)).unwrap();
    assert_eq!(Config::load(&source).unwrap().config, Config::default());
}
