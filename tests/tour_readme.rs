//! Every line of the README's tour, typed as a user would. A block is marked behind its language: ` ```sh tour `.
//!
//! Only what a test must not do is exchanged: ports of its own for 8080 and 9093 and those behind them, and the binary
//! that is under test for `cargo run --release --`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use dmq_testkit::harness::{Process, Rest, free_ports_in_a_row, server_binary, wait_until};
use serde_json::json;

/// The blocks of one README with their marks, in order.
fn blocks() -> anyhow::Result<Vec<(String, String)>> {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(readme)?;
    let mut found = Vec::new();
    for part in text.split("\n```").skip(1).step_by(2) {
        let (head, body) = part.split_once('\n').context("a block without an end")?;
        if let Some((_, mark)) = head.split_once(' ') {
            found.push((mark.to_owned(), body.to_owned()));
        }
    }
    Ok(found)
}

fn blocks_marked(mark: &str) -> anyhow::Result<Vec<String>> {
    let all = blocks()?;
    let marked: Vec<String> = all
        .into_iter()
        .filter(|(known, _)| known == mark)
        .map(|(_, body)| body)
        .collect();
    anyhow::ensure!(!marked.is_empty(), "the README has no block `{mark}`");
    Ok(marked)
}

/// The ports of one run, in place of the README's.
struct Ports {
    rest: u16,
    grpc: u16,
}

impl Ports {
    fn draw() -> anyhow::Result<Self> {
        Ok(Self {
            rest: free_ports_in_a_row(3)?,
            grpc: free_ports_in_a_row(3)?,
        })
    }

    fn put_into(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for node in 0..3 {
            text = text.replace(&(8080 + node).to_string(), &(self.rest + node).to_string());
            text = text.replace(&(9093 + node).to_string(), &(self.grpc + node).to_string());
        }
        text
    }
}

/// Types a line into a shell and returns what it printed. Every command of it has to succeed.
fn type_line(line: &str, variables: &mut BTreeMap<String, String>) -> anyhow::Result<String> {
    // An assignment outlives its line, as it does in a terminal.
    let assigned = line.split_once('=').map(|(name, _)| name).filter(|name| {
        name.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    });
    let script = match assigned {
        Some(name) => format!("set -eu; {line}; printf %s \"${name}\""),
        None => format!("set -eu; {line}"),
    };
    let output = Command::new("bash")
        .args(["-c", &script])
        .envs(&*variables)
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        bail!(
            "`{line}` failed: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    if let Some(name) = assigned {
        variables.insert(name.to_owned(), text.clone());
    }
    Ok(text)
}

/// Types all lines of a block.
fn type_block(
    block: &str,
    variables: &mut BTreeMap<String, String>,
) -> anyhow::Result<Vec<String>> {
    block
        .lines()
        .map(|line| type_line(line, variables))
        .collect()
}

/// `dev` with a standard input that can be typed into.
struct Dev {
    child: Child,
    ports: Ports,
    folder: tempfile::TempDir,
}

