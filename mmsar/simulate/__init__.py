"""Simulation: scenes of point scatterers, the exact bistatic Born forward model, noise and position errors.

`Scene` (mmsar.simulate.scene) says what is there, `simulate` (mmsar.simulate.forward) what a radar would record of it,
`load_setup` (mmsar.simulate.setup) reads both from one TOML file.

`mmsar.simulate` is the name of this package and of the public call. Importing a submodule binds the package to that
name, so the package itself can be called: `mmsar.simulate(scene, chirp=..., array=..., trajectory=...)` is
`mmsar.simulate.forward.simulate`.
"""

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    """A package that is also the function of its name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        from mmsar.simulate.forward import simulate

        return simulate(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
