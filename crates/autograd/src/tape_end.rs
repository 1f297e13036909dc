//! Why a constant is a constant: where the tape ended, for messages.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroU32;
use std::panic::Location;
use std::sync::{LazyLock, Mutex};

/// What ended a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Detach,
    NoGrad,
    PlainGrad,
    Frozen,
    /// A function whose derivative is 0 wherever it has one.
    Step,
}

/// Where the tape ended that a constant was cut from, as a number in the list of all such places; none for a constant that never
/// was on a tape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cut(Option<NonZeroU32>);

/// A line of the program. Lines are compared by their addresses, which differ in what differs.
#[derive(Clone, Copy)]
struct Place {
    end: End,
    at: &'static Location<'static>,
}

/// The places so far, no more than the program has lines that end a tape.
#[derive(Default)]
struct Places {
    numbers: HashMap<(End, usize), NonZeroU32>,
    list: Vec<Place>,
}

static PLACES: LazyLock<Mutex<Places>> = LazyLock::new(Mutex::default);

thread_local! {
    /// The last place that this thread looked up: a loop looks up the same one.
    static LAST: Cell<Option<(End, usize, NonZeroU32)>> = const { Cell::new(None) };
}

impl Cut {
    pub const NONE: Self = Self(None);

    /// At the caller's line.
    #[track_caller]
    #[inline]
    pub fn here(end: End) -> Self {
        let at = Location::caller();
        match LAST.get() {
            Some((last, line, number)) if last == end && line == std::ptr::from_ref(at).addr() => Self(Some(number)),
            _ => Self(Some(look_up(end, at))),
        }
    }

    #[inline]
    pub fn is_some(self) -> bool {
        self.0.is_some()
    }

    #[inline]
    pub fn or(self, other: Self) -> Self {
        Self(self.0.or(other.0))
    }

    fn number(self) -> Option<u32> {
        self.0.map(NonZeroU32::get)
    }
}

fn look_up(end: End, at: &'static Location<'static>) -> NonZeroU32 {
    let line = std::ptr::from_ref(at).addr();
    let mut places = PLACES.lock().unwrap_or_else(|e| e.into_inner());
    let next = u32::try_from(places.list.len() + 1).ok().and_then(NonZeroU32::new).expect("a program has fewer lines");
    let number = *places.numbers.entry((end, line)).or_insert(next);
    if number == next {
        places.list.push(Place { end, at });
    }
    LAST.set(Some((end, line, number)));
    number
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(number) = self.number() else { return f.write_str("a plain tensor") };
        let Place { end, at } = PLACES.lock().unwrap_or_else(|e| e.into_inner()).list[number as usize - 1];
        match end {
            End::Detach => write!(f, "the result of detach() at {at}, which is a constant"),
            End::NoGrad => write!(f, "a result of no_grad(..) at {at}, where nothing is recorded"),
            End::PlainGrad => {
                write!(f, "the result of grad(.., GradMode::Plain) at {at}, which is a constant; use GradMode::Differentiable")
            }
            End::Frozen => f.write_str("a frozen parameter, which is a constant; unfreeze it"),
            End::Step => write!(f, "a step function at {at}, which is a constant to derivatives"),
        }
    }
}

/// A list of ends takes this much room in a message.
const LISTED: usize = 4;

/// `the result of detach() at src/a.rs:3:9, ..; and ..`
pub(crate) fn listed(ends: &[Cut]) -> String {
    let mut text: Vec<String> = ends.iter().take(LISTED).map(Cut::to_string).collect();
    if ends.len() > LISTED {
        text.push(format!("{} places more", ends.len() - LISTED));
    }
    text.join("; and at ")
}
