{{- define "flitch.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "flitch.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "flitch.labels" -}}
{{ include "flitch.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "flitch.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "flitch.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "flitch.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- /* The path of a container's file says whose it is: namespace_pod_uid/container/restarts.log. */ -}}
{{- define "flitch.config" -}}
{{- if .Values.config -}}
{{ .Values.config }}
{{- else -}}
data_dir: /var/lib/flitch
admin: { listen: "0.0.0.0:9598" }
sources:
  containers:
    {{- /* A pod of a DaemonSet has the DaemonSet's name, cut, and five of these behind it: pods of NAME-api are others. */ -}}
    {{- $pod := printf "%s-" (include "flitch.fullname" .) | trunc 58 }}
    {{- $own := printf "/var/log/pods/%s_%s%s_*/**" .Release.Namespace $pod (repeat 5 "[b-df-hj-np-tv-xz2456789]") }}
    {{- $source := default dict .Values.source }}
    {{- $more := default list $source.exclude }}
    {{- $exclude := concat (list $own) (kindIs "string" $more | ternary (list $more) $more) }}
    {{- $defaults := dict "type" "file" "include" (list "/var/log/pods/*/*/*.log") "codec" "cri" "tag" "kubernetes" "host_field" "" }}
    {{- toYaml (merge (dict "exclude" $exclude) $source $defaults) | nindent 4 }}
filters:
  whose:
    plugin: dissect
    settings:
      field: file
      pattern: "/var/log/pods/%{namespace}_%{pod}_%{pod_uid}/%{container}/%{}"
      prefix: kubernetes
      keep_source: true
      on_mismatch: pass
  where: { plugin: set, settings: { set: { kubernetes.node: "${NODE_NAME:-unknown}" } } }
outputs:
  records:
    {{- required "`output` is empty: name one output, with its type and its keys, or a whole `config`" .Values.output | toYaml | nindent 4 }}
pipelines:
  containers: { from: [containers], filters: [whose, where], to: [records] }
{{- end -}}
{{- end -}}
