//! A home that cannot be used.

use std::os::unix::fs::PermissionsExt;

use claustre_tests::TestEnv;

use super::transcript::Transcript;

fn mode(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_unusable_home_is_refused_with_what_to_do() {
    let env = TestEnv::new();
    let mut said = Transcript::new(&env);
    let at = |name: &str| env.path(name).display().to_string();
    let home = |place: String| ("CLAUSTRE_HOME", place);
    std::fs::write(env.path("afile"), "").unwrap();
    std::fs::create_dir(env.path("open")).unwrap();
    mode(&env.path("open"), 0o777);
    std::fs::create_dir_all(env.path("linked")).unwrap();
    std::fs::create_dir_all(env.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(env.path("elsewhere"), env.path("linked/run")).unwrap();
    for (place, code) in [
        ("relative/home".to_owned(), 1),
        (at(&"x".repeat(120)), 1),
        (at("afile"), 4),
        (at("open"), 4),
        (at("linked"), 4),
        ("/proc/claustre".to_owned(), 4),
    ] {
        let (name, value) = home(place);
        let result = said.run_with((name, &value), &["status"]);
        assert_eq!(result.code, Some(code), "{value}: {}", result.snapshot());
        assert!(result.stderr.contains("\nhint: "), "{}", result.stderr);
    }
    env.unset("CLAUSTRE_HOME");
    env.unset("HOME");
    let mut command = env.command("claustre");
    let result = env.run(command.arg("status").current_dir("/"));
    said.note("claustre status # without HOME", &result);
    assert_eq!(result.code, Some(1));
    insta::assert_snapshot!(said.finish());
    assert!(
        std::fs::read_dir(env.path("open")).unwrap().all(|entry| {
            let name = entry.unwrap().file_name();
            name == "run" || name == "logs"
        }),
        "nothing of worth is written where others can change it"
    );
}

#[test]
fn the_home_of_somebody_else_is_refused() {
    let env = TestEnv::new();
    let other = if rustix::process::geteuid().is_root() {
        let other = env.path("other");
        std::fs::create_dir(&other).unwrap();
        std::os::unix::fs::chown(&other, Some(65534), None).unwrap();
        other
    } else {
        "/usr".into()
    };
    env.set("CLAUSTRE_HOME", &other);
    let mut said = Transcript::new(&env);
    assert_eq!(said.run(&["status"]).code, Some(4));
    assert_eq!(said.run(&["doctor"]).code, Some(1));
    let text = said.finish();
    assert!(text.contains("belongs to another user"), "{text}");
    assert!(
        text.contains("hint: set CLAUSTRE_HOME to a directory of yours"),
        "{text}"
    );
}

#[test]
fn a_home_that_cannot_be_written_is_refused() {
    let env = TestEnv::new();
    let program = env.resolve("claustre".as_ref());
    let closed = env.path("closed");
    std::fs::create_dir(&closed).unwrap();
    mode(&closed, 0o555);
    let mut command = if rustix::process::geteuid().is_root() {
        // Root may write everything, nobody may not; and nobody may not reach the folder of the build.
        mode(env.root(), 0o755);
        let copy = env.path("claustre-of-nobody");
        std::fs::copy(&program, &copy).unwrap();
        mode(&copy, 0o755);
        let mut command = env.command("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copy);
        command
    } else {
        env.command(program)
    };
    command
        .arg("status")
        .env("CLAUSTRE_HOME", closed.join("home"))
        .current_dir("/");
    let result = env.run(&mut command);
    assert_eq!(result.code, Some(4), "{}", result.snapshot());
    assert!(
        result.stderr.contains("Permission denied"),
        "{}",
        result.stderr
    );
    assert!(
        result
            .stderr
            .contains("hint: set CLAUSTRE_HOME to a directory that you can write"),
        "{}",
        result.stderr
    );
}
