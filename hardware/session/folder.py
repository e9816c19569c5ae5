"""The folder of a session: one recording and one stage log per sweep, and what is already done.

    plan.json       what was planned, with its digest: written first, never changed
    session.toml    the session file and the radar configuration, as they were
    sweep_0000/     recording/ (see hardware.dca1000.journal), stage.csv, done.json

A sweep counts as done when its done.json is there; it is written last and appears whole. A sweep that was interrupted
keeps its data under another name, sweep_0000.broken_1, and is driven again.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmsar.errors import CaptureError, FormatError
from mmsar.hardware.session.setup import Session
from mmsar.io.atomic import atomic_path

PLAN = "plan.json"
DONE = "done.json"
RECORDING = "recording"
STAGE_LOG = "stage.csv"
ABOUT = (PLAN, "session.toml", "radar.cfg")
"""Files of a session's folder that are not data."""
SCHEMA = 1


def plan_of(session: Session) -> dict[str, Any]:
    """What a session is about, as plain values: two sessions of the same plan can share a folder."""
    array = session.radar.array
    return {
        "schema": SCHEMA,
        "kind": session.kind,
        "config_digest": session.radar.config.digest,
        "device": session.radar.config.device,
        "array": {"tx": _plain(array.tx), "rx": _plain(array.rx), "polarity": _plain(array.polarity)},
        "shape": list(session.shape),
        "step": list(session.step),
        "sweeps": [{**asdict(sweep), "others": dict(sweep.others)} for sweep in session.sweeps],
        "world": None if session.world is None else asdict(session.world),
        "duration": session.duration,
    }


def digest_of(plan: dict[str, Any]) -> str:
    """sha256 of a plan."""
    return hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class SessionFolder:
    """The files of a session."""

    path: Path

    @classmethod
    def create(cls, path: Path, session: Session) -> "SessionFolder":
        """Make the folder of a new session and write its plan.

        Raises
        ------
        CaptureError
            There is already something in the folder (files about a session that recorded nothing do not count), or it
            cannot be written.
        """
        # a folder of files about a session that never recorded a sweep is as good as an empty one
        if path.exists() and not (path.is_dir() and all(file.name in ABOUT for file in path.iterdir())):
            raise CaptureError(
                f"{path}: already there; wanted a new folder for the recordings: --resume goes on with it, "
                "another --output or --folder starts anew"
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            folder = cls(path)
            plan = json.loads(json.dumps(plan_of(session)))
            folder._write(path / PLAN, {**plan, "digest": digest_of(plan)})
            (path / ABOUT[1]).write_bytes(session.path.read_bytes())
            (path / ABOUT[2]).write_text(session.radar.config.text, encoding="utf-8", newline="")
        except OSError as error:
            raise CaptureError(f"{path}: cannot be written ({error.strerror}); check the disk and the path") from error
        return folder

    @classmethod
    def open(cls, path: Path, session: Session) -> "SessionFolder":
        """The folder of a session that was begun.

        Raises
        ------
        FormatError
            No such folder, no plan in it, or the plan of another session.
        """
        folder = cls(path)
        kept = folder.plan()
        plan = json.loads(json.dumps(plan_of(session)))
        if kept.get("digest") != digest_of(plan):
            different = [key for key in plan if kept.get(key) != plan[key]]
            raise FormatError(
                f"{path}: holds a session with another {', '.join(different) or 'plan'}; wanted the same session file "
                "and radar configuration: use the ones kept in the folder, or another folder"
            )
        return folder

    def plan(self) -> dict[str, Any]:
        """The plan.

        Raises
        ------
        FormatError
            No plan, or one of another schema.
        """
        try:
            plan = json.loads((self.path / PLAN).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise FormatError(f"{self.path}: no {PLAN} in it; wanted the folder of a session") from None
        except (ValueError, UnicodeDecodeError) as error:
            raise FormatError(f"{self.path / PLAN}: cannot be read ({error})") from None
        schema = plan.get("schema") if isinstance(plan, dict) else None
        if schema != SCHEMA:
            raise FormatError(f"{self.path / PLAN}: got schema {schema!r}, wanted {SCHEMA}")
        return plan

    def sweep(self, index: int) -> Path:
        """The folder of a sweep."""
        return self.path / f"sweep_{index:04d}"

    def recording(self, index: int) -> Path:
        """The recording of a sweep."""
        return self.sweep(index) / RECORDING

    def stage_log(self, index: int) -> Path:
        """The stage log of a sweep."""
        return self.sweep(index) / STAGE_LOG

    def is_done(self, index: int) -> bool:
        """Whether a sweep was completed."""
        return (self.sweep(index) / DONE).is_file()

    def begin(self, index: int) -> Path:
        """An empty folder for a sweep; what an interrupted attempt left is kept under another name."""
        path = self.sweep(index)
        try:
            if path.exists():
                number = 1
                while (aside := path.with_name(f"{path.name}.broken_{number}")).exists():
                    number += 1
                os.replace(path, aside)
            path.mkdir()
        except OSError as error:
            raise CaptureError(f"{path}: cannot be made ({error.strerror}); check the disk") from error
        return path

    def finish(self, index: int, notes: dict[str, Any]) -> None:
        """Mark a sweep as done."""
        try:
            self._write(self.sweep(index) / DONE, notes)
        except OSError as error:
            raise CaptureError(f"{self.sweep(index)}: cannot be written ({error.strerror}); check the disk") from error

    def halts(self, index: int) -> list[tuple[int, int]]:
        """When the stage stood still in a sweep that is done [ns, ns]; empty for a continuous one.

        Raises
        ------
        FormatError
            Notes of the sweep that cannot be read.
        """
        path = self.sweep(index) / DONE
        try:
            halts = json.loads(path.read_text(encoding="utf-8"))["halts_ns"]
            return [(int(arrived), int(left)) for arrived, left in halts]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise FormatError(f"{path}: cannot be read ({type(error).__name__}: {error}), wanted halts_ns") from None

    def _write(self, path: Path, content: dict[str, Any]) -> None:
        with atomic_path(path) as part:
            part.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _plain(array: np.ndarray) -> list:
    return array.round(12).tolist()
