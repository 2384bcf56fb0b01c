//! Reading transcripts aside: a file may be large, and its disk slow, and whoever takes reports must not wait for either.
//!
//! What was read so far goes to the reader with its order, and comes back read on. The transcripts of many sessions are read in
//! turns, one look at a time.

use std::{
    collections::VecDeque,
    path::PathBuf,
    sync::mpsc::{self, Receiver, Sender},
    thread,
};

use claustre_protocol::ids::SessionId;

use super::{conversation::Projects, transcript::TranscriptState};

/// How many looks in a row are spent on one transcript. What is left then waits for the end of the next turn.
const LOOKS: u32 = 16;

/// A transcript to be read on.
#[derive(Debug)]
pub(super) struct Order {
    pub session: SessionId,
    pub transcript: PathBuf,
    /// What was read of it.
    pub state: TranscriptState,
}

/// A transcript that was read.
#[derive(Debug)]
pub(super) struct Counted {
    pub session: SessionId,
    pub state: TranscriptState,
}

/// Who reads transcripts.
#[derive(Debug)]
pub(super) struct Reader {
    projects: Projects,
    /// The thread that reads; without one it is done on the spot.
    aside: Option<Aside>,
    counted: Vec<Counted>,
}

#[derive(Debug)]
struct Aside {
    orders: Sender<Order>,
    counted: Receiver<Counted>,
}

impl Reader {
    /// Reads on the spot.
    pub fn here(projects: Projects) -> Self {
        Self {
            projects,
            aside: None,
            counted: Vec::new(),
        }
    }

    /// Reads on a thread of its own, which calls `done` after each transcript. It ends with its owner.
    pub fn aside(projects: Projects, done: impl Fn() + Send + 'static) -> std::io::Result<Self> {
        let (orders, to_read) = mpsc::channel();
        let (told, counted) = mpsc::channel();
        let reading = projects.clone();
        thread::Builder::new()
            .name("transcripts".into())
            .spawn(move || serve(&reading, &to_read, &told, &done))?;
        Ok(Self {
            projects,
            aside: Some(Aside { orders, counted }),
            counted: Vec::new(),
        })
    }

    /// Has a transcript read. What comes of it is found by [`Reader::take`].
    pub fn order(&mut self, order: Order) {
        let left = match &self.aside {
            Some(aside) => aside.orders.send(order).err().map(|refused| refused.0),
            None => Some(order),
        };
        // Without a thread, or where that has ended, which only a defect can bring about.
        if let Some(mut order) = left {
            for _ in 0..LOOKS {
                if !look(&self.projects, &mut order) {
                    break;
                }
            }
            self.counted.push(counted(order));
        }
    }

    /// The transcripts that were read since the last call.
    pub fn take(&mut self) -> Vec<Counted> {
        let mut all = std::mem::take(&mut self.counted);
        if let Some(aside) = &self.aside {
            all.extend(aside.counted.try_iter());
        }
        all
    }
}

fn serve(projects: &Projects, orders: &Receiver<Order>, told: &Sender<Counted>, done: &impl Fn()) {
    let mut waiting: VecDeque<(Order, u32)> = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match orders.recv() {
                Ok(order) => waiting.push_back((order, 0)),
                Err(_) => return,
            }
        }
        waiting.extend(orders.try_iter().map(|order| (order, 0)));
        let Some((mut order, looks)) = waiting.pop_front() else {
            continue;
        };
        if look(projects, &mut order) && looks.saturating_add(1) < LOOKS {
            waiting.push_back((order, looks.saturating_add(1)));
            continue;
        }
        if told.send(counted(order)).is_err() {
            return;
        }
        done();
    }
}

fn counted(order: Order) -> Counted {
    Counted {
        session: order.session,
        state: order.state,
    }
}

/// One look; true where there is more to read.
fn look(projects: &Projects, order: &mut Order) -> bool {
    match order.state.read(projects, &order.transcript) {
        Ok(read) => read.more,
        Err(error) => {
            tracing::warn!(session = %order.session, %error, "the usage of a session is not complete");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::adapters::claude::config_files::ConfigPaths;

    #[test]
    fn a_transcript_without_end_holds_up_no_other() {
        let home = tempfile::tempdir().expect("temp dir");
        let folder = home.path().join(".claude/projects/p");
        fs::create_dir_all(&folder).expect("made");
        let (huge, small) = (folder.join("huge.jsonl"), folder.join("small.jsonl"));
        fs::File::create(&huge)
            .and_then(|file| file.set_len(1 << 40))
            .expect("a terabyte of zeros");
        fs::write(&small, include_str!("fixtures/transcript-sample.jsonl")).expect("written");
        let (done, heard) = mpsc::channel();
        let projects = Projects::of(&ConfigPaths::new(home.path(), None));
        let mut reader = Reader::aside(projects, move || {
            // The test may have ended.
            done.send(()).ok();
        })
        .expect("a thread");
        let session = |number| SessionId::new(uuid::Uuid::from_u128(number));
        for (number, transcript) in [(1, huge), (2, small)] {
            reader.order(Order {
                session: session(number),
                transcript,
                state: TranscriptState::default(),
            });
        }
        let mut all = Vec::new();
        while all.len() < 2 {
            heard
                .recv_timeout(Duration::from_secs(120))
                .expect("both are read");
            all.extend(reader.take());
        }
        // The small one is done after the first look at the huge one, not after the last.
        assert_eq!(all[0].session, session(2));
        assert!(all[0].state.total().output > 0);
        assert_eq!(all[1].state.total().output, 0);
    }
}
