//! A disk that is full.

use claustre_tests::TestEnv;
use claustre_tests::skip::skip;

/// All of it in a mount namespace of its own, with the home on a disk of six megabytes.
const STORY: &str = r###"
mkdir -p "$CLAUSTRE_HOME" && mount -t tmpfs -o size=6m,mode=700 tmpfs "$CLAUSTRE_HOME" || { echo "no mount" ; exit 77; }
say() { echo "## $1"; shift; "$@"; echo "-> $?"; }
say add claustre project add shop code/shop
say before claustre task add shop before
pid=$(cat "$CLAUSTRE_HOME/run/lock")
dd if=/dev/zero of="$CLAUSTRE_HOME/filler" bs=1k 2>/dev/null
head -c 900000 /dev/zero | tr '\0' x > large
say full claustre task add shop during --file large
say again claustre task add shop during2 --file large
say status claustre daemon status --json
say list claustre task list --json
say hook sh -c 'echo "{}" | CLAUSTRE_SESSION_ID=11111111-2222-4333-8444-555555555555 claustre hook'
test "$pid" = "$(cat "$CLAUSTRE_HOME/run/lock")" && echo same daemon
rm "$CLAUSTRE_HOME/filler"
say after claustre task add shop after --file large
kill -9 $(cat "$CLAUSTRE_HOME/run/lock")
say replay claustre replay
say end claustre task list
claustre daemon stop
while [ -e "$CLAUSTRE_HOME/run/daemon.sock" ] && claustre daemon status >/dev/null 2>&1; do :; done
"###;

#[test]
fn a_full_disk_is_said_the_daemon_survives_and_nothing_is_lost() {
    let env = TestEnv::new();
    env.git_repo("shop");
    let script = env.write("story.sh", STORY);
    let mut command = env.command("unshare");
    if !rustix::process::geteuid().is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--mount", "sh"]).arg(script);
    command.stderr(std::process::Stdio::null());
    let result = env.run(command.env("NO_COLOR", "1"));
    if result.code == Some(77) || result.stderr.contains("unshare failed") {
        return skip(
            "a_full_disk_is_said_the_daemon_survives_and_nothing_is_lost",
            &format!("no mount namespace: {}", result.snapshot()),
        );
    }
    let part = |name: &str| {
        let start = result
            .stdout
            .find(&format!("## {name}\n"))
            .unwrap_or_else(|| panic!("{name}: {}", result.snapshot()));
        let rest = &result.stdout[start..];
        let end = rest[3..].find("## ").map_or(rest.len(), |at| at + 3);
        rest[..end].to_owned()
    };
    let story = result.snapshot();
    for refused in ["full", "again"] {
        assert!(part(refused).contains("-> 1"), "{story}");
    }
    assert_eq!(
        result.stderr.matches("hint: free some space").count(),
        2,
        "{story}"
    );
    for works in [
        "add", "before", "status", "list", "hook", "after", "replay", "end",
    ] {
        assert!(part(works).contains("-> 0"), "{works}: {story}");
    }
    assert!(part("hook").contains("same daemon"), "{story}");
    assert!(
        part("list").contains("before") && !part("list").contains("during"),
        "{story}"
    );
    assert!(
        part("end").contains("before") && part("end").contains("after"),
        "{story}"
    );
    assert!(result.stderr.contains("0 differences"), "{story}");
}
