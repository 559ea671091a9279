// SPDX-FileCopyrightText: The rtvirt.core authors
// SPDX-License-Identifier: GPL-3.0-or-later

// Package core names the resource.
package core

const (
	GroupName            = "template.kubevirt.io"
	SingularResourceName = "virtualmachinetemplate"
	PluralResourceName   = "virtualmachinetemplates"
)
