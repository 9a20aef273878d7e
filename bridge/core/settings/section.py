"""What every section of the settings is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the configuration file; what it does not know is refused."""

    # No defaults are validated: they are written as validated values.
    model_config = ConfigDict(extra="forbid", frozen=True)
