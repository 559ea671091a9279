// SPDX-FileCopyrightText: The rtvirt.core authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Command manifests prints what virt-operator would install beside the deployments, as one JSON list: the CRDs, the
// RBAC, the webhook configurations and the APIServices. They come from KubeVirt's own functions. Only the way to
// virt-api differs: here it is a process on this machine and no pod behind a Service.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	extv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/components"
	"kubevirt.io/kubevirt/pkg/virt-operator/resource/generate/rbac"
)

// The same CRDs as in virt-operator's install strategy, and that of the KubeVirt CR itself.
var crds = []func() (*extv1.CustomResourceDefinition, error){
	components.NewKubeVirtCrd, components.NewVirtualMachineInstanceCrd, components.NewPresetCrd,
	components.NewReplicaSetCrd, components.NewVirtualMachineCrd, components.NewVirtualMachineInstanceMigrationCrd,
	components.NewVirtualMachineSnapshotCrd, components.NewVirtualMachineSnapshotContentCrd,
	components.NewVirtualMachineRestoreCrd, components.NewVirtualMachineInstancetypeCrd,
	components.NewVirtualMachineClusterInstancetypeCrd, components.NewVirtualMachinePoolCrd,
	components.NewMigrationPolicyCrd, components.NewVirtualMachinePreferenceCrd,
	components.NewVirtualMachineClusterPreferenceCrd, components.NewVirtualMachineExportCrd,
	components.NewVirtualMachineCloneCrd, components.NewVirtualMachineBackupCrd,
	components.NewVirtualMachineBackupTrackerCrd,
}

// virtAPI is where virt-api listens, and who vouches for it.
type virtAPI struct {
	port     int32
	caBundle []byte
}

// direct turns a webhook's reference to a Service into a URL: nothing here routes Services of type ClusterIP.
func (v virtAPI) direct(client *admissionv1.WebhookClientConfig) {
	url := fmt.Sprintf("https://127.0.0.1:%d%s", v.port, *client.Service.Path)
	*client = admissionv1.WebhookClientConfig{URL: &url, CABundle: v.caBundle}
}

func objects(namespace string, api virtAPI) ([]any, error) {
	var all []any
	for _, newCRD := range crds {
		crd, err := newCRD()
		if err != nil {
			return nil, err
		}
		all = append(all, crd)
	}
	all = append(all, roles(namespace)...)
	mutating := components.NewVirtAPIMutatingWebhookConfiguration(namespace)
	for i := range mutating.Webhooks {
		api.direct(&mutating.Webhooks[i].ClientConfig)
	}
	validating := components.NewVirtAPIValidatingWebhookConfiguration(namespace)
	for i := range validating.Webhooks {
		api.direct(&validating.Webhooks[i].ClientConfig)
	}
	all = append(all, mutating, validating, service(namespace))
	for _, service := range components.NewVirtAPIAPIServices(namespace) {
		service.Spec.Service.Port = &api.port
		service.Spec.CABundle = api.caBundle
		all = append(all, service)
	}
	return all, nil
}

func roles(namespace string) []any {
	var all []any
	for _, object := range rbac.GetAllCluster() {
		all = append(all, object)
	}
	for _, object := range rbac.GetAllApiServer(namespace) {
		all = append(all, object)
	}
	for _, object := range rbac.GetAllController(namespace, true) {
		all = append(all, object)
	}
	for _, object := range rbac.GetAllHandler(namespace) {
		all = append(all, object)
	}
	return all
}

// service is what the APIServices refer to. An APIService has no URL; the aggregator resolves an ExternalName itself.
func service(namespace string) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Name: components.VirtApiServiceName, Namespace: namespace},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost"},
	}
}

func run() error {
	namespace := flag.String("namespace", "kubevirt", "where KubeVirt is installed")
	port := flag.Int("port", 0, "virt-api's port on 127.0.0.1")
	ca := flag.String("ca", "", "the file of the CA that signed virt-api's certificate")
	flag.Parse()
	bundle, err := os.ReadFile(*ca)
	if err != nil {
		return err
	}
	items, err := objects(*namespace, virtAPI{port: int32(*port), caBundle: bundle})
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(os.Stdout)
	return encoder.Encode(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "manifests:", err)
		os.Exit(1)
	}
}
