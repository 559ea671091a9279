// SPDX-FileCopyrightText: The rtvirt.core authors
// SPDX-License-Identifier: GPL-3.0-or-later

// In place of KubeVirt's module for VirtualMachineTemplates, whose version the module proxy does not give away: as much of it
// as virt-api and virt-controller are compiled with. The tests' control plane has no templates.
module kubevirt.io/virt-template-api

go 1.26.0
