"""Write openshift/monitoring/dashboard.json, a dashboard for Grafana."""

import json
from typing import NamedTuple

from app.metrics import PREFIX as _M
from app.settings.values import ROOT

FILE = ROOT / "openshift/monitoring/dashboard.json"

_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_LOGINS = "find_match|identifications|verifications"  # the endpoints
_WIDTH, _HEIGHT = 12, 8  # of a panel; the dashboard is 24 wide


class Panel(NamedTuple):
    """A chart. queries: expressions by their legends. unit: as Grafana names it."""

    title: str
    unit: str
    queries: dict[str, str]


def _quantiles(labels: str) -> dict[str, str]:
    rates = f"sum by (le) (rate({_M}_request_seconds_bucket{{{labels}}}[5m]))"
    return {f"{share}": f"histogram_quantile({share}, {rates})" for share in (0.5, 0.95, 0.99)}


_STAGES = f"histogram_quantile(0.95, sum by (le, stage) (rate({_M}_stage_seconds_bucket[5m])))"
PANELS = [
    Panel(
        "Logins by outcome",
        "reqps",
        {"{{kind}}, {{outcome}}": f"sum by (kind, outcome) (rate({_M}_logins_total[5m])) > 0"},
    ),
    Panel(
        "Requests by status",
        "reqps",
        {"{{status}}": f"sum by (status) (rate({_M}_requests_total[5m])) > 0"},
    ),
    Panel("Time of a login (quantiles)", "s", _quantiles(f'endpoint=~"{_LOGINS}"')),
    Panel("Time by stage (95 %)", "s", {"{{stage}}": _STAGES}),
    Panel(
        "Distance of identifications (quartiles) and α",
        "none",
        {
            f"{share}": f"histogram_quantile({share}, "
            f"sum by (le) (rate({_M}_login_distance_bucket[1h])))"
            for share in (0.25, 0.5, 0.75)
        }
        | {"α": f"max({_M}_threshold)"},
    ),
    Panel(
        "Strangers taken for an employee (FPIR)",
        "percentunit",
        {"measured": f"max({_M}_fpir)", "MAX_FPIR": f"max({_M}_max_fpir)"},
    ),
    Panel(
        "Errors by code",
        "reqps",
        {"{{code}}": f"sum by (code) (rate({_M}_errors_total[5m])) > 0"},
    ),
    Panel(
        "Logins and enrolments, and their slots",
        "none",
        {"answered now": f"sum({_M}_request_slots_used)", "slots": f"sum({_M}_request_slots)"},
    ),
    Panel(
        "Photos, and their slots",
        "none",
        {
            "processed now": f"sum({_M}_picture_slots_used)",
            "waiting": f"sum({_M}_pictures_waiting)",
            "slots": f"sum({_M}_picture_slots)",
        },
    ),
    Panel(
        "Bodies held, and how many may be",
        "bytes",
        {"held": f"sum({_M}_body_bytes)", "limit": f"sum({_M}_body_bytes_limit)"},
    ),
    Panel(
        "Workers that do not call the liveness service",
        "none",
        {"{{pod}}": f"{_M}_liveness_breakers_open"},
    ),
    Panel("Employees in the gallery", "none", {"{{pod}}": f"{_M}_gallery_employees"}),
    Panel(
        "Age of the gallery, and starts of workers",
        "none",
        {
            "seconds, {{pod}}": f"{_M}_gallery_age_seconds",
            "starts in an hour, {{pod}}": f"increase({_M}_worker_starts_total[1h])",
        },
    ),
]


def dashboard() -> dict[str, object]:
    """Return the dashboard as Grafana imports it."""
    return {
        "title": "Image registration service",
        "uid": "image-registration-service",
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def text() -> str:
    """Return the text of the file."""
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def _panel(number: int, panel: Panel) -> dict[str, object]:
    row, column = divmod(number, 2)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": _DATASOURCE,
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "expr": query,
                "legendFormat": legend,
                "exemplar": "_bucket" in query,
            }
            for n, (legend, query) in enumerate(panel.queries.items())
        ],
    }


if __name__ == "__main__":
    FILE.write_text(text())
