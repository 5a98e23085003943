"""Global parameters; the legacy defaults."""

_settings = {
    "N": 128,
    "gridsize": 2,
    "offset": 4,
    "max_position_jitter": 10,
    "default_probe_scale": 0.7,
    "probe_scale": 10.0,
    "nphotons": 1e9,
}


def set(key, value):
    _settings[key] = value


def get(key):
    return _settings[key]
