"""Stages: one protocol, a driver for each controller."""
