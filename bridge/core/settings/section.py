"""What every section of the settings is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of the configuration file; what it does not know is refused.

    The text below a key is what docs/configuration.md says of it, Markdown as seen from there;
    `make docs` puts it there with default and limits, which it reads off the types.
    """

    # No defaults are validated: they are written as validated values.
    model_config = ConfigDict(extra="forbid", frozen=True)
