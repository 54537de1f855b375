//! What work on a query's rows may take beside DataFusion's own: memory of the same pool, time to the same deadline.
//!
//! A fold of calls holds what it read for a question, often more than the sorts and joins of a statement do. Memory
//! that it takes is missing to statements and the other way round, so all ask one pool. Limits: a fold is asked
//! to stop, not stopped; it must ask.

use std::sync::Arc;

use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use meshlake_schema::{Budget, Spent};
use tokio::time::Instant;

/// How the fold is called where a memory error names the largest consumers.
const CONSUMER: &str = "fold of rows";

/// The budget of one query. What is not given back is given back when it is dropped.
#[derive(Debug)]
pub struct QueryBudget {
    reservation: MemoryReservation,
    deadline: Instant,
}

impl QueryBudget {
    pub fn new(pool: &Arc<dyn MemoryPool>, deadline: Instant) -> Self {
        QueryBudget { reservation: MemoryConsumer::new(CONSUMER).register(pool), deadline }
    }
}

impl Budget for QueryBudget {
    fn grow(&self, bytes: usize) -> Result<(), Spent> {
        let granted = self.reservation.size();
        self.reservation.try_grow(bytes).map_err(|_| Spent::Bytes { asked: bytes, granted })
    }

    fn shrink(&self, bytes: usize) {
        self.reservation.shrink(bytes);
    }

    fn check_time(&self) -> Result<(), Spent> {
        if Instant::now() >= self.deadline { Err(Spent::Time) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn all_folds_share_the_pool_and_give_back_what_they_held() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let later = Instant::now() + Duration::from_secs(60);
        let (first, second) = (QueryBudget::new(&pool, later), QueryBudget::new(&pool, later));
        assert_eq!(first.grow(60), Ok(()));
        assert_eq!(second.grow(40), Ok(()));
        assert_eq!(second.grow(1), Err(Spent::Bytes { asked: 1, granted: 40 }));
        first.shrink(1);
        assert_eq!(second.grow(1), Ok(()));
        drop(first);
        assert_eq!(pool.reserved(), 41);
    }

    #[test]
    fn time_is_up_at_the_deadline() {
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let now = Instant::now();
        assert_eq!(QueryBudget::new(&pool, now).check_time(), Err(Spent::Time));
        assert_eq!(QueryBudget::new(&pool, now + Duration::from_secs(60)).check_time(), Ok(()));
    }
}
