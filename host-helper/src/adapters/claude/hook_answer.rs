//! What a hook prints when it answers on purpose. Every other hook prints nothing at all.

use serde_json::{Map, Value, json};
use thiserror::Error;

use super::suggestion::Suggestion;
use crate::text;

/// Longest reason or context given to the model, in characters.
const MESSAGE_LIMIT: usize = 64 * 1024;
/// How often in a row the client lets a Stop hook continue the turn.
pub const STOP_CONTINUE_CAP: u32 = 8;

/// A hook's answer. [`HookAnswer::to_stdout`] is the exact text to print; the exit status is always 0.
#[derive(Debug, Clone, PartialEq)]
pub enum HookAnswer {
    /// Leaves everything to the client and the user.
    Nothing,
    /// Answers a permission request with yes, once.
    Allow,
    /// Answers a permission request with yes and applies what the client suggested for the future.
    /// Suggestions that may not be sent back (unknown, or ending all checks) are left out.
    AllowAlways(Vec<Suggestion>),
    /// Answers a permission request with no; the model reads why and goes on.
    Deny {
        /// What the model reads.
        message: String,
    },
    /// Answers the model's questions; made by [`answer_questions`].
    AnswerQuestions {
        /// The tool's input with the answers in it.
        updated_input: Value,
    },
    /// Continues the turn at a Stop with this text, which the model reads as the next prompt.
    Continue {
        /// What the model reads.
        context: String,
    },
}

impl HookAnswer {
    /// The text for standard output: empty, or one JSON object and a newline.
    #[must_use]
    pub fn to_stdout(&self) -> String {
        let answer = match self {
            Self::Nothing => return String::new(),
            Self::Allow => permission(&json!({"behavior": "allow"})),
            Self::AllowAlways(suggestions) => {
                let updates: Vec<Value> =
                    suggestions.iter().filter_map(Suggestion::to_wire).collect();
                if updates.is_empty() {
                    permission(&json!({"behavior": "allow"}))
                } else {
                    permission(&json!({"behavior": "allow", "updatedPermissions": updates}))
                }
            }
            Self::Deny { message } => permission(
                &json!({"behavior": "deny", "message": text::sanitise(message, MESSAGE_LIMIT)}),
            ),
            Self::AnswerQuestions { updated_input } => {
                permission(&json!({"behavior": "allow", "updatedInput": updated_input}))
            }
            Self::Continue { context } => {
                let context = text::sanitise(context, MESSAGE_LIMIT);
                if context.trim().is_empty() {
                    return String::new();
                }
                json!({"hookSpecificOutput": {"hookEventName": "Stop", "additionalContext": context}})
            }
        };
        format!("{answer}\n")
    }
}

/// Why questions cannot be answered with these answers.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum AnswerError {
    /// One answer a question, in their order.
    #[error("answering the questions: {given} answers for {asked} questions")]
    Count {
        /// How many were given.
        given: usize,
        /// How many questions there are.
        asked: usize,
    },
    /// The input is not that of AskUserQuestion.
    #[error("answering the questions: the tool's input holds none")]
    NoQuestions,
}

/// Answers the questions of an AskUserQuestion permission request: `raw_input` as
/// [`HookEvent::QuestionAsked`](super::hook_event::HookEvent::QuestionAsked) carries it, and one answer
/// a question (an option's label or free text; several labels joined by `, `).
pub fn answer_questions(raw_input: &Value, answers: &[String]) -> Result<HookAnswer, AnswerError> {
    let mut updated_input = raw_input
        .as_object()
        .cloned()
        .ok_or(AnswerError::NoQuestions)?;
    let questions = raw_input
        .get("questions")
        .and_then(Value::as_array)
        .ok_or(AnswerError::NoQuestions)?;
    if questions.len() != answers.len() || questions.is_empty() {
        return Err(AnswerError::Count {
            given: answers.len(),
            asked: questions.len(),
        });
    }
    let mut by_question = Map::new();
    for (question, answer) in questions.iter().zip(answers) {
        // The client finds an answer by the exact text of its question.
        let asked = question
            .get("question")
            .and_then(Value::as_str)
            .ok_or(AnswerError::NoQuestions)?;
        by_question.insert(
            asked.to_owned(),
            json!(text::sanitise(answer, MESSAGE_LIMIT)),
        );
    }
    updated_input.insert("answers".to_owned(), Value::Object(by_question));
    Ok(HookAnswer::AnswerQuestions {
        updated_input: Value::Object(updated_input),
    })
}

