//! The provisioner of the default storage class: a folder for each claim, and gone with the claim. It follows the claims and volumes of
//! the API server and decides from single events, so it can be started again at any time.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::kubectl::Kubectl;
use super::layout::{Layout, text};

/// The name in the field `provisioner` of a storage class.
pub(super) const NAME: &str = "dmq.io/local-path";

/// Set by the controller manager on a claim whose turn it is.
const WANTED_FROM: &str = "volume.kubernetes.io/storage-provisioner";

/// Says on a volume who made it.
const MADE_BY: &str = "pv.kubernetes.io/provisioned-by";

/// How long to wait after the API server was not there.
const PAUSE: Duration = Duration::from_millis(500);

/// Serves claims and volumes until the process ends.
pub(super) fn run(layout: &Layout, kubectl: &Kubectl) {
    thread::scope(|scope| {
        scope.spawn(|| {
            follow(kubectl, "/api/v1/persistentvolumeclaims", &|object| {
                let Some(claim) = wanted(object) else {
                    return Ok(());
                };
                provide(layout, kubectl, &claim)
            });
        });
        scope.spawn(|| {
            follow(kubectl, "/api/v1/persistentvolumes", &|object| {
                let Some(volume) = released(object) else {
                    return Ok(());
                };
                remove(layout, kubectl, &volume)
            });
        });
    });
}

/// Shows every object of a collection, and each change of one, to `handle`; for ever.
fn follow(kubectl: &Kubectl, path: &str, handle: &dyn Fn(&Value) -> anyhow::Result<()>) {
    loop {
        if let Err(error) = watch(kubectl, path, handle) {
            eprintln!("{path}: {error:#}");
        }
        thread::sleep(PAUSE);
    }
}

/// A watch without a version begins with all objects that there are.
fn watch(
    kubectl: &Kubectl,
    path: &str,
    handle: &dyn Fn(&Value) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let query = format!("{path}?watch=true&timeoutSeconds=3600");
    let mut child = kubectl
        .command(&["get", "--raw", &query])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("a child without output")?;
    for line in BufReader::new(output).lines() {
        let event: Value = serde_json::from_str(&line?)?;
        if event["type"] == "DELETED" {
            continue;
        }
        if let Err(error) = handle(&event["object"]) {
            eprintln!("{path}: {error:#}");
        }
    }
    child.wait()?;
    Ok(())
}

/// A claim that waits for us.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Claim {
    namespace: String,
    name: String,
    uid: String,
    class: String,
    spec: Value,
}

/// The claim in `object`, if it is unbound, not being deleted, and the controller manager waits for this provisioner.
fn wanted(object: &Value) -> Option<Claim> {
    let (metadata, spec) = (&object["metadata"], &object["spec"]);
    let ours = metadata["annotations"][WANTED_FROM] == NAME;
    let unbound = spec["volumeName"].as_str().unwrap_or_default().is_empty();
    if !ours || !unbound || !metadata["deletionTimestamp"].is_null() {
        return None;
    }
    let field = |value: &Value| value.as_str().map(str::to_owned);
    Some(Claim {
        namespace: field(&metadata["namespace"])?,
        name: field(&metadata["name"])?,
        uid: field(&metadata["uid"])?,
        class: field(&spec["storageClassName"])?,
        spec: spec.clone(),
    })
}

/// The volume for a claim, bound to it from the start.
fn volume(claim: &Claim, reclaim: &str, folder: &Path) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": volume_name(claim), "annotations": {MADE_BY: NAME}},
        "spec": {
            "capacity": {"storage": claim.spec["resources"]["requests"]["storage"]},
            "accessModes": claim.spec["accessModes"],
            "volumeMode": "Filesystem",
            "storageClassName": claim.class,
            "persistentVolumeReclaimPolicy": reclaim,
            "hostPath": {"path": text(folder), "type": "Directory"},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": claim.namespace,
                "name": claim.name,
                "uid": claim.uid,
            },
        },
    })
}

fn volume_name(claim: &Claim) -> String {
    format!("pvc-{}", claim.uid)
}

