//! `claustre task approve` and `claustre task deny`: the answer goes to what was shown, and to nothing else.

use claustre_protocol::{
    model::{Ask, Session},
    request::{Decision, Named, Request},
};

use crate::cli::{
    Context,
    error::{CliError, Kind},
    session,
};

/// Letters of an id that are always shown.
const LEAST: usize = 8;

/// What is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be done.
    Approve,
    /// It may not.
    Deny,
}

impl Verdict {
    fn doing(self) -> &'static str {
        match self {
            Self::Approve => "approving",
            Self::Deny => "denying",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Approve => "allowed",
            Self::Deny => "denied",
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

/// Decides what a session asks: the ask that is named, or the one that is shown and confirmed here.
pub fn run(
    context: &mut Context,
    verdict: Verdict,
    of: String,
    named: Option<&str>,
    reason: Option<String>,
) -> Result<(), CliError> {
    let asks: Vec<Ask> = context.call(Request::SessionAsks(Named { of: of.clone() }))?;
    let doing = format!("{} {of}", verdict.doing());
    let ask = match named {
        Some(named) => chosen(&doing, &asks, named)?,
        None => shown(context, verdict, &of, &doing, &asks)?,
    };
    let decision = Decision {
        of,
        ask: Some(ask.id),
        text: reason,
    };
    let session: Session = context.call(match verdict {
        Verdict::Approve => Request::SessionApprove(decision),
        Verdict::Deny => Request::SessionDeny(decision),
    })?;
    if context.ui.json {
        return context.ui.json(&session);
    }
    let ui = context.ui;
    ui.say(&format!("{}: {}", verdict.done(), ask.title));
    if named.is_some() {
        whole(ask, |line| ui.say(line));
    }
    ui.say(&format!(
        "{}: {}",
        session.zellij_tab_name,
        session::state(&session)
    ));
    Ok(())
}

/// The ask whose id begins so.
fn chosen<'a>(doing: &str, asks: &'a [Ask], named: &str) -> Result<&'a Ask, CliError> {
    let wanted: String = named
        .chars()
        .filter(|letter| *letter != '-')
        .collect::<String>()
        .to_lowercase();
    let fitting: Vec<&Ask> = asks
        .iter()
        .filter(|ask| !wanted.is_empty() && letters(ask).starts_with(&wanted))
        .collect();
    match fitting.as_slice() {
        [ask] => Ok(ask),
        [] => Err(CliError {
            kind: Kind::Failed,
            message: format!("{doing}: it does not ask '{named}', or not any more"),
            hint: Some(match asks.first() {
                Some(ask) => format!(
                    "now it asks {} ({}); claustre inbox shows it",
                    beginning(asks, ask),
                    ask.title
                ),
                None => "it asks nothing now; claustre inbox shows who asks".to_owned(),
            }),
        }),
        several => Err(CliError {
            kind: Kind::Failed,
            message: format!("{doing}: '{named}' names {} asks", several.len()),
            hint: Some(format!("use one of the ids: {}", listed(asks, several))),
        }),
    }
}

/// The ask that a person at this terminal has seen whole and confirmed.
fn shown<'a>(
    context: &Context,
    verdict: Verdict,
    of: &str,
    doing: &str,
    asks: &'a [Ask],
) -> Result<&'a Ask, CliError> {
    let Some(ask) = asks.first() else {
        return Err(CliError {
            kind: Kind::Failed,
            message: format!("{doing}: it asks nothing"),
            hint: Some("claustre inbox shows who asks".to_owned()),
        });
    };
    let ui = context.ui;
    if !ui.interactive {
        return Err(CliError::usage(format!(
            "{doing}: which of what it asks was not said, and nobody is there to be shown '{}'",
            ask.title
        ))
        .with_hint(format!(
            "claustre task {} {of} --ask {}",
            verdict.command(),
            beginning(asks, ask)
        )));
    }
    ui.say(&ask.title);
    whole(ask, |line| ui.say(line));
    let question = match verdict {
        Verdict::Approve => "Allow this?",
        Verdict::Deny => "Deny this?",
    };
    ui.confirm(false, question)?;
    Ok(ask)
}

/// Each line of what is asked, indented.
fn whole(ask: &Ask, mut say: impl FnMut(&str)) {
    for line in ask.detail.lines() {
        say(&format!("  {line}"));
    }
}

fn letters(ask: &Ask) -> String {
    ask.id.uuid().simple().to_string()
}

fn listed(asks: &[Ask], some: &[&Ask]) -> String {
    let named: Vec<String> = some
        .iter()
        .map(|ask| format!("{} ({})", beginning(asks, ask), ask.title))
        .collect();
    named.join(", ")
}

/// As much of an ask's id as tells it apart from the others.
fn beginning(asks: &[Ask], of: &Ask) -> String {
    let ids: Vec<String> = asks.iter().map(letters).collect();
    apart(&ids, &letters(of))
}

/// As much of an id as tells it apart from the others.
pub fn apart(ids: &[String], of: &str) -> String {
    let is_own = |length: usize| {
        let start = of.get(..length).unwrap_or(of);
        !ids.iter().any(|id| id != of && id.starts_with(start))
    };
    let length = (LEAST..of.len()).find(|length| is_own(*length));
    of.get(..length.unwrap_or(of.len()))
        .unwrap_or(of)
        .to_owned()
}

#[cfg(test)]
mod tests {
    use claustre_protocol::{ids::AskId, model::AskKind, time::Timestamp};
    use uuid::Uuid;

    use super::*;

    fn ask(id: u128, title: &str) -> Ask {
        Ask {
            id: AskId::new(Uuid::from_u128(id)),
            kind: AskKind::Permission,
            title: title.into(),
            detail: title.into(),
            options: Vec::new(),
            answerable: true,
            since: Timestamp::default(),
            answered: false,
            cut: false,
        }
    }

    #[test]
    fn an_ask_is_named_by_the_unique_beginning_of_its_id() {
        let asks = [
            ask(0x001f_3a9c_0200 << 88, "Bash: ls"),
            ask(0x001f_3a9c_0201 << 88, "Bash: rm"),
        ];
        let title = |named: &str| {
            chosen("approving x", &asks, named)
                .map(|ask| ask.title.clone())
                .map_err(|error| format!("{} / {}", error.message, error.hint.unwrap_or_default()))
        };
        assert_eq!(title("1f3a9c0200"), Ok("Bash: ls".into()));
        assert_eq!(title("1F3A9C02-01"), Ok("Bash: rm".into()));
        assert_eq!(
            title("1f3a"),
            Err("approving x: '1f3a' names 2 asks / use one of the ids: 1f3a9c0200 (Bash: ls), 1f3a9c0201 (Bash: rm)".into())
        );
        assert_eq!(
            title("77"),
            Err("approving x: it does not ask '77', or not any more / now it asks 1f3a9c0200 (Bash: ls); claustre inbox shows it".into())
        );
        assert!(title("").is_err());
        let none = chosen("approving x", &[], "77").unwrap_err();
        assert_eq!(
            none.hint.as_deref(),
            Some("it asks nothing now; claustre inbox shows who asks")
        );
    }
}
