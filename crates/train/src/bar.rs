//! The line that is drawn again and again on a terminal, with the feature `progress`; without it there is none.

#[cfg(feature = "progress")]
pub(crate) use drawn::Bar;
#[cfg(not(feature = "progress"))]
pub(crate) use none::Bar;

#[cfg(feature = "progress")]
mod drawn {
    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
    use std::io::IsTerminal;

    pub(crate) struct Bar(ProgressBar);

    impl Bar {
        /// A bar, if the standard output is a terminal.
        pub fn on_terminal() -> Option<Self> {
            std::io::stdout().is_terminal().then(|| {
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout_with_hz(8));
                bar.set_style(ProgressStyle::with_template("{msg}").expect("a valid template"));
                Self(bar)
            })
        }

        pub fn show(&self, line: String) {
            self.0.set_message(line);
        }

        pub fn clear(&self) {
            self.0.finish_and_clear();
        }
    }
}

#[cfg(not(feature = "progress"))]
mod none {
    pub(crate) enum Bar {}

    impl Bar {
        pub fn on_terminal() -> Option<Self> {
            None
        }

        pub fn show(&self, _: String) {
            match *self {}
        }

        pub fn clear(&self) {
            match *self {}
        }
    }
}
