//! A place that tasks write to, each in parts of its own that do not lie behind one another.

/// A slice that tasks share. What each of them writes is its own, and whoever starts them waits for them; each use says why.
#[derive(Clone, Copy)]
pub struct Shared<T> {
    at: *mut T,
    len: usize,
}

// SAFETY: as said above, no two tasks write the same element, or one that another reads.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn of(data: &mut [T]) -> Self {
        Self { at: data.as_mut_ptr(), len: data.len() }
    }

    /// A pointer to the `n` elements from `first` on, which must exist.
    #[inline(always)]
    pub fn at(self, first: usize, n: usize) -> *mut T {
        debug_assert!(first + n <= self.len, "elements {first}.. and {n} more of {}", self.len);
        self.at.wrapping_add(first)
    }

    /// The `n` elements from `first` on.
    ///
    /// # Safety
    /// They exist, outlive the result, and nobody else has them meanwhile.
    #[inline(always)]
    pub unsafe fn part<'a>(self, first: usize, n: usize) -> &'a mut [T] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.at(first, n), n) }
    }
}
