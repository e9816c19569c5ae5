"""Element patterns: closed forms, tables from CSV files, and how they turn with the board."""

import numpy as np
import pytest

from mmsar.errors import FormatError, GeometryError
from mmsar.model.array import AntennaArray
from mmsar.model.chirp import Chirp
from mmsar.model.trajectory import Trajectory
from mmsar.simulate.forward import SimulationOptions, simulate
from mmsar.simulate.pattern import Pattern
from mmsar.simulate.scene import Scene

CHIRP = Chirp(f0=77e9, slope=1e12, fs=2e6, n_samples=4)
LONG = '"Freq [GHz]","Phi [deg]","Theta [deg]","dB(GainTotal) []"'


def direction(theta, phi):
    """Unit vectors of angles [degrees]."""
    t, p = np.deg2rad(theta), np.deg2rad(phi)
    return np.stack(np.broadcast_arrays(np.sin(t) * np.cos(p), np.sin(t) * np.sin(p), np.cos(t)), axis=-1)


def model(theta, phi):
    """A made-up power pattern without any symmetry, peak at theta 0, theta and phi in degrees."""
    t, p = np.deg2rad(np.abs(theta)), np.deg2rad(np.where(theta < 0, phi + 180, phi))
    return np.exp(-2 * t**2 * (1 + 0.4 * np.cos(p) + 0.3 * np.sin(2 * p)))


def write(path, header, theta, phi, column, *, before=()):
    """A far-field table with one row a direction, phi outermost."""
    rows = [header]
    for p in phi:
        rows += [",".join(f"{v:.9g}" for v in (*before, p, t, column(t, p))) for t in theta]
    path.write_text("\n".join(rows) + "\n")
    return path


def test_isotropic_and_cosine_are_formulas():
    some = direction([0, 20, 60, 90, 120], [0, 10, 200, 50, 3])
    np.testing.assert_array_equal(Pattern.of("isotropic").amplitude(some), 1)
    want = np.maximum(np.cos(np.deg2rad([0, 20, 60, 90, 120])), 0) ** 1.5
    np.testing.assert_allclose(Pattern.of(1.5).amplitude(some), want, atol=1e-12)


@pytest.mark.parametrize(("width", "length"), [(0.5, 0.5), (0.7, 0.33), (1.4, 0.9)])
def test_patch_has_the_principal_planes_of_the_cavity_model(width, length):
    patch = Pattern.patch(width, length)
    theta = np.linspace(-85, 85, 69)
    s = np.sin(np.deg2rad(theta))
    e_plane = np.abs(np.cos(np.pi * length * s))
    h_plane = np.abs(np.cos(np.deg2rad(theta)) * np.sinc(width * s))
    np.testing.assert_allclose(patch.amplitude(direction(theta, 0)), e_plane, atol=2e-3)
    np.testing.assert_allclose(patch.amplitude(direction(theta, 90)), h_plane, atol=2e-3)
    np.testing.assert_array_equal(patch.amplitude(direction([91, 130, 180], 20)), 0)
    assert patch.amplitude(direction(0, 77)) == pytest.approx(1)


def test_turn_moves_the_pattern_about_its_axis():
    patch, turned = Pattern.patch(0.8, 0.4), Pattern.patch(0.8, 0.4, turn=np.deg2rad(30))
    theta = np.array([10.0, 40.0, 70.0])
    np.testing.assert_allclose(turned.amplitude(direction(theta, 55)), patch.amplitude(direction(theta, 25)), atol=1e-6)


def test_both_elements_are_weighed_in_the_boards_own_frame():
    """Any rotation of the board: the amplitude is the pattern's, towards the point as the board sees it."""
    rng = np.random.default_rng(3)
    rotation = rng.standard_normal((20, 4))
    rotation /= np.linalg.norm(rotation, axis=1, keepdims=True)
    poses = Trajectory(time=np.arange(20), position=rng.uniform(-0.1, 0.1, (20, 3)), rotation=rotation)
    array = AntennaArray(tx=[[0.02, 0, 0], [0, 0.03, 0]], rx=[[-0.05, 0.01, 0]])
    point = np.array([0.03, -0.02, 0.25])
    for pattern in (
        Pattern.patch(0.8, 0.35, turn=0.4),
        Pattern.of(1.0),
        Pattern(exponent=0.5, table=rng.random((7, 8))),
    ):
        scan = simulate(
            Scene.points([point]),
            chirp=CHIRP,
            array=array,
            trajectory=poses,
            options=SimulationOptions(pattern=pattern),
        )
        turn = poses.matrices()[:, None, None]
        seen = [np.einsum("...ji,...j->...i", turn, point - p) for p in (scan.tx_position, scan.rx_position)]
        want = pattern.amplitude(seen[0]) * pattern.amplitude(seen[1])
        assert want.max() > 0.1
        np.testing.assert_allclose(np.abs(scan.signal[..., 0]), want, atol=1e-6)


