//! What the user sees: who leads in which term, how far each node is, and what to type. Pure text.

use std::collections::VecDeque;
use std::time::Instant;

use dmq_api::rest::controller::{ControllerResponse, NodeState};

use super::children::Process;
use super::plan::Plan;

/// Things that happened, at most, below the table.
const NOTES_MAX: usize = 6;
/// The first line that a user of the original types.
const CREATE_BODY: &str = r#"{"topicName":"orders","numPartitions":3,"replicationFactor":2}"#;

/// Everything that is known of the quorum at the moment.
pub(super) struct Picture {
    started: Instant,
    data_dir: String,
    brokers: u32,
    rows: Vec<Row>,
    notes: VecDeque<String>,
    fresh_notes: Vec<String>,
    led_by: Option<(u32, u64)>,
}

struct Row {
    id: u32,
    rest_port: u16,
    grpc_port: u16,
    process: Process,
    view: Option<ControllerResponse>,
}

impl Picture {
    /// Nothing was seen yet.
    pub(super) fn new(plan: &Plan, brokers: u32) -> Self {
        let row = |node: &super::plan::NodePlan| Row {
            id: node.id,
            rest_port: node.rest_port,
            grpc_port: node.grpc_port,
            process: Process::Ended {
                how: "starting".to_owned(),
            },
            view: None,
        };
        Self {
            started: Instant::now(),
            data_dir: plan.data_dir.display().to_string(),
            brokers,
            rows: plan.nodes.iter().map(row).collect(),
            notes: VecDeque::new(),
            fresh_notes: Vec::new(),
            led_by: None,
        }
    }

    /// Adds something that happened.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        let note = format!(
            "{:>7.1} s  {}",
            self.started.elapsed().as_secs_f32(),
            text.into()
        );
        self.fresh_notes.push(note.clone());
        self.notes.push_back(note);
        if self.notes.len() > NOTES_MAX {
            self.notes.pop_front();
        }
    }

    /// The notes since the last call.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.fresh_notes)
    }

    /// Takes in how the processes are.
    pub(super) fn observe_processes(&mut self, processes: &[Process]) {
        let mut deaths = Vec::new();
        for (row, process) in self.rows.iter_mut().zip(processes) {
            if let (Process::Running { .. }, Process::Ended { how }) = (&row.process, process) {
                deaths.push(format!(
                    "node {} {how}; type r {} to bring it back",
                    row.id, row.id
                ));
            }
            row.process = process.clone();
        }
        for note in deaths {
            self.note(note);
        }
    }

    /// Takes in what the nodes say of themselves.
    pub(super) fn observe_nodes(&mut self, views: Vec<Option<ControllerResponse>>) {
        for (row, view) in self.rows.iter_mut().zip(views) {
            row.view = view;
        }
        let leads = self.leader().map(|(row, view)| (row.id, view.term));
        if let Some((id, term)) = leads
            && self.led_by != leads
        {
            self.led_by = leads;
            self.note(format!("node {id} is the controller in term {term}"));
        }
    }

    /// The controller, if one is seen.
    pub(super) fn controller(&self) -> Option<u32> {
        self.leader().map(|(row, _)| row.id)
    }

    /// Of several nodes that believe to lead the one in the highest term does.
    fn leader(&self) -> Option<(&Row, &ControllerResponse)> {
        let leads = |row: &&Row| matches!(row.process, Process::Running { .. });
        let views = self
            .rows
            .iter()
            .filter(leads)
            .filter_map(|row| Some((row, row.view.as_ref()?)));
        views
            .filter(|(_, view)| view.state == NodeState::Leader)
            .max_by_key(|(_, view)| view.term)
    }

    /// The whole picture, line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!(
                "DMQ Metadata: {} nodes in {}",
                self.rows.len(),
                self.data_dir
            ),
            String::new(),
            format!(
                "  {:<5}{:>8}  {:>5}  {:>5}  {:<14}{:>5}{:>10}{:>10}{:>11}",
                "NODE", "PID", "REST", "gRPC", "STATE", "TERM", "COMMIT", "APPLIED", "PROJECTED"
            ),
        ];
        lines.extend(self.rows.iter().map(Row::line));
        lines.push(String::new());
        lines.extend(self.what_to_try());
        lines.push(String::new());
        lines.extend(self.notes.iter().map(|note| format!("  {note}")));
        lines
    }

    /// The lines to try, with the present controller's port.
    pub(super) fn what_to_try(&self) -> Vec<String> {
        let Some((row, _)) = self.leader() else {
            if self.led_by.is_none() {
                return vec!["  The nodes are starting.".to_owned()];
            }
            return vec![
                "  No controller at the moment: writes get 503, local reads go on.".to_owned(),
            ];
        };
        let api = format!("http://localhost:{}/api/v1/metadata", row.rest_port);
        let mut lines = vec!["  Try in another terminal:".to_owned()];
        if self.brokers > 0 {
            lines.push(format!(
                "    curl -X POST {api}/topics -H 'Content-Type: application/json' -d '{CREATE_BODY}'"
            ));
        }
        lines.push(format!("    curl {api}/topics"));
        lines.push(format!("    curl {api}/quorum"));
        if let Process::Running { pid } = row.process {
            lines.push(format!(
                "    kill -9 {pid}    # the controller; watch another one take over"
            ));
        }
        lines.push(
            "  Or type here: k [node] kills (the controller), r [node] brings back, q quits"
                .to_owned(),
        );
        lines
    }
}

