"""Training of the networks: losses, moving average of the weights, the loop with its checkpoints, export to ONNX."""
