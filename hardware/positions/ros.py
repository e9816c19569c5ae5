"""ROS 1 bags and ROS 2 recordings (.bag, .db3, .mcap, or the folder of one) through `rosbags`, no ROS needed.

Taken are the header stamps, never the time a message reached the recorder; stamps of 0 are refused. A topic of poses is
one track. A tree of transforms is followed from the body up to the fixed frame: static links are constant, the stamps
are those of the link with most messages, and other moving links are interpolated at them without extrapolation.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from mmsar.errors import FormatError, MmsarError
from mmsar.hardware.positions.declared import Declared
from mmsar.hardware.positions.text import epoch_clock, need_rows
from mmsar.hardware.positions.track import PoseTrack

USES = frozenset(("body", "topic", "frame", "clock"))
POSES = {
    "geometry_msgs/msg/PoseStamped": lambda m: m.pose,
    "geometry_msgs/msg/PoseWithCovarianceStamped": lambda m: m.pose.pose,
    "geometry_msgs/msg/TransformStamped": lambda m: m.transform,
    "nav_msgs/msg/Odometry": lambda m: m.pose.pose,
}
"""Message type -> what of it holds the pose."""
TREES = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")


@dataclass
class Samples:
    """Stamped poses of a child frame in a parent frame."""

    parent: str
    child: str
    static: bool = False
    time: list[int] = field(default_factory=list)
    pose: list[list[float]] = field(default_factory=list)


def read(path: str, told: Declared) -> PoseTrack:
    """The track of a topic of poses, or of a chain of transforms.

    Raises
    ------
    FormatError
        `rosbags` missing, a damaged bag, several topics or frames and none chosen, no chain from body to frame, stamps
        that are 0.
    """
    with _opened(path) as bag:
        topics = {c.topic: c.msgtype for c in bag.connections if c.msgtype in POSES or c.msgtype in TREES}
        poses = [topic for topic, kind in topics.items() if kind in POSES]
        listed = ", ".join(f"{topic} ({kind.split('/')[-1]})" for topic, kind in sorted(topics.items())) or "none"
        topic = told.topic
        if topic is None and told.body is None and told.frame is None and poses:
            if len(poses) > 1:
                raise FormatError(
                    f"{path}: got {len(poses)} topics of poses, wanted one chosen; give --topic: {listed}"
                )
            topic = poses[0]
        if topic is not None and topics.get(topic) not in POSES and topics.get(topic) not in TREES:
            raise FormatError(f"{path}: got no topic of poses {topic!r}; there are {listed}")
        if topic is not None and topics[topic] in POSES:
            return _topic(path, bag, topic, told)
        if not any(kind in TREES for kind in topics.values()):
            raise FormatError(f"{path}: got no transforms to follow; topics with poses: {listed}")
        return _chain(path, _links(path, bag), told)


@contextmanager
def _opened(path: str) -> Iterator[object]:
    """An open bag; what its reader raises on damaged data becomes one FormatError."""
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import Stores, get_typestore
    except ImportError:
        raise FormatError(f"{path}: reading bags needs the package rosbags; pip install mmsar[ros]") from None
    place = Path(path)
    if not place.exists():
        raise FileNotFoundError(2, "No such file or directory", str(place))
    if place.suffix in (".db3", ".mcap") and (place.parent / "metadata.yaml").exists():
        place = place.parent
    try:
        with AnyReader([place], default_typestore=get_typestore(Stores.ROS2_HUMBLE)) as bag:
            yield bag
    except MmsarError:
        raise
    except Exception as error:  # a foreign parser on foreign bytes: whatever it trips over, the file is the cause
        what = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise FormatError(f"{path}: cannot be read as a bag, damaged or cut short: {what}") from error


def _topic(path: str, bag: object, topic: str, told: Declared) -> PoseTrack:
    """The track of one topic of poses."""
    found: dict[tuple[str, str], Samples] = {}
    for message in _messages(bag, {topic}):
        child = getattr(message, "child_frame_id", "")
        samples = found.setdefault((message.header.frame_id, child), Samples(message.header.frame_id, child))
        _add(path, samples, message.header.stamp, POSES[message.__msgtype__](message))
    wanted = [
        s for s in found.values() if told.body in (None, s.child or None) and told.frame in (None, s.parent or None)
    ]
    if len(wanted) != 1:
        listed = ", ".join(f"{s.child or 'body'} in {s.parent!r}" for s in found.values()) or "nothing"
        raise FormatError(f"{path}: {topic}: got {listed}, wanted one; give --body and --frame")
    track = _track(wanted[0], path)
    clock = told.clock or epoch_clock(track.time_ns)
    return replace(track, clock=clock, sigma=told.sigma, source=f"rosbag {topic} {path}")


def _links(path: str, bag: object) -> dict[str, Samples]:
    """All transforms by child frame; FormatError for a child with two parents."""
    topics = {c.topic for c in bag.connections if c.msgtype in TREES}
    links: dict[str, Samples] = {}
    for topic in sorted(topics):
        static = topic.rstrip("/").endswith("tf_static")
        for message in _messages(bag, {topic}):
            for transform in message.transforms:
                parent, child = transform.header.frame_id.lstrip("/"), transform.child_frame_id.lstrip("/")
                link = links.setdefault(child, Samples(parent, child, static))
                if link.parent != parent:
                    raise FormatError(f"{path}: {child}: got the parents {link.parent} and {parent}, wanted one")
                _add(path, link, transform.header.stamp, transform.transform, stamped=not static)
    for link in links.values():
        if link.static and np.ptp(np.array(link.pose), axis=0).max() > 0:
            raise FormatError(f"{path}: {link.child}: got a static transform that changes; publish it on /tf")
    return links


def _chain(path: str, links: dict[str, Samples], told: Declared) -> PoseTrack:
    """The body in the fixed frame, link by link."""
    listed = ", ".join(f"{s.parent}->{s.child}{' (static)' if s.static else ''}" for s in links.values())
    moving = [link for link in links.values() if not link.static]
    if told.body is None and len(moving) != 1:
        raise FormatError(f"{path}: got {len(moving)} moving links, wanted a body chosen; give --body: {listed}")
    body = told.body or moving[0].child
    chain, at = [], body
    while at in links and at != told.frame:
        chain.append(links[at])
        at = links[at].parent
        if len(chain) > len(links):
            raise FormatError(f"{path}: got transforms that lead back to {body}, wanted a tree")
    if not chain or (told.frame is not None and at != told.frame):
        raise FormatError(f"{path}: got no chain from {body!r} to {told.frame or 'a parent'!r}; links are {listed}")
    driver = max((link for link in chain if not link.static), key=lambda link: len(link.time), default=None)
    if driver is None:
        raise FormatError(
            f"{path}: got only static links from {body!r} to {at!r}, wanted a moving one; links: {listed}"
        )
    base = _track(driver, path)
    turn, place, valid = Rotation.identity(), np.zeros(3), base.valid.copy()
    position, rotation = np.full((len(base), 3), np.nan), np.full((len(base), 4), np.nan)
    for link in chain:  # from the body upwards: the pose so far, seen from the next parent
        if link.static:
            up = Rotation.from_quat(link.pose[-1][3:]), np.array(link.pose[-1][:3])
        else:
            track = base if link is driver else _track(link, path).at(base.time_ns[base.valid])
            ok = track.valid if link is driver else _spread(base.valid, track.valid)
            q = track.rotation if link is driver else _spread(base.valid, track.rotation)
            p = track.position if link is driver else _spread(base.valid, track.position)
            valid &= ok
            up = Rotation.from_quat(np.where(ok[:, None], q, [0.0, 0.0, 0.0, 1.0])), p
        turn, place = up[0] * turn, up[0].apply(place) + up[1]
    position[valid] = place[valid]
    rotation[valid] = turn.as_quat()[valid]
    return PoseTrack.from_log(
        base.time_ns,
        position,
        rotation,
        clock=told.clock or epoch_clock(base.time_ns),
        frame=at,
        sigma=told.sigma,
        source=f"rosbag transforms {at}->{body} {path}",
    )


def _messages(bag: object, topics: set[str]) -> Iterator[object]:
    """Messages of some topics."""
    connections = [c for c in bag.connections if c.topic in topics]
    for connection, _, raw in bag.messages(connections=connections):
        yield bag.deserialize(raw, connection.msgtype)


def _add(path: str, samples: Samples, stamp: object, pose: object, *, stamped: bool = True) -> None:
    """Append one pose or transform."""
    time = stamp.sec * 10**9 + stamp.nanosec
    if stamped and time == 0:
        raise FormatError(
            f"{path}: {samples.child or samples.parent}: got a header stamp of 0, wanted stamped messages"
        )
    p, q = (pose.translation, pose.rotation) if hasattr(pose, "translation") else (pose.position, pose.orientation)
    samples.time.append(time)
    samples.pose.append([p.x, p.y, p.z, q.x, q.y, q.z, q.w])


def _track(samples: Samples, path: str) -> PoseTrack:
    """One link as a track."""
    need_rows(path, len(samples.time))
    table = np.array(samples.pose)
    return PoseTrack.from_log(np.array(samples.time, dtype=np.int64), table[:, :3], table[:, 3:], frame=samples.parent)


def _spread(where: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values of the rows `where`, in an array of all rows; False or NaN elsewhere."""
    out = np.full((len(where), *values.shape[1:]), False if values.dtype == bool else np.nan)
    out[where] = values
    return out
