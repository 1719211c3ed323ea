//! `recover`: one survivor of a quorum begins a new log history with its own state (DESIGN 6.1).

use dmq_log::{DataDir, FileDisk, Identity, Origin};
use dmq_raft::{Configuration, MemberId};
use dmq_replica::{INDEX_GAP, Recovered, Recovery, RecoveryError, Survey};

use super::dump::members;
use super::print;
use crate::cli::RecoverArgs;
use crate::config::{IdentityConfig, Sources};
use crate::exit::{Exit, Failure};

/// Says what the node knows and what may be lost; with the cluster id it goes on and does it.
pub fn recover(args: &RecoverArgs) -> Result<(), Failure> {
    let sources = Sources::of_process(args.config.clone(), args.keys());
    let root = IdentityConfig::load_node_dir(&sources)?;
    let found = Recovery::find(&FileDisk, &root).map_err(|error| refused(&error))?;
    print(format_args!("{}: {}", root.display(), found.identity()))?;
    match &found {
        Recovery::Needed(survivor) => tell_survey(&survivor.survey)?,
        Recovery::Interrupted(dir, origin) => tell_interrupted(dir, origin)?,
        Recovery::Done(_, origin) => tell_done(origin)?,
    }
    check_force(args, found.identity())?;
    let recovered = found.finish().map_err(|error| refused(&error))?;
    tell_recovered(&recovered)
}

fn refused(error: &RecoveryError) -> Failure {
    Failure::new(Exit::DataDirectory, error)
}

/// The cluster id is asked for so that nobody forces the wrong directory.
fn check_force(args: &RecoverArgs, identity: &Identity) -> Result<(), Failure> {
    let id = &identity.cluster_id;
    match &args.force_cluster_id {
        None => Err(Failure::new(
            Exit::Usage,
            format!("nothing was changed; to do it, add --force-cluster-id={id}"),
        )),
        Some(given) if given != id => Err(Failure::new(
            Exit::DataDirectory,
            format!(
                "nothing was changed: --force-cluster-id names cluster `{given}`, and the directory belongs to \
                 cluster `{id}`"
            ),
        )),
        Some(_) => Ok(()),
    }
}

fn tell_survey(survey: &Survey) -> Result<(), Failure> {
    let (index, configuration) = &survey.configuration;
    print(format_args!(
        "configuration of index {index}: {}; {}",
        members(configuration),
        standing(configuration, survey.identity.member())
    ))?;
    let (last, committed) = (survey.last, survey.committed);
    print(format_args!(
        "last entry: {last}; term: {}; known to be committed, by the newest snapshot: up to index {}",
        survey.term, committed.index
    ))?;
    for damaged in &survey.damaged_snapshots {
        print(format_args!("damaged, an older one is used: {damaged}"))?;
    }
    tell_losses(survey)?;
    tell_intention(survey)
}

fn standing(configuration: &Configuration, member: MemberId) -> &'static str {
    let is_only = configuration.voters.len() == 1 && !configuration.is_joint();
    match (configuration.is_voter(&member), is_only) {
        (true, true) => {
            "this node is the only voter: it needs no recovery, `serve` makes it lead again"
        }
        (true, false) => "this node is a voter",
        (false, _) => {
            "this node is NOT a voter: a voter that can still be recovered knows more than it"
        }
    }
}

fn tell_losses(survey: &Survey) -> Result<(), Failure> {
    let unproven = survey.last.index.0 - survey.committed.index.0;
    print("what may be lost or come to life:")?;
    print(format_args!(
        "  - {unproven} entries behind index {} are taken over, whether they were committed or not: a write \
         among them that failed or timed out may turn out to be done",
        survey.committed.index
    ))?;
    print(format_args!(
        "  - every write that the other members acknowledged behind index {} without this node is lost; if \
         another member can still be read, compare (`dmq-metadata log verify`), and recover the one whose last \
         entry has the highest term, then the highest index",
        survey.last.index
    ))?;
    print(
        "  - no other member of this history can come back: they are refused, and are to be formatted anew",
    )
}

fn tell_intention(survey: &Survey) -> Result<(), Failure> {
    let incarnation = survey.identity.incarnation;
    print(format_args!(
        "what is done: incarnation {incarnation} ends, and {} begins behind index {}, with this node under a \
         fresh directory id as the only voter; the old directory is kept beside the new one",
        incarnation.number + 1,
        survey.last.index.0 + INDEX_GAP
    ))
}

fn tell_interrupted(dir: &DataDir<FileDisk>, origin: &Origin) -> Result<(), Failure> {
    print(format_args!(
        "an earlier run was interrupted before its last step: {} (from incarnation {}, last entry {}) is whole \
         and not in its place yet",
        dir.path().display(),
        origin.incarnation,
        origin.last
    ))
}

fn tell_done(origin: &Origin) -> Result<(), Failure> {
    print(format_args!(
        "recovered already, from incarnation {}, last entry {}, and not used since: there is nothing to do",
        origin.incarnation, origin.last
    ))
}

fn tell_recovered(recovered: &Recovered) -> Result<(), Failure> {
    let Recovered {
        identity,
        origin,
        kept,
    } = recovered;
    print(format_args!("recovered: {identity}"))?;
    print(format_args!(
        "  incarnation {} ended at {}; incarnation {} begins at {}",
        origin.incarnation, origin.last, identity.incarnation, origin.begins
    ))?;
    if let Some(kept) = kept {
        print(format_args!(
            "  the old directory is kept as {}",
            kept.display()
        ))?;
    }
    print(format_args!(
        "next: `dmq-metadata serve` leads alone; format the other nodes' empty directories with \
         --incarnation={} and add them as voters",
        identity.incarnation
    ))
}
