//! A data set cut into batches, in order or shuffled, at hand or loaded ahead.

use crate::dataset::Dataset;
use crate::error::DataError;
use gradus_tensor::Rng;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

/// The batches of one pass over a data set; made by [`Dataset::batches`].
///
/// Each item is a `Result`: a batch that cannot be loaded is an error, and the next item is the batch
/// after it. A request that makes no batches at all (a size of 0, an empty data set, fewer samples
/// than one whole batch when the incomplete one is dropped, a start after the end) is one error and
/// nothing else.
///
/// ```
/// use gradus_data::{Dataset, TensorDataset};
/// use gradus_tensor::{Rng, Tensor};
/// let data = TensorDataset::new(Tensor::<f32>::zeros([10, 3]), Tensor::<i64>::zeros([10]))?;
/// let mut sizes = vec![];
/// for batch in data.batches(4).shuffle(&mut Rng::seed(0)).prefetch(2) {
///     let (x, _) = batch?;
///     sizes.push(x.size(0));
/// }
/// assert_eq!(sizes, [4, 4, 2]);
/// # Ok::<(), gradus_data::DataError>(())
/// ```
#[doc(alias("DataLoader", "BatchSampler"))]
#[derive(Clone)]
#[must_use = "batches are made as they are iterated over"]
pub struct Batches<D> {
    data: D,
    size: usize,
    /// The samples in their shuffled order; `None` for 0, 1, 2 …
    order: Option<Vec<usize>>,
    drop_last: bool,
    epoch: u64,
    /// The number of the next batch.
    next: usize,
    /// Whether the one error of a request without batches is out.
    refused: bool,
}

impl<D: Dataset> Batches<D> {
    pub(crate) fn new(data: D, size: usize) -> Self {
        Self { data, size, order: None, drop_last: false, epoch: 0, next: 0, refused: false }
    }

    /// Takes the samples in random order, drawn now: it depends on `rng` and the number of samples, and
    /// on nothing else.
    pub fn shuffle(mut self, rng: &mut Rng) -> Self {
        self.order = Some(rng.permutation(self.data.len()));
        self
    }

    /// Draws as many samples as there are, with replacement, each with a probability in proportion to its weight: a weighted
    /// random sampler. Some samples come several times, others not at all; with
    /// [`sample_weights`](crate::Labelled::sample_weights), all classes come as often.
    ///
    /// # Errors
    /// When there is not one weight for each sample, one is negative or not finite, or all are 0.
    ///
    /// ```
    /// use gradus_data::{Dataset, Labelled, Relabelled, TensorDataset};
    /// use gradus_tensor::{Rng, Tensor};
    /// let data = TensorDataset::new(Tensor::<f32>::zeros([1000, 1]), Tensor::<i64>::zeros([1000]))?;
    /// let data = Relabelled::new(data, Tensor::from_fn([1000], |i| i64::from(i[0] < 20)), ["common", "rare"])?;
    /// let mut batches = data.batches(1000).weighted(&data.sample_weights()?, &mut Rng::seed(0))?;
    /// let (_, labels) = batches.next().unwrap()?;
    /// let rare = labels.sum(..).item();
    /// assert!((450..550).contains(&rare));
    /// # Ok::<(), gradus_data::DataError>(())
    /// ```
    #[doc(alias = "WeightedRandomSampler")]
    pub fn weighted(mut self, weights: &[f64], rng: &mut Rng) -> Result<Self, DataError> {
        let n = self.data.len();
        if weights.len() != n {
            return Err(DataError::new(format!("weighted batches: {} weights for {n} samples", weights.len())));
        }
        if let Some(i) = weights.iter().position(|w| !(w.is_finite() && *w >= 0.0)) {
            let w = weights[i];
            return Err(DataError::new(format!("weighted batches: sample {i} has the weight {w}; wanted a number from 0")));
        }
        let mut sum = 0.0;
        let ends: Vec<f64> = weights.iter().map(|w| (sum += w, sum).1).collect();
        if n > 0 && !(sum > 0.0 && sum.is_finite()) {
            return Err(DataError::new(format!("weighted batches: the weights add up to {sum}; wanted a number above 0")));
        }
        let last = weights.iter().rposition(|&w| w > 0.0).unwrap_or(0);
        let draw = |_| {
            let at = rng.uniform() * sum;
            // Rounding may place a draw at the very end.
            ends.partition_point(|&end| end <= at).min(last)
        };
        self.order = Some((0..n).map(draw).collect());
        Ok(self)
    }

    /// Leaves out the last batch if it would be smaller than the others.
    pub fn drop_last(mut self, drop: bool) -> Self {
        self.drop_last = drop;
        self
    }

