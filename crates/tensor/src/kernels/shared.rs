//! A place that tasks write to, each in parts of its own that do not lie behind one another.

/// A pointer that tasks share. What each of them writes is its own, and whoever starts them waits for them; each use says why.
#[derive(Clone, Copy)]
pub struct Shared<T>(*mut T);

// SAFETY: as said above, no two tasks write the same element, or one that another reads.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    pub fn of(data: &mut [T]) -> Self {
        Self(data.as_mut_ptr())
    }

    pub fn get(self) -> *mut T {
        self.0
    }
}
