//! Compares examples with their files.

use std::{collections::BTreeSet, fmt::Debug, fs, path::PathBuf};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// The golden files of one part of the protocol.
pub(crate) struct Golden {
    directory: PathBuf,
    seen: BTreeSet<String>,
    faults: Vec<String>,
}

impl Golden {
    /// Those in `protocol/golden/PART`.
    pub(crate) fn of(part: &str) -> Self {
        Self {
            directory: PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("golden")
                .join(part),
            seen: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    /// The example leaves no field out, is written as its file stands, and the file is read back to it.
    pub(crate) fn holds<T>(&mut self, name: &str, example: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let debug = format!("{example:?}");
        for empty in ["None", "\"\"", "[]", "Null"] {
            if debug.contains(empty) {
                self.faults
                    .push(format!("{name}: something in the example is {empty}"));
            }
        }
        self.holds_in_part(name, example);
    }

    /// As [`Self::holds`], for a message of which some fields exclude others.
    pub(crate) fn holds_in_part<T>(&mut self, name: &str, example: &T)
    where
        T: Serialize + DeserializeOwned + PartialEq + Debug,
    {
        let path = self.directory.join(format!("{name}.json"));
        if !self.seen.insert(name.to_owned()) {
            self.faults.push(format!("{name}: has two examples"));
        }
        let written = format!("{}\n", serde_json::to_string_pretty(example).unwrap());
        let is_adding = std::env::var_os("CLAUSTRE_GOLDEN").is_some_and(|value| value == "add");
        if is_adding && !path.exists() {
            fs::create_dir_all(&self.directory).unwrap();
            fs::write(&path, &written).unwrap();
        }
        let Ok(golden) = fs::read_to_string(&path) else {
            self.faults.push(format!(
                "{name}: has no golden file {}; CLAUSTRE_GOLDEN=add writes it:\n{written}",
                path.display()
            ));
            return;
        };
        if golden != written {
            self.faults.push(format!(
                "{name}: is written otherwise than its golden file:\n{written}"
            ));
        }
        match serde_json::from_str::<T>(&golden) {
            Ok(read) if read == *example => {}
            Ok(read) => self
                .faults
                .push(format!("{name}: its golden file is read as {read:?}")),
            Err(error) => self
                .faults
                .push(format!("{name}: its golden file is not read: {error}")),
        }
    }

    /// Fails with all that did not hold, with each of `kinds` that has no example, and with each file that no example has.
    pub(crate) fn finish(mut self, kinds: &BTreeSet<String>) {
        for kind in kinds.difference(&self.seen) {
            self.faults.push(format!("{kind}: has no example"));
        }
        let files = fs::read_dir(&self.directory)
            .map(|entries| entries.filter_map(Result::ok).collect::<Vec<_>>())
            .unwrap_or_default();
        for file in files {
            let name = file.file_name().to_string_lossy().into_owned();
            if !self.seen.contains(name.trim_end_matches(".json")) {
                self.faults.push(format!("{name}: belongs to no example"));
            }
        }
        assert!(self.faults.is_empty(), "\n{}", self.faults.join("\n"));
    }
}

/// The names of all variants of an enum with a tag, as the type itself tells them when it is given another.
pub(crate) fn variants<T: DeserializeOwned + Debug>(tag: &str) -> BTreeSet<String> {
    let Err(error) = serde_json::from_value::<T>(json!({ tag: "?" })) else {
        panic!("there is a variant ?");
    };
    let said = error.to_string();
    let Some((_, known)) = said.split_once("expected") else {
        panic!("no variants in: {said}");
    };
    let names: BTreeSet<String> = known
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect();
    assert!(names.len() > 1, "{said}");
    names
}

/// The value of a tag in what is sent.
pub(crate) fn tag_of(message: &impl Serialize, tag: &str) -> String {
    let value: Value = serde_json::to_value(message).unwrap();
    let word = value.get(tag).and_then(Value::as_str);
    word.unwrap().to_owned()
}

/// A set of names.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}
