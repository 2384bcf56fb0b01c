//! The first line on `mcp.sock`: which session speaks, and its token.

use claustre_protocol::{
    PROTOCOL,
    ids::SessionId,
    rpc::{Fault, FaultCode, ProtocolVersion},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longest first line, in bytes, its newline included.
pub const MAX_HELLO: usize = 4 * 1024;

/// What a bridge says before MCP begins. There is no answer to a good one.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BridgeHello {
    /// Tells this line from an MCP message.
    pub claustre: HelloWord,
    /// The session that the bridge was started in.
    pub session: SessionId,
    /// That session's token.
    pub token: String,
    /// What the bridge speaks.
    pub protocol: ProtocolVersion,
    /// Made by the bridge at its start and said at each connection: a call that it makes again is known by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<Uuid>,
}

/// The only word there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HelloWord {
    /// `hello`
    Hello,
}

impl BridgeHello {
    /// The hello of this build.
    pub fn new(session: SessionId, token: String) -> Self {
        Self {
            claustre: HelloWord::Hello,
            session,
            token,
            protocol: PROTOCOL,
            bridge: None,
        }
    }

    /// The line on the wire, newline included.
    ///
    /// # Errors
    /// Never with today's fields; serde cannot promise it.
    pub fn line(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self).map(|json| json + "\n")
    }

    /// Reads the line.
    ///
    /// # Errors
    /// A fault for the bridge when it is no hello, or one of another protocol.
    pub fn parse(line: &[u8]) -> Result<Self, Fault> {
        let hello: Self = serde_json::from_slice(line).map_err(|_| {
            // The reason could quote the token, so it is left out.
            Fault::new(
                FaultCode::InvalidCall,
                "the first line on this socket must be a claustre hello",
                Some("connect through `claustre mcp`".to_owned()),
            )
        })?;
        if !PROTOCOL.understands(hello.protocol) {
            return Err(Fault::new(
                FaultCode::Version,
                format!(
                    "the bridge speaks protocol {}.{}, the daemon {}.{}",
                    hello.protocol.major, hello.protocol.minor, PROTOCOL.major, PROTOCOL.minor
                ),
                Some(
                    "restart the session, or the daemon, so that both are of one build".to_owned(),
                ),
            ));
        }
        Ok(hello)
    }
}

/// Shows everything but the token.
impl std::fmt::Debug for BridgeHello {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BridgeHello")
            .field("session", &self.session)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_and_parse_agree_and_the_token_is_not_shown() {
        let hello = BridgeHello::new(SessionId::new(Uuid::from_u128(7)), "secret".to_owned());
        let line = hello.line().unwrap();
        assert_eq!(
            line,
            "{\"claustre\":\"hello\",\"session\":\"00000000-0000-0000-0000-000000000007\",\"token\":\"secret\",\"protocol\":{\"major\":1,\"minor\":0}}\n"
        );
        assert_eq!(BridgeHello::parse(line.as_bytes()).unwrap(), hello);
        assert!(!format!("{hello:?}").contains("secret"));
    }

    #[test]
    fn another_major_and_another_message_are_refused() {
        let id = Uuid::from_u128(7);
        let line = format!(
            r#"{{"claustre":"hello","session":"{id}","token":"t","protocol":{{"major":2,"minor":0}}}}"#
        );
        let fault = BridgeHello::parse(line.as_bytes()).unwrap_err();
        assert_eq!(fault.code, FaultCode::Version.number());
        let fault =
            BridgeHello::parse(br#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#).unwrap_err();
        assert_eq!(fault.code, FaultCode::InvalidCall.number());
    }
}