/// Makes the folder, then the volume: nobody sees a volume without its folder.
fn provide(layout: &Layout, kubectl: &Kubectl, claim: &Claim) -> anyhow::Result<()> {
    let class = format!("/apis/storage.k8s.io/v1/storageclasses/{}", claim.class);
    let class = kubectl.get(&class)?;
    let reclaim = class["reclaimPolicy"].as_str().unwrap_or("Delete");
    let folder = layout.volumes().join(volume_name(claim));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // Folders of the machine ignore `fsGroup`, and pods run as users of their own.
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
    kubectl.create(
        "/api/v1/persistentvolumes",
        &volume(claim, reclaim, &folder),
    )?;
    eprintln!(
        "{} for {}/{}",
        folder.display(),
        claim.namespace,
        claim.name
    );
    Ok(())
}

/// The name of the volume in `object`, if it is ours, its claim is gone and its contents are to go as well.
fn released(object: &Value) -> Option<String> {
    let ours = object["metadata"]["annotations"][MADE_BY] == NAME;
    let over = object["status"]["phase"] == "Released";
    let delete = object["spec"]["persistentVolumeReclaimPolicy"] == "Delete";
    let gone = !object["metadata"]["deletionTimestamp"].is_null();
    let name = object["metadata"]["name"].as_str()?;
    (ours && over && delete && !gone && name.starts_with("pvc-") && !name.contains('/'))
        .then(|| name.to_owned())
}

/// Removes the folder, then the volume: a volume that is left over is tried again.
fn remove(layout: &Layout, kubectl: &Kubectl, volume: &str) -> anyhow::Result<()> {
    let folder: PathBuf = layout.volumes().join(volume);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
        }
        _ => {}
    }
    kubectl.delete(&format!("/api/v1/persistentvolumes/{volume}"))?;
    eprintln!("{} is gone", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Value {
        json!({
            "metadata": {"namespace": "a", "name": "log-meta-0", "uid": "u1", "annotations": {WANTED_FROM: NAME}},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "standard",
                "resources": {"requests": {"storage": "1Gi"}},
            },
        })
    }

    #[test]
    fn a_claim_is_served_once_the_controller_manager_waits_for_us() {
        let mut object = claim();
        let found = wanted(&object).unwrap();
        let volume = volume(&found, "Retain", Path::new("/v/pvc-u1"));
        assert_eq!(volume["metadata"]["name"], "pvc-u1");
        assert_eq!(volume["spec"]["claimRef"]["uid"], "u1");
        assert_eq!(volume["spec"]["capacity"]["storage"], "1Gi");
        assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");

        object["spec"]["volumeName"] = json!("pvc-u1");
        assert_eq!(wanted(&object), None, "bound");
    }

    #[test]
    fn claims_of_others_stay_as_they_are() {
        let mut object = claim();
        object["metadata"]["annotations"] = json!({WANTED_FROM: "else.where/fast"});
        assert_eq!(wanted(&object), None);
        object["metadata"]["annotations"] = json!(null);
        assert_eq!(wanted(&object), None, "a class that nobody knows");
        object["metadata"]["annotations"] = json!({WANTED_FROM: NAME});
        object["metadata"]["deletionTimestamp"] = json!("2026-11-23T00:00:00Z");
        assert_eq!(wanted(&object), None, "being deleted");
    }

    #[test]
    fn a_volume_goes_when_its_claim_is_gone_unless_it_is_to_be_retained() {
        let mut object = json!({
            "metadata": {"name": "pvc-u1", "annotations": {MADE_BY: NAME}},
            "spec": {"persistentVolumeReclaimPolicy": "Delete"},
            "status": {"phase": "Released"},
        });
        assert_eq!(released(&object).as_deref(), Some("pvc-u1"));
        object["spec"]["persistentVolumeReclaimPolicy"] = json!("Retain");
        assert_eq!(released(&object), None);
        object["spec"]["persistentVolumeReclaimPolicy"] = json!("Delete");
        object["status"]["phase"] = json!("Bound");
        assert_eq!(released(&object), None);
    }
}
