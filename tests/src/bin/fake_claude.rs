//! The stand-in for the interactive `claude`; see `claustre_tests::fake_claude`.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::process::exit(claustre_tests::fake_claude::app::main(&arguments));
}
