//! Imports that end early go on, and stores with something else are left alone.

use annals_core::port::EventStore as _;

use super::support::{commits, empty_store, exported, full_store, import, note, with_new_end};
use crate::transfer::{ImportError, LineFault};

#[tokio::test]
async fn an_export_cut_off_anywhere_is_imported_as_far_as_it_is_whole_and_goes_on() {
    // Guards imports against a broken download, a full disk and `kill -9`: at every cut the store has
    // exactly the commits that are whole, and the whole file adds exactly the rest.
    let store = full_store(1).await;
    let all = commits(&store).await;
    let (text, said) = exported(&store).await;
    let line_ends: Vec<_> = text.match_indices('\n').map(|(index, _)| index + 1).collect();
    let last_start = line_ends[line_ends.len() - 2];
    let cuts = line_ends.iter().flat_map(|end| [end - 1, *end, end + 7]);
    let mut counts = Vec::new();
    for cut in cuts.filter(|cut| (line_ends[0]..=last_start).contains(cut)) {
        let other = empty_store(2);
        let error = import(&text.as_bytes()[..cut], &other).await.unwrap_err();
        let found = commits(&other).await;
        let count = found.len();
        assert!(all.starts_with(&found), "cut at {cut}: not a part of the export");
        let ImportError::EndsEarly { lines_count, commits_count } = error else {
            panic!("cut at {cut}: {error}");
        };
        let whole_lines = line_ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(
            (usize::try_from(lines_count), usize::try_from(commits_count)),
            (Ok(whole_lines), Ok(count))
        );
        let appended_count = u64::try_from(all.len() - count).unwrap();
        let imported = import(&text, &other).await.unwrap();
        assert_eq!((imported.appended_count, &imported.export), (appended_count, &said));
        assert_eq!(commits(&other).await, all);
        counts.push(count);
    }
    counts.dedup();
    assert_eq!(counts, (0..=all.len()).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_export_without_its_last_line_end_is_whole() {
    // Guards files that went through an editor or a shell that drops the last line end.
    let (text, said) = exported(&full_store(1).await).await;
    let imported = import(text.trim_end(), &empty_store(2)).await.unwrap();
    assert_eq!(imported.export.commits_count, said.commits_count);
}

#[tokio::test]
async fn importing_again_changes_nothing() {
    // Guards whoever is not sure whether the import was done.
    let (text, said) = exported(&full_store(1).await).await;
    let other = empty_store(2);
    import(&text, &other).await.unwrap();
    let again = import(&text, &other).await.unwrap();
    assert_eq!((again.appended_count, again.export), (0, said));
}

#[tokio::test]
async fn a_store_with_something_else_is_left_alone() {
    // Guards data that is there: another history, a longer one, and one that differs at the start
    // only are refused before anything is written.
    let store = full_store(1).await;
    let (text, _) = exported(&store).await;
    let other_first = empty_store(2);
    for (number, recorded) in commits(&store).await.into_iter().take(3).enumerate() {
        let commit = if number == 0 { note(b"\"other\"", 0) } else { recorded.commit };
        other_first.append(commit).await.unwrap();
    }
    let other_last = empty_store(3);
    other_last.append(note(b"{}", 0)).await.unwrap();
    other_last.append(note(b"{}", 9)).await.unwrap();
    for (other, number) in [(other_first, 0), (other_last, 0)] {
        let before = commits(&other).await;
        let error = import(&text, &other).await.unwrap_err();
        let differs =
            matches!(&error, ImportError::OtherContent { number: found, .. } if *found == number);
        assert!(differs && error.is_the_users(), "{error}");
        assert!(error.hint().unwrap().starts_with("nothing was written"));
        assert_eq!(commits(&other).await, before);
    }
    let longer = empty_store(4);
    import(&text, &longer).await.unwrap();
    longer.append(note(b"{}", 10)).await.unwrap();
    let before = commits(&longer).await;
    let error = import(&text, &longer).await.unwrap_err();
    let is_ahead = matches!(error, ImportError::Ahead { export, store, .. } if store == export + 1);
    assert!(is_ahead, "{error}");
    assert_eq!(commits(&longer).await, before);
}

#[tokio::test]
async fn a_bad_line_is_named_and_mended_the_import_goes_on() {
    // Guards whoever has one broken line in a large file.
    let store = full_store(1).await;
    let all = commits(&store).await;
    let (text, _) = exported(&store).await;
    let broken = text.replacen(r#""annalscommit":"5""#, r#""annalscommit":"#, 1);
    let line = broken
        .lines()
        .position(|line| !line.ends_with('}') || line.contains(r#""annalscommit":,"#));
    let line = u64::try_from(line.unwrap() + 1).unwrap();
    let other = empty_store(2);
    let error = import(&broken, &other).await.unwrap_err();
    let is_named = matches!(&error, ImportError::BadLine { line: found, fault: LineFault::NotALine { .. } } if *found == line);
    assert!(is_named, "{error:?}");
    assert!(error.hint().unwrap().contains("run the same command again"));
    assert_eq!(commits(&other).await, all[..5]);
    let imported = import(&text, &other).await.unwrap();
    assert_eq!(imported.appended_count, u64::try_from(all.len() - 5).unwrap());
}

#[tokio::test]
async fn an_export_that_was_changed_is_told_so_after_it_was_imported() {
    // Guards the digest: one letter of an event, valid in itself.
    let store = empty_store(1);
    store.append(note(br#"{"text":"milk"}"#, 0)).await.unwrap();
    let (text, said) = exported(&store).await;
    let other = empty_store(2);
    let changed = text.replace("milk", "silk");
    let error = import(&changed, &other).await.unwrap_err();
    let is_told = matches!(error, ImportError::Changed { told, actual } if told == said.sha256 && told != actual);
    assert!(is_told, "{error}");
    assert_eq!(commits(&other).await.len(), 1);
    import(with_new_end(&changed, 1, 1), &other).await.unwrap();
}
