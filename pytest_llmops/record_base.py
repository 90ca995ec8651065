"""What all records are made of."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("must be a finite number; use status 'unscored' or 'error' where there is none")
    return value


Finite = Annotated[float, AfterValidator(_finite)]


class Record(BaseModel):
    """Base of all records: unknown fields are kept out, names as in docs/run-record.schema.json."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)
