//! Lists that are longer than a page, and counts that are longer than a list.

use std::collections::BTreeSet;

use claustre_tests::bench::fleet::Wanted;
use claustre_tests::bench::stage::Stage;

#[test]
fn a_list_that_is_cut_says_so_and_goes_on_where_it_ended() {
    const TASKS: usize = 1_200;
    let stage = Stage::new(&Wanted {
        tasks: TASKS,
        ..Wanted::default()
    })
    .unwrap();
    stage.start_daemon().unwrap();
    let list = stage.env.claustre(&["task", "list"]).success();
    assert!(
        list.stderr.contains("1000 of 1200 tasks; --after "),
        "{}",
        list.stderr
    );
    // Scripts page by the last id of what they got; what they read stays an array.
    let (mut seen, mut after) = (BTreeSet::new(), None::<String>);
    loop {
        let mut arguments = vec!["task", "list", "--json", "--limit", "500"];
        if let Some(after) = &after {
            arguments.extend(["--after", after]);
        }
        let page = stage.env.claustre(&arguments).success();
        let page = page.json();
        let ids: Vec<String> = page
            .as_array()
            .unwrap()
            .iter()
            .map(|task| task["id"].as_str().unwrap().to_owned())
            .collect();
        let Some(last) = ids.last() else { break };
        after = Some(last.clone());
        for id in ids {
            assert!(seen.insert(id), "a task is listed twice");
        }
    }
    assert_eq!(seen.len(), TASKS);
    // A list that is whole says nothing, and counts are the store's.
    let whole = stage
        .env
        .claustre(&["task", "list", "--limit", "1200"])
        .success();
    assert_eq!(whole.stderr, "");
    let status = stage.env.claustre(&["status", "--json"]).success().json();
    let counted: u64 = status["tasks"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(serde_json::Value::as_u64)
        .sum();
    assert_eq!(counted, TASKS as u64);
}
