//! The secret token of each session: random, kept readable by its owner only in the session's directory, hashed in the log.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    sync::Mutex,
    sync::PoisonError,
};

use claustre_protocol::{ids::SessionId, rpc::Fault};
use sha2::{Digest, Sha256};

use super::lock::private_directory;
use crate::{engine::Engine, paths::Paths, ports::PortError};

/// Makes and checks tokens.
pub struct Tokens {
    paths: Paths,
    hashes: Mutex<HashMap<SessionId, String>>,
}

impl Tokens {
    /// Tokens below this home.
    pub fn new(paths: Paths) -> Self {
        Self {
            paths,
            hashes: Mutex::default(),
        }
    }

    /// Makes a session's token and remembers it; answers its hash.
    ///
    /// # Errors
    /// There is no chance to be had, or the disk failed.
    pub fn mint(&self, session: SessionId) -> Result<String, PortError> {
        let doing = |error: &dyn std::fmt::Display| {
            PortError::lasting(
                format!("making the token of session {}: {error}", session.short()),
                None,
            )
        };
        let mut random = [0u8; 32];
        getrandom::fill(&mut random).map_err(|error| doing(&error))?;
        let token = hexadecimal(&random);
        let directory = self.paths.session(session);
        private_directory(&self.paths.sessions()).map_err(|error| doing(&error))?;
        private_directory(&directory).map_err(|error| doing(&error))?;
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(directory.join("token"))
            .map_err(|error| doing(&error))?;
        file.write_all(token.as_bytes())
            .map_err(|error| doing(&error))?;
        let hash = hash(&token);
        self.hashes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(session, hash.clone());
        Ok(hash)
    }

    /// The token that was minted for a session.
    ///
    /// # Errors
    /// It is gone.
    pub fn read(&self, session: SessionId) -> Result<String, PortError> {
        fs::read_to_string(self.paths.session(session).join("token"))
            .map(|token| token.trim().to_owned())
            .map_err(|error| {
                PortError::lasting(
                    format!("reading the token of session {}: {error}", session.short()),
                    None,
                )
            })
    }

    /// Is this the session's token?
    ///
    /// # Errors
    /// The store cannot be read: nothing is known of the token then.
    pub fn check(&self, engine: &Engine, session: SessionId, token: &str) -> Result<bool, Fault> {
        let known = self
            .hashes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&session)
            .cloned();
        let wanted = match known {
            Some(hash) => Some(hash),
            None => {
                let found = engine.read_blocking(|reader| reader.session(session))?;
                let hash = found
                    .and_then(|session| session.opened)
                    .map(|opened| opened.token_hash);
                if let Some(hash) = &hash {
                    self.hashes
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(session, hash.clone());
                }
                hash
            }
        };
        // Hashes of secrets: how long their comparison takes tells nothing of the secret.
        Ok(wanted.is_some_and(|wanted| wanted == hash(token)))
    }
}

fn hash(token: &str) -> String {
    hexadecimal(&Sha256::digest(token.as_bytes()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
