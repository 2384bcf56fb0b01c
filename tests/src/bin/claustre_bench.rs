//! `claustre-bench`: measures every budget of the design, each beside its own floor of the same run.

use std::process::ExitCode;

fn main() -> ExitCode {
    claustre_tests::bench::main()
}