    /// Which pass over the data this is, 0 unless set: random pictures, as [`Dataset::augment`] makes them, are drawn anew in
    /// each.
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    /// Starts at batch `k`, to go on with a pass that was interrupted; the batches before it are not
    /// loaded. Shuffle from the generator's state at the start of that pass to meet the same batches.
    pub fn skip_batches(mut self, k: usize) -> Self {
        self.next = k;
        self
    }

    /// Loads batches ahead in a thread of its own, at most `n` at a time (0 counts as 1).
    ///
    /// A panic in the thread arrives as an error. Dropping the iterator ends the thread after the batch
    /// that it is loading.
    #[doc(alias = "num_workers")]
    pub fn prefetch(self, n: usize) -> Prefetch<D::Batch>
    where
        D: Send + 'static,
        D::Batch: Send + 'static,
    {
        Prefetch::start(self, n)
    }

    /// How many batches the whole pass has.
    fn total(&self) -> Result<usize, DataError> {
        let n = self.data.len();
        if self.size == 0 {
            return Err(DataError::new("batches: a batch of 0 samples; wanted 1 or more"));
        }
        if n == 0 {
            return Err(DataError::new("batches: the data set is empty"));
        }
        let total = if self.drop_last { n / self.size } else { n.div_ceil(self.size) };
        if total == 0 {
            let size = self.size;
            return Err(DataError::new(format!("batches: {n} samples do not fill one batch of {size}, and the rest is dropped")));
        }
        if self.next > total {
            return Err(DataError::new(format!("batches: cannot start at batch {}; the pass has {total}", self.next)));
        }
        Ok(total)
    }

    fn load(&self, batch: usize) -> Result<D::Batch, DataError> {
        let start = batch * self.size;
        let end = start.saturating_add(self.size).min(self.data.len());
        match &self.order {
            Some(order) => self.data.batch_of_epoch(&order[start..end], self.epoch),
            None => self.data.batch_of_epoch(&(start..end).collect::<Vec<_>>(), self.epoch),
        }
    }
}

impl<D: Dataset> Iterator for Batches<D> {
    type Item = Result<D::Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.refused {
            return None;
        }
        match self.total() {
            Err(e) => {
                self.refused = true;
                Some(Err(e))
            }
            Ok(total) if self.next < total => {
                self.next += 1;
                Some(self.load(self.next - 1))
            }
            Ok(_) => None,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self.total() {
            _ if self.refused => 0,
            Ok(total) => total - self.next,
            Err(_) => 1,
        };
        (left, Some(left))
    }
}

impl<D: Dataset> ExactSizeIterator for Batches<D> {}

/// Batches that a thread loads ahead; made by [`Batches::prefetch`].
#[must_use = "batches are handed over as they are iterated over"]
pub struct Prefetch<B> {
    /// `None` after the end.
    queue: Option<Receiver<Result<B, DataError>>>,
    thread: Option<JoinHandle<()>>,
    left: usize,
    /// Why there is no thread.
    failed: Option<DataError>,
}

impl<B: Send + 'static> Prefetch<B> {
    fn start<D: Dataset<Batch = B> + Send + 'static>(batches: Batches<D>, n: usize) -> Self {
        let left = batches.len();
        // One batch more waits in the thread's hands.
        let (sender, queue) = sync_channel(n.saturating_sub(1));
        let work = move || {
            for batch in batches {
                // Nobody listens any more: the iterator was dropped.
                if sender.send(batch).is_err() {
                    return;
                }
            }
        };
        match thread::Builder::new().name("gradus-prefetch".into()).spawn(work) {
            Ok(thread) => Self { queue: Some(queue), thread: Some(thread), left, failed: None },
            Err(e) => {
                let failed = Some(DataError::new(format!("prefetch: cannot start a thread: {e}")));
                Self { queue: None, thread: None, left: 1, failed }
            }
        }
    }
}

impl<B> Prefetch<B> {
    /// Ends the thread, and tells of its panic if it ended by one.
    fn join(&mut self) -> Option<DataError> {
        // Without a receiver, a thread that waits to send goes on to its end.
        self.queue = None;
        let payload = self.thread.take()?.join().err()?;
        let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
        let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into());
        Some(DataError::new(format!("prefetch: loading a batch panicked: {text}")))
    }
}

impl<B> Iterator for Prefetch<B> {
    type Item = Result<B, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let received = self.queue.as_ref().and_then(|q| q.recv().ok());
        let item = received.or_else(|| self.failed.take().or_else(|| self.join()).map(Err));
        self.left = if item.is_some() { self.left.saturating_sub(1) } else { 0 };
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A panic of the thread ends the pass early.
        (self.left.min(1), Some(self.left))
    }
}

impl<B> Drop for Prefetch<B> {
    fn drop(&mut self) {
        self.join();
    }
}
