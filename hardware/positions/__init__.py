"""Position logs of trackers, gantries and phones, each read to one PoseTrack."""
