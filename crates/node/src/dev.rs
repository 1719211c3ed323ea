//! `dev`: a whole quorum on this machine, one process per node, so that one can be killed and watched.

mod brokers;
mod children;
mod console;
mod picture;
mod plan;
mod postgres;
mod watch;

use std::time::{Duration, Instant};

use dmq_api::rest::quorum::TransferRequest;
use tokio::io::AsyncBufReadExt;

use crate::cli::DevArgs;
use crate::exit::Failure;
use crate::shutdown::Signals;
use children::Children;
use console::{Console, Order};
use picture::Picture;
use plan::Plan;

/// How often the nodes are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long a quorum that was started before may take to make node 1 its controller.
const SETTLING_TIME: Duration = Duration::from_secs(10);

/// Runs until Ctrl-C or `q`; every node is stopped then.
pub async fn run(args: DevArgs) -> Result<(), Failure> {
    let mut plan = Plan::new(&args)?;
    plan.check_ports()?;
    plan.prepare_directory(args.fresh)?;
    plan.check_earlier()?;
    let database = postgres::start(&args, &mut plan).await?;
    plan.write_configuration()?;
    let mut children = Children::new(plan.clone())?;
    children.start_all()?;
    let mut brokers = brokers::play(args.brokers, &plan)?;
    let result = attend(&plan, &mut children, &args).await;
    brokers.abort_all();
    console::say("stopping all nodes");
    children.stop_all().await;
    postgres::stop(database).await;
    result
}

/// Looks at the nodes, shows what it sees and does what is typed, until the user has enough.
async fn attend(plan: &Plan, children: &mut Children, args: &DevArgs) -> Result<(), Failure> {
    let mut console = Console::new();
    let mut picture = Picture::new(plan, args.brokers);
    let watcher = watch::Watcher::new(plan)?;
    let mut lines = Some(tokio::io::BufReader::new(tokio::io::stdin()).lines());
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut signals = Signals::listen()?;
    let mut first_leads = Settling::new(plan)?;
    loop {
        tokio::select! {
            () = signals.next() => return Ok(()),
            _ = look.tick() => {
                picture.observe_processes(&children.look());
                picture.observe_nodes(watcher.look().await);
                console.show(&mut picture);
                first_leads.look(picture.controller()).await;
            }
            line = next_line(&mut lines) => match line.as_deref().map(Order::parse) {
                None => lines = None,
                Some(Ok(Order::Quit)) => return Ok(()),
                Some(Ok(order)) => obey(order, children, &mut picture),
                Some(Err(help)) => picture.note(help),
            },
        }
    }
}

/// Node 1 is to be the first controller, also of a quorum that was started before: what is shown first then
/// works on the port that everybody types first.
struct Settling {
    client: dmq_api::client::Client,
    first: u32,
    until: Option<Instant>,
}

impl Settling {
    fn new(plan: &Plan) -> Result<Self, Failure> {
        let client = dmq_api::client::Client::new(plan.nodes.iter().map(plan::NodePlan::url))
            .map_err(Failure::failed)?
            .with_deadline(LOOK_INTERVAL);
        let first = plan.nodes.first().map_or(1, |node| node.id);
        let until = Some(Instant::now() + SETTLING_TIME);
        Ok(Self {
            client,
            first,
            until,
        })
    }

    /// Asks another controller to hand over, until node 1 leads for the first time or the time is over.
    async fn look(&mut self, controller: Option<u32>) {
        let Some(until) = self.until else { return };
        if controller == Some(self.first) || Instant::now() > until {
            self.until = None;
        } else if controller.is_some() {
            let target = Some(self.first);
            let request = TransferRequest {
                target,
                ..TransferRequest::default()
            };
            // A node that is not ready to take over yet is asked again at the next look.
            drop(self.client.transfer(&request).await);
        }
    }
}

/// The next line of standard input; never again once it has ended.
async fn next_line(
    lines: &mut Option<tokio::io::Lines<tokio::io::BufReader<tokio::io::Stdin>>>,
) -> Option<String> {
    match lines {
        Some(lines) => lines.next_line().await.ok().flatten(),
        None => std::future::pending().await,
    }
}

fn obey(order: Order, children: &mut Children, picture: &mut Picture) {
    let notes = match order {
        Order::BringBack(node) => children.bring_back(node),
        Order::Kill(node) => children.kill(node.or_else(|| picture.controller())),
        Order::Nothing | Order::Quit => Vec::new(),
    };
    for note in notes {
        picture.note(note);
    }
}
