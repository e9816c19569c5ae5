"""Enhancement of reconstructed images by trained networks, and the training pairs (`mmsar.enhance.dataset`)."""
