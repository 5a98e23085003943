"""Global parameters; the legacy defaults."""

cfg = {
    "N": 128,
    "gridsize": 2,
    "offset": 4,
    "max_position_jitter": 10,
    "default_probe_scale": 0.7,
    "probe_scale": 10.0,
    "nphotons": 1e9,
}


def set(key, value):
    cfg[key] = value


def get(key):
    return cfg[key]


def get_bigN():
    return cfg["N"] + (cfg["gridsize"] - 1) * cfg["offset"]


def get_padded_size():
    return get_bigN() + cfg["max_position_jitter"]
