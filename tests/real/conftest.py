"""Measured data beside the checkout, imported once a session through the command line."""

from pathlib import Path

import pytest

REPO_ROOT = Path(__file__).resolve().parents[2]
SHARED = REPO_ROOT.parent / "shared" / "data"
DESCRIPTIONS = REPO_ROOT / "tests" / "descriptions"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder, with the reason, where the measured data is not there."""
    if SHARED.is_dir():
        return
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason="measured data ../shared/data is not there"))


def measured(name: str) -> Path:
    """A file or folder of the measured data; skips when it is missing."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"measured data {name} is not there")
    return path


def imported(source: Path, description: str, folder: Path) -> Path:
    """`mmsar import` with a description of tests/descriptions; the scan file."""
    from mmsar.cli import main

    scan = folder / "scan.h5"
    assert main(["import", str(source), "-d", str(DESCRIPTIONS / description), "-o", str(scan), "--check-sign"]) == 0
    return scan


@pytest.fixture(scope="session")
def plate_raw() -> Path:
    """Folder of the 40 row files of the square plate."""
    return measured("dca1000_square_plate")


@pytest.fixture(scope="session")
def plate_file(plate_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The square plate as a scan file."""
    return imported(plate_raw, "square_plate.toml", tmp_path_factory.mktemp("plate"))


@pytest.fixture(scope="session")
def plate(plate_file: Path):
    """The square plate, calibration not applied, signal in memory."""
    from mmsar.io.scan_h5 import load_scan

    scan = load_scan(plate_file)
    return scan.with_signal(scan.read())


@pytest.fixture(scope="session")
def tape_raw() -> Path:
    """Folder of the copper tape."""
    return measured("vna_copper_tape")


@pytest.fixture(scope="session")
def tape_file(tape_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copper tape as a scan file."""
    return imported(tape_raw / "CopperTape_15cm.mat", "copper_tape.toml", tmp_path_factory.mktemp("tape"))


@pytest.fixture(scope="session")
def airplane_raw() -> Path:
    """File of the airplane on a turntable."""
    return measured("isar_airplane_220ghz") / "Experiment_data_airplane.mat"


@pytest.fixture(scope="session")
def airplane_file(airplane_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The airplane as a scan file."""
    return imported(airplane_raw, "airplane.toml", tmp_path_factory.mktemp("airplane"))


@pytest.fixture(scope="session")
def airplane(airplane_file: Path):
    """The airplane, signal in memory."""
    from mmsar.io.scan_h5 import load_scan

    scan = load_scan(airplane_file)
    return scan.with_signal(scan.read())


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """Folder of captures, configurations and logs of other projects."""
    return measured("fixtures")
