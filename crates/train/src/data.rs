//! What a trainer asks of data.

use gradus_data::{DataError, Dataset};
use gradus_tensor::Rng;

/// A data set that a trainer can learn from. What a batch is, the [objective](crate::Objective) decides: inputs `[N, ..]` and targets
/// for a loss, anything for an objective of your own.
pub trait TrainData: Dataset<Batch: Send + 'static> + Clone + Send + 'static {}
impl<D: Dataset<Batch: Send + 'static> + Clone + Send + 'static> TrainData for D {}

/// How one pass goes over a data set.
pub struct Pass<'a> {
    pub batch: usize,
    pub epoch: u64,
    pub order: Order<'a>,
    pub drop_last: bool,
    /// How many batches have been taken before.
    pub skip: usize,
    pub prefetch: usize,
}

/// The order of the samples of a pass.
pub enum Order<'a> {
    AsTheyAre,
    Shuffled(Rng),
    Weighted(&'a [f64], Rng),
}

impl Pass<'_> {
    /// All samples as they are, for evaluation.
    pub fn in_order(batch: usize) -> Self {
        Self { batch, epoch: 0, order: Order::AsTheyAre, drop_last: false, skip: 0, prefetch: 2 }
    }
}

/// The batches of one pass, whatever the type of the data set.
pub type AnyBatches<B> = Box<dyn Iterator<Item = Result<B, DataError>>>;

/// A data set of any type whose batches are `B`.
pub trait Source<B> {
    /// How many samples there are.
    fn len(&self) -> usize;
    /// The batches of a pass.
    fn pass(&self, pass: Pass<'_>) -> Result<AnyBatches<B>, DataError>;
}

impl<B: 'static, D: TrainData<Batch = B>> Source<B> for D {
    fn len(&self) -> usize {
        Dataset::len(self)
    }
    fn pass(&self, pass: Pass<'_>) -> Result<AnyBatches<B>, DataError> {
        let batches = self.batches(pass.batch).epoch(pass.epoch).drop_last(pass.drop_last).skip_batches(pass.skip);
        let batches = match pass.order {
            Order::AsTheyAre => batches,
            Order::Shuffled(mut rng) => batches.shuffle(&mut rng),
            Order::Weighted(weights, mut rng) => batches.weighted(weights, &mut rng)?,
        };
        Ok(Box::new(batches.prefetch(pass.prefetch)))
    }
}
