//! Names of signals.

use std::borrow::Cow;

use nix::sys::signal::Signal;

/// What a signal is called, `SIGKILL` for one.
pub(super) fn name(number: i32) -> Cow<'static, str> {
    match Signal::try_from(number) {
        Ok(signal) => Cow::Borrowed(signal.as_str()),
        Err(_) if number >= libc::SIGRTMIN() && number <= libc::SIGRTMAX() => {
            Cow::Owned(format!("SIGRTMIN+{}", number - libc::SIGRTMIN()))
        }
        Err(_) => Cow::Owned(format!("signal {number}")),
    }
}

#[cfg(test)]
mod tests {
    use super::name;

    #[test]
    fn signals_have_their_usual_names() {
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(11), "SIGSEGV");
        assert_eq!(name(libc::SIGRTMIN() + 2), "SIGRTMIN+2");
        assert_eq!(name(99), "signal 99");
    }
}
