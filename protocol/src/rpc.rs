//! JSON-RPC 2.0, one message a line, as spoken on `run/daemon.sock`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Longest line that either side accepts on the socket, in bytes. A prompt of a megabyte fits, escaped.
pub const MAX_LINE: usize = 8 * 1024 * 1024;

/// What the two sides must share to understand each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolVersion {
    /// Differs: they do not understand each other.
    pub major: u16,
    /// Higher: knows more, takes all of the lower.
    pub minor: u16,
}

impl ProtocolVersion {
    /// May these two talk?
    pub const fn understands(self, other: Self) -> bool {
        self.major == other.major
    }
}

/// Version word of every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum JsonRpc {
    /// The only one there is.
    #[default]
    #[serde(rename = "2.0")]
    V2,
}

/// First message of every connection, and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocol spoken.
    pub protocol: ProtocolVersion,
    /// The version of the program.
    pub build: String,
    /// Which program: cli, hook, launcher, plugin, daemon, mcp.
    pub program: String,
    /// Process id, for messages only.
    pub pid: u32,
}

/// A call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// Always 2.0.
    #[serde(default)]
    pub jsonrpc: JsonRpc,
    /// Joins the answer to the call; absent = no answer wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// What is asked.
    pub method: String,
    /// With what.
    #[serde(default)]
    pub params: Value,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Always 2.0.
    #[serde(default)]
    pub jsonrpc: JsonRpc,
    /// The call it answers; absent when the call could not be read.
    pub id: Option<u64>,
    /// What was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
}

/// Why a call was refused or failed, in words for the user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// One of [`FaultCode`]'s numbers.
    pub code: i64,
    /// What was being done and why it did not happen.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<FaultData>,
}

/// The advice of a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultData {
    /// One line, printed behind `hint:`.
    pub hint: String,
}

/// The numbers a [`Fault`] may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCode {
    /// The line was not JSON.
    Parse,
    /// The line was not a call.
    InvalidCall,
    /// No such method.
    UnknownMethod,
    /// The method does not take these parameters.
    InvalidParams,
    /// A bug or a failing disk.
    Internal,
    /// The rules forbid it now.
    Refused,
    /// No such thing.
    NotFound,
    /// The two programs do not understand each other.
    Version,
    /// Too much at once; try again.
    Busy,
}

impl FaultCode {
    /// The number on the wire.
    pub const fn number(self) -> i64 {
        match self {
            Self::Parse => -32700,
            Self::InvalidCall => -32600,
            Self::UnknownMethod => -32601,
            Self::InvalidParams => -32602,
            Self::Internal => -32603,
            Self::Refused => 1,
            Self::NotFound => 3,
            Self::Version => 5,
            Self::Busy => 6,
        }
    }
}

impl Fault {
    /// A fault with a hint.
    pub fn new(code: FaultCode, message: impl Into<String>, hint: Option<String>) -> Self {
        Self {
            code: code.number(),
            message: message.into(),
            data: hint.map(|hint| FaultData { hint }),
        }
    }

    /// Its advice.
    pub fn hint(&self) -> Option<&str> {
        self.data.as_ref().map(|data| data.hint.as_str())
    }
}

impl Answer {
    /// The answer that carries a result.
    pub fn result(id: u64, result: Value) -> Self {
        Self {
            jsonrpc: JsonRpc::V2,
            id: Some(id),
            result: Some(result),
            error: None,
        }
    }

    /// The answer that carries a fault.
    pub fn fault(id: Option<u64>, fault: Fault) -> Self {
        Self {
            jsonrpc: JsonRpc::V2,
            id,
            result: None,
            error: Some(fault),
        }
    }
}
