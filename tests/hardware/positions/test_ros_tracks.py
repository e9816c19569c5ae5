"""Bags of ROS 1 and ROS 2, written here and read back: topics, header stamps, chains of transforms, refusals."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from mmsar.errors import FormatError
from mmsar.hardware.positions.sniff import sniff
from mmsar.hardware.positions.track import read_track

pytest.importorskip("rosbags", reason="rosbags is not installed")

from rosbags.rosbag1 import Writer as Writer1
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as Writer2
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

T0 = 1_700_000_000_000_000_001
STEP = 10_000_000


class Bag:
    """Messages by topic, to be written as a bag of any version."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.store = get_typestore(Stores.ROS1_NOETIC if version == "bag" else Stores.ROS2_HUMBLE)
        if version == "bag":
            tree = "geometry_msgs/TransformStamped[] transforms"
            self.store.register(get_types_from_msg(tree, "tf2_msgs/msg/TFMessage"))
        self.messages: list[tuple[str, str, object]] = []

    def type(self, name: str):
        return self.store.types[name]

    def header(self, stamp: int, frame: str):
        time = self.type("builtin_interfaces/msg/Time")(sec=stamp // 10**9, nanosec=stamp % 10**9)
        extra = {"seq": 0} if self.version == "bag" else {}
        return self.type("std_msgs/msg/Header")(stamp=time, frame_id=frame, **extra)

    def pose(self, p, q):
        point = self.type("geometry_msgs/msg/Point")(*map(float, p))
        return self.type("geometry_msgs/msg/Pose")(position=point, orientation=self.quaternion(q))

    def quaternion(self, q):
        return self.type("geometry_msgs/msg/Quaternion")(*map(float, q))

    def transform(self, stamp: int, parent: str, child: str, p, q):
        vector = self.type("geometry_msgs/msg/Vector3")(*map(float, p))
        inner = self.type("geometry_msgs/msg/Transform")(translation=vector, rotation=self.quaternion(q))
        kind = self.type("geometry_msgs/msg/TransformStamped")
        return kind(header=self.header(stamp, parent), child_frame_id=child, transform=inner)

    def add(self, topic: str, kind: str, message: object) -> None:
        self.messages.append((topic, kind, message))

    def add_pose(self, topic: str, stamp: int, p, q, frame: str = "map") -> None:
        kind = "geometry_msgs/msg/PoseStamped"
        self.add(topic, kind, self.type(kind)(header=self.header(stamp, frame), pose=self.pose(p, q)))

    def add_tf(self, topic: str, *transforms: object) -> None:
        kind = "tf2_msgs/msg/TFMessage"
        self.add(topic, kind, self.type(kind)(transforms=list(transforms)))

    def write(self, folder: Path) -> Path:
        """The file (ROS 1) or folder (ROS 2); messages arrive 3 s after their stamps."""
        if self.version == "bag":
            path, writer = folder / "log.bag", Writer1(folder / "log.bag")
        else:
            plugin = StoragePlugin.MCAP if self.version == "mcap" else StoragePlugin.SQLITE3
            path = folder / "log"
            writer = Writer2(path, version=9, storage_plugin=plugin)
        with writer:
            connections = {}
            for i, (topic, kind, message) in enumerate(self.messages):
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=self.store)
                pack = self.store.serialize_ros1 if self.version == "bag" else self.store.serialize_cdr
                writer.write(connections[topic], T0 + 3 * 10**9 + i * STEP, pack(message, kind))
        return path


def turn(angle: float) -> list[float]:
    return Rotation.from_rotvec([0, 0, angle]).as_quat().tolist()


