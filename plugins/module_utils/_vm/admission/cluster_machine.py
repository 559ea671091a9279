# Copyright: (c) 2026, The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of a machine's features and firmware that only a cluster has: kernels in images, tables in Secrets.

PRIVATE: this module_utils is for the collection itself; it may change without notice.
"""

from __future__ import annotations

import typing as t

from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.report import DOMAIN, Report
from ansible_collections.rtvirt.core.plugins.module_utils._vm.admission.sources import check_file_path
from ansible_collections.rtvirt.core.plugins.module_utils.converters.manifest import mapping_at

__all__ = ["check_cluster_machine"]

_FIRMWARE = (*DOMAIN, "firmware")


def check_cluster_machine(report: Report) -> None:
    features, firmware = mapping_at(report.domain, "features"), mapping_at(report.domain, "firmware")
    if features.get("hypervPassthrough") is not None and "hyperv" in features:
        report.add((*DOMAIN, "features", "hypervPassthrough"), "stands beside hyperv: write one of them")
    _check_kernel_image(report, firmware.get("kernelBoot"))
    _check_tables(report, firmware.get("acpi"))


def _check_kernel_image(report: Report, kernel_boot: dict[str, t.Any] | None) -> None:
    if kernel_boot is None:
        return
    at = (*_FIRMWARE, "kernelBoot")
    container = kernel_boot.get("container")
    if container is None:
        if kernel_boot.get("kernelArgs"):
            report.add((*at, "kernelArgs"), "needs a kernel: add container with its image and kernelPath")
        return
    paths = [key for key in ("kernelPath", "initrdPath") if container.get(key)]
    if not paths:
        report.add((*at, "container"), "has no file: write kernelPath, initrdPath or both")
    for key in paths:
        check_file_path(report, (*at, "container", key), container[key])


def _check_tables(report: Report, tables: dict[str, t.Any] | None) -> None:
    """ACPI tables out of volumes."""
    if tables is None:
        return
    at = (*_FIRMWARE, "acpi")
    given = [key for key in ("slicNameRef", "msdmNameRef") if tables.get(key)]
    if not given:
        report.add(at, "names no volume: write slicNameRef or msdmNameRef")
    volumes = {volume.get("name"): volume for _at, volume in report.items("volumes")}
    for key in given:
        if "secret" not in volumes.get(tables[key], {}):
            report.add((*at, key), f"{tables[key]!r} is no volume of a secret: add one of that name")