impl Dev {
    fn start() -> anyhow::Result<Self> {
        let line = blocks_marked("tour:dev")?.concat();
        assert_eq!(line.trim(), "cargo run --release -- dev");
        let (ports, folder) = (Ports::draw()?, tempfile::tempdir()?);
        let child = Command::new(server_binary()?)
            .args(["dev", &format!("--rest-port={}", ports.rest)])
            .arg(format!("--grpc-port={}", ports.grpc))
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self {
            child,
            ports,
            folder,
        })
    }

    fn type_key(&mut self, key: &str) -> anyhow::Result<()> {
        let input = self.child.stdin.as_mut().context("no standard input")?;
        Ok(writeln!(input, "{key}")?)
    }

    /// Waits until the nodes at these positions agree on one of them as the controller; returns its term.
    async fn controlled_by(&self, nodes: &[u16]) -> anyhow::Result<u64> {
        agreed(nodes.iter().map(|node| self.ports.rest + node).collect()).await
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn agreed(ports: Vec<u16>) -> anyhow::Result<u64> {
    wait_until("all nodes name one controller that is up", async || {
        let mut views = Vec::new();
        for port in &ports {
            let view = Rest::new(*port)?.get("/controller").await;
            views.push(view.map(|view| view.json).unwrap_or_default());
        }
        let first = &views[0];
        let leads = views.iter().any(|view| view["isLeader"] == json!(true));
        let same = views
            .iter()
            .all(|view| view["leaderId"] == first["leaderId"] && view["term"] == first["term"]);
        Ok(first["term"].as_u64().filter(|_| leads && same))
    })
    .await
}

#[tokio::test]
async fn the_tour_works_line_by_line() -> anyhow::Result<()> {
    let mut dev = Dev::start()?;
    let mut variables = BTreeMap::new();
    let first_term = dev.controlled_by(&[0, 1, 2]).await?;
    let brokers = format!("http://127.0.0.1:{}", dev.ports.rest);
    wait_until("the played brokers are there", async || {
        let list = Rest::new(dev.ports.rest)?
            .get("/brokers")
            .await?
            .success()?;
        let brokers = list.json.as_array().context(brokers.clone())?;
        let online = brokers
            .iter()
            .filter(|broker| broker["fenced"] == json!(false))
            .count();
        Ok((online == 3).then_some(()))
    })
    .await?;

    let [first, refused] = &blocks_marked("tour")?[..] else {
        bail!("the tour has other blocks than this test knows");
    };
    let said = type_block(&dev.ports.put_into(first), &mut variables)?;
    assert!(said[0].contains("\"isLeader\":true"), "{}", said[0]);
    assert!(said[1].contains("\"topicName\":\"orders\""), "{}", said[1]);
    assert!(said[2].contains("\"numPartitions\":3"), "{}", said[2]);
    let said = type_block(&dev.ports.put_into(refused), &mut variables)?.concat();
    assert!(
        said.contains("503") && said.to_lowercase().contains("x-controller-leader: 1"),
        "{said}"
    );

    dev.type_key("k")?;
    let term = dev.controlled_by(&[1, 2]).await?;
    assert!(term > first_term, "term {term} after {first_term}");
    let block = dev
        .ports
        .put_into(&blocks_marked("tour:after-kill")?.concat());
    let said = type_block(&block, &mut variables)?;
    assert!(said[1].contains("\"topicName\":\"orders\""), "{said:?}");
    assert!(said[2].contains("\"topicName\":\"payments\""), "{said:?}");

    dev.type_key("r")?;
    dev.controlled_by(&[0, 1, 2]).await?;
    wait_until("the node that came back is ready", async || {
        let rest = Rest::new(dev.ports.rest)?;
        let ready = rest.send(reqwest::Method::GET, "/readyz", None, &[]).await;
        Ok(ready.ok().filter(|answer| answer.status == 200).map(drop))
    })
    .await?;
    let block = dev
        .ports
        .put_into(&blocks_marked("tour:after-return")?.concat());
    let said = type_block(&block, &mut variables)?;
    assert!(
        said[0].contains("stateHash") && said[1].contains("stateHash"),
        "{said:?}"
    );
    assert!(said[2].contains("voters"), "{}", said[2]);
    assert!(said[4].starts_with("dmq_"), "{}", said[4]);
    assert!(said[5].contains("openapi"), "{}", said[5]);

    dev.type_key("q")?;
    wait_until("`q` ends dev", async || Ok(dev.child.try_wait()?))
        .await
        .map(|status| {
            assert!(status.success(), "{status}");
            assert!(
                dev.folder.path().join("data/dev").is_dir(),
                "the README names another folder"
            );
        })
}

#[tokio::test]
async fn three_terminals_with_one_file_make_a_quorum() -> anyhow::Result<()> {
    let (ports, folder) = (Ports::draw()?, tempfile::tempdir()?);
    let file = blocks_marked("tour:file=quorum.yaml")?.concat();
    std::fs::write(folder.path().join("quorum.yaml"), ports.put_into(&file))?;
    let mut nodes = Vec::new();
    for line in blocks_marked("tour:serve")?.concat().lines() {
        let line = ports.put_into(line);
        let arguments = line
            .strip_prefix("cargo run --release -- ")
            .context("another command")?;
        let mut command = Command::new(server_binary()?);
        command
            .args(arguments.split(' '))
            .current_dir(folder.path());
        let log = folder.path().join(format!("terminal-{}.log", nodes.len()));
        nodes.push(Process::start(&mut command, log)?);
    }
    assert_eq!(nodes.len(), 3);
    let rest = (0..3).map(|node| ports.rest + node).collect();
    agreed(rest).await.map(drop)
}
