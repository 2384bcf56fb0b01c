//! The prompt that a task's work starts with: title, description, steps, and how the work is to be delivered.

use claustre_protocol::status::{Mode, PushMode};

use super::Task;

/// The first prompt; none where the session opens without one.
pub fn first_prompt(task: &Task, base: &str) -> Option<String> {
    if task.mode.value() == Mode::Exploration && task.description.value().trim().is_empty() {
        return None;
    }
    Some(next_prompt(task, base))
}

/// The prompt of a task for a session that is open: it always has one.
pub fn next_prompt(task: &Task, base: &str) -> String {
    let title = task.title.value();
    let description = task.description.value();
    let mut prompt = format!("# {title}\n");
    // A title made from the description's first line is not said twice.
    if !description.trim().is_empty() && description.trim() != title.trim() {
        prompt.push_str(&format!("\n{}\n", description.trim_end()));
    }
    let steps = task.steps();
    if !steps.is_empty() {
        prompt.push_str("\n## Steps\n\n");
        for (number, (_, step)) in steps.iter().enumerate() {
            let done = if step.done.value() { " (done)" } else { "" };
            prompt.push_str(&format!("{}. {}{done}\n", number + 1, step.title()));
        }
        prompt.push_str("\nMark each step with the tool claustre_subtask when it is done.\n");
    }
    if task.mode.value() != Mode::Exploration {
        prompt.push_str(&delivery(task, base));
    }
    prompt
}

fn delivery(task: &Task, base: &str) -> String {
    let deliver = match task.push_mode.value() {
        PushMode::Pr => format!(
            "When the work is finished: commit it, push the branch if there is a remote, open a pull request against `{base}` if `gh` \
             can do so, then call the tool claustre_task_done with a short summary."
        ),
        PushMode::Push => "When the work is finished: commit it, push the branch if there is a remote, then call the tool \
                           claustre_task_done with a short summary. Open no pull request."
            .to_owned(),
    };
    format!("\n---\n{deliver} Say with claustre_status what you are doing when it changes.\n")
}
