{{- define "polylog.name" -}}
{{- if contains "polylog" .Release.Name -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-polylog" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{- define "polylog.operator" -}}
{{ include "polylog.name" . }}-operator
{{- end -}}

{{/* Of objects without a namespace: installations in several namespaces must not share them. */}}
{{- define "polylog.clusterName" -}}
{{ printf "%s-%s" (include "polylog.operator" .) .Release.Namespace | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "polylog.webhook" -}}
{{ include "polylog.name" . }}-webhook
{{- end -}}

{{- define "polylog.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create -}}
{{ include "polylog.operator" . }}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "polylog.tag" -}}
{{ .Values.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "polylog.selector" -}}
app.kubernetes.io/name: polylog
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "polylog.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/name: polylog
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "polylog.subject" -}}
- kind: ServiceAccount
  name: {{ include "polylog.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* Whether a list of namespaces is looked after; else all of them are, or those with the label. */}}
{{- define "polylog.isListed" -}}
{{- if and (kindIs "slice" .Values.watchNamespaces) .Values.watchNamespaces }}true{{ end -}}
{{- end -}}

{{- define "polylog.isLabelled" -}}
{{- if kindIs "string" .Values.watchNamespaces }}true{{ end -}}
{{- end -}}

{{/* The namespaces that are looked after, as admission selects them; nothing for all. */}}
{{- define "polylog.namespaceSelector" -}}
{{- if include "polylog.isListed" . -}}
namespaceSelector:
  matchExpressions:
    - key: kubernetes.io/metadata.name
      operator: In
      values:
        {{- toYaml .Values.watchNamespaces | nindent 8 }}
{{- else if include "polylog.isLabelled" . -}}
namespaceSelector:
  matchExpressions:
    - {key: polylog.dev/enabled, operator: Exists}
    - {key: polylog.dev/enabled, operator: NotIn, values: ["false"]}
{{- end -}}
{{- end -}}

{{/* What the operator may do where it looks after EventStores. */}}
{{- define "polylog.watchedRules" -}}
- apiGroups: [polylog.dev]
  resources: [eventstores, replicationstrategies, projections]
  verbs: [get, list, watch, patch]
- apiGroups: [polylog.dev]
  resources: [eventstores/status, replicationstrategies/status, projections/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [services, serviceaccounts]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch, create, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [list, watch, create, patch, delete]
# certificates of gateways: made, and never read
- apiGroups: [""]
  resources: [secrets]
  verbs: [create]
- apiGroups: [""]
  resources: [pods]
  verbs: [list, watch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
# the claim on the namespace, so that no two installations look after it; a name cannot be demanded of what is created
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [polylog-installation]
  verbs: [get, update]
{{- end -}}
