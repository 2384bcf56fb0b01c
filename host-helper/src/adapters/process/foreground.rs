//! A program in the foreground of our terminal, as a shell would start it.

use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use super::{Invocation, ProcessError};

/// Where the error output of a foreground program goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorOutput {
    /// To the terminal.
    Terminal,
    /// To a pipe of ours, so that its last words can be kept; we copy it to the terminal.
    Piped,
}

impl Invocation {
    /// Starts the program with our terminal as its own: a process group of its own, which the terminal has in its foreground
    /// before the program's first instruction, and the signals of job control as they are by default. Limits of time and
    /// output do not apply. The caller waits for it and takes the terminal back.
    pub fn spawn_foreground(self, error_output: ErrorOutput) -> Result<Child, ProcessError> {
        let mut command = self.command(true);
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit());
        command.stderr(match error_output {
            ErrorOutput::Terminal => Stdio::inherit(),
            ErrorOutput::Piped => Stdio::piped(),
        });
        let terminal = io::stdin().is_terminal();
        #[expect(
            unsafe_code,
            reason = "the standard library cannot give a child the terminal"
        )]
        // SAFETY: between fork and exec only async-signal-safe work may be done; these are the system calls `getpid`,
        // `setpgid`, `tcsetpgrp` and `sigaction`, with no allocation and no lock.
        unsafe {
            command.pre_exec(move || {
                let own = libc::getpid();
                if libc::setpgid(own, own) != 0 {
                    return Err(io::Error::last_os_error());
                }
                if terminal {
                    // From the background this raises SIGTTOU, unless it is ignored: it is, until the next lines.
                    libc::signal(libc::SIGTTOU, libc::SIG_IGN);
                    let _ = libc::tcsetpgrp(0, own);
                }
                for signal in [
                    libc::SIGTTOU,
                    libc::SIGTTIN,
                    libc::SIGTSTP,
                    libc::SIGINT,
                    libc::SIGQUIT,
                    libc::SIGHUP,
                    libc::SIGTERM,
                    libc::SIGCHLD,
                ] {
                    libc::signal(signal, libc::SIG_DFL);
                }
                Ok(())
            });
        }
        command.spawn().map_err(|error| self.start_error(error))
    }

    /// Becomes the program, with our terminal, input and output. Returns only if it cannot.
    pub fn exec(self) -> ProcessError {
        let mut command = self.command(false);
        command
            .stdin(Stdio::inherit())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit());
        let error = command.exec();
        self.start_error(error)
    }
}
