"""The tool of parcels.yaml: a function, whose docstring tells a model what it is for."""

_PARCELS = {4711: "on its way to Basel", 4712: "at the post office in Bern"}


def where_is_parcel(number: int) -> str:
    """Say where the parcel with a number is."""
    return f"Parcel {number} is {_PARCELS[number]}." if number in _PARCELS else f"There is no parcel {number}."