def test_options_and_history_take_patterns():
    import json

    options = SimulationOptions(pattern=Pattern.patch(0.6, 0.4))
    assert options.notes()["pattern"] == "patch 0.6 x 0.4"
    json.dumps(options.notes())
    assert SimulationOptions(pattern="patch").element.name == "patch 0.5 x 0.5"
    assert SimulationOptions(pattern=2).element.exponent == 2.0


HFSS_HEADERS = {
    LONG: lambda t, p: 7 + 10 * np.log10(model(t, p)),
    '"Freq[GHz]","Phi[deg]","Theta[deg]","dB(RealizedGainTotal)"': lambda t, p: 10 * np.log10(model(t, p)) - 3,
    '"Freq [GHz]","Phi [deg]","Theta [deg]","mag(rETotal) [mV]"': lambda t, p: 1e3 * np.sqrt(model(t, p)),
    '"Freq [GHz]","Phi [deg]","Theta [deg]","dB(rETotal)"': lambda t, p: 20 * np.log10(np.sqrt(model(t, p))),
    '"Freq [GHz]","Phi [deg]","Theta [deg]","DirTotal []"': lambda t, p: 5 * model(t, p),
    '"Freq [GHz]","Phi [deg]","Theta [deg]","dB10(GainTotal)"': lambda t, p: 10 * np.log10(model(t, p)),
}


@pytest.mark.parametrize("header", HFSS_HEADERS)
def test_exported_tables_give_the_field_relative_to_its_peak(tmp_path, header):
    theta, phi = np.arange(0, 181, 3.0), np.arange(0, 361, 6.0)
    path = write(tmp_path / "a.csv", header, theta, phi, HFSS_HEADERS[header], before=(79,))
    pattern = Pattern.from_csv(path)
    t, p = np.repeat(theta[:50], 60), np.tile(phi[:60], 50)
    np.testing.assert_allclose(pattern.amplitude(direction(t, p)), np.sqrt(model(t, p)), atol=1e-6)
    between = pattern.amplitude(direction(t + 1.5, p + 3))
    np.testing.assert_allclose(between, np.sqrt(model(t + 1.5, p + 3)), atol=4e-3)
    assert pattern.name == "table a.csv"


@pytest.mark.parametrize(
    ("theta", "phi"),
    [
        (np.arange(-180, 181, 5.0), np.arange(0, 180, 10.0)),
        (np.arange(-180, 181, 5.0), np.arange(0, 181, 10.0)),
        (np.arange(0, 181, 5.0), np.arange(-180, 181, 10.0)),
        (np.arange(0, 91, 5.0), np.arange(0, 360, 10.0)),
    ],
)
def test_ways_to_go_round_the_sphere_agree(tmp_path, theta, phi):
    header = '"Phi[deg]","Theta[deg]","mag(rETotal)"'
    pattern = Pattern.from_csv(write(tmp_path / "a.csv", header, theta, phi, lambda t, p: np.sqrt(model(t, p))))
    t, p = np.array([0, 20, 45, 85, 60]), np.array([0, 100, 190, 250, 350])
    np.testing.assert_allclose(pattern.amplitude(direction(t, p)), np.sqrt(model(t, p)), atol=1e-6)
    behind = pattern.amplitude(direction(120, 40))
    assert behind == pytest.approx(np.sqrt(model(120, 40)) if theta.max() > 90 else 0, abs=1e-6)


def test_radians_tabs_and_a_byte_order_mark(tmp_path):
    text = ["Phi [rad]\tTheta [rad]\tmag(rETotal)"]
    for p in np.deg2rad(np.arange(0, 360, 30)):
        text += [f"{p:.12g}\t{t:.12g}\t{np.cos(t / 2):.9g}" for t in np.deg2rad(np.arange(0, 181, 10))]
    (tmp_path / "r.csv").write_text("\n".join(text), encoding="utf-8-sig")
    np.testing.assert_allclose(
        Pattern.from_csv(tmp_path / "r.csv").amplitude(direction(70, 222)), np.cos(np.deg2rad(35)), atol=1e-5
    )


