//! A global allocator that counts what it is asked for. A program has one allocator, so a test that uses this one is a program of its own;
//! it must do nothing beside what it measures, as the counts are those of all threads.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counted.
#[derive(Debug)]
pub struct Counting;

/// Counts one allocation, or one that takes the place of another.
fn count(new_bytes: usize, old_bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    let before = LIVE_BYTES.fetch_add(new_bytes, Ordering::Relaxed);
    LIVE_BYTES.fetch_sub(old_bytes, Ordering::Relaxed);
    PEAK_BYTES.fetch_max(before + new_bytes, Ordering::Relaxed);
}

#[expect(
    unsafe_code,
    reason = "the trait is unsafe; every call goes to the system's allocator as it is"
)]
// SAFETY: what the system's allocator guarantees holds, as nothing is changed on the way to it or back.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes, layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(place, layout, bytes) }
    }
}

/// What some work asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// How often it asked for memory, or for more of it.
    pub allocations: u64,
    /// How many bytes it had at once beyond those that were there before, at the most.
    pub peak_bytes: usize,
}

/// Does `work` and says what it asked for.
pub fn measure<T>(work: impl FnOnce() -> T) -> (T, Asked) {
    let (allocations, live) =
        (ALLOCATIONS.load(Ordering::Relaxed), LIVE_BYTES.load(Ordering::Relaxed));
    PEAK_BYTES.store(live, Ordering::Relaxed);
    let result = work();
    let asked = Asked {
        allocations: ALLOCATIONS.load(Ordering::Relaxed) - allocations,
        peak_bytes: PEAK_BYTES.load(Ordering::Relaxed) - live,
    };
    (result, asked)
}
