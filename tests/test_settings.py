"""Groups that come in several kinds, and names that come from a registry."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from multiscale.settings import Entry, OfKind, OneOf, Settings, inner_settings, kind_name, kinds, names_of, quantity, registry


class Source(Settings):
    """Where energy comes from."""


class Sun(Source):
    """Photovoltaics."""

    kind: Literal["sun"] = "sun"
    tilt: float = quantity(30.0, "deg", "angle of the panels", lower=0.0, upper=90.0)


class Wind(Source):
    """A turbine."""

    kind: Literal["wind"] = "wind"
    height: float = quantity(80.0, "m", "height of the hub", above=0.0)


class Plant(Settings):
    """A plant."""

    source: Annotated[Source, OfKind(Sun, Wind, default="sun")] = Sun()
    colour: Annotated[str, OneOf({"red": 1, "blue": 2})] = Field("red", description="of the roof")


def test_the_kind_chooses_the_settings():
    assert Plant.model_validate({"source": {"kind": "wind", "height": "0.1 km"}}).source == Wind(height=100.0)
    assert Plant.model_validate({"source": {"tilt": 45}}).source == Sun(tilt=45.0)
    assert Plant(source=Wind()).source == Wind()
    assert Plant.model_validate(Plant(source=Wind()).model_dump()) == Plant(source=Wind())


@pytest.mark.parametrize("values", [{"kind": "water"}, {"kind": "wind", "tilt": 10}, {"kind": "wind", "height": 0}])
def test_other_kinds_and_their_keys_are_refused(values: dict[str, object]):
    with pytest.raises(ValidationError):
        Plant.model_validate({"source": values})


def test_a_name_out_of_a_registry_is_checked():
    assert Plant(colour="blue").colour == "blue"
    with pytest.raises(ValidationError):
        Plant(colour="green")


def test_kinds_and_names_can_be_listed():
    source, colour = Plant.model_fields["source"], Plant.model_fields["colour"]
    assert dict(kinds(source)) == inner_settings(source) == {"sun": Sun, "wind": Wind}
    assert names_of(colour) == ["red", "blue"]
    assert not kinds(colour)


def test_a_registry_is_keyed_by_the_kinds_of_its_settings():
    assert list(registry(Entry(Sun, abs), Entry(Wind, abs))) == ["sun", "wind"]
    with pytest.raises(ValueError, match="same kind"):
        registry(Entry(Sun, abs), Entry(Sun, len))
    with pytest.raises(ValueError, match="declares no kind"):
        kind_name(Plant)
    with pytest.raises(ValueError, match="there are sun, wind"):
        OfKind(Sun, Wind, default="water")
