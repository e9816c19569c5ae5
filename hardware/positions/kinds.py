"""The formats of position logs that are read: names only, so that the command line can list them without a reader."""

KINDS = (
    "tum",
    "euroc",
    "motive-csv",
    "motive-json",
    "vicon-csv",
    "rosbag",
    "t265-csv",
    "arkit-json",
    "arkit-csv",
    "arcore-csv",
    "gantry-csv",
    "turntable-csv",
)
