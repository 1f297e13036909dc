//! Buffers that are handed out again: a steady training step allocates, and page-faults, nothing.

use crate::element::{DType, Element};
use crate::error::{OrPanic, ShapeError};
use crate::kernels::alloc::zeroed;
use crate::shape::Shape;
use std::any::Any;
use std::cell::Cell;
use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Buffers below this many bytes are left to the system's allocator, which is faster for them.
const SMALLEST: usize = 1 << 12;
/// Buffers in use and kept ones together are at most so many bytes more than was once in use: a training step that repeats
/// takes no new memory, however much it needs.
const MOST: usize = 1 << 30;
/// Bytes that the first element of a pool's buffer lies at a multiple of: a cache line, and the widest vector. A vector that
/// is loaded from two lines takes twice the time in the first-level cache.
const LINE: usize = 64;
/// Size classes: four to a doubling, so that at most a fifth of a buffer is slack.
const CLASSES: usize = 64 * 4;

static HELD: AtomicUsize = AtomicUsize::new(0);
static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);
/// The most that `LIVE` has ever been.
static HIGH: AtomicUsize = AtomicUsize::new(0);

/// How much memory the tensors of this process take; see [`memory_stats`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryStats {
    /// Bytes in the buffers that tensors hold now; a buffer that several views share counts once.
    pub live_bytes: usize,
    /// The most that `live_bytes` has been since the start, or since [`reset_peak`].
    pub peak_bytes: usize,
    /// Bytes in freed buffers that wait to be used again.
    pub kept_bytes: usize,
}

/// The bytes in tensors' buffers, now and at most, over all threads.
///
/// Only buffers of 4 KiB and more are counted, at the size that was allocated (up to a quarter more than was asked
/// for). Freed buffers are kept for later requests of their size, except those made from a caller's vector, which
/// go back to the system.
///
/// ```
/// use gradus_tensor::{Tensor, memory_stats, reset_peak};
/// reset_peak();
/// let x = Tensor::<f32>::zeros([1 << 20]);
/// assert!(memory_stats().live_bytes >= 4 << 20);
/// drop(x);
/// assert!(memory_stats().peak_bytes >= 4 << 20);
/// ```
pub fn memory_stats() -> MemoryStats {
    let live_bytes = LIVE.load(Ordering::Relaxed);
    // Between a buffer's two entries another thread may look.
    let peak_bytes = PEAK.load(Ordering::Relaxed).max(live_bytes);
    MemoryStats { live_bytes, peak_bytes, kept_bytes: HELD.load(Ordering::Relaxed) }
}

/// Lets the peak of [`memory_stats`] start anew from what is live.
pub fn reset_peak() {
    PEAK.store(LIVE.load(Ordering::Relaxed), Ordering::Relaxed);
}

/// What an observer of buffers is told ([`observe_buffers`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferEvent {
    /// Where the buffer is: what tells live buffers apart.
    pub address: usize,
    /// Its size, as [`memory_stats`] counts it.
    pub bytes: usize,
    /// Whether it was made, or freed.
    pub made: bool,
}

/// What is told of buffers.
pub type BufferObserver = fn(BufferEvent);

thread_local! {
    static OBSERVER: Cell<Option<BufferObserver>> = const { Cell::new(None) };
}

/// Has every buffer that this thread makes or frees told to `observer`, or to nobody; returns who was told before. For
/// profilers. Tensors of up to 16 elements have no buffer, but lie in the tensor itself.
///
/// ```
/// use gradus_tensor::{Tensor, observe_buffers};
/// use std::cell::Cell;
/// thread_local! { static LIVE: Cell<i64> = const { Cell::new(0) } }
/// let before = observe_buffers(Some(|e| LIVE.set(LIVE.get() + if e.made { 1 } else { -1 } * e.bytes as i64)));
/// let x = Tensor::<f32>::zeros([1 << 20]);
/// assert_eq!(LIVE.get(), 4 << 20);
/// drop(x);
/// assert_eq!(LIVE.get(), 0);
/// observe_buffers(before);
/// ```
pub fn observe_buffers(observer: Option<BufferObserver>) -> Option<BufferObserver> {
    OBSERVER.replace(observer)
}

