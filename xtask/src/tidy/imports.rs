//! Every path that Rust code names, with use groups taken apart.

/// A path such as `crate::store::Store`.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// From 1; the line of the last name.
    pub line: usize,
    /// The names between `::`.
    pub path: Vec<String>,
}

impl Import {
    /// Does the path begin with these names?
    pub fn starts_with(&self, names: &[&str]) -> bool {
        self.path.len() >= names.len()
            && self
                .path
                .iter()
                .zip(names)
                .all(|(own, wanted)| own == wanted)
    }
}

#[derive(Clone, Debug)]
enum Token {
    Name(String),
    Separator,
    Open,
    Close,
    Comma,
    Other,
}

/// Finds every path in code whose comments and texts are blanked.
pub fn find(code: &str) -> Vec<Import> {
    let mut tokens = Tokens {
        tokens: tokens(code),
        position: 0,
    };
    let mut imports = Vec::new();
    while let Some((line, token)) = tokens.next() {
        if let Token::Name(name) = token {
            read_path(&mut tokens, vec![name], line, &mut imports);
        }
    }
    imports
}

struct Tokens {
    tokens: Vec<(usize, Token)>,
    position: usize,
}

impl Tokens {
    fn next(&mut self) -> Option<(usize, Token)> {
        let token = self.tokens.get(self.position).cloned();
        self.position += 1;
        token
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.position).map(|(_, token)| token)
    }

    /// The line of the token that was read last.
    fn line(&self) -> usize {
        self.position
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last))
            .map_or(1, |(line, _)| *line)
    }
}

/// Goes on after the first names of a path.
fn read_path(tokens: &mut Tokens, mut path: Vec<String>, line: usize, imports: &mut Vec<Import>) {
    let mut line = line;
    while matches!(tokens.peek(), Some(Token::Separator)) {
        tokens.position += 1;
        match tokens.peek() {
            Some(Token::Name(name)) => {
                path.push(name.clone());
                tokens.position += 1;
                line = tokens.line();
            }
            Some(Token::Open) => {
                tokens.position += 1;
                read_group(tokens, &path, imports);
                return;
            }
            // A turbofish or a glob ends what matters here.
            _ => break,
        }
    }
    imports.push(Import { line, path });
    // `a::b as c`: the new name is no path.
    if matches!(tokens.peek(), Some(Token::Name(name)) if name == "as") {
        tokens.position += 2;
    }
}

/// Reads `{a, b::c, self}` after a prefix, to the closing brace.
fn read_group(tokens: &mut Tokens, prefix: &[String], imports: &mut Vec<Import>) {
    while let Some((line, token)) = tokens.next() {
        match token {
            Token::Name(name) => {
                let mut path = prefix.to_vec();
                if name != "self" {
                    path.push(name);
                }
                read_path(tokens, path, line, imports);
            }
            Token::Close => return,
            Token::Separator | Token::Open | Token::Comma | Token::Other => {}
        }
    }
}

fn tokens(code: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut characters = code.chars().peekable();
    while let Some(character) = characters.next() {
        let token = match character {
            '\n' => {
                line += 1;
                continue;
            }
            character if character.is_whitespace() => continue,
            character if character.is_alphanumeric() || character == '_' => {
                let mut name = String::from(character);
                while let Some(next) =
                    characters.next_if(|next| next.is_alphanumeric() || *next == '_')
                {
                    name.push(next);
                }
                Token::Name(name)
            }
            ':' if characters.next_if_eq(&':').is_some() => Token::Separator,
            '{' => Token::Open,
            '}' => Token::Close,
            ',' => Token::Comma,
            _ => Token::Other,
        };
        tokens.push((line, token));
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(code: &str) -> Vec<(usize, String)> {
        let found = find(code).into_iter();
        found
            .filter(|import| import.path.len() > 1)
            .map(|import| (import.line, import.path.join("::")))
            .collect()
    }

    #[test]
    fn plain_paths_are_found_in_use_and_in_code() {
        assert_eq!(
            paths("use crate::store::Store;\nfn a() { std::process::exit(1) }"),
            [
                (1, "crate::store::Store".to_owned()),
                (2, "std::process::exit".to_owned())
            ]
        );
    }

    #[test]
    fn groups_are_taken_apart() {
        assert_eq!(
            paths(
                "use crate::{\n    engine::{self, Writer},\n    ports::Git as _,\n};\nuse std::fs;"
            ),
            [
                (2, "crate::engine".to_owned()),
                (2, "crate::engine::Writer".to_owned()),
                (3, "crate::ports::Git".to_owned()),
                (5, "std::fs".to_owned())
            ]
        );
    }

    #[test]
    fn globs_and_turbofish_end_a_path() {
        assert_eq!(
            paths("use super::*; a::b::<c::D>()"),
            [(1, "a::b".to_owned()), (1, "c::D".to_owned())]
        );
    }
}
