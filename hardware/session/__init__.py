"""A measurement from its plan to scan.h5: stage, radar, card and tracker together."""
