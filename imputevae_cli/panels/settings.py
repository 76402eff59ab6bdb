"""Settings of filling from a panel."""

from __future__ import annotations

from imputevae_cli.schema import Section


class PanelSettings(Section):
    """STUB."""
