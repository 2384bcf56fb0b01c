//! A configuration that is wrong.

use claustre_tests::TestEnv;

use super::transcript::Transcript;

#[test]
fn each_mistake_is_named_with_its_line_and_what_could_stand_there() {
    let env = TestEnv::new();
    let mut said = Transcript::new(&env);
    for (text, code) in [
        ("[defaults]\nmode = \"sideways\"\n", 1),
        (
            "[defaults]\nmode = 3\n\n[queue]\nmax_sessions = \"many\"\n",
            1,
        ),
        ("[defaults\nmode = \"supervised\"\n", 1),
        ("[defaults]\nmoed = \"supervised\"\n[nosuch]\nx = 1\n", 0),
        ("mode = \"supervised\"\n", 0),
        (
            "[defaults]\nmodel = \"\\u001b[2J\"\n\"\\u001b]0;x\\u0007\" = 1\n",
            0,
        ),
    ] {
        env.write("home/.claustre/config.toml", text);
        said.note(&format!("# {text:?}"), &env.claustre(&["config", "path"]));
        assert_eq!(said.run(&["config", "check"]).code, Some(code), "{text:?}");
    }
    std::fs::write(env.claustre_home().join("config.toml"), [0xff, 0xfe]).unwrap();
    assert_eq!(said.run(&["config", "check"]).code, Some(1));
    std::fs::remove_file(env.claustre_home().join("config.toml")).unwrap();
    std::fs::create_dir(env.claustre_home().join("config.toml")).unwrap();
    assert_eq!(said.run(&["config", "check"]).code, Some(1));
    insta::assert_snapshot!(said.finish());
}

#[test]
fn a_daemon_that_cannot_read_it_says_so_through_whoever_wanted_it() {
    let env = TestEnv::new();
    let mut said = Transcript::new(&env);
    env.write(
        "home/.claustre/config.toml",
        "[defaults]\nmode = \"sideways\"\n",
    );
    assert_eq!(said.run(&["status"]).code, Some(4));
    assert_eq!(said.run(&["daemon", "run"]).code, Some(1));
    // Mended, it starts at once.
    env.write(
        "home/.claustre/config.toml",
        "[defaults]\nmoed = \"supervised\"\n",
    );
    assert_eq!(said.run(&["status"]).code, Some(0));
    insta::assert_snapshot!(said.finish());
}
