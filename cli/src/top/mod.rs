//! `muster top`: a group live in the terminal, one bar a member.

pub mod view;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use muster_control::ports::{Clock, Marks, PolicyDesk};
use muster_core::group::GroupName;
use muster_web::read::ReadError;
use muster_web::read::activity::{ActivityKind, AskedActivity, activity};
use muster_web::read::members::{AskedMembers, members};
use muster_web::read::now::now;
use muster_web::stand::{Stand, Store};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::failure::Failure;
use crate::local::live::is_on_terminal;
use crate::local::stand::open;
use crate::place::{self, Command, PlaceArgs, StackArgs, group_of, unread};
use view::View;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(1);
/// How often a stack is looked at: each look is some reads of DynamoDB, which cost.
const EVERY_OF_STACK: Duration = Duration::from_secs(3);
/// How soon it notices that it is over.
const TICK: Duration = Duration::from_millis(200);
/// Decisions that are asked for.
const DECISIONS: u32 = 5;

/// Watch a group live: one bar a member, the thresholds, desired and actual, the last decisions. q ends it.
///
///   muster top
///   muster --stack prod top --group web
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct TopArgs {
    #[command(flatten)]
    place: PlaceArgs,
}

/// Runs the command.
pub fn run(stack: &StackArgs, args: &TopArgs) -> Result<(), Failure> {
    if !is_on_terminal() {
        return Err(Failure::Input("top draws on a terminal: `muster status --watch` does without one".into()));
    }
    let every = if stack.named().is_some() && args.place.state.is_none() { EVERY_OF_STACK } else { EVERY };
    place::at(stack, &args.place, &Top { group: args.place.group.as_ref(), every, over: &AtomicBool::new(false) })
}

/// Shows the group of the world in `state` from its first decision on, until q is pressed or `over` is set.
pub(crate) fn live(state: &Path, group: &GroupName, over: &AtomicBool) -> Result<(), Failure> {
    place::blocking(async {
        let stand = open(Some(state))?;
        while let Err(ReadError::NotFound(_)) = now(&stand, group).await {
            if over.load(Ordering::Relaxed) {
                return Ok(());
            }
            tokio::time::sleep(TICK).await;
        }
        Top { group: Some(group), every: EVERY, over }.run(&stand).await
    })
}

struct Top<'a> {
    group: Option<&'a GroupName>,
    every: Duration,
    /// Set when nobody is to look any more.
    over: &'a AtomicBool,
}

impl Command for Top<'_> {
    type Output = ();

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(&self, stand: &Stand<S, P, F, C>) -> Result<(), Failure> {
        let group = group_of(stand, self.group).await?;
        // What cannot be seen at first is an error; later it is shown, and what was seen stays.
        let first = look(stand, &group).await.map_err(unread(stand.place.as_str()))?;
        let terminal = ratatui::try_init().map_err(|error| Failure::run("the terminal cannot be drawn on", &error))?;
        let ended = self.watch(stand, &group, first, terminal).await;
        ratatui::restore();
        ended
    }
}

impl Top<'_> {
    async fn watch<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
        group: &GroupName,
        mut view: View,
        mut terminal: DefaultTerminal,
    ) -> Result<(), Failure> {
        let failed = |error| Failure::run("the terminal cannot be drawn on", &error);
        loop {
            let due = Instant::now() + self.every;
            loop {
                terminal.draw(|frame| view.draw(frame.area(), frame.buffer_mut())).map_err(failed)?;
                if self.over.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let left = due.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    break;
                }
                if !event::poll(left.min(TICK)).map_err(failed)? {
                    continue;
                }
                let area = terminal.size().map_err(failed)?.into();
                match heard(&event::read().map_err(failed)?) {
                    Heard::End => return Ok(()),
                    Heard::Up(rows) => view.scrolled = view.scrolled.min(view.hidden(area)).saturating_sub(rows),
                    Heard::Down(rows) => view.scrolled = (view.scrolled + rows).min(view.hidden(area)),
                    Heard::Nothing => {}
                }
            }
            match look(stand, group).await {
                Ok(seen) => view = View { scrolled: view.scrolled, ..seen },
                Err(error) => {
                    view.trouble = Some(muster_control::chain::chain(&error));
                    view.now = stand.clock.now();
                }
            }
        }
    }
}

/// What a key asks for.
enum Heard {
    End,
    Up(usize),
    Down(usize),
    Nothing,
}

fn heard(event: &Event) -> Heard {
    let Event::Key(key) = event else { return Heard::Nothing };
    if key.kind == KeyEventKind::Release {
        return Heard::Nothing;
    }
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Heard::End,
        KeyCode::Char('q') | KeyCode::Esc => Heard::End,
        KeyCode::Up | KeyCode::Char('k') => Heard::Up(1),
        KeyCode::Down | KeyCode::Char('j') => Heard::Down(1),
        KeyCode::PageUp => Heard::Up(10),
        KeyCode::PageDown => Heard::Down(10),
        _ => Heard::Nothing,
    }
}

async fn look<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
) -> Result<View, ReadError> {
    let kinds = [ActivityKind::Decision].into();
    let asked = AskedActivity { limit: Some(DECISIONS), kinds, ..AskedActivity::default() };
    Ok(View {
        now: stand.clock.now(),
        group: now(stand, group).await?,
        members: members(stand, group, AskedMembers::default()).await?,
        decisions: activity(stand, group, &asked).await?,
        trouble: None,
        scrolled: 0,
    })
}
