//! What talks to the world outside: other programs, their files and their formats.

pub mod claude;