@pytest.mark.parametrize("version", ["bag", "db3", "mcap"])
def test_a_topic_of_poses(tmp_path, version):
    bag = Bag(version)
    for k in range(5):
        bag.add_pose("/tracker/pose", T0 + k * STEP, (k, 2, 3), turn(0.1 * k))
    path = bag.write(tmp_path)
    paths = [path] if version == "bag" else [path, next(path.glob(f"*.{version}"))]
    for place in paths:
        assert sniff(place).kind == "rosbag"
        track = read_track(place)
        assert track.time_ns.tolist() == [T0 + k * STEP for k in range(5)]
        np.testing.assert_array_equal(track.position[:, 0], range(5))
        np.testing.assert_allclose(track.rotation[3], turn(0.3))
        assert (track.clock, track.frame) == ("unix", "map")


@pytest.mark.parametrize("version", ["bag", "mcap"])
def test_every_kind_of_pose(tmp_path, version):
    bag = Bag(version)
    covariance = np.zeros(36)
    for k in range(3):
        header, pose = bag.header(T0 + k * STEP, "map"), bag.pose((k, 0, 1), turn(0))
        with_covariance = bag.type("geometry_msgs/msg/PoseWithCovariance")(pose=pose, covariance=covariance)
        kind = "geometry_msgs/msg/PoseWithCovarianceStamped"
        bag.add("/a", kind, bag.type(kind)(header=header, pose=with_covariance))
        zero = bag.type("geometry_msgs/msg/Vector3")(0.0, 0.0, 0.0)
        twist = bag.type("geometry_msgs/msg/Twist")(linear=zero, angular=zero)
        moving = bag.type("geometry_msgs/msg/TwistWithCovariance")(twist=twist, covariance=covariance)
        kind = "nav_msgs/msg/Odometry"
        bag.add("/b", kind, bag.type(kind)(header=header, child_frame_id="base", pose=with_covariance, twist=moving))
        bag.add(
            "/c", "geometry_msgs/msg/TransformStamped", bag.transform(T0 + k * STEP, "map", "rig", (k, 0, 1), turn(0))
        )
    path = bag.write(tmp_path)
    with pytest.raises(FormatError, match=r"got 3 topics of poses, wanted one chosen; give --topic: /a \(PoseWithCov"):
        read_track(path)
    for topic in ("/a", "/b", "/c"):
        np.testing.assert_array_equal(read_track(path, topic=topic).position, [[0, 0, 1], [1, 0, 1], [2, 0, 1]])
    with pytest.raises(FormatError, match=r"no topic of poses '/d'; there are /a"):
        read_track(path, topic="/d")


def chain_of(version: str, *, fast: int = 10, slow: int = 10) -> Bag:
    """map -> odom (moves along x), odom -> base (turns), base -> board (static, latched twice)."""
    bag = Bag(version)
    still = bag.transform(0, "base", "board", (0.1, 0, 0), turn(np.pi / 2))
    bag.add_tf("/tf_static", still)
    for ms in range(0, 1000):
        stamp = T0 + ms * 10**6
        if ms % slow == 0:
            bag.add_tf("/tf", bag.transform(stamp, "map", "odom", (ms * 1e-3, 0, 0), turn(0)))
        if ms % fast == 0:
            bag.add_tf("/tf", bag.transform(stamp, "odom", "base", (0, 1, 0), turn(ms * 1e-3)))
    bag.add_tf("/tf_static", still)
    return bag


