"""Enhancement of reconstructed images: the training pairs (`mmsar.enhance.dataset`)."""
