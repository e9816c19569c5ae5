"""What everything stands on: checks, devices, memory, FFT and NUFFT plans, kernels. Knows nothing of radar."""
