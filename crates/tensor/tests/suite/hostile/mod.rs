//! Every public function of this crate with arguments that make no sense. It must return, or panic with a message that begins with
//! the operation's name and the line of the call: never abort, never hang, never panic in a way that only this crate's source explains.
//!
//! The functions are listed in `cases`, a list for each file of the crate, in the file's order. Whoever adds a function adds a line.

mod cases;
mod draw;
mod operands;

use draw::Draw;
use gradus_tensor::{Element, LinalgError, Shape, ShapeError, Tensor};
use std::cell::Cell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;

/// Draws of arguments for each function.
const DRAWS: u64 = 150;
/// A call that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A public function: the names that its errors may begin with, and a call of it with drawn arguments.
pub struct Case {
    names: &'static [&'static str],
    call: fn(&mut Draw) -> Result<(), String>,
}

/// Operands are copied in other functions' names.
const COPIES: [&str; 4] = ["contiguous", "copy", "to_vec", "as_mut_slice"];

/// What a call gave: looked at as a caller would.
pub trait Seen {
    fn seen(self) -> Result<(), String>;
}

impl<T: Element> Seen for Tensor<T> {
    fn seen(self) -> Result<(), String> {
        let numel = gradus_tensor::shape::checked_numel(self.shape()).ok_or(format!("a tensor of shape {}", self.shape()))?;
        if numel < 10_000 && self.to_vec().len() != numel {
            return Err(format!("{numel} elements of shape {} are others in a vector", self.shape()));
        }
        // The outermost elements lie in the buffer.
        let _ = format!("{self} {self:?}");
        Ok(())
    }
}

macro_rules! seen_by_members {
    ($($($name:ident),+;)*) => {$(
        impl<$($name: Seen),+> Seen for ($($name,)+) {
            #[allow(non_snake_case)] // the members are named as their types
            fn seen(self) -> Result<(), String> {
                let ($($name,)+) = self;
                $($name.seen()?;)+
                Ok(())
            }
        }
    )*};
}
seen_by_members! { A, B; A, B, C; }

impl<A: Seen> Seen for Vec<A> {
    fn seen(self) -> Result<(), String> {
        self.into_iter().take(10).try_for_each(A::seen)
    }
}

impl<A: Seen, const N: usize> Seen for [A; N] {
    fn seen(self) -> Result<(), String> {
        self.into_iter().try_for_each(A::seen)
    }
}

impl<A: Seen> Seen for Option<A> {
    fn seen(self) -> Result<(), String> {
        self.map_or(Ok(()), A::seen)
    }
}

/// An error names its operation as a panic does.
impl<A: Seen> Seen for Result<A, ShapeError> {
    fn seen(self) -> Result<(), String> {
        match self {
            Ok(value) => value.seen(),
            Err(err) => std::panic::panic_any(format!("{} at hostile: {err}", err.op())),
        }
    }
}

impl<A: Seen> Seen for Result<A, LinalgError> {
    fn seen(self) -> Result<(), String> {
        match self {
            Ok(value) => value.seen(),
            Err(err) => err.to_string().seen(),
        }
    }
}

macro_rules! seen_as_it_is {
    ($($t:ty),*) => {$(
        impl Seen for $t {
            fn seen(self) -> Result<(), String> {
                Ok(())
            }
        }
    )*};
}
seen_as_it_is!(
    (),
    bool,
    usize,
    u64,
    i64,
    f32,
    f64,
    String,
    Shape,
    gradus_tensor::Rng,
    gradus_tensor::RngState,
    gradus_tensor::Simd
);

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Panics of this thread are not printed while it runs a case.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                usual(info);
            }
        }));
    });
}

/// What is wrong with how a call of `case` ended, if anything.
fn fault(case: &Case, seed: u64) -> Option<String> {
    QUIET.set(true);
    let ended = catch_unwind(AssertUnwindSafe(|| (case.call)(&mut Draw::new(seed))));
    QUIET.set(false);
    let payload = match ended {
        Ok(seen) => return seen.err(),
        Err(payload) => payload,
    };
    let said = payload.downcast_ref::<String>().cloned();
    let said = said.or_else(|| payload.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default();
    let names = || case.names.iter().chain(&COPIES);
    let (name, rest) = said.split_once(" at ").unwrap_or(("", &said));
    if names().any(|n| *n == name) && rest.contains("hostile") && rest.contains(": ") { None } else { Some(said) }
}

#[test]
fn every_public_function_returns_or_says_what_is_wrong() {
    hush();
    static AT: Mutex<(&str, u64)> = Mutex::new(("", 0));
    static CALLS: AtomicUsize = AtomicUsize::new(0);
    // Whoever waits for a call that never ends learns which it is.
    std::thread::spawn(|| {
        let mut before = usize::MAX;
        loop {
            std::thread::sleep(PATIENCE);
            let calls = CALLS.load(Ordering::Relaxed);
            if calls == before {
                let (name, seed) = *AT.lock().unwrap_or_else(|e| e.into_inner());
                eprintln!("{name} hangs with the arguments of seed {seed}");
                std::process::abort();
            }
            before = calls;
        }
    });
    let mut faults = vec![];
    for case in cases::all() {
        let mut seen = HashSet::new();
        for i in 0..DRAWS {
            // Other arguments for every function, the same in every run.
            let seed = case.names[0].bytes().fold(i, |seed, b| seed.wrapping_mul(0x100_0000_01b3) ^ u64::from(b));
            *AT.lock().expect("no panic holds it") = (case.names[0], seed);
            CALLS.fetch_add(1, Ordering::Relaxed);
            // Of faults that begin alike one is enough.
            if let Some(fault) = fault(&case, seed)
                && seen.insert(fault.chars().take(25).collect::<String>())
            {
                faults.push(format!("{} (seed {seed}): {fault}", case.names[0]));
            }
        }
    }
    // The rest of the suite may take longer than the patience for one call.
    CALLS.fetch_add(usize::MAX / 2, Ordering::Relaxed);
    assert!(faults.is_empty(), "{} functions:\n{}", faults.len(), faults.join("\n"));
}
