# SPDX-License-Identifier: GPL-2.0-or-later
"""The configuration: one directory of TOML files, checked as a whole before any of it is used."""

from gateway.config.changes import in_force
from gateway.config.differences import differences
from gateway.config.fields import uri_host, uri_port
from gateway.config.instances import instances
from gateway.config.loading import BROKERS_AUTHORITY, Config, http_settings, json_schema, load
from gateway.config.mistakes import ConfigError, Mistake
from gateway.config.profiles import PbxProfile, PlatformForm, QueueSource, TrunkProfile
from gateway.config.settings import GatewaySettings, HttpSettings, MqttSettings, PlatformSettings, SipSettings

__all__ = [
    "BROKERS_AUTHORITY",
    "Config",
    "ConfigError",
    "GatewaySettings",
    "HttpSettings",
    "Mistake",
    "MqttSettings",
    "PbxProfile",
    "PlatformForm",
    "PlatformSettings",
    "QueueSource",
    "SipSettings",
    "TrunkProfile",
    "differences",
    "http_settings",
    "in_force",
    "instances",
    "json_schema",
    "load",
    "uri_host",
    "uri_port",
]
