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
{{- end -}}
