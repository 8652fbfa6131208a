// Package main has what Kubernetes' API server needs among this module's requirements: its own names versions that exist only
// within its repository. `go build k8s.io/kubernetes/cmd/kube-apiserver` builds it.
package main

import _ "k8s.io/kubernetes/cmd/kube-apiserver/app"

func main() {}
