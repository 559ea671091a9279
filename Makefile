# SPDX-FileCopyrightText: The rtvirt.core authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Everything is done by the scripts in tests/harness; each of them says in its head what it does.

H := tests/harness
.DEFAULT_GOAL := help
.PHONY: help quickstart test lint sanity test-unit test-libvirt test-ovs test-control-plane test-hosts bench docs clean-cache

help: ## this list
	@sed -n 's/^\([a-z-]*\): ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

quickstart: ## two VMs, one of them real-time, declared, proven and removed on this machine
	@$(H)/quickstart

test: ## all tests, installing what they need
	@$(H)/test

lint: ## ruff, mypy, ansible-lint, yamllint, documentation, changelog, shellcheck
	@$(H)/test lint

sanity: ## ansible-test sanity
	@$(H)/test sanity

test-unit: ## the unit tests
	@$(H)/test unit

test-libvirt: ## the integration tests on a real libvirtd
	@$(H)/test libvirt

test-ovs: ## the integration tests on a real Open vSwitch with DPDK, with guests
	@$(H)/test ovs

test-control-plane: ## the integration tests on a KubeVirt control plane
	@$(H)/test control-plane

test-hosts: ## Molecule and tests on lab hosts that really reboot, crash and lose their power
	@$(H)/test hosts

bench: ## speed and memory, side by side with the peers
	@$(H)/bench

docs: ## the documentation as a web site, in docs/site
	@$(H)/docs

clean-cache: ## removes all that was downloaded and built outside of the checkout
	@$(H)/clean-cache
