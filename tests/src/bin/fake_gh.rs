//! The stand-in for `gh`; see `claustre_tests::fake_gh`.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    std::process::exit(claustre_tests::fake_gh::main(&arguments));
}
