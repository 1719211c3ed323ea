//! Answers that take long to build: on threads that may block, few at a time.

use axum::response::Response;
use dmq_api::status::Code;
use tokio::sync::Semaphore;

use super::error::ApiError;
use crate::handle::RequestError;

/// Answers that are built at the same time. One of 80,000 partitions takes half a second of a core and
/// 50 MB; more of them at once would only be slower.
const BUILDING_MAX: usize = 2;
/// Requests that wait for their turn, at most: more are told to come back.
const WAITING_MAX: usize = 16;

/// The places where large answers are built.
pub(super) static LARGE_ANSWERS: LargeAnswers = LargeAnswers::new(BUILDING_MAX, WAITING_MAX);

/// A bound on the large answers that are built or waited for.
#[derive(Debug)]
pub(super) struct LargeAnswers {
    admitted: Semaphore,
    building: Semaphore,
}

impl LargeAnswers {
    /// `building` at a time, while `waiting` more wait.
    const fn new(building: usize, waiting: usize) -> Self {
        Self {
            admitted: Semaphore::const_new(building + waiting),
            building: Semaphore::const_new(building),
        }
    }

    /// Builds an answer when it is its turn; refuses at once when too many wait.
    pub(super) async fn build(
        &self,
        work: impl FnOnce() -> Result<Response, ApiError> + Send + 'static,
    ) -> Result<Response, ApiError> {
        let too_many = |_| ApiError::from(RequestError::Overloaded);
        let _admitted = self.admitted.try_acquire().map_err(too_many)?;
        let _turn = self.building.acquire().await.map_err(internal)?;
        tokio::task::spawn_blocking(work).await.map_err(internal)?
    }
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::new(Code::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn few_are_built_at_a_time_few_wait_and_more_are_refused() {
        let answers = Arc::new(LargeAnswers::new(1, 1));
        let (release, released) = mpsc::channel::<()>();
        let (begun, mut beginnings) = tokio::sync::mpsc::unbounded_channel();
        let first = {
            let (answers, begun) = (Arc::clone(&answers), begun.clone());
            tokio::spawn(async move {
                let work = move || {
                    begun.send("first").unwrap();
                    released.recv().unwrap();
                    Ok(Response::default())
                };
                answers.build(work).await
            })
        };
        assert_eq!(beginnings.recv().await, Some("first"));
        let second = {
            let (answers, begun) = (Arc::clone(&answers), begun.clone());
            tokio::spawn(async move {
                let work = move || {
                    begun.send("second").unwrap();
                    Ok(Response::default())
                };
                answers.build(work).await
            })
        };
        // The worker is this thread, so that it is free although an answer is being built.
        while answers.admitted.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let refused = answers.build(|| Ok(Response::default())).await.unwrap_err();
        assert_eq!(refused.code(), "OVERLOADED");
        assert!(beginnings.try_recv().is_err(), "the second waits");
        release.send(()).unwrap();
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(beginnings.recv().await, Some("second"));
        assert_eq!(answers.admitted.available_permits(), 2);
    }
}