#[inline]
fn tell<T>(data: &[T], made: bool) {
    if let Some(observer) = OBSERVER.get()
        && !data.is_empty()
    {
        observer(BufferEvent { address: data.as_ptr().addr(), bytes: mem::size_of_val(data), made });
    }
}

static POISONED: AtomicBool = AtomicBool::new(false);

/// For tests: from now on every buffer is handed out full of NaN (integers: their smallest), on all threads, so that
/// nothing that reads memory before it is written goes unseen.
#[doc(hidden)]
pub fn poison_fresh_buffers(on: bool) {
    POISONED.store(on, Ordering::Relaxed);
}

/// How many bytes the pools may keep now.
fn most_held() -> usize {
    MOST + HIGH.load(Ordering::Relaxed).saturating_sub(LIVE.load(Ordering::Relaxed))
}

/// Freed vectors of one element type, by size class, each a line longer than its class says.
pub struct Pool<T> {
    free: Mutex<[Vec<Vec<T>>; CLASSES]>,
}

/// Elements of type `T` in a line.
const fn line_of<T>() -> usize {
    LINE / mem::size_of::<T>()
}

/// The smallest class that holds `n` elements, and its size.
fn class_above(n: usize) -> (usize, usize) {
    let n = n.max(8);
    let base = (usize::BITS - 1 - n.leading_zeros()) as usize;
    let step = 1usize << (base - 2);
    let quarter = (n - (1 << base)).div_ceil(step);
    (base * 4 + quarter, (1 << base) + quarter * step)
}

