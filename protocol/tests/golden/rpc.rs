//! JSON-RPC itself, with what the daemon sends unasked.

use claustre_protocol::{
    ids::EventId,
    rpc::{Answer, Call, Fault, FaultCode, Hello, JsonRpc, ProtocolVersion},
};

use crate::{
    check::{Golden, names},
    samples::{EVENT, event},
};

#[test]
fn every_line_of_the_socket_is_as_its_golden_file() {
    let mut golden = Golden::of("rpc");
    golden.holds(
        "hello",
        &Hello {
            protocol: ProtocolVersion { major: 1, minor: 2 },
            build: "0.1.0".into(),
            program: "cli".into(),
            pid: 4711,
        },
    );
    golden.holds(
        "call",
        &Call {
            jsonrpc: JsonRpc::V2,
            id: Some(7),
            method: "task.show".into(),
            params: serde_json::json!({ "of": "2200" }),
        },
    );
    // Without an id: nobody waits for an answer.
    golden.holds_in_part(
        "notification",
        &Call {
            jsonrpc: JsonRpc::V2,
            id: None,
            method: "event".into(),
            params: serde_json::to_value(event()).unwrap(),
        },
    );
    golden.holds_in_part(
        "result",
        &Answer::result(7, serde_json::json!({ "message": "connecting" })),
    );
    golden.holds_in_part(
        "fault",
        &Answer::fault(
            Some(7),
            Fault::new(
                FaultCode::Refused,
                "launching the task 'Fix the cart's sum': it is a draft",
                Some("edit and submit it first: claustre task edit --submit".into()),
            ),
        ),
    );
    golden.holds_in_part(
        "fault_of_an_unreadable_line",
        &Answer::fault(None, Fault::new(FaultCode::Parse, "reading a line", None)),
    );
    golden.holds::<EventId>("id", &EVENT);
    golden.finish(&names([]));
}
