//! Our own images: one static program each and nothing else, as the Dockerfile makes them, plus what only tests need.

use std::collections::BTreeMap;

use anyhow::Context as _;

use super::binaries::{self, Binaries};
use super::entry::Tree;
use super::oci::Run;
use super::store::Image;
use crate::workspace::metadata;

/// Where the images would be published.
const REGISTRY: &str = "ghcr.io/dmq-io";

/// The user and group of every image of ours; the Dockerfile has the same.
const USER: &str = "65532:65532";

/// The version of the image with the same program for rollouts, and of the one that ends at once.
const NEXT: &str = "0.1.1";
const BROKEN: &str = "0.1.2-broken";

/// One image: its name, and the program that lies in it under the name of its entry point.
struct Recipe {
    reference: String,
    entrypoint: &'static str,
    program: &'static str,
    title: &'static str,
}

/// Builds the programs and puts them into images. A program that the workspace does not have has no image.
pub(super) fn images() -> anyhow::Result<Vec<Image>> {
    let recipes = recipes(&version()?);
    let mut names: Vec<&str> = recipes.iter().map(|recipe| recipe.program).collect();
    names.sort_unstable();
    names.dedup();
    let binaries = binaries::build(&names)?;
    recipes
        .iter()
        .filter_map(|recipe| assemble(recipe, &binaries))
        .collect()
}

fn recipes(version: &str) -> Vec<Recipe> {
    let recipe = |repository: &str, tag: &str, program| {
        let (entrypoint, title) = match repository {
            "dmq-operator" => ("dmq-operator", "The Kubernetes operator of DMQ Metadata"),
            "dmq-load" => ("dmq-load", "A client that keeps writing, for tests"),
            _ => ("dmq-metadata", "A node of the DMQ metadata quorum"),
        };
        let reference = format!("{REGISTRY}/{repository}:{tag}");
        Recipe {
            reference,
            entrypoint,
            program,
            title,
        }
    };
    vec![
        recipe("dmq-metadata", version, "dmq-metadata"),
        // For rollouts: another digest, the same program.
        recipe("dmq-metadata", NEXT, "dmq-metadata"),
        // `dmq-pause` ends with exit code 1 when it is given arguments, as a node always is.
        recipe("dmq-metadata", BROKEN, "dmq-pause"),
        recipe("dmq-operator", version, "dmq-operator"),
        recipe("dmq-load", version, "dmq-load"),
        Recipe {
            reference: "registry.k8s.io/pause:3.10".to_owned(),
            entrypoint: "pause",
            program: "dmq-pause",
            title: "Holds the namespaces of a pod",
        },
    ]
}

fn assemble(recipe: &Recipe, binaries: &Binaries) -> Option<anyhow::Result<Image>> {
    let program = binaries.get(recipe.program)?;
    let mut tree = Tree::default();
    tree.file(recipe.entrypoint, 0o755, program.clone());
    Some(tree.layer().map(|layer| Image {
        reference: recipe.reference.clone(),
        run: run(recipe),
        layer,
    }))
}

fn run(recipe: &Recipe) -> Run {
    let label = |key: &str, value: &str| {
        let key = format!("org.opencontainers.image.{key}");
        (key, value.to_owned())
    };
    let labels = BTreeMap::from([
        label("title", recipe.title),
        label("version", super::oci::tag(&recipe.reference)),
        label("licenses", "Apache-2.0"),
    ]);
    Run {
        user: USER.to_owned(),
        entrypoint: vec![format!("/{}", recipe.entrypoint)],
        labels,
        ..Run::default()
    }
}

/// The version of the workspace, which is the tag that the charts ask for.
fn version() -> anyhow::Result<String> {
    let metadata = metadata()?;
    let packages = metadata.workspace_packages();
    let node = packages.iter().find(|package| package.name == "dmq-node");
    let node = node.context("the workspace has no package `dmq-node`")?;
    Ok(node.version.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_that_is_there_becomes_an_image() {
        let recipes = recipes("0.1.0");
        let references: Vec<&str> = recipes.iter().map(|it| it.reference.as_str()).collect();
        assert_eq!(
            references,
            [
                "ghcr.io/dmq-io/dmq-metadata:0.1.0",
                "ghcr.io/dmq-io/dmq-metadata:0.1.1",
                "ghcr.io/dmq-io/dmq-metadata:0.1.2-broken",
                "ghcr.io/dmq-io/dmq-operator:0.1.0",
                "ghcr.io/dmq-io/dmq-load:0.1.0",
                "registry.k8s.io/pause:3.10",
            ]
        );
        let binaries = Binaries::from([("dmq-pause".to_owned(), b"program".to_vec())]);
        let images: Vec<Image> = recipes
            .iter()
            .filter_map(|recipe| assemble(recipe, &binaries))
            .collect::<anyhow::Result<_>>()
            .unwrap();
        let made: Vec<&str> = images.iter().map(|it| it.reference.as_str()).collect();
        assert_eq!(made, [references[2], references[5]]);
        assert_eq!(images[0].run.entrypoint, ["/dmq-metadata"]);
    }

    #[test]
    fn the_next_version_differs_in_its_label_only() {
        let recipes = recipes("0.1.0");
        let binaries = Binaries::from([("dmq-metadata".to_owned(), b"program".to_vec())]);
        let image = |at: usize| assemble(&recipes[at], &binaries).unwrap().unwrap();
        let (now, next) = (image(0), image(1));
        assert_eq!(now.layer, next.layer);
        assert_ne!(now.run.labels, next.run.labels);
    }
}
