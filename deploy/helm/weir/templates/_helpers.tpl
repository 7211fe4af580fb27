{{- define "weir.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{- define "weir.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "weir.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "weir.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "weir.selector" -}}
app.kubernetes.io/name: {{ include "weir.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "weir.labels" -}}
{{ include "weir.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "weir.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end }}

{{- define "weir.keySecret" -}}
{{- default (printf "%s-deployment-key" (include "weir.fullname" .)) .Values.deploymentKey.existingSecret -}}
{{- end }}

{{- /* The settings file of one stage: what all share, what the stage adds, what the pod fixes. */}}
{{- define "weir.config" -}}
{{- $stage := index .root.Values.stages .stage -}}
{{- $fixed := dict
      "bundle" "/etc/weir/bundle"
      "deployment_key_file" "/etc/weir/secrets/deployment.key"
      "health" (dict "host" "0.0.0.0" "port" .root.Values.health.port)
      "shutdown" (dict "grace_ms" (mul .root.Values.worker.terminationGracePeriodSeconds 1000)) -}}
{{- toYaml (mustMergeOverwrite (dict) (deepCopy .root.Values.config) (deepCopy $stage.config) $fixed) -}}
{{- end }}

{{- /* Refuse what a schema cannot see, with the value and the fix. */}}
{{- define "weir.check" -}}
{{- if and .Values.bundle.files .Values.bundle.volume -}}
{{- fail "bundle.files and bundle.volume are both set; the bundle comes from one of them" -}}
{{- end -}}
{{- if not (or .Values.bundle.files .Values.bundle.volume) -}}
{{- fail "no policy bundle: set bundle.files (--set-file) or bundle.volume" -}}
{{- end -}}
{{- if and .Values.deploymentKey.existingSecret .Values.deploymentKey.value -}}
{{- fail "deploymentKey.existingSecret and deploymentKey.value are both set; keep one" -}}
{{- end -}}
{{- if not (or .Values.deploymentKey.existingSecret .Values.deploymentKey.value) -}}
{{- fail "no deployment key: name a Secret in deploymentKey.existingSecret (openssl rand -hex 32)" -}}
{{- end -}}
{{- range $name, $stage := .Values.stages -}}
{{- if $stage.enabled -}}
{{- $config := include "weir.config" (dict "root" $ "stage" $name) | fromYaml -}}
{{- $down := default dict $config.shutdown -}}
{{- $total := add (default 2000 $down.finish_ms) (default 12000 $down.flush_ms) (default 15000 $down.commit_ms) (default 5000 $down.close_ms) -}}
{{- $grace := mul $.Values.worker.terminationGracePeriodSeconds 1000 -}}
{{- if ge $total $grace -}}
{{- fail (printf "stages.%s: finish, flush, commit and close take %d ms; worker.terminationGracePeriodSeconds gives %d ms" $name $total $grace) -}}
{{- end -}}
{{- if $.Values.networkPolicy.enabled -}}
{{- $servers := default list (default dict $config.kafka).bootstrap_servers -}}
{{- if kindIs "string" $servers -}}{{- $servers = splitList "," $servers -}}{{- end -}}
{{- range $server := $servers -}}
{{- $port := regexFind "[0-9]+$" (trim $server) -}}
{{- if not (has $port (include "weir.ports" $ | fromJsonArray)) -}}
{{- fail (printf "kafka.bootstrap_servers names %s, and networkPolicy.brokers.ports lets nobody reach port %s" $server $port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end }}

{{- define "weir.ports" -}}
{{- $ports := list -}}
{{- range .Values.networkPolicy.brokers.ports -}}{{- $ports = append $ports (toString .) -}}{{- end -}}
{{- toJson $ports -}}
{{- end }}
