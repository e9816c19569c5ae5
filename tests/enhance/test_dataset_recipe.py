"""Recipe files: the shipped ones, units, refusals, and that every key is documented."""

import re
from pathlib import Path

import pytest

from mmsar.enhance.dataset_recipe import Recipe, load_recipe
from mmsar.errors import FormatError, GeometryError

ROOT = Path(__file__).resolve().parents[2]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    return path


def test_slices_are_the_defaults():
    got, want = load_recipe(ROOT / "data/recipes/slices.toml").to_dict(), Recipe(seed=1).to_dict()
    for name, value in want.items():
        assert got[name] == (pytest.approx(value) if isinstance(value, float) else value) or got[name] == [
            pytest.approx(v) for v in value
        ], name


def test_units_and_what_is_left_out(tmp_path):
    recipe = load_recipe(
        written(tmp_path, "seed = 9\n[image]\nsize_mm = 180\ndepths_mm = [300]\n[errors]\nposition_mm = [1, 2]")
    )
    assert (recipe.seed, recipe.size, recipe.depths) == (9, pytest.approx(0.18), pytest.approx((0.3,)))
    assert recipe.position_error == pytest.approx((1e-3, 2e-3)) and recipe.samples == 64


def test_every_key_is_documented():
    source = (ROOT / "mmsar/enhance/dataset_recipe.py").read_text()
    keys = set(re.findall(r'=\("(\w+)", "\w+", [\w.]+\)', source))
    text = (ROOT / "data/README.md").read_text().split("## Recipes")[1]
    assert len(keys) > 30 and keys <= set(re.findall(r"`(\w+)`", text))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[image]\npixel = 3", "did you mean `pixels`"),
        ("[image]\nmethods = ['rma']", "Recipe.methods: got 'rma', wanted one of empm, nufft, bpa"),
        ("[image]\ndepths_mm = [10]", "Recipe.depths: got 0.01 m, wanted at least 0.05 m"),
        ("[scene]\nobjects = [3, 1]", "Recipe.objects: got 3 to 1"),
        ("[scene]\nobjects = [1.5, 3]", "wanted a list of whole numbers"),
        ("[scene]\nghost_share = 2", "Recipe.ghost_share: got 2, wanted a probability"),
        ("[scene]\nspacing_mm = 3", "Recipe.spacing: got 0.003 m"),
        ("[scene]\nreach_mm = 120", "at most half of the slice"),
        ("[errors]\nsnr_db = [1]", "Recipe.snr_db"),
        ("[splits]\ntest = ['points']", "points in train too"),
        ("[splits]\ntrain = []", "Recipe.train: got none"),
        ("[splits]\ntest_share = 0.99", "test_share \\+ validation_share at most 1"),
        ("", "seed: missing"),
        ("seed = -1", "Recipe.seed"),
        ("seed =", "not a TOML file"),
    ],
)
def test_refusals(tmp_path, text, complaint):
    with pytest.raises(FormatError, match=complaint) as caught:
        load_recipe(written(tmp_path, text if "seed" in text or not text else f"seed = 1\n{text}"))
    assert "recipe.toml" in str(caught.value) and "\n" not in str(caught.value)


def test_a_value_refuses_too():
    with pytest.raises(GeometryError, match=r"Recipe.rows: got 0"):
        Recipe(rows=0)
