// SPDX-FileCopyrightText: The rtvirt.core authors
// SPDX-License-Identifier: GPL-3.0-or-later

// In place of the client for VirtualMachineTemplates; see ../api/go.mod.
module kubevirt.io/virt-template-client-go

go 1.26.0