@pytest.mark.parametrize(("version", "slow"), [("bag", 10), ("mcap", 40)])
def test_a_chain_of_transforms(tmp_path, version, slow):
    path = chain_of(version, slow=slow).write(tmp_path)
    with pytest.raises(FormatError, match=r"got 2 moving links, wanted a body chosen; give --body: .*map->odom"):
        read_track(path)
    track = read_track(path, body="board")
    assert len(track) == 100
    last = (1000 // slow * slow - slow if 1000 % slow == 0 else 1000 // slow * slow) // 10
    np.testing.assert_array_equal(track.valid, np.arange(100) <= last)
    t = (track.time_ns - T0)[track.valid] / 1e9
    expected = np.stack([t + 0.1 * np.cos(t), 1 + 0.1 * np.sin(t), 0 * t], axis=1)
    np.testing.assert_allclose(track.position[track.valid], expected, atol=1e-9)
    np.testing.assert_allclose(
        Rotation.from_quat(track.rotation[track.valid]).as_rotvec(),
        np.stack([0 * t, 0 * t, t + np.pi / 2], axis=1),
        atol=1e-9,
    )
    part = read_track(path, body="board", frame="odom")
    np.testing.assert_allclose(part.position[0], [0.1, 1, 0], atol=1e-12)
    assert part.frame == "odom"
    with pytest.raises(FormatError, match="no chain from 'board' to 'moon'; links are"):
        read_track(path, body="board", frame="moon")
    with pytest.raises(FormatError, match="no chain from 'nose'"):
        read_track(path, body="nose")
    with pytest.raises(FormatError, match="only static links from 'board' to 'base'"):
        read_track(path, body="board", frame="base")


def test_stamps_of_0_are_refused(tmp_path):
    bag = Bag("bag")
    for k in range(3):
        bag.add_pose("/p", 0 if k == 1 else T0 + k, (0, 0, 0), turn(0))
    with pytest.raises(FormatError, match="got a header stamp of 0, wanted stamped messages"):
        read_track(bag.write(tmp_path))


def test_trees_that_are_none(tmp_path):
    bag = Bag("bag")
    for k in range(2):
        bag.add_tf("/tf", bag.transform(T0 + k, f"world{k}", "base", (0, 0, 0), turn(0)))
    with pytest.raises(FormatError, match="base: got the parents world0 and world1, wanted one"):
        read_track(bag.write(tmp_path))
    loop = Bag("mcap")
    for k in range(2):
        loop.add_tf("/tf", *(loop.transform(T0 + k, a, b, (0, 0, 0), turn(0)) for a, b in (("a", "b"), ("b", "a"))))
    with pytest.raises(FormatError, match="lead back to a"):
        read_track(loop.write(tmp_path), body="a")


def test_two_bodies_on_one_topic(tmp_path):
    bag = Bag("mcap")
    kind = "geometry_msgs/msg/TransformStamped"
    for k in range(3):
        for body in ("left", "right"):
            bag.add("/vicon", kind, bag.transform(T0 + k * STEP, "world", body, (len(body), k, 0), turn(0)))
    path = bag.write(tmp_path)
    with pytest.raises(FormatError, match="got left in 'world', right in 'world', wanted one; give --body"):
        read_track(path, topic="/vicon")
    np.testing.assert_array_equal(read_track(path, topic="/vicon", body="right").position[:, 0], [5, 5, 5])


def test_damaged_bags(tmp_path):
    bag = Bag("bag")
    for k in range(50):
        bag.add_pose("/p", T0 + k, (0, 0, 0), turn(0))
    data = bag.write(tmp_path).read_bytes()
    rng = np.random.default_rng(0)
    for cut in (13, 100, len(data) // 2, len(data) - 3):
        (tmp_path / "cut.bag").write_bytes(data[:cut])
        with pytest.raises(FormatError, match=r"cannot be read as a bag"):
            read_track(tmp_path / "cut.bag")
    for _ in range(20):
        bad = bytearray(data)
        for place in rng.integers(0, len(bad), 40):
            bad[place] ^= 0xFF
        (tmp_path / "bad.bag").write_bytes(bad)
        with pytest.raises(FormatError):
            read_track(tmp_path / "bad.bag", kind="rosbag")
    (tmp_path / "x.db3").write_bytes(b"SQLite format 3\0" + bytes(100))
    with pytest.raises(FormatError, match="cannot be read as a bag"):
        read_track(tmp_path / "x.db3")


def test_without_poses(tmp_path):
    bag = Bag("mcap")
    kind = "std_msgs/msg/String"
    bag.add("/talk", kind, bag.type(kind)(data="hello"))
    with pytest.raises(FormatError, match="got no transforms to follow; topics with poses: none"):
        read_track(bag.write(tmp_path))
