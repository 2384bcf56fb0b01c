//! Calls that are made again. A bridge outlives the daemon and repeats what was not answered; whatever such a call makes or
//! asks carries an id that follows from the call, so that it is made once and its answer found.

use claustre_protocol::ids::SessionId;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::hello::BridgeHello;

/// The calls of one bridge.
#[derive(Debug, Clone, Copy)]
pub struct Calls {
    session: SessionId,
    bridge: Option<Uuid>,
}

impl Calls {
    /// Those of the bridge that said this.
    pub fn of(hello: &BridgeHello) -> Self {
        Self {
            session: hello.session,
            bridge: hello.bridge,
        }
    }

    /// The id of the call that its client numbered so; `None` where the bridge did not say which one it is.
    pub fn id(self, request: &str) -> Option<Uuid> {
        let bridge = self.bridge?;
        let mut digest = Sha256::new();
        digest.update(self.session.uuid().as_bytes());
        digest.update(bridge.as_bytes());
        digest.update(request.as_bytes());
        let bytes = *digest.finalize().first_chunk::<16>()?;
        Some(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_call_of_the_same_bridge_has_the_same_id_and_no_other_has() {
        let calls = |session, bridge| Calls {
            session: SessionId::new(Uuid::from_u128(session)),
            bridge: Some(Uuid::from_u128(bridge)),
        };
        let first = calls(1, 1).id("7");
        assert!(first.is_some());
        assert_eq!(first, calls(1, 1).id("7"));
        for other in [
            calls(1, 1).id("8"),
            calls(1, 2).id("7"),
            calls(2, 1).id("7"),
        ] {
            assert_ne!(first, other);
        }
        let unnamed = Calls {
            bridge: None,
            ..calls(1, 1)
        };
        assert_eq!(unnamed.id("7"), None);
    }
}
