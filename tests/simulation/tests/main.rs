//! Runs the simulation: many seeds with drivers that keep their contract, and some with ones that do
//! not, which must be found out.
//!
//! `SEED=7 cargo test -p annals-simulation` runs one seed, `SEEDS=5000` that many from 0 on.
#![expect(clippy::panic, reason = "a test ends where something is not as it must be")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use annals_simulation::{Breach, Report, run};

/// How many seeds are run unless the environment says otherwise.
const SEEDS_COUNT: u64 = 100;

/// How many seeds a broken driver may go unnoticed in.
const SEEDS_UNNOTICED_MAX: u64 = 20;

/// A number of the environment.
#[expect(clippy::disallowed_methods, reason = "the seeds to run are an argument of the test")]
fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, which is not a number")))
}

/// The seeds to run.
fn seeds() -> Vec<u64> {
    match from_environment("SEED") {
        Some(seed) => vec![seed],
        None => (0..from_environment("SEEDS").unwrap_or(SEEDS_COUNT)).collect(),
    }
}

/// Runs a seed; a panic is a failure that says how to repeat it.
fn try_run(seed: u64, breach: Option<Breach>) -> Result<Report, String> {
    match catch_unwind(AssertUnwindSafe(|| run(seed, breach))) {
        Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
        Err(_) => {
            Err(format!("a panic; to repeat it: `SEED={seed} cargo test -p annals-simulation`"))
        }
    }
}

#[test]
fn no_seed_breaks_an_invariant() {
    // Guards R14, R8, R1 in miniature: whatever fails, dies or comes late, nothing acknowledged is
    // lost, nothing refused is there, nothing is doubled, and views are the fold of their events.
    let (mut deaths_count, mut lost_count, mut unknown_count) = (0, 0, 0);
    let seeds = seeds();
    for seed in &seeds {
        let report = try_run(*seed, None).unwrap_or_else(|failure| panic!("{failure}"));
        deaths_count += report.deaths_count;
        lost_count += report.lost_count;
        unknown_count += report.unknown_count;
    }
    println!(
        "{} seeds: {deaths_count} deaths, {lost_count} commits lost before they were durable, \
         {unknown_count} outcomes not told",
        seeds.len()
    );
    // A simulation in which nothing goes wrong proves nothing.
    let is_hostile = deaths_count > 0 && lost_count > 0 && unknown_count > 0;
    assert!(is_hostile || seeds.len() < 10);
}

#[test]
fn a_seed_decides_everything() {
    // Guards the message of a failure: running the seed again shows the same.
    for seed in 0..10 {
        let (one, other) = (try_run(seed, None).unwrap(), try_run(seed, None).unwrap());
        let same = one.commits.iter().zip(&other.commits).position(|(a, b)| a != b);
        assert!(one == other, "seed {seed}: commit {same:?}");
    }
    assert_ne!(try_run(1, None).unwrap().commits, try_run(2, None).unwrap().commits);
}

#[test]
fn every_breach_of_a_contract_is_found_out() {
    // Guards the simulation itself: one that cannot fail proves nothing. The texts are those of which
    // one tells of the breach, in a debug build or without the engine's own assertions.
    const NOT_THERE: &str = "was acknowledged and is not there";
    const NOT_THE_FOLD: &str = "is not the fold of its events";
    let signs: [(Breach, &[&str]); 10] = [
        (Breach::LosesCommit, &[NOT_THERE, "told"]),
        (Breach::TellsDurableEarly, &[NOT_THERE]),
        (Breach::RecordsRefused, &["was refused and is there"]),
        (Breach::DoublesRecordedEvent, &["does not follow", "ended early", "has no answer"]),
        (Breach::DoublesReadEvent, &[NOT_THE_FOLD, "the host is stopping"]),
        (Breach::SkipsEvent, &[NOT_THE_FOLD]),
        (Breach::ReadsShort, &["told"]),
        (Breach::ForgetsOutcome, &["told"]),
        (Breach::TearsStateCommit, &[NOT_THE_FOLD]),
        (Breach::IgnoresConditions, &[NOT_THE_FOLD]),
    ];
    assert_eq!(signs.map(|(breach, _)| breach), Breach::ALL);
    for (breach, signs) in signs {
        let mut seeds = 0..SEEDS_UNNOTICED_MAX;
        let failure = seeds.find_map(|seed| Some((seed, try_run(seed, Some(breach)).err()?)));
        let (seed, failure) = failure.unwrap_or_else(|| panic!("{breach:?} was not found out"));
        let is_told = signs.iter().any(|sign| failure.contains(sign));
        assert!(is_told, "{breach:?} was found out as: {failure}");
        let command = format!("`SEED={seed} cargo test -p annals-simulation`");
        assert!(failure.contains(&command), "{failure}");
    }
}
