"""An old installation of Kaspersky's kata-dir-scanner (KDS), run with the configuration it has.

`conf` reads its JSON, `installation` makes our settings of it, `service` runs them.
"""

from bridge.folder.kds.conf import KdsConf, fill_system_id, read_conf
from bridge.folder.kds.installation import (
    DEFAULT_LOG,
    DEFAULT_RECORDS,
    DEFAULT_STATE,
    EXCLUDED,
    Installation,
)
from bridge.folder.kds.migration import katabridge_yaml
from bridge.folder.kds.pair import make_pair, renew_pair
from bridge.folder.kds.pin import Pin, read_pin, write_pin
from bridge.folder.kds.service import check_folders, serve_kds
from bridge.folder.kds.shown import refused_values, shown_conf

__all__ = [
    "DEFAULT_LOG",
    "DEFAULT_RECORDS",
    "DEFAULT_STATE",
    "EXCLUDED",
    "Installation",
    "KdsConf",
    "Pin",
    "check_folders",
    "fill_system_id",
    "katabridge_yaml",
    "make_pair",
    "read_conf",
    "read_pin",
    "refused_values",
    "renew_pair",
    "serve_kds",
    "shown_conf",
    "write_pin",
]