impl<T: Element> Pool<T> {
    pub(crate) const fn new() -> Self {
        Self { free: Mutex::new([const { Vec::new() }; CLASSES]) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, [Vec<Vec<T>>; CLASSES]> {
        // A panic cannot leave the lists half-changed, so a poisoned lock is as good as any.
        self.free.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// A vector of `n` elements or more, or `None` when the machine has no room for it.
    fn take(&self, n: usize) -> Option<Vec<T>> {
        if n < SMALLEST / mem::size_of::<T>() {
            return Some(vec![T::default(); n]);
        }
        if n > Shape::MAX_NUMEL {
            return None;
        }
        let (class, size) = class_above(n);
        let found = self.lock()[class].pop();
        match found {
            Some(v) => {
                HELD.fetch_sub(v.len() * mem::size_of::<T>(), Ordering::Relaxed);
                Some(v)
            }
            None => {
                let size = size + line_of::<T>();
                self.make_room(size * mem::size_of::<T>());
                zeroed(size)
            }
        }
    }

    /// Frees kept buffers, the largest first, that another one of `bytes` would have too many beside it.
    fn make_room(&self, bytes: usize) {
        if HELD.load(Ordering::Relaxed) + bytes <= most_held() {
            return;
        }
        let mut free = self.lock();
        for class in free.iter_mut().rev() {
            while HELD.load(Ordering::Relaxed) + bytes > most_held()
                && let Some(v) = class.pop()
            {
                HELD.fetch_sub(v.len() * mem::size_of::<T>(), Ordering::Relaxed);
            }
        }
    }

    /// Takes back a vector that [`take`](Self::take) gave. Only those: each of them serves the next request of its class,
    /// so the pool holds no more than was once taken from it. A vector that came from elsewhere would serve none, for
    /// its owner brings the next one along too.
    fn give(&self, v: Vec<T>) {
        let bytes = v.len() * mem::size_of::<T>();
        if HELD.load(Ordering::Relaxed) + bytes > most_held() {
            return;
        }
        let (class, size) = class_above(v.len() - line_of::<T>());
        debug_assert_eq!(size + line_of::<T>(), v.len(), "a vector of this pool");
        HELD.fetch_add(bytes, Ordering::Relaxed);
        self.lock()[class].push(v);
    }
}

/// The pool of an element type.
fn pool<T: Element>() -> &'static Pool<T> {
    macro_rules! pools {
        ($($dtype:ident: $t:ty,)*) => {
            match T::DTYPE {
                $(DType::$dtype => {
                    static POOL: Pool<$t> = Pool::new();
                    &POOL as &dyn Any
                })*
            }
        };
    }
    let pool = pools! { F32: f32, F64: f64, I32: i32, I64: i64, U8: u8, Bool: bool, };
    pool.downcast_ref().expect("the pool of this type")
}

/// Up to this many elements lie within the buffer itself, at no allocation.
const INLINE: usize = 16;

enum Data<T> {
    Inline([T; INLINE]),
    /// A vector that the pool gave.
    Pooled(Vec<T>),
    /// A vector that somebody else made, or one too small for the pool.
    Owned(Vec<T>),
}

/// A block of memory that returns to its pool when dropped.
pub(crate) struct Buffer<T: Element> {
    data: Data<T>,
    /// Where the elements begin in a vector.
    start: usize,
    len: usize,
}

impl<T: Element> Buffer<T> {
    /// `n` elements with whatever values a former owner left: to be written before they are read. `None` when the machine
    /// has no room for them.
    #[inline]
    pub fn try_stale(n: usize) -> Option<Self> {
        if POISONED.load(Ordering::Relaxed) {
            return Self::poisoned(n);
        }
        if n <= INLINE {
            return Some(Self { data: Data::Inline([T::default(); INLINE]), start: 0, len: n });
        }
        Self::taken(n)
    }

    /// As [`try_stale`](Self::try_stale), for the kernels' working memory.
    ///
    /// # Panics
    /// When the machine has no room.
    #[inline]
    #[track_caller]
    pub fn stale(n: usize) -> Self {
        match Self::try_stale(n) {
            Some(buffer) => buffer,
            None => Err(ShapeError::new("scratch", no_memory::<T>(n))).or_panic(),
        }
    }

    #[cold]
    fn poisoned(n: usize) -> Option<Self> {
        if n <= INLINE {
            return Some(Self { data: Data::Inline([T::POISON; INLINE]), start: 0, len: n });
        }
        let mut new = Self::taken(n)?;
        new.as_mut_slice().fill(T::POISON);
        Some(new)
    }

    fn taken(n: usize) -> Option<Self> {
        let data = pool::<T>().take(n)?;
        let pooled = data.len() > n;
        Some(Self::counted(data, n, pooled))
    }

    pub fn from_vec(data: Vec<T>) -> Self {
        let len = data.len();
        Self::counted(data, len, false)
    }

    /// A buffer of the first `len` elements of `data`, which is `pooled` if a pool gave it, a line longer than its class.
    fn counted(data: Vec<T>, len: usize, pooled: bool) -> Self {
        let start = if pooled { data.as_ptr().align_offset(LINE) } else { 0 };
        let data = if pooled { Data::Pooled(data) } else { Data::Owned(data) };
        let new = Self { data, start, len };
        tell(new.heap(), true);
        let bytes = mem::size_of_val(new.heap());
        if bytes >= SMALLEST {
            let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
            PEAK.fetch_max(live, Ordering::Relaxed);
            HIGH.fetch_max(live, Ordering::Relaxed);
        }
        new
    }

    /// The vector, if there is one, but for the line that one of the pool has more than its class says.
    fn heap(&self) -> &[T] {
        match &self.data {
            Data::Inline(_) => &[],
            Data::Pooled(v) => &v[..v.len() - line_of::<T>()],
            Data::Owned(v) => v,
        }
    }

    #[inline]
    pub fn as_slice(&self) -> &[T] {
        match &self.data {
            Data::Inline(v) => &v[..self.len],
            Data::Pooled(v) | Data::Owned(v) => &v[self.start..self.start + self.len],
        }
    }

    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        match &mut self.data {
            Data::Inline(v) => &mut v[..self.len],
            Data::Pooled(v) | Data::Owned(v) => &mut v[self.start..self.start + self.len],
        }
    }
}

/// Elements up to which nobody asks beforehand whether there is memory.
const UNASKED: usize = 1 << (usize::BITS / 2);

/// Whether the machine has memory for `n` elements: asked before work begins that would fail in the middle, in a kernel
/// that knows no shapes, or never end.
pub(crate) fn has_room<T: Element>(n: usize) -> bool {
    n <= UNASKED || zeroed::<T>(n).is_some()
}

/// What there is no memory for.
#[cold]
pub(crate) fn no_memory<T>(n: usize) -> String {
    format!("no memory for {n} elements ({} bytes)", n.saturating_mul(mem::size_of::<T>()))
}

impl<T: Element> Drop for Buffer<T> {
    #[inline]
    fn drop(&mut self) {
        let bytes = mem::size_of_val(self.heap());
        tell(self.heap(), false);
        if bytes >= SMALLEST {
            LIVE.fetch_sub(bytes, Ordering::Relaxed);
        }
        if let Data::Pooled(v) = &mut self.data {
            pool::<T>().give(mem::take(v));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_every_size_tightly() {
        for n in (8..5000).chain([1 << 20, (1 << 20) + 1, 12_345_678]) {
            let (class, size) = class_above(n);
            assert!(size >= n && size * 4 <= n * 5 + 4, "{n} -> {size}");
            assert_eq!(class_above(size), (class, size));
        }
    }

    #[test]
    fn a_freed_buffer_serves_the_next_request_of_its_class() {
        // i32 is used by no other test of this crate at this size.
        let n = 1_234_567;
        let ptr = Buffer::<i32>::stale(n).as_slice().as_ptr();
        let again = Buffer::<i32>::stale(n - 5);
        assert_eq!(again.as_slice().as_ptr(), ptr);
        assert_eq!(again.as_slice().len(), n - 5);
    }

    #[test]
    #[should_panic(expected = "no memory for 288230376151711744 elements (1152921504606846976 bytes)")]
    fn what_the_machine_has_no_room_for_is_a_panic() {
        Buffer::<f32>::stale(1 << 58);
    }

    #[test]
    fn buffers_begin_at_a_line() {
        for n in [1024, 1025, 5000, 1 << 20] {
            assert!(Buffer::<f32>::stale(n).as_slice().as_ptr().addr().is_multiple_of(LINE), "{n}");
            assert!(Buffer::<i64>::stale(n).as_slice().as_ptr().addr().is_multiple_of(LINE), "{n}");
        }
    }

    #[test]
    fn as_much_is_kept_as_was_once_in_use() {
        // Fresh memory that nobody writes to costs nothing. i64 is used by no other test of this crate at these sizes.
        let make = |count: usize, n: usize| (0..count).map(|_| Buffer::<i64>::stale(n)).collect::<Vec<_>>();
        let places = |buffers: &[Buffer<i64>]| {
            let mut places: Vec<_> = buffers.iter().map(|b| b.as_slice().as_ptr()).collect();
            places.sort_unstable();
            places
        };
        let n = MOST / 16;
        let first = make(3, n);
        let before = places(&first);
        drop(first);
        let held = HELD.load(Ordering::Relaxed);
        assert!(held >= 3 * n * size_of::<i64>(), "{held} bytes kept");
        let again = make(3, n);
        assert_eq!(places(&again), before);
        // Buffers of another size come on top of them only as far as there is room.
        drop(again);
        let others = make(5, n / 2);
        let all = HELD.load(Ordering::Relaxed) + LIVE.load(Ordering::Relaxed);
        assert!(all <= HIGH.load(Ordering::Relaxed) + MOST, "{all} bytes kept and in use");
        drop(others);
    }
}
