{{/* What the operator may do where its quorums live, and for what. */}}
{{- define "dmq-operator.rules" -}}
# The objects themselves: read, and their status written. The spec belongs to the user.
- apiGroups: [dmq.io]
  resources: [dmqmetadataclusters]
  verbs: [get, list, watch]
- apiGroups: [dmq.io]
  resources: [dmqmetadataclusters/status]
  verbs: [get, patch]
# Children name their object as the owner that blocks its deletion.
- apiGroups: [dmq.io]
  resources: [dmqmetadataclusters/finalizers]
  verbs: [update]
# Children by server-side apply.
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [services, configmaps, serviceaccounts]
  verbs: [get, list, watch, create, patch]
# Children that can be switched off.
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch, delete]
# The operator's token is created once; Secrets that a spec names are read.
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create]
# Pods are watched, labelled as controller, and deleted to be replaced.
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, patch, delete]
# Claims are only looked at: they hold the data.
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [list]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* What lies outside of namespaces. */}}
{{- define "dmq-operator.clusterRules" -}}
# Whether the class that a claim waits for exists.
- apiGroups: [storage.k8s.io]
  resources: [storageclasses]
  verbs: [get]
{{- end -}}
