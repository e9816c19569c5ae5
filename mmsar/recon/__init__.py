"""The imagers: every one a plan built once from a geometry and a grid, then applied to signals."""
