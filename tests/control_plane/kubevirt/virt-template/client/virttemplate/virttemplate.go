// SPDX-FileCopyrightText: The rtvirt.core authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package virttemplate is a client that asks for nothing, as there are no templates.
package virttemplate

import "k8s.io/client-go/rest"

type Clientset struct{ client rest.Interface }

func NewForConfig(config *rest.Config) (*Clientset, error) {
	client, err := rest.UnversionedRESTClientFor(config)
	return &Clientset{client}, err
}

func (c *Clientset) TemplateV1beta1() *Clientset { return c }

func (c *Clientset) RESTClient() rest.Interface { return c.client }
