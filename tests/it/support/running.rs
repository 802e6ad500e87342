//! Ways of running what tests try.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs a future where waiting takes no time.
pub fn at_once<T>(run: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(run)
}

/// Tries everything, as many at a time as there are processors, and gives what went wrong.
pub fn side_by_side<T: Sync>(all: &[T], attempt: impl Fn(&T) -> Result<(), String> + Sync) -> Vec<String> {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(why) = attempt(one) {
                        wrong.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    wrong.into_inner().unwrap()
}
