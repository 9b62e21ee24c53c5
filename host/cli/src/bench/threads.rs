//! What single threads of this process have used, by their names, read from `/proc`.

use std::fs;
use std::time::Duration;

/// How much of a thread's name the system keeps, in bytes.
const NAME_BYTES_MAX: usize = 15;

/// CPU time of all living threads whose name begins with `name`; `None` where the system does not tell.
pub(super) fn cpu_of(name: &str) -> Option<Duration> {
    let name = name.get(..NAME_BYTES_MAX).unwrap_or(name);
    let mut cpu = None;
    for thread in fs::read_dir("/proc/self/task").ok()?.flatten() {
        let path = thread.path();
        // A thread may end at any time, and is not counted then.
        let Ok(its_name) = fs::read_to_string(path.join("comm")) else { continue };
        if !its_name.starts_with(name) {
            continue;
        }
        let Ok(times) = fs::read_to_string(path.join("schedstat")) else { continue };
        // The first of its numbers is the time on a core, in nanoseconds.
        let on_core = times.split_whitespace().next()?.parse().ok()?;
        cpu = Some(cpu.unwrap_or(Duration::ZERO) + Duration::from_nanos(on_core));
    }
    cpu
}

/// Has the system forget how much memory this process has used at most until now; whether it did.
pub(super) fn forget_peak_memory() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn a_threads_time_is_found_under_its_long_name() {
        // Guards the figures of projections: names are cut by the system.
        let (end, ended) = mpsc::channel::<()>();
        let (work, worked) = mpsc::channel();
        let name = "annals-bench-threads-of-a-test";
        let worker = thread::Builder::new().name(name.to_owned()).spawn(move || {
            work.send((0..10_000_000_u64).fold(0, |sum, next| sum ^ std::hint::black_box(next)))
                .unwrap();
            assert_eq!(ended.recv(), Err(mpsc::RecvError));
        });
        worked.recv().unwrap();
        assert!(cpu_of(name).is_some_and(|cpu| cpu > Duration::ZERO));
        assert_eq!(cpu_of("annals-no-such-thread"), None);
        drop(end);
        worker.unwrap().join().unwrap();
    }
}
