//! Text that is given as an argument, by a file, or on standard input.

use std::{fs, io::Read, path::Path};

use claustre_protocol::rpc::MAX_LINE;

use super::error::CliError;

/// Longest text that is taken, in bytes: escaped it still fits into a request.
const LIMIT: usize = MAX_LINE / 4;

/// The text: `-` reads standard input, a file is read, anything else is the text itself. None where neither is given.
pub fn given(argument: Option<String>, file: Option<&Path>) -> Result<Option<String>, CliError> {
    match (argument, file) {
        (_, Some(path)) => {
            let doing = format!("reading {}", path.display());
            let input = fs::File::open(path).map_err(|error| {
                CliError::failed(&doing, error)
                    .with_hint("check the path; `-d -` reads standard input")
            })?;
            read(input, &doing).map(Some)
        }
        (Some(dash), None) if dash == "-" => {
            read(std::io::stdin().lock(), "reading standard input").map(Some)
        }
        (argument, None) => Ok(argument),
    }
}

fn read(input: impl Read, doing: &str) -> Result<String, CliError> {
    let limit = u64::try_from(LIMIT).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    input
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| CliError::failed(doing, error).with_hint("give a file with text in it"))?;
    if bytes.len() > LIMIT {
        return Err(CliError::failed(
            doing,
            format!("the text is longer than {} MB", LIMIT / 1024 / 1024),
        )
        .with_hint("keep the long part in a file of the repository and name it in the prompt"));
    }
    String::from_utf8(bytes).map_err(|_| {
        CliError::failed(doing, "the text is not UTF-8")
            .with_hint("convert it first: iconv -t UTF-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_from_where_it_is_said_to() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("prompt.md");
        fs::write(&file, "-x\nline\n").unwrap();
        assert_eq!(given(None, Some(&file)).unwrap().unwrap(), "-x\nline\n");
        assert_eq!(given(Some("text".into()), None).unwrap().unwrap(), "text");
        assert_eq!(given(None, None).unwrap(), None);
        fs::write(&file, [0xff]).unwrap();
        assert!(
            given(None, Some(&file))
                .unwrap_err()
                .message
                .ends_with("not UTF-8")
        );
        fs::write(&file, vec![b'x'; LIMIT + 1]).unwrap();
        assert!(given(None, Some(&file)).is_err());
    }
}
