// SPDX-FileCopyrightText: The rtvirt.core authors
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A driver for a card that makes mediated devices, as those of virtual GPUs do: QEMU's device "edu" plays the card.
 *
 * Real: the kernel's mediated device framework with its types, instances, uevents and sysfs, VFIO's groups, udev and modprobe. Not
 * real: the devices. They do nothing, and no virtual machine can use them.
 */

#include <linux/mdev.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/vfio.h>

/* Of the card, for all types together: one of the large type takes as much as two of the small one. */
#define CAPACITY 4

struct lab_type {
	struct mdev_type type;
	int cost;
};

struct lab_device {
	struct vfio_device vfio;
	int cost;
};

static atomic_t left = ATOMIC_INIT(CAPACITY);

static struct lab_type small = { { .sysfs_name = "1", .pretty_name = "LAB-1Q" }, 1 };
static struct lab_type large = { { .sysfs_name = "2", .pretty_name = "LAB-2Q" }, 2 };
static struct mdev_type *types[] = { &small.type, &large.type };
static struct mdev_parent parent;

static int lab_init(struct vfio_device *device)
{
	struct mdev_device *mdev = to_mdev_device(device->dev);
	int cost = container_of(mdev->type, struct lab_type, type)->cost;

	if (atomic_sub_return(cost, &left) < 0) {
		atomic_add(cost, &left);
		return -ENOSPC;
	}
	container_of(device, struct lab_device, vfio)->cost = cost;
	return 0;
}

static void lab_release(struct vfio_device *device)
{
	struct lab_device *lab = container_of(device, struct lab_device, vfio);

	atomic_add(lab->cost, &left);
	vfio_free_device(device);
}

static const struct vfio_device_ops operations = {
	.name = "lab-gpu",
	.init = lab_init,
	.release = lab_release,
};

static int lab_make(struct mdev_device *mdev)
{
	struct lab_device *lab = vfio_alloc_device(lab_device, vfio, &mdev->dev, &operations);
	int error;

	if (IS_ERR(lab))
		return PTR_ERR(lab);
	error = vfio_register_emulated_iommu_dev(&lab->vfio);
	if (error) {
		vfio_put_device(&lab->vfio);
		return error;
	}
	dev_set_drvdata(&mdev->dev, lab);
	return 0;
}

static void lab_unmake(struct mdev_device *mdev)
{
	struct lab_device *lab = dev_get_drvdata(&mdev->dev);

	vfio_unregister_group_dev(&lab->vfio);
	vfio_put_device(&lab->vfio);
}

static unsigned int lab_available(struct mdev_type *type)
{
	return atomic_read(&left) / container_of(type, struct lab_type, type)->cost;
}

/* An attribute that a device can be given, as NVIDIA's "vgpu_params". */
static ssize_t vgpu_params_store(struct device *device, struct device_attribute *attribute, const char *text, size_t size)
{
	return size;
}
static DEVICE_ATTR_WO(vgpu_params);
static struct attribute *attributes[] = { &dev_attr_vgpu_params.attr, NULL };
static const struct attribute_group nvidia = { .name = "nvidia", .attrs = attributes };
static const struct attribute_group *groups[] = { &nvidia, NULL };

static struct mdev_driver mediated = {
	.device_api = VFIO_DEVICE_API_PCI_STRING,
	.probe = lab_make,
	.remove = lab_unmake,
	.get_available = lab_available,
	.driver = { .name = "lab_gpu_mdev", .owner = THIS_MODULE, .mod_name = KBUILD_MODNAME, .dev_groups = groups },
};

static int lab_probe(struct pci_dev *card, const struct pci_device_id *id)
{
	return mdev_register_parent(&parent, &card->dev, &mediated, types, ARRAY_SIZE(types));
}

static void lab_remove(struct pci_dev *card)
{
	mdev_unregister_parent(&parent);
}

static const struct pci_device_id cards[] = { { PCI_DEVICE(0x1234, 0x11e8) }, {} };
MODULE_DEVICE_TABLE(pci, cards);

static struct pci_driver driver = { .name = "lab_gpu", .id_table = cards, .probe = lab_probe, .remove = lab_remove };

static int __init lab_start(void)
{
	int error = mdev_register_driver(&mediated);

	if (error)
		return error;
	error = pci_register_driver(&driver);
	if (error)
		mdev_unregister_driver(&mediated);
	return error;
}
module_init(lab_start);

static void __exit lab_end(void)
{
	pci_unregister_driver(&driver);
	mdev_unregister_driver(&mediated);
}
module_exit(lab_end);

MODULE_DESCRIPTION("Mediated devices of a lab host's card");
MODULE_LICENSE("GPL");
