# SPDX-License-Identifier: GPL-2.0-or-later
"""What the gateways of a cluster retain at their broker for one another, as models; a reader bears more than this."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gateway.documents import Timestamp


class Told(BaseModel):
    """Said by one gateway to the others."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra={"additionalProperties": True})


class LoadData(Told):
    """What a gateway carries where the limit is that of all gateways; it holds for half a minute."""

    calls: dict[str, Annotated[int, Field(ge=0)]] = Field(
        max_length=1000, description="calls by destination id; a destination that is missing has none"
    )
    at: Timestamp


class ClaimData(Told):
    """Who tells the end of a transfer whose gateway was lost, and whether it has."""

    by: Annotated[str, Field(min_length=1, max_length=64, description="`instance` of the gateway that tells it")]
    mark: Annotated[str, Field(max_length=64, description="of that gateway's run")] = ""
    told: Annotated[bool, Field(description="the end is in its journal")] = False
    at: Timestamp