def test_a_plot_with_a_column_for_every_phi(tmp_path):
    phis = (0, 90, 180, 270)
    header = ",".join(['"Theta [deg]"', *(f"\"dB(GainTotal) [] - Freq='79GHz' Phi='{p}deg'\"" for p in phis)])
    rows = [
        ",".join(f"{v:.9g}" for v in (t, *(10 * np.log10(model(t, p)) for p in phis))) for t in np.arange(0, 181, 5.0)
    ]
    (tmp_path / "cuts.csv").write_text("\n".join([header, *rows]))
    pattern = Pattern.from_csv(tmp_path / "cuts.csv", frequency=79e9)
    np.testing.assert_allclose(
        pattern.amplitude(direction(40, [0, 90, 270])), np.sqrt(model(40, np.array([0, 90, 270]))), atol=1e-6
    )
    with pytest.raises(FormatError, match="got 79 GHz, wanted 60 GHz"):
        Pattern.from_csv(tmp_path / "cuts.csv", frequency=60e9)


def test_one_of_several_frequencies_and_columns(tmp_path):
    rows = ['"Freq [GHz]","Phi [deg]","Theta [deg]","mag(rETotal)","mag(rETheta)"']
    for f in (77, 81):
        for p in range(0, 360, 30):
            rows += [f"{f},{p},{t},{1 + (f - 77) * t / 180},{2 - t / 180}" for t in range(0, 181, 10)]
    path = tmp_path / "f.csv"
    path.write_text("\n".join(rows))
    with pytest.raises(FormatError, match=r"got 2 frequencies \(77, 81 GHz\)"):
        Pattern.from_csv(path)
    np.testing.assert_allclose(Pattern.from_csv(path, frequency=77.2e9).amplitude(direction(90, 0)), 1, atol=1e-9)
    np.testing.assert_allclose(Pattern.from_csv(path, frequency=81e9).amplitude(direction(90, 0)), 3 / 5, atol=1e-9)
    other = Pattern.from_csv(path, frequency=81e9, column="mag(rETheta)")
    np.testing.assert_allclose(other.amplitude(direction(90, 0)), 1.5 / 2, atol=1e-9)
    with pytest.raises(FormatError, match="name it with column"):
        Pattern.from_csv(path, frequency=81e9, column="mag(rEPhi)")


GRID = [f"{p},{t},1" for p in range(0, 360, 30) for t in range(0, 181, 30)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "got 0 lines, wanted a header"),
        (["Phi[deg],Theta[deg],power", *GRID], "wanted one of a gain, directivity or rE"),
        (["Phi[deg],GainTotal", "0,1"], "wanted Phi and Theta|wanted Theta and Phi"),
        (["Phi[deg],Theta[deg],GainTotal", *GRID[:-3]], "wanted every theta at every phi"),
        (["Phi[deg],Theta[deg],GainTotal", *GRID, "30,60,2"], "a direction twice"),
        (["Phi[deg],Theta[deg],GainTotal", *GRID, "30,60"], "got 2 values in row"),
        (["Phi[deg],Theta[deg],GainTotal", *GRID, "30,x,1"], "not a number"),
        (["Phi[deg],Theta[deg],GainTotal", *GRID, "30,nan,1"], "not finite"),
        (["Phi[deg],Theta[deg],GainTotal", "0,0,-1", "0,90,2"], "no amplitudes"),
        (["Phi[grad],Theta[deg],GainTotal", *GRID], "the unit 'grad'"),
        (["Phi[deg],Theta[deg],GainTotal", *[g for g in GRID if g.split(",")[1] not in ("0",)]], "theta from 0"),
        (["Phi[deg],Theta[deg],GainTotal", *[g for g in GRID if int(g.split(",")[0]) < 200]], "all round"),
        (["Phi[deg],Theta[deg],GainTotal", *GRID, "30,2000,1"], "angles up to 2000"),
    ],
)
def test_tables_that_are_not_whole_are_refused(tmp_path, lines, message):
    (tmp_path / "bad.csv").write_text("\n".join(lines))
    with pytest.raises(FormatError, match=message) as caught:
        Pattern.from_csv(tmp_path / "bad.csv")
    assert "bad.csv" in str(caught.value) and "\n" not in str(caught.value)


def test_a_binary_file_is_not_a_table(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xff\xfe\x00\x81" * 10)
    with pytest.raises(FormatError, match="not a text file"):
        Pattern.from_csv(tmp_path / "x.csv")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Pattern.of("horn"), "wanted isotropic, patch"),
        (lambda: Pattern.of(True), "got True"),
        (lambda: Pattern.of(-1), "got -1"),
        (lambda: Pattern(exponent=-1.0), "exponent: got -1"),
        (lambda: Pattern(table=[[1.0, 2.0]]), "at least 2 x 2"),
        (lambda: Pattern(table=-np.eye(3)), "none negative"),
        (lambda: Pattern(table=np.zeros((3, 3))), "not all zero"),
        (lambda: Pattern.patch(0.0), "width"),
        (lambda: Pattern().amplitude([1.0, 2.0]), "direction: got shape"),
    ],
)
def test_patterns_check_themselves(call, message):
    with pytest.raises(GeometryError, match=message):
        call()
