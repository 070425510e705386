"""The packages; all else stands in pyproject.toml. The notebooks are installed inside the package of the papers."""

from setuptools import find_packages, setup

NOTEBOOKS = "neurec_papers.notebooks"
INSTALLED = ["neurec_core*", "smallnets*", "neurec_papers*"]

setup(packages=[*find_packages(include=INSTALLED), NOTEBOOKS], package_dir={NOTEBOOKS: "notebooks"})
