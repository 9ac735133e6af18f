"""Lists the packages: those of the folder, and the configuration and the studies, which stand beside it and belong into the wheel."""

from setuptools import find_packages, setup

studies = [f"multiscale.studies.{name}" for name in find_packages("studies")]
setup(packages=[*find_packages(include=["multiscale", "multiscale.*"]), "multiscale.conf", "multiscale.studies", *studies])
