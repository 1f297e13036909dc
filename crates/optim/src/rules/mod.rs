//! The optimisers, as tables of entries: `table.rs` says what an entry holds and what it yields.

mod table;

/// A table that is not listed here is not compiled, and an optimiser is nowhere but in a table: so what runs over all tables
/// runs over all optimisers.
macro_rules! tables {
    ($($table:ident)*) => {
        $(
            mod $table;
            pub use $table::*;
        )*

        pub(crate) fn visit(v: &mut impl crate::registry::RuleVisitor) {
            $($table::visit(v);)*
        }
    };
}

tables! { descent adaptive adam }
