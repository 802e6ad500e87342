//! Work that a container can make endless: a mount that never answers, memory that its process doesn't give. It gets a thread of
//! its own and a time; past that the thread is left to itself, so that neither the other containers nor a signal wait for it.

use std::time::Duration;
use tokio::sync::oneshot;

/// Does it, and gives what came of it within the time; `None` past it, or where it panicked.
///
/// The thread isn't one of the runtime's: that would wait for it at the program's end.
pub async fn within<T: Send + 'static>(time: Duration, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (tell, told) = oneshot::channel();
    let started = std::thread::Builder::new().name("patience".to_owned()).spawn(move || {
        let _ = tell.send(work());
    });
    if started.is_err() {
        return None;
    }
    tokio::time::timeout(time, told).await.ok()?.ok()
}

/// Says that something took too long.
pub fn too_long(time: Duration) -> String {
    format!("it took longer than {} ms", time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn what_never_ends_is_left() {
        let started = Instant::now();
        let (_never, nothing) = std::sync::mpsc::channel::<()>();
        assert_eq!(within(Duration::from_millis(50), move || nothing.recv().is_ok()).await, None);
        assert!(started.elapsed() < Duration::from_secs(5));
        assert_eq!(within(Duration::from_secs(60), || 7).await, Some(7));
        assert_eq!(within(Duration::from_secs(60), || -> u8 { panic!("hostile") }).await, None);
    }
}
