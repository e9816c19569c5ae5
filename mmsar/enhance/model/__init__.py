"""The networks, for training and export only: `srvit` is the published one, `gatenet` the fast one."""