fn permission(decision: &Value) -> Value {
    json!({"hookSpecificOutput": {"hookEventName": "PermissionRequest", "decision": decision}})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::claude::suggestion::Rule;

    fn check(answer: HookAnswer, wanted: &str) {
        assert_eq!(answer.to_stdout(), wanted);
    }

    #[test]
    fn answers_are_exactly_what_the_client_reads() {
        check(HookAnswer::Nothing, "");
        check(
            HookAnswer::Allow,
            "{\"hookSpecificOutput\":{\"decision\":{\"behavior\":\"allow\"},\"hookEventName\":\"PermissionRequest\"}}\n",
        );
        check(
            HookAnswer::Deny {
                message: "not now\u{1b}[2J".into(),
            },
            "{\"hookSpecificOutput\":{\"decision\":{\"behavior\":\"deny\",\"message\":\"not now\"},\"hookEventName\":\"PermissionRequest\"}}\n",
        );
        check(
            HookAnswer::Continue {
                context: "next \"prompt\"\nplease".into(),
            },
            "{\"hookSpecificOutput\":{\"additionalContext\":\"next \\\"prompt\\\"\\nplease\",\"hookEventName\":\"Stop\"}}\n",
        );
        check(
            HookAnswer::Continue {
                context: " ".into(),
            },
            "",
        );
    }

    #[test]
    fn always_allow_sends_back_only_what_may_go_back() {
        let rule = Suggestion::AddRules {
            rules: vec![Rule {
                tool: "Bash".into(),
                content: Some("npm test:*".into()),
            }],
            behavior: "allow".into(),
            destination: "localSettings".into(),
        };
        let bypass = Suggestion::SetMode {
            mode: "bypassPermissions".into(),
            destination: "session".into(),
        };
        let out = HookAnswer::AllowAlways(vec![rule, bypass.clone()]).to_stdout();
        let value: Value = serde_json::from_str(&out).expect("JSON");
        let updates = value
            .pointer("/hookSpecificOutput/decision/updatedPermissions")
            .and_then(Value::as_array);
        assert_eq!(updates.map(Vec::len), Some(1));
        assert_eq!(
            HookAnswer::AllowAlways(vec![bypass]).to_stdout(),
            HookAnswer::Allow.to_stdout()
        );
    }

    #[test]
    fn questions_are_answered_by_their_exact_text() {
        let input = json!({"questions": [{"question": "Which\u{1b} color?"}, {"question": "And?"}], "other": 1});
        let answer = answer_questions(&input, &["Blue".into(), "a, b".into()]).expect("answered");
        let value: Value = serde_json::from_str(&answer.to_stdout()).expect("JSON");
        let decision = value
            .pointer("/hookSpecificOutput/decision")
            .expect("decision");
        assert_eq!(decision["behavior"], "allow");
        assert_eq!(decision["updatedInput"]["questions"], input["questions"]);
        assert_eq!(decision["updatedInput"]["other"], 1);
        assert_eq!(
            decision["updatedInput"]["answers"],
            json!({"Which\u{1b} color?": "Blue", "And?": "a, b"})
        );
        let wrong = answer_questions(&input, &["Blue".into()]);
        assert_eq!(wrong, Err(AnswerError::Count { given: 1, asked: 2 }));
        assert_eq!(
            answer_questions(&json!({}), &[]),
            Err(AnswerError::NoQuestions)
        );
        assert_eq!(
            answer_questions(&json!({"questions": [1]}), &["x".into()]),
            Err(AnswerError::NoQuestions)
        );
    }
}
