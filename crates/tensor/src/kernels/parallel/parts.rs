//! What a parallel loop gives each of its tasks.

use super::desk::run;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::Range;

/// The parts of something, each of which one task of a loop takes. Parts of a tuple or an array are the parts of all its
/// members with the same number; there are as many as the member with the fewest has.
pub trait Parts: Sync + Sized {
    /// What a task takes.
    type Part;

    /// How many parts there are.
    fn count(&self) -> usize;

    /// Part number `i`.
    ///
    /// # Safety
    /// `i` is below [`count`](Self::count), and no part is taken twice.
    unsafe fn part(&self, i: usize) -> Self::Part;

    /// Calls `f` with each part and its number, on the threads of the current pool.
    fn each(self, f: impl Fn(usize, Self::Part) + Sync) {
        self.each_at_least(1, f);
    }

    /// As [`each`](Self::each), with `least` parts a task, where one is too little work.
    fn each_at_least(self, least: usize, f: impl Fn(usize, Self::Part) + Sync) {
        let count = self.count();
        let least = least.clamp(1, count.max(1));
        run(count.div_ceil(least), &|task| {
            for i in task * least..count.min((task + 1) * least) {
                // SAFETY: every number below the count belongs to one task, and each task runs once.
                f(i, unsafe { self.part(i) });
            }
        });
    }

    /// What `f` makes of each part, in order, with `least` parts a task.
    fn map_at_least<R: Send>(self, least: usize, f: impl Fn(usize, Self::Part) -> R + Sync) -> Vec<R> {
        let mut found: Vec<Option<R>> = (0..self.count()).map(|_| None).collect();
        (self, chunks_mut(&mut found, 1)).each_at_least(least, |i, (part, found)| found[0] = Some(f(i, part)));
        found.into_iter().map(|r| r.expect("every task has run")).collect()
    }
}

/// A slice in pieces; see [`chunks`].
pub struct Chunks<'a, T> {
    data: &'a [T],
    size: usize,
}

/// `data` in pieces of `size` elements, the last of which may be shorter.
///
/// # Panics
/// When `size` is 0.
pub fn chunks<T: Sync>(data: &[T], size: usize) -> Chunks<'_, T> {
    assert!(size > 0, "pieces of 0 elements");
    Chunks { data, size }
}

/// The elements of piece `i`.
fn piece(i: usize, size: usize, all: usize) -> Range<usize> {
    let first = i * size;
    first..first.saturating_add(size).min(all)
}

impl<'a, T: Sync> Parts for Chunks<'a, T> {
    type Part = &'a [T];
    fn count(&self) -> usize {
        self.data.len().div_ceil(self.size)
    }
    unsafe fn part(&self, i: usize) -> &'a [T] {
        &self.data[piece(i, self.size, self.data.len())]
    }
}

/// A mutable slice in pieces; see [`chunks_mut`].
pub struct ChunksMut<'a, T> {
    data: *mut T,
    len: usize,
    size: usize,
    borrow: PhantomData<&'a mut [T]>,
}

// SAFETY: threads that share it take pieces that have no element in common.
unsafe impl<T: Send> Sync for ChunksMut<'_, T> {}

/// As [`chunks`], to be written to.
///
/// # Panics
/// When `size` is 0.
pub fn chunks_mut<T: Send>(data: &mut [T], size: usize) -> ChunksMut<'_, T> {
    assert!(size > 0, "pieces of 0 elements");
    ChunksMut { data: data.as_mut_ptr(), len: data.len(), size, borrow: PhantomData }
}

impl<'a, T: Send> Parts for ChunksMut<'a, T> {
    type Part = &'a mut [T];
    fn count(&self) -> usize {
        self.len.div_ceil(self.size)
    }
    unsafe fn part(&self, i: usize) -> &'a mut [T] {
        debug_assert!(i < self.count(), "piece {i} of {}", self.count());
        let Range { start, end } = piece(i, self.size, self.len);
        // SAFETY: the piece lies in the slice, which is borrowed for as long; the caller takes each once.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(start), end - start) }
    }
}

/// Values to be handed out; see [`items`].
pub struct Items<T>(Vec<UnsafeCell<Option<T>>>);

// SAFETY: threads that share it take different values.
unsafe impl<T: Send> Sync for Items<T> {}

/// Each of `values`, for a task to own.
pub fn items<T: Send>(values: impl IntoIterator<Item = T>) -> Items<T> {
    Items(values.into_iter().map(|value| UnsafeCell::new(Some(value))).collect())
}

impl<T: Send> Parts for Items<T> {
    type Part = T;
    fn count(&self) -> usize {
        self.0.len()
    }
    unsafe fn part(&self, i: usize) -> T {
        // SAFETY: the caller takes each once, so that nobody else is at this one.
        unsafe { (*self.0[i].get()).take() }.expect("no value is taken twice")
    }
}

impl Parts for Range<usize> {
    type Part = usize;
    fn count(&self) -> usize {
        self.len()
    }
    unsafe fn part(&self, i: usize) -> usize {
        self.start + i
    }
}

impl<P: Parts, const N: usize> Parts for [P; N] {
    type Part = [P::Part; N];
    fn count(&self) -> usize {
        self.iter().map(P::count).min().unwrap_or(usize::MAX)
    }
    unsafe fn part(&self, i: usize) -> Self::Part {
        // SAFETY: the caller's promise, which holds for each member.
        self.each_ref().map(|parts| unsafe { parts.part(i) })
    }
}

macro_rules! tuples {
    ($($($name:ident $i:tt),+;)*) => {$(
        impl<$($name: Parts),+> Parts for ($($name,)+) {
            type Part = ($($name::Part,)+);
            fn count(&self) -> usize {
                let counts = [$(self.$i.count()),+];
                counts.into_iter().fold(usize::MAX, usize::min)
            }
            unsafe fn part(&self, i: usize) -> Self::Part {
                // SAFETY: the caller's promise, which holds for each member.
                unsafe { ($(self.$i.part(i),)+) }
            }
        }
    )*};
}
tuples! { A 0, B 1; A 0, B 1, C 2; A 0, B 1, C 2, D 3; A 0, B 1, C 2, D 3, E 4; A 0, B 1, C 2, D 3, E 4, F 5; }
