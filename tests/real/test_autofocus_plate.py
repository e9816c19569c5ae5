"""A measured plate that is in focus, on a grid that cuts it: autofocus must say so, and the command write nothing."""

from mmsar.cli import main
from mmsar.focus.autofocus import AutofocusOptions, autofocus
from mmsar.io.scan_h5 import load_scan, save_scan
from mmsar.model import ImageGrid

AREA = ("--extent=-60,90,-60,60,335,335", "--spacing", "1.6")


def test_a_measured_plate_is_left_alone(plate, tmp_path, capsys):
    every_second = plate.subset(slice(None, None, 2))
    grid = ImageGrid.from_extent((-0.06, 0.09), (-0.06, 0.06), 0.335, spacing=1.6e-3)
    found = autofocus(every_second, grid, options=AutofocusOptions(progress=False, iterations=12))
    assert not found.improved, (found.fit, found.bright, found.edge)
    source, target = tmp_path / "plate.h5", tmp_path / "focused.h5"
    save_scan(every_second, source)
    assert main(["align", str(source), "--autofocus", *AREA, "--iterations", "12", "-o", str(target)]) == 3
    assert "focused.h5 not written" in capsys.readouterr().err and not target.exists()
    assert load_scan(source).shape == every_second.shape
