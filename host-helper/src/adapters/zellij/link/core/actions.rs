//! What was ordered of the instances: who was told, and what becomes of it when that one is gone.

use claustre_protocol::link::{Instance, PaneAction, ToPlugin};

use super::{Core, Out};
use crate::adapters::zellij::link::LinkError;

/// An action without an outcome yet.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) what: PaneAction,
    /// Who was told; none while there is no leader.
    pub(super) target: Option<Instance>,
    pub(super) since: u64,
}

impl Core {
    /// Orders an action and gives its number. It is for the leader, or for one instance where its client matters; where that one
    /// is not there, the leader does it.
    pub(in super::super) fn act(
        &mut self,
        what: PaneAction,
        by: Option<Instance>,
        now: u64,
        out: &mut Vec<Out>,
    ) -> u64 {
        // Numbers must differ from those of former daemons, which the plugin still remembers.
        self.actions = self
            .actions
            .max(self.epoch.wrapping_shl(20))
            .saturating_add(1);
        let action = self.actions;
        let by = by.filter(|instance| self.peers.contains_key(instance));
        if let Some(instance) = &by {
            let what = what.clone();
            self.say(Some(instance.clone()), ToPlugin::Act { action, what }, out);
        }
        let pending = Pending {
            what,
            target: by,
            since: now,
        };
        self.pending.insert(action, pending);
        self.tell_pending(out);
        action
    }

    /// The instance will not answer what it was told any more.
    pub(super) fn release(&mut self, instance: &Instance, out: &mut Vec<Out>) {
        let told: Vec<u64> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.target.as_ref() == Some(instance))
            .map(|(action, _)| *action)
            .collect();
        for action in told {
            if self
                .pending
                .get(&action)
                .is_some_and(|pending| repeatable(&pending.what))
            {
                if let Some(pending) = self.pending.get_mut(&action) {
                    pending.target = None;
                }
            } else {
                self.pending.remove(&action);
                out.push(Out::Finished {
                    action,
                    outcome: Err(LinkError::Unknown),
                });
            }
        }
    }

    pub(super) fn tell_pending(&mut self, out: &mut Vec<Out>) {
        let Some(leader) = self.leader.clone() else {
            return;
        };
        let untold: Vec<(u64, PaneAction)> = self
            .pending
            .iter_mut()
            .filter(|(_, pending)| pending.target.is_none())
            .map(|(action, pending)| {
                pending.target = Some(leader.clone());
                (*action, pending.what.clone())
            })
            .collect();
        for (action, what) in untold {
            self.say(Some(leader.clone()), ToPlugin::Act { action, what }, out);
        }
    }
}

/// May it be done a second time without harm?
fn repeatable(what: &PaneAction) -> bool {
    match what {
        PaneAction::OpenTab { .. } | PaneAction::Write { .. } => false,
        PaneAction::AdoptPanes { .. }
        | PaneAction::Focus { .. }
        | PaneAction::CloseTab { .. }
        | PaneAction::RenameTab { .. }
        | PaneAction::Read { .. } => true,
    }
}
