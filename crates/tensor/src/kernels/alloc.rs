//! Memory that may not be there.

use crate::element::Element;
use std::alloc::{Layout, alloc_zeroed};

/// `n` elements of the type's default value, or `None` when the allocator has no room for them. Fresh pages come as zeros
/// from the system, so memory that nobody writes to costs nothing.
pub(crate) fn zeroed<T: Element>(n: usize) -> Option<Vec<T>> {
    let layout = Layout::array::<T>(n).ok()?;
    if layout.size() == 0 {
        return Some(Vec::new());
    }
    // SAFETY: the layout is not empty.
    let data = unsafe { alloc_zeroed(layout) }.cast::<T>();
    // SAFETY: the global allocator gave these bytes for an array of `n`, so the vector frees them as they were allocated.
    // All bits zero is a value of every element type, which are numbers and `bool` (the trait is sealed): its default.
    (!data.is_null()).then(|| unsafe { Vec::from_raw_parts(data, n, n) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_defaults_or_nothing() {
        fn check<T: Element>() {
            for n in [0, 1, 1000, 1 << 20] {
                let data = zeroed::<T>(n).expect("there is room");
                assert!(data.len() == n && data.iter().all(|&v| v == T::default()));
            }
            // More than any address space has, and more than a layout may say.
            assert!(zeroed::<T>(1 << 59).is_none());
            assert!(zeroed::<T>(usize::MAX).is_none());
        }
        check::<f32>();
        check::<f64>();
        check::<i32>();
        check::<i64>();
        check::<u8>();
        check::<bool>();
    }
}