impl Row {
    fn line(&self) -> String {
        let Self {
            id,
            rest_port,
            grpc_port,
            ..
        } = self;
        let (pid, state) = match &self.process {
            Process::Ended { how } => ("-".to_owned(), how.clone()),
            Process::Running { pid } => (pid.to_string(), self.state()),
        };
        let start = format!("  {id:<5}{pid:>8}  {rest_port:>5}  {grpc_port:>5}  {state:<14}");
        match (&self.process, &self.view) {
            (Process::Running { .. }, Some(view)) => format!(
                "{start}{:>5}{:>10}{:>10}{:>11}",
                view.term, view.commit_index, view.applied_index, view.projected_index
            ),
            _ => start.trim_end().to_owned(),
        }
    }

    fn state(&self) -> String {
        match self.view.as_ref().map(|view| view.state) {
            None => "no answer",
            Some(NodeState::Uninitialized) => "uninitialised",
            Some(NodeState::Follower) => "follower",
            Some(NodeState::PreCandidate) => "pre-candidate",
            Some(NodeState::Candidate) => "candidate",
            Some(NodeState::Leader) => "CONTROLLER",
            Some(NodeState::Observer) => "observer",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, CliCommand};

    fn picture() -> Picture {
        let CliCommand::Dev(args) = Cli::parse_from(["dmq-metadata", "dev"]).command else {
            panic!("dev")
        };
        Picture::new(&Plan::new(&args).unwrap(), 3)
    }

    fn view(node: u32, state: NodeState, term: u64) -> ControllerResponse {
        ControllerResponse {
            is_leader: state == NodeState::Leader,
            leader_id: None,
            leader_url: None,
            term,
            state,
            node_id: node,
            cluster_id: "dev".into(),
            incarnation: "1".into(),
            commit_index: 10,
            applied_index: 9,
            projected_index: 8,
            feature_level: 1,
            version: String::new(),
            alarms: Vec::new(),
            controller_id: None,
            controller_url: None,
            controller_term: term,
            timestamp: 0,
        }
    }

    fn running() -> Vec<Process> {
        (1..=3).map(|pid| Process::Running { pid }).collect()
    }

    #[test]
    fn the_lines_to_try_name_the_present_controllers_port() {
        let mut picture = picture();
        picture.observe_processes(&running());
        let (leader, follower) = (NodeState::Leader, NodeState::Follower);
        picture.observe_nodes(vec![
            Some(view(1, leader, 1)),
            Some(view(2, follower, 1)),
            Some(view(3, follower, 1)),
        ]);
        assert!(picture.what_to_try()[1].contains("localhost:8080/api/v1/metadata/topics"));
        // The old controller still believes in itself while the new one leads a higher term.
        picture.observe_nodes(vec![
            Some(view(1, leader, 1)),
            Some(view(2, leader, 2)),
            Some(view(3, follower, 2)),
        ]);
        assert!(picture.what_to_try()[1].contains("localhost:8081/api/v1/metadata/topics"));
        assert_eq!(picture.controller(), Some(2));
    }

    #[test]
    fn a_killed_node_is_noticed_and_the_way_back_is_told() {
        let mut picture = picture();
        picture.observe_processes(&running());
        picture.take_notes();
        let mut processes = running();
        processes[2] = Process::Ended {
            how: "killed (kill -9)".into(),
        };
        picture.observe_processes(&processes);
        let notes = picture.take_notes();
        assert!(
            notes[0].contains("node 3 killed (kill -9); type r 3 to bring it back"),
            "{notes:?}"
        );
        assert!(
            picture.lines()[5].contains("killed"),
            "{:?}",
            picture.lines()
        );
    }

    #[test]
    fn without_a_controller_no_line_pretends_there_is_one() {
        let mut picture = picture();
        picture.observe_processes(&running());
        picture.observe_nodes(vec![None, Some(view(2, NodeState::Candidate, 4)), None]);
        assert_eq!(picture.controller(), None);
        assert!(!picture.lines().iter().any(|line| line.contains("curl")));
    }
}
